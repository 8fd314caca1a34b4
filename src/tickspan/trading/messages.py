"""The message that a read loop is handling: when it came, what it reports, whom it wakes."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass, fields, replace
from typing import Final

from tickspan.trading.feed import Feed
from tickspan.trading.model import OrderUpdate, Source
from tickspan.trading.ticks import TickRef


@dataclass(slots=True)
class Heard:
    """What a message has brought to one stream."""

    venue_time_ns: int | None = None
    is_awaited: bool = False
    """Whether anybody waits for it; what nobody awaits is replaced by what comes next."""


class Message:
    """One delivered message while its handler runs; `received_ns` is monotonic."""

    __slots__ = ("feed", "is_answer", "is_asked", "is_open", "received_ns", "reports", "streams", "ticks")

    def __init__(self, received_ns: int) -> None:
        self.received_ns = received_ns
        self.feed: Feed | None = None
        """The stream that it came by, where that is known."""
        self.is_open = True
        self.is_answer = False
        """It answers an order call."""
        self.is_asked = False
        """It answers a question about orders: it was not pushed."""
        self.reports: dict[str, OrderUpdate] = {}
        self.ticks: dict[str | None, TickRef] = {}
        """By instrument: all that wait for this message share them."""
        self.streams: dict[tuple[str, str | None], Heard] = {}
        """What it carries for which stream: by channel and instrument."""

    @property
    def source(self) -> Source:
        """How its reports came."""
        if self.is_answer:
            return Source.WS_API
        return Source.POLL if self.is_asked else Source.USER_STREAM

    def report(self, update: OrderUpdate) -> None:
        """Take note of a report; several of one order become one."""
        name = update.venue_id or update.client_id or ""
        known = self.reports.get(name)
        self.reports[name] = update if known is None else merged(known, update)


_current: Final[ContextVar[Message | None]] = ContextVar("tickspan_message", default=None)


def open_message() -> Message | None:
    """The message whose handler is running in this context."""
    message = _current.get()
    return message if message is not None and message.is_open else None


def forget_open_message() -> None:
    """Take the current context out of the message: for loops that outlive it."""
    _current.set(None)


def opened(message: Message) -> Token[Message | None]:
    """The handler of `message` runs in this context until `close`."""
    return _current.set(message)


def close(message: Message, token: Token[Message | None]) -> None:
    """The handler has returned, or was thrown away."""
    message.is_open = False
    try:
        _current.reset(token)
    except ValueError:  # thrown away in another context, in which no message is open
        return


def merged(first: OrderUpdate, second: OrderUpdate) -> OrderUpdate:
    """Two reports of one order in one message: the later one's word, completed by the earlier one's."""
    known = {name: getattr(second, name) for name in _FIELDS if getattr(second, name) is not None}
    ids = {execution.id for execution in first.executions}
    added = tuple(execution for execution in second.executions if execution.id not in ids)
    return replace(first, **known, executions=(*first.executions, *added))


_FIELDS: Final = tuple(field.name for field in fields(OrderUpdate) if field.name != "executions")
