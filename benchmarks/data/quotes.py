"""What the caches hold: quotes by symbol, as text that is shared and as a mapping that must not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

COUNT: Final = 1_000
LIFETIME_S: Final = 3_600
"""Of every value, in every cache that has lifetimes: nothing expires during a run."""
CAPACITY: Final = 10_000
"""Of every cache that has a bound: nothing is evicted, but from the traces."""


def symbols(count: int = COUNT, first: int = 0) -> Sequence[str]:
    """Keys."""
    return [f"SYM{number:06d}/USDT" for number in range(first, first + count)]


def text(symbol: str) -> str:
    """A quote as an immutable value of about 70 characters."""
    number = int(symbol[3:9])
    return f"{symbol} bid={50_000 + number / 4:.2f} ask={50_001 + number / 4:.2f} at=1767225600.{number:06d}"


def mapping(symbol: str) -> dict[str, Any]:
    """A quote as callers like to change it."""
    number = int(symbol[3:9])
    return {
        "symbol": symbol,
        "bid": 50_000 + number / 4,
        "ask": 50_001 + number / 4,
        "sizes": [number, number + 1],
        "venue": "kraken",
        "is_live": True,
    }


def texts(count: int = COUNT) -> Mapping[str, str]:
    """Quotes by symbol."""
    return {symbol: text(symbol) for symbol in symbols(count)}
