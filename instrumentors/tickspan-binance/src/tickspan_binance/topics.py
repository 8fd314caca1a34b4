"""Market streams by name, and what a message of one is about. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tickspan.trading import TickKind

from tickspan_binance.values import Message, nanoseconds


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream by its name: what it carries, of which instrument."""

    name: str
    channel: str
    kind: TickKind = TickKind.MARKET
    instrument: str | None = None


USER: Final = Stream("user", "orders", TickKind.ORDER)
"""What concerns one account."""
WS_API: Final = Stream("ws_api", "ws_api", TickKind.ORDER)
"""Requests and their answers."""

_CHANNELS: Final = {
    "trade": "trades",
    "aggTrade": "trades",
    "depth": "order_book",
    "rpiDepth": "order_book",
    "kline": "ohlcv",
    "continuousKline": "ohlcv",
    "ticker": "ticker",
    "miniTicker": "ticker",
    "bookTicker": "ticker",
}
"""The channels that other libraries have too, under the names they share."""
_STREAM: Final = re.compile(r"(?:!|(?P<symbol>[\w.-]+)@)(?P<channel>[A-Za-z]+)")
_KEPT_STREAMS: Final = 4_000


@functools.lru_cache(_KEPT_STREAMS)
def stream_of(name: str) -> Stream:
    """`btcusdt@depth@100ms`, `btcusdt@kline_1m`, `!ticker@arr`."""
    found = _STREAM.match(name)
    if found is None:
        return Stream(name, "other")
    channel = _CHANNELS.get(found["channel"], found["channel"])
    symbol = found["symbol"]
    return Stream(name, channel, instrument=symbol.upper() if symbol is not None else None)


def streams_in(path: str) -> tuple[Stream, ...]:
    """The streams that a connection to `path` carries: `streams=a/b`, or one name."""
    names = re.split(r"[?&]", path.removeprefix("streams="))[0]
    return tuple(stream_of(name) for name in names.split("/") if name)


class Topic(NamedTuple):
    """What one message of a market stream is about. A tuple: one is made for each message."""

    stream: Stream
    instrument: str | None = None
    venue_time_ns: int | None = None
    sequence: tuple[int, int] | None = None
    """First and last sequence number, where the stream's are without a gap."""


def topic(message: Any, streams: Sequence[Stream]) -> Topic | None:
    """What `message` of a connection with `streams` is about; None for answers and errors."""
    if len(streams) == 1 and (not isinstance(message, dict) or "stream" not in message):
        return _about(message, streams[0])
    if not isinstance(message, dict) or "data" not in message:
        return None
    return _about(message["data"], stream_of(str(message.get("stream"))))


def _about(body: Any, stream: Stream) -> Topic | None:
    if isinstance(body, list):
        told = [_about(one, stream) for one in body[:2]]
        first = told[0] if told else None
        if first is None:
            return None
        return Topic(stream, first.instrument if len(told) == 1 else None, first.venue_time_ns)
    if not isinstance(body, dict):
        return None
    kind = body.get("e")
    if kind == "error" or (kind is None and not body.keys() - _ANSWER):
        return None
    numbers = _SEQUENCES.get(kind) if stream.instrument is not None else None
    return Topic(
        stream,
        body.get("s", stream.instrument),
        nanoseconds(body.get("E")),
        numbers(body) if numbers is not None else None,
    )


_ANSWER: Final = frozenset({"id", "result", "error", "code", "msg"})


def _numbers(first: str, last: str) -> Callable[[Message], tuple[int, int] | None]:
    def read(body: Message) -> tuple[int, int] | None:
        low, high = body.get(first), body.get(last)
        return (low, high) if isinstance(low, int) and isinstance(high, int) else None

    return read


def _book_changes(body: Message) -> tuple[int, int] | None:
    """Of contracts `U` is no neighbour of what came before; `pu` is that."""
    before, last = body.get("pu"), body.get("u")
    if isinstance(before, int) and isinstance(last, int):
        return before + 1, last
    return _numbers("U", "u")(body)


# What a gap shows in: `t` of trades, `a` of aggregates, `U` to `u` of changes in the book.
_SEQUENCES: Final[Mapping[Any, Callable[[Message], tuple[int, int] | None]]] = {
    "trade": _numbers("t", "t"),
    "aggTrade": _numbers("a", "a"),
    "depthUpdate": _book_changes,
}


def event_time_ns(event: Any) -> int | None:
    """The venue's time of an event."""
    return nanoseconds(event.get("E")) if isinstance(event, Mapping) else None
