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
from tickspan.trading import TickRef, current_tick, set_current_tick

from tickspan_fix.desk import (
    MARKET_DATA_TYPES,
    NOT_LOGGED_ON,
    SEND_FAILED,
    Outgoing,
    desk_of,
    is_resent,
    number_of,
)
from tickspan_fix.fields import Get, Session, Tag
from tickspan_fix.sessions import SessionState

LIBRARY: Final = "quickfix"
MAX_SESSIONS: Final = 1_000
"""Sessions that are found by their text; more are looked up each time."""

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
_MSG_TYPE, _SENDING_TIME, _SYMBOL, _NO_MD_ENTRIES = (
    int(tag) for tag in (Tag.MSG_TYPE, Tag.SENDING_TIME, Tag.SYMBOL, Tag.NO_MD_ENTRIES)
)
_ANSWERED_BY_THE_ENGINE: Final = frozenset({"UnsupportedMessageType", "RejectLogon"})
"""Exceptions out of `fromApp` and `fromAdmin` by which an application says no."""

_in_hands: Final[ContextVar[Outgoing | None]] = ContextVar("tickspan_fix_outgoing", default=None)
_handled: Final[ContextVar[Any]] = ContextVar("tickspan_fix_handled", default=None)
"""What the running callback is about: a callback that calls its parent's is still one."""


def fields_of(message: Any) -> Get:
    """A message's fields, read when asked for: `toString` would change the message."""
    header = message.getHeader()

    def get(tag: int) -> str | None:
        part = header if tag in _HEADER_TAGS else message
        return part.getField(int(tag)) if part.isSetField(int(tag)) else None

    return get


def symbol_of(message: Any) -> str | None:
    """The symbol of market data; where a data dictionary is used, that of an X stands in its first entry."""
    part = message
    if not message.isSetField(_SYMBOL):
        if not message.groupCount(_NO_MD_ENTRIES):
            return None
        part = message.getGroupRef(1, _NO_MD_ENTRIES)
        if not part.isSetField(_SYMBOL):
            return None
    return part.getField(_SYMBOL)


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


class Engine:
    """What all rows of one instrumentor share about QuickFIX."""

    def __init__(self, bench: Workbench) -> None:
        self.desk = desk_of(bench, LIBRARY)
        self._bench = bench
        self._states: dict[str, SessionState] = {}
        self._adopted: weakref.WeakSet[type] = weakref.WeakSet()

    def state_of(self, session_id: Any) -> SessionState:
        """A session by its `SessionID`, which is another object in each callback."""
        name = session_id.toStringFrozen()
        state = self._states.get(name)
        if state is None:
            state = self.desk.sessions.of(session_of(session_id))
            if len(self._states) < MAX_SESSIONS:
                self._states[name] = state
        return state

    # Sending.

    def begin_to_target(self, args: tuple[Any, ...]) -> Outgoing | None:
        """`Session.sendToTarget(message, ...)` is called."""
        if not args or not hasattr(args[0], "getHeader"):
            return None  # the library is about to say what it expects
        return self._begin(args[0], target_of(args[0], args[1:]))

    def begin(self, args: tuple[Any, ...]) -> Outgoing | None:
        """`Session.send(self, message)` is called."""
        session, message = args
        return self._begin(message, session_of(session.getSessionID()))

    def raised(self, outgoing: Outgoing, error: BaseException) -> None:
        """The sending has raised."""
        if not outgoing.is_repeated:
            self.desk.fail(outgoing.sent, error)

    def returned(self, outgoing: Outgoing, *, is_sent: bool) -> None:
        """The sending has come back: with False if nothing was sent, with True also if it was only stored."""
        if outgoing.is_repeated:
            return
        desk, sent = self.desk, outgoing.sent
        if is_sent and not sent.was_seen:  # an application that was made in a way we do not know
            sent.hand_over(desk.now_ns())
        elif not is_sent and sent.withheld is not None:
            desk.refuse(sent, type_name(sent.withheld))
        elif not is_sent and not sent.was_seen:
            desk.refuse(sent, NOT_LOGGED_ON)
        elif not is_sent:
            desk.lose(sent, SEND_FAILED)

    def withheld(self, message: Any, session_id: Any, error: BaseException) -> None:
        """The application has not let a message through."""
        get = fields_of(message)
        outgoing = self._outgoing(get, session_id)
        if outgoing is None or outgoing.is_repeated:
            return
        sent = outgoing.sent
        if not is_resent(get):
            sent.withheld = error
        elif sent.stored_ns is not None:
            self.desk.refuse(sent, type_name(error))

    def let_through(self, message: Any, session_id: Any) -> None:
        """The application has let a message through: it is written, or stored for want of a session."""
        get = fields_of(message)
        outgoing = self._outgoing(get, session_id)
        if outgoing is None:
            return
        sent, now_ns = outgoing.sent, self.desk.now_ns()
        sent.was_seen = True
        number = number_of(get)
        if number is not None and not outgoing.is_repeated:
            self.desk.calls.numbered(sent, number)
        if is_resent(get):
            # The session layer repeats a number, which the venue takes once: no second attempt.
            if sent.stored_ns is not None:
                sent.hand_over(now_ns)
        elif _is_on_line(session_id):
            sent.hand_over(now_ns)
        else:
            sent.store(now_ns)

    def _begin(self, message: Any, session: Session) -> Outgoing | None:
        get = fields_of(message)
        return self.desk.begin(get(Tag.MSG_TYPE) or "", get, session)

    def _outgoing(self, get: Get, session_id: Any) -> Outgoing | None:
        """The order message that passes `toApp`: the one in hands, or one that was sent or stored before."""
        client_id = get(Tag.CL_ORD_ID)
        if client_id is None:
            return None
        outgoing = _in_hands.get()
        if outgoing is not None and not is_resent(get):
            return outgoing
        waiting = self.desk.calls.waiting(session_of(session_id), client_id)
        return Outgoing(waiting) if waiting is not None else None

    # Receiving.

    def received(self, message: Any, session_id: Any) -> TickRef | None:
        """P1 and P7: a message for the application; returns it as its tick, if it may cause something."""
        at_ns = self.desk.now_ns()
        header, state = message.getHeader(), self.state_of(session_id)
        msg_type = header.getField(_MSG_TYPE)
        if msg_type in MARKET_DATA_TYPES:
            if state.asked_from is not None:
                self.desk.sessions.followed(state, msg_type, fields_of(message))
            sending_time = header.getField(_SENDING_TIME)
            tick = self.desk.receive_market_data(state, symbol_of(message), sending_time, at_ns)
        else:
            tick = self.desk.receive(msg_type, fields_of(message), state, at_ns)
        if tick is not None:
            tick.delivered_ns = self.desk.now_ns()
        return tick

    def handler_failed(self, session_id: Any, error: BaseException) -> None:
        """An exception has come out of `fromApp`."""
        if type(error).__name__ not in _ANSWERED_BY_THE_ENGINE:
            self.state_of(session_id).feed.handler_failed(error)

    def sent_admin(self, message: Any, session_id: Any) -> None:
        """A message of the session layer goes out, as the application has filled it in."""
        get = fields_of(message)
        state = self.state_of(session_id)
        self.desk.sessions.sent(state, get(Tag.MSG_TYPE) or "", get, self.desk.now_ns())

    def received_admin(self, message: Any, session_id: Any) -> None:
        """A message of the session layer has come."""
        get = fields_of(message)
        self.desk.receive(get(Tag.MSG_TYPE) or "", get, self.state_of(session_id), self.desk.now_ns())

    # Sessions and applications.

    def opened(self, session_id: Any) -> None:
        """The session is open."""
        self.desk.sessions.opened(self.state_of(session_id))

    def ended(self, session_id: Any) -> None:
        """The session is over."""
        self.desk.sessions.ended(self.state_of(session_id))

    def leave(self, engine: Any) -> tuple[SessionState, ...]:
        """The program itself ends the sessions of an initiator or acceptor."""
        states = tuple(self.state_of(session_id) for session_id in engine.getSessions())
        for state in states:
            state.is_leaving = True
        return states

    def left(self, states: tuple[SessionState, ...]) -> None:
        """They have ended, not all with a callback."""
        for state in states:
            self.desk.sessions.ended(state)

    def log_out(self, session: Any) -> None:
        """The program itself ends one session."""
        self.state_of(session.getSessionID()).is_leaving = True

    def adopt(self, cls: type) -> None:
        """Wrap the callbacks of `cls`: QuickFIX calls them by name on the object, whenever it was made."""
        if cls.__module__ == LIBRARY or cls in self._adopted:
            return
        self._adopted.add(cls)
        for name, make in CALLBACKS.items():
            if hasattr(cls, name):
                self._bench.replace(cls, name, lambda original, make=make: make(original, self._bench))


_engines: Final[weakref.WeakKeyDictionary[Workbench, Engine]] = weakref.WeakKeyDictionary()


def engine_of(bench: Workbench) -> Engine:
    """The one of an instrumentor."""
    known = _engines.get(bench)
    if known is None:
        known = _engines[bench] = Engine(bench)
    return known


def _is_on_line(session_id: Any) -> bool:
    """Whether the engine is about to write to a socket: it holds the session's lock, so this stays true."""
    session = sys.modules["quickfix"].Session.lookupSession(session_id)
    return session is not None and bool(session.isLoggedOn())


# What takes the place of QuickFIX's functions.


def sending_to_target(original: Any, bench: Workbench) -> Any:
    """`Session.sendToTarget(message, ...)`: P4; the order's call begins before any byte leaves."""
    return _sending(original, bench, "Session.sendToTarget", engine_of(bench).begin_to_target)


def sending(original: Any, bench: Workbench) -> Any:
    """`Session.send(self, message)`: the same."""
    return _sending(original, bench, "Session.send", engine_of(bench).begin)


def _sending(
    original: Any, bench: Workbench, name: str, begin: Callable[[tuple[Any, ...]], Outgoing | None]
) -> Any:
    engine, guard = engine_of(bench), bench.guard(name)

    def returned(outgoing: Outgoing, result: Any) -> None:
        engine.returned(outgoing, is_sent=result is not False)

    @functools.wraps(original)
    def send(*args: Any, **kwargs: Any) -> Any:
        outgoing = guard.own(begin, args, default=None) if bench.is_active else None
        if outgoing is None:
            return original(*args, **kwargs)
        try:
            with _in_hands_of(outgoing):
                result = original(*args, **kwargs)
        except BaseException as error:
            guard.closing(engine.raised, outgoing, error, default=None)
            raise
        guard.closing(returned, outgoing, result, default=None)
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


def to_app(original: Any, bench: Workbench) -> Any:
    """P6: what the application lets through goes to the transport, or is stored."""
    engine, guard = engine_of(bench), bench.guard("toApp")

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        message = _subject(args)
        if message is None or not bench.is_active:
            return original(*args, **kwargs)
        token = _handled.set(message)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            guard.user(engine.withheld, message, args[2], error, default=None)
            raise
        finally:
            _handled.reset(token)
        guard.user(engine.let_through, message, args[2], default=None)
        return result

    return call


def from_app(original: Any, bench: Workbench) -> Any:
    """Reports are told before the application hears of them, and are its tick while it does."""
    engine, guard = engine_of(bench), bench.guard("fromApp")

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        message = _subject(args)
        if message is None or not bench.is_active:
            return original(*args, **kwargs)
        tick: TickRef | None = guard.user(engine.received, message, args[2], default=None)
        token, before = _handled.set(message), current_tick()
        set_current_tick(tick)
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            guard.user(engine.handler_failed, args[2], error, default=None)
            raise
        finally:
            set_current_tick(before)
            _handled.reset(token)

    return call


def to_admin(original: Any, bench: Workbench) -> Any:
    """Logons and resend requests of ours."""
    note, guard = engine_of(bench).sent_admin, bench.guard("toAdmin")

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        message = _subject(args)
        if message is None or not bench.is_active:
            return original(*args, **kwargs)
        token = _handled.set(message)
        try:
            result = original(*args, **kwargs)
        finally:
            _handled.reset(token)
        guard.user(note, *args[1:], default=None)
        return result

    return call


def from_admin(original: Any, bench: Workbench) -> Any:
    """Heartbeats, rejects and the logon of the venue."""
    return _noting(original, bench, "fromAdmin", engine_of(bench).received_admin)


def on_logon(original: Any, bench: Workbench) -> Any:
    """A session is open."""
    return _noting(original, bench, "onLogon", engine_of(bench).opened)


def on_logout(original: Any, bench: Workbench) -> Any:
    """A session is over."""
    return _noting(original, bench, "onLogout", engine_of(bench).ended)


def _noting(original: Any, bench: Workbench, name: str, note: Callable[..., None]) -> Any:
    """`note` before `original`, with the same arguments but the application."""
    guard = bench.guard(name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        subject = _subject(args)
        if subject is None or not bench.is_active:
            return original(*args, **kwargs)
        guard.user(note, *args[1:], default=None)
        token = _handled.set(subject)
        try:
            return original(*args, **kwargs)
        finally:
            _handled.reset(token)

    return call


def _subject(args: tuple[Any, ...]) -> Any:
    """The message or session that a callback is about; None if it is told already, by a class below."""
    subject = args[1] if len(args) > 1 else None
    return None if subject is _handled.get() else subject


CALLBACKS: Final[Mapping[str, Callable[[Any, Workbench], Any]]] = {
    "toApp": to_app,
    "fromApp": from_app,
    "toAdmin": to_admin,
    "fromAdmin": from_admin,
    "onLogon": on_logon,
    "onLogout": on_logout,
}


def adopting(position: int, name: str) -> Callable[[Any, Workbench], Any]:
    """Around an `__init__` that has an application as an argument: its class is wrapped, once."""

    def make(original: Any, bench: Workbench) -> Any:
        engine, guard = engine_of(bench), bench.guard(name)

        @functools.wraps(original)
        def init(*args: Any, **kwargs: Any) -> Any:
            application = args[position] if len(args) > position else kwargs.get("application")
            if bench.is_active and application is not None:
                guard.own(engine.adopt, type(application), default=None)
            return original(*args, **kwargs)

        return init

    return make


def stopping(original: Any, bench: Workbench) -> Any:
    """`Initiator.stop` and `Acceptor.stop`."""
    engine, guard = engine_of(bench), bench.guard("stop")

    @functools.wraps(original)
    def stop(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        states: tuple[SessionState, ...] = guard.own(engine.leave, args[0], default=())
        result = original(*args, **kwargs)
        guard.own(engine.left, states, default=None)
        return result

    return stop


def logging_out(original: Any, bench: Workbench) -> Any:
    """`Session.logout`."""
    engine, guard = engine_of(bench), bench.guard("Session.logout")

    @functools.wraps(original)
    def logout(*args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            guard.own(engine.log_out, args[0], default=None)
        return original(*args, **kwargs)

    return logout
