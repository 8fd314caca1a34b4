"""Types differ, and it is the column that gets converted."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import column_of, outline_of, unwrapped

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "implicit_cast",
    Severity.ERROR,
    "The column is converted for each comparison, since the types differ: its index is of no use.",
    "Pass a value of the column's type, or give both columns one type.",
)
ON: Final = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In)

_TYPES: Final = (
    ("char", re.compile(r"(?:char|character|bpchar)(?:\(|$)")),
    ("varchar", re.compile(r"n?varchar|character varying")),
    ("text", re.compile(r"(?:tiny|medium|long)?text|clob|enum")),
    ("integer", re.compile(r"(?:tiny|small|medium|big)?int|(?:big|small)?serial|integer")),
    ("decimal", re.compile(r"numeric|decimal")),
    ("float", re.compile(r"float|double|real")),
)
_TEXTS: Final = ("char", "varchar", "text")
# PostgreSQL: implicit casts of `pg_cast`, which go towards float8 and text. MySQL compares a string and a
# number as floats ("Type Conversion in Expression Evaluation"). SQLite gives numeric affinity to the text
# side of two columns ("Datatypes In SQLite", 4.2); literals take the column's.
_CONVERTED: Final[dict[Dialect, frozenset[tuple[str, str]]]] = {
    Dialect.POSTGRESQL: frozenset(
        {("integer", "decimal"), ("integer", "float"), ("decimal", "float"), ("char", "text")}
    ),
    Dialect.MYSQL: frozenset(
        {(text, number) for text in _TEXTS for number in ("integer", "decimal", "float")}
    ),
    Dialect.SQLITE: frozenset(
        {(text, number) for text in _TEXTS for number in ("integer", "decimal", "float")}
    ),
}
_DATA_TYPES: Final = {
    exp.DType.VARCHAR: "varchar",
    exp.DType.TEXT: "text",
    **dict.fromkeys(exp.DataType.INTEGER_TYPES, "integer"),
    exp.DType.DECIMAL: "decimal",
    **dict.fromkeys((exp.DType.FLOAT, exp.DType.DOUBLE), "float"),
}


def check(node: exp.Expr, context: Context) -> Finding | None:
    """Where the schema tells types: a column against a value or a column to whose type it is converted."""
    converted = _CONVERTED.get(context.dialect, frozenset())
    others = node.expressions if isinstance(node, exp.In) else [node.expression]
    pairs = [(unwrapped(node.this), unwrapped(other)) for other in others[:1]]
    pairs += [(other, column) for column, other in pairs]
    for column, other in pairs:
        if not isinstance(column, exp.Column) or (
            context.dialect is Dialect.SQLITE and not isinstance(other, exp.Column)
        ):
            continue
        kind, other_kind = _kind(column, node, context), _kind(other, node, context)
        if (kind, other_kind) in converted:
            name = context.told(column.name)
            return RULE.found(
                f"{name} ({kind}) is compared with a value of type {other_kind}: it is converted row by row.",
                {"column": name, "type": kind, "compared_with": other_kind},
            )
    return None


def _kind(node: exp.Expr, at: exp.Expr, context: Context) -> str:
    """The group of types of a column or value; "" when it is not known."""
    if isinstance(node, exp.Column):
        known = column_of(node, outline_of(at, context).query(at), context)
        type_ = known[1].type if known is not None else ""
        return next((kind for kind, pattern in _TYPES if pattern.match(type_)), "")
    if isinstance(node, exp.Cast):
        return _DATA_TYPES.get(node.to.this, "")
    if isinstance(node, exp.Neg):
        return _kind(node.this, at, context)
    if not isinstance(node, exp.Literal) or node.is_string:
        return ""
    return "integer" if node.name.isdecimal() else "decimal"
