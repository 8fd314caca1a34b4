"""How Binance writes texts, numbers, moments and lists. Pure; what is none of these is None or empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tickspan.trading import decimal_of

Message = Mapping[str, Any]

_MICROSECONDS_FROM: Final = 10**14
"""Milliseconds get there in the year 5138; a client may ask for microseconds."""


def items(values: Any) -> list[Message]:
    """The objects of a list."""
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def mapping(value: Any) -> Message:
    """An object."""
    return value if isinstance(value, Mapping) else {}


def text(value: Any) -> str | None:
    """A text, or a whole number as one: ids are either."""
    is_told = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return str(value) if is_told else None


def lower(value: Any) -> str | None:
    """A text in lower case."""
    known = text(value)
    return known.lower() if known is not None else None


def first(given: Message, names: Sequence[str]) -> str | None:
    """The first text under one of `names`."""
    return next((known for name in names if (known := text(given.get(name))) is not None), None)


def first_whole(given: Message, names: Sequence[str]) -> int | None:
    """The first whole number under one of `names`."""
    return next((given[name] for name in names if isinstance(given.get(name), int)), None)


def above_zero(value: Any) -> Decimal | None:
    """A number; zero is how Binance says that there is none, such as the price of a market order."""
    return decimal_of(value) or None


def nanoseconds(moment: Any) -> int | None:
    """A moment since 1970, which comes in milliseconds or microseconds."""
    if not isinstance(moment, int):
        return None
    return moment * (1_000 if moment >= _MICROSECONDS_FROM else 1_000_000)
