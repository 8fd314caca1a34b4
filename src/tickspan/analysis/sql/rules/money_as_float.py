"""Money is kept in a type that cannot hold it."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import column_of, outline_of

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "money_as_float",
    Severity.WARNING,
    "A price, quantity or fee in binary floating point is rounded, and sums of it drift.",
    "Use NUMERIC with the instrument's scale.",
)
ON: Final = (exp.ColumnDef, exp.Cast, exp.EQ, exp.Insert)

_SQLITE_ADVICE: Final = "SQLite has no exact decimals: store integer ticks and lots, or decimal text."
_MONEY: Final = re.compile(
    r"(?:^|_)(?:price|px|qty|quantity|amount|fees?|commission|notional|balance|pnl|cash|premium|strike)(?:_|$)"
)
_RATIO: Final = re.compile(r"_(?:id|count|pct|percent|ratio|bps|rate|rank|zscore|vol|change)$")
_FLOATS: Final = frozenset({exp.DType.FLOAT, exp.DType.DOUBLE})
_FLOAT_TYPE: Final = re.compile(r"float|double|real")
_STATISTICS: Final = (
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
    exp.Corr,
    exp.CovarPop,
    exp.CovarSamp,
    exp.Ln,
    exp.Log,
    exp.Exp,
    exp.Sqrt,
    exp.Pow,
)
"""Of these a float is the natural result."""


def check(node: exp.Expr, context: Context) -> Finding | None:
    """Of a column defined as float, cast to it, or known to be one and written to or compared with `=`.

    SQLite has no exact decimal type, so there it is a remark. Casts inside statistics (stddev, ln) are fine,
    and so are ratios by their name (`fee_rate`, `price_change_pct`).
    """
    how, name = _read(node, context)
    if not name:
        return None
    is_sqlite = context.dialect is Dialect.SQLITE
    told = context.told(name)
    return RULE.found(
        f"{told} is {how} in binary floating point.",
        {"column": told},
        severity=Severity.INFO if is_sqlite else None,
        advice=_SQLITE_ADVICE if is_sqlite else None,
    )


def _read(node: exp.Expr, context: Context) -> tuple[str, str]:
    """What is done with which column; two empty texts when all is well."""
    if isinstance(node, exp.ColumnDef):
        kind = node.kind
        is_float = kind is not None and kind.this in _FLOATS
        return ("kept", node.name) if is_float and _is_money(node.name) else ("", "")
    if isinstance(node, exp.Cast):
        return _cast(node)
    if isinstance(node, exp.Insert):
        return _inserted(node, context)
    return _compared(node, context)


def _cast(node: exp.Cast) -> tuple[str, str]:
    column = node.this
    is_money = isinstance(column, exp.Column) and _is_money(column.name)
    if not is_money or node.to.this not in _FLOATS or node.find_ancestor(*_STATISTICS) is not None:
        return "", ""
    return "read", column.name


def _inserted(node: exp.Insert, context: Context) -> tuple[str, str]:
    target = node.this
    table = target.this if isinstance(target, exp.Schema) else target
    known = (
        context.schema.table(".".join(part.name for part in table.parts))
        if isinstance(table, exp.Table)
        else None
    )
    if known is None:
        return "", ""
    names = (
        {column.name.casefold() for column in target.expressions} if isinstance(target, exp.Schema) else None
    )
    for column in known.columns:
        is_written = names is None or column.name.casefold() in names
        if is_written and _is_money(column.name) and _FLOAT_TYPE.match(column.type):
            return "kept", column.name
    return "", ""


def _compared(node: exp.Expr, context: Context) -> tuple[str, str]:
    query = outline_of(node, context).query(node)
    for side in (node.this, node.expression):
        known = column_of(side, query, context)
        if known is not None and _is_money(known[1].name) and _FLOAT_TYPE.match(known[1].type):
            return ("kept" if isinstance(node.parent, exp.Update) else "compared with ="), known[1].name
    return "", ""


def _is_money(name: str) -> bool:
    folded = name.casefold()
    return _MONEY.search(folded) is not None and _RATIO.search(folded) is None
