"""A column is wrapped, and its index is of no use."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import (
    COMPARISONS,
    columns_in,
    comparison,
    outline_of,
    shown,
    source_of,
    table_of,
    unwrapped,
)
from tickspan.analysis.sql.schema import Table

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "function_on_column",
    Severity.WARNING,
    "A column inside a function, a cast or arithmetic meets a constant: no plain index serves that.",
    "Leave the column alone on its side, or create an index on the expression.",
)
ON: Final = (*COMPARISONS, exp.In, exp.Between, exp.Like, exp.ILike)

_FEW_ROWS: Final = 1000
_ARITHMETIC: Final = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg)
_WRAPPERS: Final = (exp.Func, exp.DPipe, exp.AtTimeZone, *_ARITHMETIC)
_READS_INTO: Final = (
    exp.JSONExtract,
    exp.JSONExtractScalar,
    exp.JSONBExtract,
    exp.JSONBExtractScalar,
    exp.AggFunc,
)
"""Not wrapped columns but parts of them, and values of whole groups."""
_MOMENTS: Final = (
    exp.Date,
    exp.TsOrDsToDate,
    exp.TimestampTrunc,
    exp.DateTrunc,
    exp.Extract,
    exp.Year,
    exp.Month,
    exp.Day,
    exp.TimeToStr,
    exp.AtTimeZone,
)


def check(node: exp.Expr, context: Context) -> Finding | None:
    """Of `f(column)`, `cast(column)` or `column + constant` against a constant, in WHERE or ON.

    An index on that very expression, a table known to be small, and a cast that changes nothing are fine.
    """
    compared = comparison(node)
    if compared is None or isinstance(compared[0], exp.Column):
        return None
    if not isinstance(outline_of(node, context).clause(node), exp.Where | exp.Join):
        return None
    wrapped = unwrapped(compared[0])
    names = {column.sql() for column in columns_in(wrapped)}
    if not isinstance(wrapped, _WRAPPERS) or isinstance(wrapped, _READS_INTO) or len(names) != 1:
        return None
    if wrapped.find(*_READS_INTO, exp.Query) is not None:
        return None
    column = columns_in(wrapped)[0]
    query = outline_of(node, context).query(node)
    source = source_of(column, query, context) if query is not None else None
    table = table_of(source, context) if source is not None else None
    if table is not None and _is_served(wrapped, column, table, context):
        return None
    text, name = shown(wrapped, context), context.told(column.name)
    table_name = context.told(source.table) if source is not None and source.table else ""
    return RULE.found(
        f"{name} is compared inside {text}, which no index on {name} serves.",
        {"column": name, "expression": text, **({"table": table_name} if table_name else {})},
        advice=_advice(wrapped, text, name, table_name, context),
    )


def _is_served(wrapped: exp.Expr, column: exp.Column, table: Table, context: Context) -> bool:
    if table.rows is not None and table.rows < _FEW_ROWS:
        return True
    known = table.column(column.name)
    if known is not None and isinstance(wrapped, exp.Cast) and _changes_nothing(known.type, wrapped):
        return True
    text = _bare(shown(wrapped, context))
    return any(
        text in {_bare(key), _bare(f"({key})")} for index in table.indexes for key in index.columns[:1]
    )


def _changes_nothing(column_type: str, cast: exp.Cast) -> bool:
    """Whether the cast is to the column's own type, or between PostgreSQL's varchar and text."""
    own, other = exp.DataType.build(column_type, dialect="postgres"), cast.to
    texts = {exp.DType.TEXT, exp.DType.VARCHAR}
    return own.this == other.this or {own.this, other.this} <= texts


def _bare(text: str) -> str:
    return "".join(text.casefold().split()).removesuffix("desc").strip("()")


def _advice(wrapped: exp.Expr, text: str, name: str, table: str, context: Context) -> str:
    if _is_of_time(wrapped):
        return f"Compare {name} itself with a range: {name} >= start AND {name} < end."
    if isinstance(wrapped, _ARITHMETIC):
        return f"Move the arithmetic to the constant, so that {name} stands alone."
    if not table or "?" in text or context.dialect is Dialect.GENERIC:
        return RULE.advice
    if context.dialect is Dialect.POSTGRESQL:
        return f"Create an index on the expression: CREATE INDEX CONCURRENTLY ON {table} (({text}));"
    if context.dialect is Dialect.MYSQL:
        return f"Keep {text} in a generated column, and index that."
    index = f"{table.rpartition('.')[2]}_{name}_expression"
    return f"Create an index on the expression: CREATE INDEX {index} ON {table} ({text});"


def _is_of_time(wrapped: exp.Expr) -> bool:
    if isinstance(wrapped, exp.Cast):
        return wrapped.to.this in exp.DataType.TEMPORAL_TYPES
    return isinstance(wrapped, _MOMENTS)
