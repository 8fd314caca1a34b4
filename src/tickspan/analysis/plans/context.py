"""What a rule of plans is shown: the plan, and what else is known of its statement and its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.findings import Confidence, Evidence, Finding, Rule, Severity
from tickspan.analysis.plans.conditions import Comparison, compared, where_of
from tickspan.analysis.plans.model import Plan, PlanNode
from tickspan.analysis.sql import Statement
from tickspan.analysis.sql.schema import Schema, Table

__all__ = ["PlanContext", "PlanLatency", "Step"]

_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_TABLE: Final = (
    r"(?:\b(?:from|join|update|into|using)\s+(?:only\s+)?|,\s*)"
    r'(?:(?:"([^"]+)"|(\w+))\s*\.\s*)?"?{name}"?(?![\w"]*\s*\.)'
)
"""Where a statement names a table, its namespace as one of both groups."""

_CONDITIONS: Final = (
    *("Filter", "Index Cond", "Recheck Cond", "Join Filter"),
    *("attached_condition", "index_condition"),
)
_QUOTES: Final = {"postgresql": '"', "sqlite": '"', "mysql": "`", "mariadb": "`"}


@dataclass(frozen=True, slots=True)
class PlanLatency:
    """How long a statement took under one plan.

    Attributes:
        hash: `Plan.hash`.
        samples: how often it was measured.
        p95_s: 95th percentile, seconds.
    """

    hash: str
    samples: int
    p95_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """A node and where it stands."""

    node: PlanNode
    above: tuple[PlanNode, ...]
    """From the root to its parent."""

    @property
    def parent(self) -> PlanNode | None:
        """None for the root."""
        return self.above[-1] if self.above else None


@dataclass(frozen=True, slots=True)
class PlanContext:
    """One plan and its surroundings. Every part but the plan may be missing; rules then say less.

    Attributes:
        plan: to judge.
        statement: that it is for.
        schema: of the database.
        custom: its plan with values of its catalog's statistics, where `plan` is the generic one.
        history: latencies under its plans, the latest last.
    """

    plan: Plan
    statement: Statement | None = None
    schema: Schema | None = None
    custom: Plan | None = None
    history: tuple[PlanLatency, ...] = ()

    def steps(self) -> Iterator[Step]:
        """All nodes, parents first."""
        yield from _steps(self.plan.root, ())

    def table(self, name: str) -> Table | None:
        """What is known of a table of the plan; None where the statement names several of that name.

        Plans tell tables without namespaces: these are looked for in the statement.
        """
        if self.schema is None or not name:
            return None
        places = self._places(name)
        return self.schema.table(places[0]) if len(places) == 1 else None

    def written(self, name: str) -> str:
        """A table of the plan as it may stand in SQL, with a namespace if it needs one; "" if unclear."""
        place, *others = self._places(name)
        if others:
            return ""
        known = None if self.schema is None else self.schema.table(name)
        if place == name or (known is not None and known.name == place):
            return self.quoted(name)
        return ".".join(self.quoted(part) for part in place.split("."))

    def _places(self, name: str) -> tuple[str, ...]:
        """The tables of that name that the statement names."""
        text = "" if self.statement is None else self.statement.text
        if self.schema is None or not re.search(rf'\.\s*"?{re.escape(name)}\b', text, re.IGNORECASE):
            return (name,)
        found: list[str] = []
        for groups in re.findall(_TABLE.format(name=re.escape(name)), text, re.IGNORECASE):
            namespace = "".join(groups)
            written = f"{namespace}.{name}" if namespace else name
            table = self.schema.table(written)
            found.append(written if table is None else table.name)
        return tuple(dict.fromkeys(found)) or (name,)

    def rows_of(self, name: str) -> int | None:
        """Rows of a table, estimated by its database."""
        table = self.table(name)
        return table.rows if table is not None else None

    def compared_in(self, node: PlanNode) -> tuple[Comparison, ...]:
        """Columns of the node's table that its conditions compare with values.

        SQLite's plans tell no conditions: there it is the statement's WHERE, as far as it can be told whose.
        """
        if self.plan.system != "sqlite":
            texts = [str(node.details[name]) for name in _CONDITIONS if name in node.details]
            return compared(" and ".join(texts))
        if self.statement is None:
            return ()
        found = compared(where_of(self.statement.text))
        return tuple(one for one in found if self._belongs(one, node))

    def _belongs(self, comparison: Comparison, node: PlanNode) -> bool:
        if comparison.qualifier:
            return comparison.qualifier.casefold() in {node.alias.casefold(), node.relation.casefold()}
        table = self.table(node.relation)
        return table is None or table.column(comparison.column) is not None

    def quoted(self, name: str) -> str:
        """A name as it may stand in SQL."""
        if _PLAIN_NAME.fullmatch(name):
            return name
        quote = _QUOTES[self.plan.system]
        return f"{quote}{name.replace(quote, quote * 2)}{quote}"

    def index_on(self, node: PlanNode, comparisons: tuple[Comparison, ...]) -> str:
        """DDL of an index for these comparisons, "" for none: equalities, then one range."""
        ranges = [one for one in comparisons if not one.is_equality]
        chosen = [*(one for one in comparisons if one.is_equality), *ranges[:1]][:3]
        if not chosen or not node.relation or not self.written(node.relation):
            return ""
        keys = ", ".join(self.quoted(one.column) for one in chosen)
        how = "CREATE INDEX CONCURRENTLY ON" if self.plan.system == "postgresql" else "CREATE INDEX"
        if self.plan.system != "postgresql":
            how += f" {self.quoted('_'.join(['ix', node.relation, *(one.column for one in chosen)])[:63])} ON"
        return f"{how} {self.written(node.relation)} ({keys});"

    def found(
        self,
        rule: Rule,
        message: str,
        evidence: Evidence,
        *,
        severity: Severity | None = None,
        advice: str | None = None,
    ) -> Finding:
        """A finding about this plan's statement."""
        return rule.found(
            message,
            evidence,
            severity=severity,
            advice=advice,
            confidence=Confidence.MEASURED if self.plan.is_measured else Confidence.PLAN,
            fingerprint=self.statement.fingerprint if self.statement else "",
            summary=self.statement.summary if self.statement else "",
        )


def _steps(node: PlanNode, above: tuple[PlanNode, ...]) -> Iterator[Step]:
    yield Step(node, above)
    for child in node.children:
        yield from _steps(child, (*above, node))
