"""Poison values: any object in any place; the neighbours must arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..acts.values import POISON  # noqa: TID252
from ..case import Case, Rules  # noqa: TID252

_RULES: Final = Rules(longest_ms=250.0, grown_mib=128.0)
_SLOW: Final = Rules(longest_ms=1000.0, grown_mib=128.0)
_SPEAKS: Final = replace(_SLOW, is_silent=False)
_GROUPS: Final = {
    "text": ("lone surrogate", "NUL", "raising subclass of str"),
    "huge text": ("huge text", "huge bytes"),
    "numbers": ("huge int", "colossal int", "negative int", "NaN", "infinity", "decimal", "decimal sNaN"),
    "lists": ("list of mixed", "list with None", "cyclic list", "deep list", "long list", "generator"),
    "mappings": ("dict", "dict with int keys", "cyclic dict", "set"),
    "objects that raise": ("raising str", "lying class", "raising hash", "exception"),
    "objects that dawdle": ("slow str",),
    "objects": ("None", "datetime", "uuid", "enum", "class", "lambda", "module", "memoryview"),
}
_QUICK: Final = frozenset({"text", "lists", "objects that raise"})


def _grouped() -> Iterator[Case]:
    for group, names in _GROUPS.items():
        rules = _SLOW if group == "objects that dawdle" else _RULES
        given = {"names": list(names)}
        yield Case(
            f"{group} as values", "value", "poison value", given, rules=rules, is_quick=group in _QUICK
        )


def _each() -> Iterator[Case]:
    for name in POISON:
        rules = _SLOW if name == "slow str" else _RULES
        yield Case(f"{name} as value", "value", "poison value", {"names": [name]}, rules=rules, is_full=True)


CASES: Final = (
    *_grouped(),
    *_each(),
    Case("everything as value of a metric's attribute", "value", "poison metric attribute", rules=_SPEAKS),
    Case("everything as name and key", "value", "poison name", rules=_SLOW),
    Case("everything as status and exception", "value", "poison status", rules=_SLOW),
    Case("everything as time", "value", "poison time"),
    Case("10,000 keys, 1,000 events, 1,000 links", "value", "poison keys", rules=_RULES),
    Case("parents, kinds and links that are none", "value", "poison context", rules=_SPEAKS),
    Case("exceptions that cannot be printed or have no end", "value", "poison exception", rules=_SLOW),
)
