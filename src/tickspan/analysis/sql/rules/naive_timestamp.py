"""A point in time meets a clock without a zone."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import COMPARISONS, column_of, is_constant, outline_of, unwrapped

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "naive_timestamp",
    Severity.WARNING,
    "A timestamp without a zone is read in the session's zone: the same query means another time elsewhere.",
    "Pass datetimes with a zone (datetime.now(UTC)), and keep points in time as timestamptz.",
)
ON: Final = (*COMPARISONS, exp.Between)

_ZONE: Final = re.compile(r"(?:[zZ]|[+-]\d\d(?::?\d\d)?|\b[A-Za-z]+/[A-Za-z_]+|\bUTC|\bGMT)$")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d")
_NAIVE: Final = frozenset({exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ})
_AWARE: Final = frozenset({exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ})


def check(node: exp.Expr, context: Context) -> Finding | None:
    """Of PostgreSQL, where the schema tells types: timestamptz against naive values, and the other way round.

    Naive values are casts to `timestamp` (what SQLAlchemy sends for a datetime without tzinfo),
    `LOCALTIMESTAMP`, and literals with a time of day and no zone. Dates are fine: they name a day.
    """
    if context.dialect is not Dialect.POSTGRESQL:
        return None
    values = [node.args["low"], node.args["high"]] if isinstance(node, exp.Between) else [node.expression]
    for column, value in [(node.this, value) for value in values] + [(values[0], node.this)]:
        found = _mismatch(unwrapped(column), unwrapped(value), node, context)
        if found is not None:
            return found
    return None


def _mismatch(column: exp.Expr, value: exp.Expr, node: exp.Expr, context: Context) -> Finding | None:
    if not isinstance(column, exp.Column) or not is_constant(value):
        return None
    known = column_of(column, outline_of(node, context).query(node), context)
    if known is None or not known[1].type.startswith("timestamp"):
        return None
    column_is_aware = known[1].type.startswith("timestamptz") or known[1].type.endswith("with time zone")
    value_is_aware = _is_aware(value)
    if value_is_aware is None or value_is_aware is column_is_aware:
        return None
    name = context.told(column.name)
    return RULE.found(
        f"{name} ({known[1].type}) meets a value {'with' if value_is_aware else 'without'} a zone.",
        {"column": name, "type": known[1].type},
    )


def _is_aware(value: exp.Expr) -> bool | None:
    """Whether a value has a zone; None when that is not known, or does not matter."""
    while isinstance(value, exp.Add | exp.Sub):
        value = unwrapped(value.this)
    if isinstance(value, exp.Cast):
        return _cast_is_aware(value)
    if isinstance(value, exp.Localtimestamp | exp.CurrentTimestamp):
        return isinstance(value, exp.CurrentTimestamp)
    if isinstance(value, exp.Literal) and value.is_string and _MOMENT.match(value.name):
        return _ZONE.search(value.name) is not None
    return None


def _cast_is_aware(cast: exp.Cast) -> bool | None:
    if cast.to.this in _NAIVE:
        return False
    if cast.to.this not in _AWARE:
        return None
    inner = _is_aware(cast.this)  # a literal's own zone, or its lack of one
    return True if inner is None else inner
