"""SQLite's plans: the rows of `EXPLAIN QUERY PLAN`. They tell steps and indexes, neither rows nor costs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from tickspan.analysis.plans.document import PlanFormatError
from tickspan.analysis.plans.model import Plan, PlanNode, PlanSource
from tickspan.analysis.sql import Dialect, canonicalise

__all__ = ["QueryPlanRow", "plan_of"]

QueryPlanRow: TypeAlias = tuple[int, int, int, str]
"""Identity, identity of the parent (0: none), unused, what the step does."""

_NO_ALIASES: Final[Mapping[str, str]] = {}
_MAX_DEPTH: Final = 200

_ACCESS: Final = re.compile(
    r"(?P<kind>SCAN|SEARCH) (?:TABLE )?(?P<table>\S+)(?: AS (?P<alias>\S+))?"
    r"(?: VIRTUAL TABLE (?P<virtual>INDEX .*))?"
    r"(?: USING (?P<automatic>AUTOMATIC )?(?:PARTIAL )?(?P<covering>COVERING )?INDEX(?: (?P<index>[^\s(]+))?"
    r"| USING (?P<primary>(?:INTEGER )?PRIMARY KEY))?"
    r"(?: \((?P<columns>.*)\))?(?: (?P<join>LEFT-JOIN|EXISTS))?"
)
_SORT: Final = re.compile(r"USE TEMP B-TREE FOR (?P<purpose>[A-Z ()@0-9]+)")
_NAMED: Final = re.compile(r"(?P<kind>MATERIALIZE|CO-ROUTINE|BLOOM FILTER ON) (?P<name>\S+).*")
_WORDS: Final = re.compile(r"[A-Z][A-Z0-9 ()-]*")


def plan_of(
    rows: Sequence[QueryPlanRow], source: PlanSource, *, aliases: Mapping[str, str] = _NO_ALIASES
) -> Plan:
    """The plan in these rows.

    Args:
        rows: in the order in which SQLite hands them out; none for an INSERT of values.
        source: how they were got.
        aliases: of the statement's tables, to their names: newer versions tell aliases only.

    Raises:
        PlanFormatError: a row has a parent that is none before it.
    """
    below: dict[int, list[tuple[int, str]]] = {0: []}
    for identity, parent, _, detail in rows:
        if parent not in below:
            raise PlanFormatError(f"expected a row of EXPLAIN QUERY PLAN, got one whose parent is {parent}")
        below[parent].append((identity, detail))
        below.setdefault(identity, [])
    known = {alias.casefold(): name for alias, name in aliases.items()}
    root = PlanNode("QUERY PLAN", children=_children(below, 0, known, _MAX_DEPTH))
    return Plan("sqlite", root, source)


def _children(
    below: Mapping[int, Sequence[tuple[int, str]]], parent: int, aliases: Mapping[str, str], depth: int
) -> tuple[PlanNode, ...]:
    if not depth:
        raise PlanFormatError(f"expected a plan of at most {_MAX_DEPTH} levels, got a deeper one")
    return tuple(
        _step(detail, _children(below, identity, aliases, depth - 1), aliases)
        for identity, detail in below[parent]
    )


def _step(detail: str, children: tuple[PlanNode, ...], aliases: Mapping[str, str]) -> PlanNode:
    """One row. What is not known of it stays away: only its first words in capitals are kept."""
    access = _ACCESS.fullmatch(detail)
    if access is not None and detail != "SCAN CONSTANT ROW":
        return _access(access, children, aliases)
    if sort := _SORT.fullmatch(detail):
        return PlanNode("USE TEMP B-TREE", details={"for": sort["purpose"]}, children=children)
    if named := _NAMED.fullmatch(detail):
        return PlanNode(named["kind"], alias=named["name"], children=children)
    words = _WORDS.match(detail)
    return PlanNode(words[0].strip() if words else "?", children=children)


def _access(access: re.Match[str], children: tuple[PlanNode, ...], aliases: Mapping[str, str]) -> PlanNode:
    details: dict[str, str | int | float | bool] = {}
    if access["columns"]:
        details["columns"] = canonicalise(access["columns"], Dialect.SQLITE).text
    for name, group in (("automatic", "automatic"), ("covering", "covering"), ("virtual", "virtual")):
        if access[group]:
            details[name] = True
    if access["join"]:
        details["join"] = access["join"]
    alias = access["alias"] or access["table"]
    is_made = alias.startswith("(")
    index = "PRIMARY KEY" if access["primary"] else access["index"] or ""
    return PlanNode(
        access["kind"],
        relation="" if is_made else aliases.get(alias.casefold(), access["table"]),
        alias=alias,
        index=index,
        details=details,
        children=children,
    )
