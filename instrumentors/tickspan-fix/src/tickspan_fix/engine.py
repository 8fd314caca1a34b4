"""QuickFIX: its application's callbacks, its sending, its engines.

Callbacks run in threads of C++, which have no context of ours, and an exception in one of them ends the
process (but for those that QuickFIX knows). So what is ours there never raises, strict mode included.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import context as otel_context
from tickspan.instrumentation import Workbench, type_name
from tickspan.trading import TickRef, tick_scope

from tickspan_fix.desk import (
    NOT_LOGGED_ON,
    SEND_FAILED,
    Desk,
    Outgoing,
    desk_of,
    is_resent,
    number_of,
)
from tickspan_fix.fields import Get, MsgType, Session, Tag

LIBRARY: Final = "quickfix"

_HEADER_TAGS: Final = frozenset(
    {
        Tag.MSG_SEQ_NUM,
        Tag.MSG_TYPE,
        Tag.POSS_DUP_FLAG,
        Tag.SENDER_COMP_ID,
        Tag.SENDING_TIME,
        Tag.TARGET_COMP_ID,
        Tag.POSS_RESEND,
    }
)
_ANSWERED_BY_THE_ENGINE: Final = frozenset({"UnsupportedMessageType", "RejectLogon"})
"""Exceptions out of `fromApp` and `fromAdmin` by which an application says no."""

_in_hands: Final[ContextVar[Outgoing | None]] = ContextVar("tickspan_fix_outgoing", default=None)
_handled: Final[ContextVar[Any]] = ContextVar("tickspan_fix_handled", default=None)
"""The message whose callback is running: a callback that calls its parent's is still one."""


def fields_of(message: Any) -> Get:
    """A message's fields, read when asked for: `toString` would change the message."""
    header = message.getHeader()

    def get(tag: int) -> str | None:
        part = header if tag in _HEADER_TAGS else message
        return part.getField(int(tag)) if part.isSetField(int(tag)) else None

    return get


def market_data_fields_of(message: Any) -> Get:
    """The same of market data, whose symbol may stand in the first entry of its group."""
    plain = fields_of(message)

    def get(tag: int) -> str | None:
        known = plain(tag)
        if known is not None or tag != Tag.SYMBOL or not message.groupCount(int(Tag.NO_MD_ENTRIES)):
            return known
        entry = message.getGroupRef(1, int(Tag.NO_MD_ENTRIES))
        return entry.getField(int(tag)) if entry.isSetField(int(tag)) else None

    return get


def session_of(session_id: Any) -> Session:
    """A session by its `SessionID`."""
    return Session(session_id.getTargetCompID().getValue(), session_id.getSenderCompID().getValue())


def target_of(message: Any, args: tuple[Any, ...]) -> Session:
    """The session that `Session.sendToTarget(message, *args)` means: a SessionID, two CompIDs, or its own."""
    if args and hasattr(args[0], "getSenderCompID"):
        return session_of(args[0])
    if len(args) > 1:
        return Session(str(args[1]), str(args[0]))
    get = fields_of(message)
    return Session(get(Tag.TARGET_COMP_ID) or "", get(Tag.SENDER_COMP_ID) or "")


# Sending.


def sending_to_target(original: Any, bench: Workbench) -> Any:
    """`Session.sendToTarget(message, ...)`: P4; the order's call begins before any byte leaves."""

    def begin(args: tuple[Any, ...]) -> Outgoing | None:
        if not args or not hasattr(args[0], "getHeader"):
            return None  # the library is about to say what it expects
        return _begun(desk_of(bench, LIBRARY), args[0], target_of(args[0], args[1:]))

    return _sending(original, bench, "Session.sendToTarget", begin)


def sending(original: Any, bench: Workbench) -> Any:
    """`Session.send(self, message)`: the same."""

    def begin(args: tuple[Any, ...]) -> Outgoing | None:
        session, message = args
        return _begun(desk_of(bench, LIBRARY), message, session_of(session.getSessionID()))

    return _sending(original, bench, "Session.send", begin)


def _sending(
    original: Any, bench: Workbench, name: str, begin: Callable[[tuple[Any, ...]], Outgoing | None]
) -> Any:
    guard = bench.guard(name)

    @functools.wraps(original)
    def send(*args: Any, **kwargs: Any) -> Any:
        outgoing = guard.own(begin, args, default=None) if bench.is_active else None
        if outgoing is None:
            return original(*args, **kwargs)
        try:
            with _in_hands_of(outgoing):
                result = original(*args, **kwargs)
        except BaseException as error:
            guard.closing(_raised, bench, outgoing, error, default=None)
            raise
        guard.closing(_returned, bench, outgoing, result, default=None)
        return result

    return send


@contextmanager
def _in_hands_of(outgoing: Outgoing) -> Generator[None]:
    """The message is being sent here, and what the application does about it is inside its call.

    The call itself knows nothing of this: a thread of C++ may end it before the sender has come back.
    """
    token = _in_hands.set(outgoing)
    context = otel_context.attach(outgoing.sent.call.context)
    try:
        yield
    finally:
        otel_context.detach(context)
        _in_hands.reset(token)


def _begun(desk: Desk, message: Any, session: Session) -> Outgoing | None:
    get = fields_of(message)
    return desk.begin(get(Tag.MSG_TYPE) or "", get, session)


def _raised(bench: Workbench, outgoing: Outgoing, error: BaseException) -> None:
    if not outgoing.is_repeated:
        desk_of(bench, LIBRARY).fail(outgoing.sent, error)


def _returned(bench: Workbench, outgoing: Outgoing, result: Any) -> None:
    """`sendToTarget` says False if nothing was sent, and True also when the message is only stored."""
    if outgoing.is_repeated:
        return
    desk, sent = desk_of(bench, LIBRARY), outgoing.sent
    if result is False and sent.withheld is not None:
        desk.refuse(sent, type_name(sent.withheld))
    elif result is False and not sent.was_seen:
        desk.refuse(sent, NOT_LOGGED_ON)
    elif result is False:
        desk.lose(sent, SEND_FAILED)
    elif not sent.was_seen:  # an application that was made in a way we do not know
        sent.hand_over(desk.now_ns())


# Callbacks of applications.


def to_app(original: Any, bench: Workbench) -> Any:
    """P6: what the application lets through goes to the transport, or is stored for want of a session."""
    guard = bench.guard("toApp")

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        message = args[1] if len(args) > 1 else None
        if not bench.is_active or message is None or message is _handled.get():
            return original(*args, **kwargs)
        token = _handled.set(message)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            guard.user(_withheld, bench, args, error, default=None)
            raise
        finally:
            _handled.reset(token)
        guard.user(_let_through, bench, args, default=None)
        return result

    return call


def _outgoing(desk: Desk, get: Get, session: Session) -> Outgoing | None:
    """The order message that passes `toApp`: the one in hands, or one that was sent or stored before."""
    client_id = get(Tag.CL_ORD_ID)
    if client_id is None:
        return None
    outgoing = _in_hands.get()
    if outgoing is not None and not is_resent(get):
        return outgoing
    waiting = desk.calls.waiting(session, client_id)
    return Outgoing(waiting) if waiting is not None else None


def _withheld(bench: Workbench, args: tuple[Any, ...], error: BaseException) -> None:
    desk, get = desk_of(bench, LIBRARY), fields_of(args[1])
    outgoing = _outgoing(desk, get, session_of(args[2]))
    if outgoing is None or outgoing.is_repeated:
        return
    sent = outgoing.sent
    if not is_resent(get):
        sent.withheld = error
    elif sent.stored_ns is not None:
        desk.refuse(sent, type_name(error))


def _let_through(bench: Workbench, args: tuple[Any, ...]) -> None:
    desk, get = desk_of(bench, LIBRARY), fields_of(args[1])
    outgoing = _outgoing(desk, get, session_of(args[2]))
    if outgoing is None:
        return
    sent, now_ns = outgoing.sent, desk.now_ns()
    sent.was_seen = True
    number = number_of(get)
    if number is not None and not outgoing.is_repeated:
        desk.calls.numbered(sent, number)
    if is_resent(get):
        # The session layer repeats a number, which the venue takes once: no second attempt.
        if sent.stored_ns is not None:
            sent.hand_over(now_ns)
    elif _is_on_line(args[2]):
        sent.hand_over(now_ns)
    else:
        sent.store(now_ns)


def _is_on_line(session_id: Any) -> bool:
    """Whether the engine is about to write to a socket: it holds the session's lock, so this stays true."""
    session = sys.modules["quickfix"].Session.lookupSession(session_id)
    return session is not None and bool(session.isLoggedOn())


def from_app(original: Any, bench: Workbench) -> Any:
    """P1 and P7: reports are told before the application hears of them, and are its tick while it does."""
    guard = bench.guard("fromApp")

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        message = args[1] if len(args) > 1 else None
        if not bench.is_active or message is None or message is _handled.get():
            return original(*args, **kwargs)
        tick: TickRef | None = guard.user(_received, bench, args, default=None)
        token = _handled.set(message)
        try:
            with tick_scope(tick):
                return original(*args, **kwargs)
        except BaseException as error:
            guard.user(_handler_failed, bench, args, error, default=None)
            raise
        finally:
            _handled.reset(token)

    return call


def _received(bench: Workbench, args: tuple[Any, ...]) -> TickRef | None:
    desk = desk_of(bench, LIBRARY)
    at_ns = desk.now_ns()
    message = args[1]
    msg_type = message.getHeader().getField(int(Tag.MSG_TYPE))
    is_market_data = msg_type == MsgType.MARKET_DATA_REFRESH
    get = market_data_fields_of(message) if is_market_data else fields_of(message)
    tick = desk.receive(msg_type, get, session_of(args[2]), at_ns)
    if tick is not None:
        tick.delivered_ns = desk.now_ns()
    return tick


def _handler_failed(bench: Workbench, args: tuple[Any, ...], error: BaseException) -> None:
    if type(error).__name__ not in _ANSWERED_BY_THE_ENGINE:
        desk_of(bench, LIBRARY).sessions.of(session_of(args[2])).feed.handler_failed(error)


def to_admin(original: Any, bench: Workbench) -> Any:
    """Logons and resend requests of ours, when the application has filled them in."""

    def note(desk: Desk, args: tuple[Any, ...]) -> None:
        get = fields_of(args[1])
        desk.sessions.sent(session_of(args[2]), get(Tag.MSG_TYPE) or "", get, desk.now_ns())

    return _after(original, bench, "toAdmin", note)


def from_admin(original: Any, bench: Workbench) -> Any:
    """Heartbeats, rejects and the logon of the venue."""

    def note(desk: Desk, args: tuple[Any, ...]) -> None:
        get = fields_of(args[1])
        desk.receive(get(Tag.MSG_TYPE) or "", get, session_of(args[2]), desk.now_ns())

    return _before(original, bench, "fromAdmin", note)


def on_logon(original: Any, bench: Workbench) -> Any:
    """The session is open."""
    return _before(original, bench, "onLogon", lambda desk, args: desk.sessions.opened(session_of(args[1])))


def on_logout(original: Any, bench: Workbench) -> Any:
    """The session is over."""
    return _before(original, bench, "onLogout", lambda desk, args: desk.sessions.ended(session_of(args[1])))


Note = Callable[[Desk, tuple[Any, ...]], None]


def _before(original: Any, bench: Workbench, name: str, note: Note) -> Any:
    guard = bench.guard(name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        told = args[1] if len(args) > 1 else None
        if not bench.is_active or told is None or told is _handled.get():
            return original(*args, **kwargs)
        guard.user(lambda: note(desk_of(bench, LIBRARY), args), default=None)
        token = _handled.set(told)
        try:
            return original(*args, **kwargs)
        finally:
            _handled.reset(token)

    return call


def _after(original: Any, bench: Workbench, name: str, note: Note) -> Any:
    guard = bench.guard(name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        told = args[1] if len(args) > 1 else None
        if not bench.is_active or told is None or told is _handled.get():
            return original(*args, **kwargs)
        token = _handled.set(told)
        try:
            result = original(*args, **kwargs)
        finally:
            _handled.reset(token)
        guard.user(lambda: note(desk_of(bench, LIBRARY), args), default=None)
        return result

    return call


CALLBACKS: Final[Mapping[str, Callable[[Any, Workbench], Any]]] = {
    "toApp": to_app,
    "fromApp": from_app,
    "toAdmin": to_admin,
    "fromAdmin": from_admin,
    "onLogon": on_logon,
    "onLogout": on_logout,
}


# Applications and engines.

_adopted: Final[weakref.WeakKeyDictionary[Workbench, weakref.WeakSet[type]]] = weakref.WeakKeyDictionary()


def adopting(position: int, name: str) -> Callable[[Any, Workbench], Any]:
    """Around an `__init__` that has an application as an argument: its class is wrapped, once."""

    def make(original: Any, bench: Workbench) -> Any:
        guard = bench.guard(name)

        @functools.wraps(original)
        def init(*args: Any, **kwargs: Any) -> Any:
            application = args[position] if len(args) > position else kwargs.get("application")
            if bench.is_active and application is not None:
                guard.own(_adopt, bench, type(application), default=None)
            return original(*args, **kwargs)

        return init

    return make


def _adopt(bench: Workbench, cls: type) -> None:
    """Wrap the callbacks of `cls`: QuickFIX calls them by name on the object, whenever it was made."""
    adopted = _adopted.setdefault(bench, weakref.WeakSet())
    if cls.__module__ == LIBRARY or cls in adopted:
        return
    adopted.add(cls)
    for name, make in CALLBACKS.items():
        if hasattr(cls, name):
            bench.replace(cls, name, lambda original, make=make: make(original, bench))


def stopping(original: Any, bench: Workbench) -> Any:
    """`Initiator.stop` and `Acceptor.stop`: the program itself ends the sessions, not all with a callback."""
    guard = bench.guard("stop")

    def leave(engine: Any) -> tuple[Session, ...]:
        sessions = tuple(session_of(session_id) for session_id in engine.getSessions())
        for session in sessions:
            desk_of(bench, LIBRARY).sessions.leaving(session)
        return sessions

    def end(sessions: tuple[Session, ...]) -> None:
        for session in sessions:
            desk_of(bench, LIBRARY).sessions.ended(session)

    @functools.wraps(original)
    def stop(*args: Any, **kwargs: Any) -> Any:
        left: tuple[Session, ...] = guard.own(leave, args[0], default=()) if bench.is_active else ()
        result = original(*args, **kwargs)
        guard.own(end, left, default=None)
        return result

    return stop


def logging_out(original: Any, bench: Workbench) -> Any:
    """`Session.logout`: the same of one session."""
    guard = bench.guard("Session.logout")

    def note(session: Any) -> None:
        desk_of(bench, LIBRARY).sessions.leaving(session_of(session.getSessionID()))

    @functools.wraps(original)
    def logout(*args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            guard.own(note, args[0], default=None)
        return original(*args, **kwargs)

    return logout
