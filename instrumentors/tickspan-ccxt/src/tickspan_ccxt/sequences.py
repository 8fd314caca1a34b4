"""Where venues number their messages, so that a lost one is noticed. Pure.

Binance: depth updates carry `U` to `u`, trades `t`
(https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple


class Numbers(NamedTuple):
    """The numbers of one message: from `first` to `last`, of one stream."""

    channel: str
    symbol: str
    """The venue's own."""
    first: int
    last: int


def numbers_in(venue: str, content: Any) -> Numbers | None:
    """The numbers in a decoded message, a plain `dict`; None where the venue, or the message, has none."""
    read = _READERS.get(venue)
    return read(content) if read is not None and type(content) is dict else None


def _of_binance(content: dict[Any, Any]) -> Numbers | None:
    data = content.get("data", content)
    kind = data.get("e") if type(data) is dict else None
    if kind == "trade":
        return _numbers("trades", data.get("s"), data.get("t"), data.get("t"))
    return (
        _numbers("order_book", data.get("s"), data.get("U"), data.get("u")) if kind == "depthUpdate" else None
    )


def _numbers(channel: str, symbol: Any, first: Any, last: Any) -> Numbers | None:
    is_numbered = type(symbol) is str and type(first) is int and type(last) is int
    return Numbers(channel, symbol, first, last) if is_numbered else None


_READERS: Final[Mapping[str, Callable[[dict[Any, Any]], Numbers | None]]] = {
    "binance": _of_binance,
    "binanceus": _of_binance,
}
