"""A desk: one database, asked within a budget, and what the rules say of its answers.

Whoever imports this loads sqlglot, half a second: an agent that asks nothing is spared it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, Self, TypeVar

from tickspan.analysis.findings import Finding, Rule
from tickspan.analysis.indexes.rules import CATALOG_CHECKS
from tickspan.analysis.plans import Plan, PlanSource
from tickspan.analysis.plans.budget import Budget
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.probe import Probe, Refused, Unreachable
from tickspan.analysis.plans.rules import CHECKS, stale_statistics
from tickspan.analysis.sql import Dialect, Statement
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.databases import probe_of, system_of
from tickspan.processors.queries.judging import catalog_context
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
from tickspan.recording import diagnostics

__all__ = ["Desk", "said"]

_TURN_S: Final = 1.1
"""After which the budget allows a second question about the same statement."""

Subject = TypeVar("Subject")


class Desk:
    """A context manager, for one thread. A rule that raises is asked no more, and is told once.

    Args:
        address: the DSN.
        ignored: ids of rules that are not asked.
        sleep: of a thread that has time.
    """

    def __init__(
        self, address: str, ignored: frozenset[str], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._address = address
        self._off = set(ignored)
        self._sleep = sleep
        self._budget = Budget()
        self._stack = ExitStack()
        self._probe: Probe | None = None
        self._schema: Schema | None = None
        self._stale: set[str] = set()

    def __repr__(self) -> str:
        return f"<Desk {self._budget!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def may_be_asked(self, now_s: float) -> bool:
        """Whether the budget allows a question now."""
        return self._budget.refusal(now_s) is None

    def read_catalog(self) -> tuple[Schema, tuple[Finding, ...]]:
        """The schema, and what there is to say of its indexes.

        Raises:
            Unreachable: of `analysis.plans.probe`.
            ValueError: the DSN is of no database that we know.
        """
        with self._reaching():
            probe = self._asked()
            self._schema = schema = probe.schema()
            self._stale.clear()
            context = catalog_context(probe, schema, Dialect.of(system_of(self._address)))
        return schema, tuple(self._found(CATALOG_CHECKS, context))

    def explain(self, statement: Statement, *, with_values: bool) -> tuple[Plan, tuple[Finding, ...]]:
        """The plan of a statement, and what there is to say of it.

        Args:
            statement: one SELECT, INSERT, UPDATE or DELETE.
            with_values: compare it with the plan for common values, where the database tells one.

        Raises:
            Refused, Unreachable: of `analysis.plans.probe`.
            ValueError: the DSN is of no database that we know.
        """
        with self._reaching():
            probe = self._asked()
            if self._schema is None:
                self._schema = probe.schema()
        plan = probe.explain(statement.text)
        custom = self._custom(probe, statement, plan) if with_values else None
        context = PlanContext(plan, statement, self._schema, custom)
        return plan, tuple(found for found in self._found(CHECKS, context) if self._is_news(found))

    def _is_news(self, finding: Finding) -> bool:
        """A table's statistics are told of with the first of its statements, not with each."""
        if finding.rule != stale_statistics.RULE.id:
            return True
        table = str(finding.evidence.get("table", ""))
        is_known = table in self._stale
        self._stale.add(table)
        return not is_known

    @contextmanager
    def _reaching(self) -> Generator[None]:
        """A database that is not there is left alone for a while, as one that does not answer."""
        began_s = time.monotonic()
        try:
            yield
        except Unreachable:
            self._budget.spent(began_s, time.monotonic(), is_failure=True)
            raise

    def _asked(self) -> Probe:
        if self._probe is None:
            self._probe = self._stack.enter_context(probe_of(self._address, self._budget))
        return self._probe

    def _custom(self, probe: Probe, statement: Statement, plan: Plan) -> Plan | None:
        """The plan for common values, if there are any: PostgreSQL's statistics have them."""
        is_generic = plan.source is PlanSource.GENERIC and "?" in statement.text
        if not is_generic or not isinstance(probe, PostgresqlProbe):
            return None
        self._sleep(_TURN_S)
        try:
            return probe.explain_custom(statement.text)
        except Refused:
            return None

    def _found(
        self,
        checks: Iterable[tuple[Rule, Callable[[Subject], Iterator[Finding]]]],
        subject: Subject,
    ) -> Iterator[Finding]:
        for rule, check in checks:
            if rule.id in self._off:
                continue
            try:
                yield from tuple(check(subject))
            except Exception as error:  # noqa: BLE001 - a rule of any kind: its fault switches it off, no more
                self._off.add(rule.id)
                diagnostics.warning(
                    "rule '%s' disabled after %s; the others go on", rule.id, type(error).__name__
                )


def said(error: Exception) -> str:
    """Refusals and unreachable databases say why, in a line without data; of others the class must do."""
    return str(error) if isinstance(error, Refused | Unreachable) else type(error).__name__
