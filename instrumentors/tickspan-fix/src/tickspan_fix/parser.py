"""simplefix: messages that are encoded to be sent, messages that are parsed as they arrive.

The library has no sessions and no sockets. A session is what two CompIDs name, and it is one of this
program's from its first encoded message on: who parses a log of others' messages reports no orders.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.trading import Feed, set_current_tick

from tickspan_fix.desk import Desk, Outgoing, desk_of, is_resent, number_of
from tickspan_fix.fields import Get, MsgType, Session, Tag, is_set, whole

LIBRARY: Final = "simplefix"

_appended_ns: Final[weakref.WeakKeyDictionary[Any, int]] = weakref.WeakKeyDictionary()
"""When a parser got its newest bytes."""


def fields_of(message: Any) -> Get:
    """A message's fields: of those that repeat, the first."""
    known: dict[bytes, bytes] = dict(message.pairs[::-1])

    def get(tag: int) -> str | None:
        value = known.get(_NAMES.get(tag) or b"%d" % tag)
        return value.decode("utf-8", "replace") if value is not None else None

    return get


_NAMES: Final[Mapping[int, bytes]] = {int(tag): b"%d" % tag for tag in Tag}


def encoding(original: Any, bench: Workbench) -> Any:
    """`FixMessage.encode`: P4 and, as the bytes are there to be sent, P6."""
    guard, desk = bench.guard("FixMessage.encode"), _desk_of(bench)

    @functools.wraps(original)
    def encode(*args: Any, **kwargs: Any) -> Any:
        outgoing = guard.own(_begun, desk, args[0], default=None) if bench.is_active else None
        if outgoing is None:
            return original(*args, **kwargs)
        try:
            encoded = original(*args, **kwargs)
        except BaseException as error:
            guard.closing(_failed, desk, outgoing, error, default=None)
            raise
        guard.closing(_encoded, desk, outgoing, args[0], default=None)
        return encoded

    return encode


def _begun(desk: Desk, message: Any) -> Outgoing | None:
    get = fields_of(message)
    venue, client = get(Tag.TARGET_COMP_ID), get(Tag.SENDER_COMP_ID)
    if venue is None or client is None:
        return None
    session = Session(venue, client)
    msg_type = (message.message_type or b"").decode("ascii", "replace")
    desk.sessions.sent(desk.sessions.of(session), msg_type, get, desk.now_ns())
    return desk.begin(msg_type, get, session)


def _failed(desk: Desk, outgoing: Outgoing, error: BaseException) -> None:
    if not outgoing.is_repeated:
        desk.fail(outgoing.sent, error)


def _encoded(desk: Desk, outgoing: Outgoing, message: Any) -> None:
    """A message that is encoded again as it was, to be logged or sent under its number, is no new attempt."""
    sent, get = outgoing.sent, fields_of(message)
    number = number_of(get)
    is_same = number == sent.number and not is_set(get, Tag.POSS_RESEND)
    if outgoing.is_repeated and (is_same or is_resent(get)):
        return
    if number is not None and not outgoing.is_repeated:
        desk.calls.numbered(sent, number)
    sent.hand_over(desk.now_ns())


def appending(original: Any, bench: Workbench) -> Any:
    """`FixParser.append_buffer`: P1."""
    guard, now_ns = bench.guard("FixParser.append_buffer"), _desk_of(bench).now_ns

    @functools.wraps(original)
    def append_buffer(*args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            guard.own(_appended, args[0], now_ns(), default=None)
        return original(*args, **kwargs)

    return append_buffer


def _appended(parser: Any, at_ns: int) -> None:
    _appended_ns[parser] = at_ns


def parsing(original: Any, bench: Workbench) -> Any:
    """`FixParser.get_message`: P2, and P3, since the program goes on with it."""
    guard, desk = bench.guard("FixParser.get_message"), _desk_of(bench)

    @functools.wraps(original)
    def get_message(*args: Any, **kwargs: Any) -> Any:
        message = original(*args, **kwargs)
        if message is not None and bench.is_active and not is_suppressed():
            guard.own(_parsed, desk, args[0], message, default=None)
        return message

    return get_message


def _parsed(desk: Desk, parser: Any, message: Any) -> None:
    get = fields_of(message)
    venue, client = get(Tag.SENDER_COMP_ID), get(Tag.TARGET_COMP_ID)
    if venue is None or client is None or (session := Session(venue, client)) not in desk.sessions:
        return
    state = desk.sessions.of(session)
    msg_type = (message.message_type or b"").decode("ascii", "replace")
    at_ns = _appended_ns.get(parser) or desk.now_ns()
    if msg_type == MsgType.LOGON:
        desk.sessions.opened(state)
    _count(state.feed, msg_type, get)
    tick = desk.receive(msg_type, get, state, at_ns)
    if msg_type == MsgType.LOGOUT:
        desk.sessions.ended(state)
    if tick is not None:
        tick.delivered_ns = desk.now_ns()
        set_current_tick(tick)


def _count(feed: Feed, msg_type: str, get: Get) -> None:
    """The message's number, and of a gap fill those that it stands for; what is sent again proves no gap."""
    number = number_of(get)
    if number is None or is_resent(get):
        return
    last = number
    if msg_type == MsgType.SEQUENCE_RESET:
        last = max(number, (whole(get, Tag.NEW_SEQ_NO) or 0) - 1)
    feed.sequenced(number, last)


def _desk_of(bench: Workbench) -> Desk:
    """The desk of this library; what it has made the tick at hand goes with it.

    A blocking program has one context: its tick would outlive us there.
    """
    desk = desk_of(bench, LIBRARY)
    bench.on_undo(lambda: set_current_tick(None))
    return desk
