"""The message that a read loop is handling: when it came, what it reports, whom it wakes."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import fields, replace
from typing import Final

from tickspan.trading.feed import Feed
from tickspan.trading.model import OrderUpdate, Source
from tickspan.trading.ticks import TickRef


class Message:
    """One delivered message while its handler runs; `received_ns` is monotonic."""

    __slots__ = ("_ticks", "feed", "is_answer", "is_asked", "received_ns", "reports")

    def __init__(self, received_ns: int, feed: Feed | None = None) -> None:
        self.received_ns = received_ns
        self.feed = feed
        """The stream that it came by, where that is known."""
        self.is_answer = False
        """It answers an order call."""
        self.is_asked = False
        """It answers a question about orders: it was not pushed."""
        self.reports: dict[str, OrderUpdate] | None = None
        """By order; None where there is none, as in most messages."""
        self._ticks: dict[str | None, TickRef] | None = None

    @property
    def ticks(self) -> dict[str | None, TickRef]:
        """By instrument: all that wait for this message share them."""
        known = self._ticks
        if known is None:
            known = self._ticks = {}
        return known

    @property
    def source(self) -> Source:
        """How its reports came."""
        if self.is_answer:
            return Source.WS_API
        return Source.POLL if self.is_asked else Source.USER_STREAM

    def report(self, update: OrderUpdate) -> None:
        """Take note of a report; several of one order become one."""
        reports = self.reports
        if reports is None:
            reports = self.reports = {}
        name = update.venue_id or update.client_id or ""
        known = reports.get(name)
        reports[name] = update if known is None else merged(known, update)


class MessageSlot:
    """Where the handlers of a context keep the message that they are at.

    A read loop keeps its slot from message to message: to set a context variable costs more than what is done
    for a message otherwise. A task that a handler starts inherits the slot, which is empty by then.
    """

    __slots__ = ("message",)

    def __init__(self, message: Message | None = None) -> None:
        self.message = message


_slot: Final[ContextVar[MessageSlot | None]] = ContextVar("tickspan_message", default=None)


current_slot: Final[Callable[[], MessageSlot | None]] = _slot.get
"""The slot of this context, if it has one: for hot paths, which look at its message themselves."""


def open_message() -> Message | None:
    """The message whose handler is running in this context."""
    slot = _slot.get()
    return slot.message if slot is not None else None


def message_slot() -> MessageSlot:
    """The slot of this context, for a plain handler: its message goes in, and afterwards what was there."""
    slot = _slot.get()
    if slot is None:
        slot = MessageSlot()
        _slot.set(slot)
    return slot


def forget_open_message() -> None:
    """Take the current context out of the message: for loops that outlive it."""
    _slot.set(None)


Opened = tuple[MessageSlot, Token[MessageSlot | None]]


def opened(message: Message) -> Opened:
    """The handler of `message`, a coroutine function, runs in this context until `close`."""
    slot = MessageSlot(message)  # its own, since other tasks may have inherited the same one
    return slot, _slot.set(slot)


def close(handler: Opened) -> None:
    """The handler has returned, or was thrown away."""
    slot, token = handler
    slot.message = None
    try:
        _slot.reset(token)
    except ValueError:  # thrown away in another context, in which no message is open
        return


def merged(first: OrderUpdate, second: OrderUpdate) -> OrderUpdate:
    """Two reports of one order in one message: the later one's word, completed by the earlier one's."""
    known = {name: getattr(second, name) for name in _FIELDS if getattr(second, name) is not None}
    ids = {execution.id for execution in first.executions}
    added = tuple(execution for execution in second.executions if execution.id not in ids)
    return replace(first, **known, executions=(*first.executions, *added))


_FIELDS: Final = tuple(field.name for field in fields(OrderUpdate) if field.name != "executions")
