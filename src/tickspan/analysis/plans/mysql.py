"""Plans of MySQL and MariaDB: `EXPLAIN FORMAT=JSON` (MySQL's version 1), MariaDB's `ANALYZE FORMAT=JSON`.

MariaDB writes no costs before 11; whoever asked it has them from `Last_query_cost`. Both name tables by their
aliases in the statement: `aliases` leads back. MariaDB 10.11 does not escape quotes inside of strings, so a
literal could pass for a member of its document: a line with more than one member is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import mul
from typing import Final

from tickspan.analysis.plans.document import (
    PlanFormatError,
    as_list,
    as_mapping,
    as_number,
    as_text,
    load,
    scalar,
)
from tickspan.analysis.plans.model import Plan, PlanNode, PlanSource
from tickspan.analysis.plans.redact import redact
from tickspan.analysis.sql import Dialect

__all__ = ["plan_of", "read_plan"]

_MS: Final = 1e-3
_PERCENT: Final = 0.01
_FLAT: Final = frozenset({"cost_info", "r_engine_stats", "frame_buffer"})
_TABLE_FIELDS: Final = frozenset({"table_name", "access_type", "key"})
_READ_EARLY: Final = frozenset({"const", "system"})
_STRING: Final = r'"(?:[^"\\\x00-\x1f]|\\.)*"'
_VALUE: Final = rf"{_STRING}|[\w.+-]+|\[{_STRING}(?:, {_STRING})*\]|[{{}}\[\]]|\[\]|{{}}"
_LINE: Final = re.compile(rf"\s*(?:{_STRING}:\s*)?(?:{_VALUE})?,?\s*")
_NO_ALIASES: Final[Mapping[str, str]] = {}


def read_plan(
    text: str,
    source: PlanSource,
    *,
    system: str = "mysql",
    cost: float | None = None,
    aliases: Mapping[str, str] = _NO_ALIASES,
) -> Plan:
    """The plan in a text of JSON as the server wrote it, each member on its own line; as `plan_of`."""
    if any(_LINE.fullmatch(line) is None for line in text.splitlines()):
        raise PlanFormatError("expected one member a line, got a line that a literal may have torn")
    return plan_of(load(text), source, system=system, cost=cost, aliases=aliases)


def plan_of(
    document: object,
    source: PlanSource,
    *,
    system: str = "mysql",
    cost: float | None = None,
    aliases: Mapping[str, str] = _NO_ALIASES,
) -> Plan:
    """The plan in a decoded document. It is redacted here, so what it is called with may hold data.

    Args:
        document: what the server wrote.
        source: how it was got.
        system: `mysql` or `mariadb`.
        cost: in all, where the document tells none.
        aliases: of the statement's tables, to their names.

    Raises:
        PlanFormatError: it is none of these formats.
    """
    outer = as_mapping(redact(document, Dialect.MYSQL))
    block = as_mapping(outer.get("query_block"))
    if not block:
        raise PlanFormatError("expected EXPLAIN FORMAT=JSON (version 1), got JSON without a query_block")
    root = _Reader(aliases).node("query_block", block)
    told = as_number(as_mapping(block.get("cost_info")).get("query_cost"))
    if told is None:
        told = as_number(block.get("cost"))
    planning = as_number(as_mapping(outer.get("query_optimization")).get("r_total_time_ms"))
    execution = as_number(block.get("r_total_time_ms"))
    return Plan(
        system=system,
        root=root,
        source=source,
        cost=cost if told is None else told,
        planning_s=None if planning is None else planning * _MS,
        execution_s=None if execution is None else execution * _MS,
    )


class _Reader:
    __slots__ = ("_aliases",)

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = {alias.casefold(): name for alias, name in aliases.items()}

    def node(self, kind: str, members: Mapping[str, object]) -> PlanNode:
        children: list[PlanNode] = []
        details: dict[str, str | int | float | bool] = {}
        for name, value in members.items():
            if name in _FLAT:
                details |= _scalars(as_mapping(value).items())
            elif isinstance(value, dict):
                children.append(self.node(name, as_mapping(value)))
            elif any(isinstance(item, dict) for item in as_list(value)):
                children.extend(self._several(name, as_list(value)))
            else:
                details |= _scalars([(name, value)])
        built = PlanNode(kind, details=details, children=tuple(children))
        if kind == "table":
            return self._table(built, members)
        if kind == "block-nl-join":
            return _block_join(built, members)
        return _passing(built, members)

    def _several(self, name: str, items: Iterable[object]) -> list[PlanNode]:
        """Members of a list; a step stands in it as an object with the step's name for its only key."""
        nodes: list[PlanNode] = []
        for item in items:
            members = as_mapping(item)
            if len(members) == 1 and isinstance(inner := next(iter(members.values())), dict):
                nodes.append(self.node(next(iter(members)), as_mapping(inner)))
            elif members:
                nodes.append(self.node(name, members))
        if name != "nested_loop" or len(nodes) == 1:
            return nodes
        return [_loop(nodes)]

    def _table(self, node: PlanNode, members: Mapping[str, object]) -> PlanNode:
        alias = as_text(members.get("table_name"))
        is_made = alias.startswith("<")  # `<derived2>`, `<union1,2>`
        read = as_number(members.get("rows_examined_per_scan"))
        read = as_number(members.get("rows")) if read is None else read
        kept = as_number(members.get("filtered"))
        actual, actual_kept = as_number(members.get("r_rows")), as_number(members.get("r_filtered"))
        loops = as_number(members.get("r_loops"))
        if loops == 0:  # never reached, or one row that was read while planning
            is_read_early = as_text(members.get("access_type")) in _READ_EARLY
            actual, actual_kept, loops = (1.0, 100.0, 1.0) if is_read_early else (0.0, 100.0, 0.0)
        rows = _share(read, kept)
        costs = as_mapping(members.get("cost_info"))
        cost = as_number(costs.get("prefix_cost"))
        return replace(
            node,
            kind=as_text(members.get("access_type")) or "table",
            relation="" if is_made else self._aliases.get(alias.casefold(), alias),
            alias=alias,
            index=as_text(members.get("key")),
            rows=rows,
            cost=as_number(members.get("cost")) if cost is None else cost,
            actual_rows=_share(actual, actual_kept),
            loops=loops,
            removed_rows=None if actual is None else actual - (_share(actual, actual_kept) or 0.0),
            details={name: value for name, value in node.details.items() if name not in _TABLE_FIELDS},
        )


def _scalars(members: Iterable[tuple[str, object]]) -> dict[str, str | int | float | bool]:
    return {name: value for name, raw in members if (value := scalar(raw)) is not None}


def _share(rows: float | None, percent: float | None) -> float | None:
    return rows if rows is None or percent is None else rows * percent * _PERCENT


def _loop(nodes: list[PlanNode]) -> PlanNode:
    """A join of tables one inside another; what the last hands out is what the join hands out."""
    estimates = [node.rows for node in nodes]
    known = [rows for rows in estimates if rows is not None]
    last = nodes[-1]
    runs = 1.0 if last.loops is None else last.loops
    return PlanNode(
        "nested_loop",
        rows=reduce(mul, known) if len(known) == len(nodes) else None,
        actual_rows=None if last.actual_rows is None else last.actual_rows * runs,
        loops=None if last.actual_rows is None else 1.0,
        children=tuple(nodes),
    )


def _block_join(node: PlanNode, members: Mapping[str, object]) -> PlanNode:
    """A table that is read once for each buffer full of outer rows, whose rows are then compared."""
    compared, kept = as_number(members.get("r_effective_rows")), as_number(members.get("r_filtered"))
    handed_out = _share(compared, kept)
    return replace(
        node,
        rows=node.children[0].rows if node.children else None,
        actual_rows=handed_out,
        loops=as_number(members.get("r_loops")),
        removed_rows=None if compared is None or handed_out is None else compared - handed_out,
    )


def _passing(node: PlanNode, members: Mapping[str, object]) -> PlanNode:
    """A step around others: it hands out what they do, unless it is known better."""
    first = next((child for child in node.children if child.rows is not None), None)
    run = next((child for child in node.children if child.actual_rows is not None), None)
    told = as_number(members.get("r_output_rows"))
    handed_out = run.actual_rows * (run.loops or 1.0) if run and run.actual_rows is not None else None
    actual = handed_out if told is None else told
    return replace(
        node,
        rows=first.rows if first else None,
        actual_rows=actual,
        loops=None if actual is None else as_number(members.get("r_loops")) or 1.0,
    )
