"""What could be better about a query, in one call: rules, plan and index advice together."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from tickspan.analysis.findings import Finding
from tickspan.analysis.indexes.advice import WorkloadAnalysis, advise
from tickspan.analysis.indexes.model import IndexAdvice, WorkloadQuery
from tickspan.analysis.indexes.whatif import WhatIf
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.model import Plan
from tickspan.analysis.plans.probe import Probe, Refused, Unreachable
from tickspan.analysis.plans.rules import CHECKS
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.parsed import Parsed, parse
from tickspan.analysis.sql.rules.checker import Checker
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.outline import Outline
from tickspan.analysis.sql.schema import Schema
from tickspan.analysis.sql.statement import Statement

__all__ = ["QueryAnalysis", "QueryOptimizer", "WorkloadAnalysis", "get_query_optimizer"]

_MOST_REMEMBERED: Final = 5_000
_NO_SCHEMA: Final = "no schema: row counts unknown"


@dataclass(frozen=True, slots=True)
class QueryAnalysis:
    """What is known of one query.

    Attributes:
        statement: its text without data, and what one pass over its tokens shows.
        tables: that it reads or writes, in order; names only, common table expressions left out.
        execution_time_s: as the caller measured it.
        plan: as given, or as a probe told it.
        findings: what should be done better, the worst first.
        index_recommendations: indexes that would serve it; `str()` of one is its DDL.
        unknown: what could not be told and why, one line each.
    """

    statement: Statement
    tables: tuple[str, ...]
    execution_time_s: float | None
    plan: Plan | None
    findings: tuple[Finding, ...]
    index_recommendations: tuple[IndexAdvice, ...]
    unknown: tuple[str, ...]


class QueryOptimizer:
    """Analyses queries of one database. Executes nothing; what a probe may ask, the probe decides.

    >>> advice = QueryOptimizer().analyze_query(
    ...     "SELECT * FROM trades WHERE symbol = 'AAPL' ORDER BY timestamp DESC"
    ... ).index_recommendations[0]
    >>> advice.index.table, advice.index.keys
    ('trades', ('symbol', 'timestamp DESC'))

    Not safe from several threads at once.

    Args:
        dialect: `postgresql`, `mysql`, `sqlite`, or any `db.system.name`.
        schema: what is known of the tables; asked of the probe, once, when it is not given.
        probe: asks the database for its schema and for plans.
        whatif: plans with hypothetical indexes, by which index advice is proved.
        ignore: ids of rules of which nothing is told.
    """

    def __init__(
        self,
        *,
        dialect: str = "postgresql",
        schema: Schema | None = None,
        probe: Probe | None = None,
        whatif: WhatIf | None = None,
        ignore: Collection[str] = (),
    ) -> None:
        self._dialect = Dialect.of(dialect)
        self._schema = schema
        self._probe = probe
        self._whatif = whatif
        self._ignore = frozenset(ignore)
        self._told: list[str] = []
        self._checker = Checker(ignore=ignore, tell=self._told.append)
        self._broken_plan_rules: set[str] = set()
        self._remembered: dict[str, WorkloadQuery] = {}
        self._is_remembering = False
        self._forgotten = 0

    def __repr__(self) -> str:
        known = "no schema" if self._schema is None else f"{len(self._schema)} tables"
        remembered = f", {len(self._remembered)} queries remembered" if self._is_remembering else ""
        return f"<QueryOptimizer {self._dialect}: {known}{remembered}>"

    def enable_query_analysis(self, *, is_enabled: bool = True) -> None:
        """Remember the queries that are analysed from now on, for `analyze_workload(optimizer.workload)`.

        Up to 5,000 different ones, with their calls and times. What an instrumented application runs is
        analysed by the agent, without this call.
        """
        self._is_remembering = is_enabled

    @property
    def workload(self) -> tuple[WorkloadQuery, ...]:
        """What was analysed since `enable_query_analysis()`: each query once, calls added up."""
        return tuple(self._remembered.values())

    def analyze_query(
        self,
        sql: str,
        *,
        execution_time_ms: float | None = None,
        calls: int = 1,
        plan: Plan | None = None,
    ) -> QueryAnalysis:
        """Everything that can be told of one query; a text that cannot be read is told of by its tokens.

        Args:
            sql: raw or canonical text, with placeholders of any driver.
            execution_time_ms: how long it takes, in milliseconds, if that was measured.
            calls: how often it ran.
            plan: its plan; asked of the probe when it is not given.

        Raises:
            TypeError: an argument is of another type.
            ValueError: the text is empty, the time is negative or no number, or calls are below 1.
        """
        time_s = _seconds(execution_time_ms)
        _require_query(sql, calls)
        unknown: list[str] = []
        schema = self._known_schema(unknown)
        parsed = parse(sql, self._dialect)
        statement = parsed.statement
        unknown += map(str, parsed.problems)
        if plan is None and parsed.trees:
            plan = self._explained(sql, unknown)
        context = Context(statement, self._dialect, schema, names=parsed.names)
        findings = [*self._checker.check(parsed, context), *self._of_plan(plan, statement, schema)]
        query = WorkloadQuery(sql, statement.fingerprint, calls, time_s or 0.0)
        if self._is_remembering:
            self._remember(query)
        advice = advise([query], schema, self._dialect, whatif=self._whatif) if parsed.trees else None
        unknown += self._told
        self._told.clear()
        return QueryAnalysis(
            statement=statement,
            tables=_tables(parsed, context),
            execution_time_s=time_s,
            plan=plan,
            findings=tuple(sorted(findings, key=lambda found: -found.severity)),
            index_recommendations=(*advice.advice, *advice.untried) if advice is not None else (),
            unknown=tuple(dict.fromkeys([*unknown, *_of_advice(advice, statement)])),
        )

    def analyze_workload(
        self, queries: Iterable[WorkloadQuery], *, storage_bytes: int | None = None
    ) -> WorkloadAnalysis:
        """Which indexes a workload is missing.

        Args:
            queries: of this database.
            storage_bytes: that all advised indexes may take together; needs a what-if.

        Raises:
            ValueError: `storage_bytes` is negative.
        """
        unknown: list[str] = []
        schema = self._known_schema(unknown)
        analysis = advise(
            list(queries), schema, self._dialect, whatif=self._whatif, storage_bytes=storage_bytes
        )
        if storage_bytes is not None and self._whatif is None:
            unknown.append("no what-if: sizes are estimates, and storage_bytes bounds nothing")
        if self._forgotten:
            unknown.append(
                f"{self._forgotten} queries came after the {_MOST_REMEMBERED:,} that are remembered"
            )
        told = [line for line in analysis.unknown if not line.startswith("no schema")]
        return replace(analysis, unknown=(*unknown, *told))

    def _known_schema(self, unknown: list[str]) -> Schema:
        if self._schema is None and self._probe is not None:
            try:
                self._schema = self._probe.schema()
            except Unreachable as error:
                unknown.append(f"no schema: {error}")
                return Schema()
        if self._schema is None:
            unknown.append(_NO_SCHEMA)
            return Schema()
        return self._schema

    def _explained(self, sql: str, unknown: list[str]) -> Plan | None:
        if self._probe is None:
            return None
        try:
            return self._probe.explain(sql)
        except (Refused, Unreachable) as error:
            unknown.append(f"no plan: {error}")
            return None

    def _of_plan(self, plan: Plan | None, statement: Statement, schema: Schema) -> list[Finding]:
        if plan is None:
            return []
        context = PlanContext(plan, statement, schema)
        findings: list[Finding] = []
        for rule, check in CHECKS:
            if rule.id in self._ignore or rule.id in self._broken_plan_rules:
                continue
            try:
                findings += check(context)
            except Exception as error:  # noqa: BLE001 - as in `Checker`: switched off, once, and told
                self._broken_plan_rules.add(rule.id)
                self._told.append(f"rule '{rule.id}' disabled after {type(error).__name__}; the others go on")
        return findings

    def _remember(self, query: WorkloadQuery) -> None:
        known = self._remembered.get(query.fingerprint)
        if known is not None:
            calls = known.calls + query.calls
            mean_s = (known.calls * known.mean_s + query.calls * query.mean_s) / calls
            self._remembered[query.fingerprint] = replace(known, calls=calls, mean_s=mean_s)
        elif len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[query.fingerprint] = query
        else:
            self._forgotten += 1


@cache
def get_query_optimizer() -> QueryOptimizer:
    """The program's own, for PostgreSQL and without a schema; for others make a `QueryOptimizer`."""
    return QueryOptimizer()


def _seconds(execution_time_ms: object) -> float | None:
    if execution_time_ms is None:
        return None
    if isinstance(execution_time_ms, bool) or not isinstance(execution_time_ms, int | float):
        raise TypeError(f"execution_time_ms: expected a number, got {type(execution_time_ms).__name__}")
    if not math.isfinite(execution_time_ms) or execution_time_ms < 0:
        raise ValueError(f"execution_time_ms: expected 0 or more milliseconds, got {execution_time_ms}")
    return execution_time_ms / 1000


def _require_query(sql: object, calls: object) -> None:
    if not isinstance(sql, str):
        raise TypeError(f"sql: expected a text, got {type(sql).__name__}")
    if not sql.strip():
        raise ValueError("sql: expected a statement, got an empty text")
    if not isinstance(calls, int) or isinstance(calls, bool):
        raise TypeError(f"calls: expected a whole number, got {type(calls).__name__}")
    if calls < 1:
        raise ValueError(f"calls: expected 1 or more, got {calls}")


def _tables(parsed: Parsed, context: Context) -> tuple[str, ...]:
    found = (
        context.told(name)
        for tree in parsed.trees
        for outline in (Outline(tree),)
        for table in outline.nodes
        if (name := outline.base_table(table))
    )
    return tuple(dict.fromkeys(found))


def _of_advice(advice: WorkloadAnalysis | None, statement: Statement) -> list[str]:
    """What the advice does not know of the one query, without its fingerprint, and without what is told."""
    if advice is None:
        return []
    own = f"{statement.fingerprint}: "
    return [f"no index advice: {line.removeprefix(own)}" for line in advice.unknown if line.startswith(own)]
