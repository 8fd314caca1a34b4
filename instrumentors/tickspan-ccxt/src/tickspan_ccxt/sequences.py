"""Where venues number their messages, so that a lost one is noticed. Pure.

Binance: depth updates carry `U` to `u`, trades `t`
(https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one message: from `first` to `last`, of one stream."""

    channel: str
    symbol: str
    """The venue's own."""
    first: int
    last: int


def numbers_in(venue: str, content: Any) -> Numbers | None:
    """The numbers in a decoded message; None where the venue, or the message, has none."""
    read = _READERS.get(venue)
    return read(content) if read is not None and isinstance(content, Mapping) else None


def _of_binance(content: Mapping[Any, Any]) -> Numbers | None:
    data = content.get("data", content)
    if not isinstance(data, Mapping):
        return None
    kind, symbol = data.get("e"), data.get("s")
    if kind == "depthUpdate":
        return _numbers("order_book", symbol, data.get("U"), data.get("u"))
    return _numbers("trades", symbol, data.get("t"), data.get("t")) if kind == "trade" else None


def _numbers(channel: str, symbol: Any, first: Any, last: Any) -> Numbers | None:
    is_numbered = isinstance(symbol, str) and type(first) is int and type(last) is int
    return Numbers(channel, symbol, first, last) if is_numbered else None


_READERS: Final[Mapping[str, Callable[[Mapping[Any, Any]], Numbers | None]]] = {
    "binance": _of_binance,
    "binanceus": _of_binance,
}
