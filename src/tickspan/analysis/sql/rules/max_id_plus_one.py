"""The next id is made of the last one."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import column_of, is_constant, outline_of, unwrapped

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "max_id_plus_one",
    Severity.ERROR,
    "SELECT max(id) + 1 gives the same id to two sessions that ask at once.",
    "Let the database number the rows.",
)
ON: Final = (exp.Add,)

_ADVICE: Final = {
    Dialect.POSTGRESQL: "Let the database number the rows: GENERATED ALWAYS AS IDENTITY, and RETURNING.",
    Dialect.MYSQL: "Let the database number the rows: AUTO_INCREMENT, read back by LAST_INSERT_ID().",
    Dialect.SQLITE: "Let the database number the rows: INTEGER PRIMARY KEY, read back by RETURNING.",
}
_NUMBERING: Final = re.compile(r"(?:^|_)(?:id|no|nr|num|number|seq|sequence)$")


def check(node: exp.Add, context: Context) -> Finding | None:
    """Of `max(column) + constant`, with or without coalesce, where the column is a key or named like one."""
    sides = (unwrapped(node.this), unwrapped(node.expression))
    for side, other in (sides, sides[::-1]):
        column = _maximum(side)
        if column is not None and is_constant(other) and _numbers_rows(column, node, context):
            name = context.told(column.name)
            return RULE.found(
                f"max({name}) plus a constant is taken for the next {name}.",
                {"column": name},
                advice=_ADVICE.get(context.dialect),
            )
    return None


def _maximum(node: exp.Expr) -> exp.Column | None:
    inner = node.this if isinstance(node, exp.Coalesce) else node
    if isinstance(inner, exp.Max) and isinstance(inner.this, exp.Column):
        return inner.this
    return None


def _numbers_rows(column: exp.Column, node: exp.Expr, context: Context) -> bool:
    select = outline_of(node, context).query(node)
    if not isinstance(select, exp.Select) or select.args.get("group") is not None:
        return False
    known = column_of(column, select, context)
    if known is not None and any(
        index.is_unique and index.columns[-1].casefold() == column.name.casefold()
        for index in known[0].indexes
    ):
        return "int" in known[1].type or "serial" in known[1].type
    return _NUMBERING.search(column.name.casefold()) is not None
