"""Which columns an expression compares with a value: what an index could serve."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Comparison", "compared", "where_of"]

_CAST: Final = re.compile(r"::[a-z_][a-z_ ]*[a-z_](?: ?\(\?(?:, ?\?)*\))?(?:\[\])?")
_ALONE: Final = re.compile(r"(?<![\w\"`])\(([\w.\"`]+)\)")
_COMPARISON: Final = re.compile(
    r"(?P<name>(?:[\w]+|\"[^\"]+\"|`[^`]+`)(?:\.(?:[\w]+|\"[^\"]+\"|`[^`]+`))*)"
    r" (?P<operator><=>|<=|>=|=|<|>|~~|between|in|like)(?= ?(?:\?|\(\?|any|all))",
    re.IGNORECASE,
)
_WHERE: Final = re.compile(r"\bwhere\b(?P<condition>.*)", re.IGNORECASE | re.DOTALL)
_BEHIND_WHERE: Final = re.compile(r"\b(?:group by|order by|limit|returning|for update)\b", re.IGNORECASE)
_EQUALITIES: Final = frozenset({"=", "<=>", "in"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column beside a value.

    Attributes:
        qualifier: table or alias before the dot, "" for none.
        column: its name, without quotes.
        is_equality: `=` and IN; not ranges and patterns.
    """

    qualifier: str
    column: str
    is_equality: bool


def compared(expression: str) -> tuple[Comparison, ...]:
    """The comparisons in a canonical expression, each column once, equalities first; functions are none."""
    bare = _ALONE.sub(r"\1", _CAST.sub("", expression))
    found: dict[tuple[str, str], Comparison] = {}
    for match in _COMPARISON.finditer(bare):
        qualifier, _, column = match["name"].rpartition(".")
        qualifier = _unquoted(qualifier.rpartition(".")[2])
        comparison = Comparison(qualifier, _unquoted(column), match["operator"].lower() in _EQUALITIES)
        key = (qualifier.casefold(), comparison.column.casefold())
        if key not in found or comparison.is_equality:
            found[key] = comparison
    return tuple(sorted(found.values(), key=lambda one: not one.is_equality))


def where_of(statement: str) -> str:
    """What stands behind the first WHERE of a canonical text, up to the next clause; "" without one."""
    where = _WHERE.search(statement)
    return _BEHIND_WHERE.split(where["condition"], maxsplit=1)[0] if where else ""


def _unquoted(name: str) -> str:
    return name.strip('"`')
