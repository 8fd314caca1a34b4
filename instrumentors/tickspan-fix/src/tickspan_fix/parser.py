"""simplefix: messages that are encoded to be sent, messages that are parsed as they arrive.

The library has no sessions and no sockets. A session is what two CompIDs name, and it is one of this
program's from its first encoded message on: who parses a log of others' messages reports no orders.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any, Final

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.trading import set_current_tick

from tickspan_fix.desk import Desk, Outgoing, desk_of, is_resent, number_of
from tickspan_fix.fields import Get, MsgType, Session, Tag, is_set, whole

LIBRARY: Final = "simplefix"

_appended_ns: Final[weakref.WeakKeyDictionary[Any, int]] = weakref.WeakKeyDictionary()
"""When a parser got its newest bytes."""


def fields_of(message: Any) -> Get:
    """A message's fields: of those that repeat, the first."""
    known: dict[int, bytes] = {}
    for tag, value in message.pairs:
        known.setdefault(int(tag), value)

    def get(tag: int) -> str | None:
        value = known.get(tag)
        return value.decode("utf-8", "replace") if value is not None else None

    return get


def encoding(original: Any, bench: Workbench) -> Any:
    """`FixMessage.encode`: P4 and, as the bytes are there to be sent, P6."""
    guard = bench.guard("FixMessage.encode")

    @functools.wraps(original)
    def encode(*args: Any, **kwargs: Any) -> Any:
        outgoing = guard.own(_begun, bench, args[0], default=None) if bench.is_active else None
        if outgoing is None:
            return original(*args, **kwargs)
        try:
            encoded = original(*args, **kwargs)
        except BaseException as error:
            guard.closing(_failed, bench, outgoing, error, default=None)
            raise
        guard.closing(_encoded, bench, outgoing, args[0], default=None)
        return encoded

    return encode


def _begun(bench: Workbench, message: Any) -> Outgoing | None:
    get = fields_of(message)
    venue, client = get(Tag.TARGET_COMP_ID), get(Tag.SENDER_COMP_ID)
    if venue is None or client is None:
        return None
    desk, session = _desk_of(bench), Session(venue, client)
    msg_type = (message.message_type or b"").decode("ascii", "replace")
    desk.sessions.sent(session, msg_type, get, desk.now_ns())
    return desk.begin(msg_type, get, session)


def _failed(bench: Workbench, outgoing: Outgoing, error: BaseException) -> None:
    if not outgoing.is_repeated:
        _desk_of(bench).fail(outgoing.sent, error)


def _encoded(bench: Workbench, outgoing: Outgoing, message: Any) -> None:
    """A message that is encoded again as it was, to be logged or sent under its number, is no new attempt."""
    desk, sent, get = _desk_of(bench), outgoing.sent, fields_of(message)
    number = number_of(get)
    is_same = number == sent.number and not is_set(get, Tag.POSS_RESEND)
    if outgoing.is_repeated and (is_same or is_resent(get)):
        return
    if number is not None and not outgoing.is_repeated:
        desk.calls.numbered(sent, number)
    sent.hand_over(desk.now_ns())


def appending(original: Any, bench: Workbench) -> Any:
    """`FixParser.append_buffer`: P1."""
    guard = bench.guard("FixParser.append_buffer")

    @functools.wraps(original)
    def append_buffer(*args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            guard.own(_appended, bench, args[0], default=None)
        return original(*args, **kwargs)

    return append_buffer


def _appended(bench: Workbench, parser: Any) -> None:
    _appended_ns[parser] = _desk_of(bench).now_ns()


def parsing(original: Any, bench: Workbench) -> Any:
    """`FixParser.get_message`: P2, and P3, since the program goes on with it."""
    guard = bench.guard("FixParser.get_message")

    @functools.wraps(original)
    def get_message(*args: Any, **kwargs: Any) -> Any:
        message = original(*args, **kwargs)
        if message is not None and bench.is_active and not is_suppressed():
            guard.own(_parsed, bench, args[0], message, default=None)
        return message

    return get_message


def _parsed(bench: Workbench, parser: Any, message: Any) -> None:
    get = fields_of(message)
    venue, client = get(Tag.SENDER_COMP_ID), get(Tag.TARGET_COMP_ID)
    desk = _desk_of(bench)
    if venue is None or client is None or (session := Session(venue, client)) not in desk.sessions:
        return
    msg_type = (message.message_type or b"").decode("ascii", "replace")
    at_ns = _appended_ns.get(parser) or desk.now_ns()
    if msg_type == MsgType.LOGON:
        desk.sessions.opened(session)
    _count(desk, session, msg_type, get)
    tick = desk.receive(msg_type, get, session, at_ns)
    if msg_type == MsgType.LOGOUT:
        desk.sessions.ended(session)
    if tick is not None:
        tick.delivered_ns = desk.now_ns()
        set_current_tick(tick)


def _count(desk: Desk, session: Session, msg_type: str, get: Get) -> None:
    """The message's number, and of a gap fill those that it stands for; what is sent again proves no gap."""
    number = number_of(get)
    if number is None or is_resent(get):
        return
    last = number
    if msg_type == MsgType.SEQUENCE_RESET:
        last = max(number, (whole(get, Tag.NEW_SEQ_NO) or 0) - 1)
    desk.sessions.of(session).feed.sequenced(number, last)


def _desk_of(bench: Workbench) -> Desk:
    desk = _desks.get(bench)
    if desk is None:
        desk = _desks[bench] = desk_of(bench, LIBRARY)
        # A blocking program has one context: what was its tick would outlive us there.
        bench.on_undo(lambda: set_current_tick(None))
    return desk


_desks: Final[weakref.WeakKeyDictionary[Workbench, Desk]] = weakref.WeakKeyDictionary()
