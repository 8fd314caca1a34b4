"""A simulated venue, QuickFIX and simplefix told to a capture, and a client of each with one face."""
# ruff: noqa: N802 - QuickFIX calls its application by these names
# and by position: the names `arg0` and `arg1` in its base class are SWIG's.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

import pytest
import quickfix
import simplefix
from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_fix import FixInstrumentor

DEADLINE_S = 10.0
REPORTS = ("8", "9", "3", "j")
MARKET_DATA = ("W", "X")

Fields = tuple[tuple[int, Any], ...]
MakeVenue = Callable[..., VenueSimulator]

LIMIT: Fields = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "90000.00"))
RESTING: Fields = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "10000.00"))
TICKS: Fields = ((262, "r"), (263, "1"), (264, "1"), (265, "1"), (267, "1"), (269, "2"), (55, "BTC/USDT"))


def until(holds: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


class Client(Protocol):
    """A FIX client, whatever its library."""

    library: str
    got: list[str]
    """Types of the messages about orders that have come."""

    def send(self, msg_type: str, *fields: tuple[int, Any]) -> Any:
        """Send a message of the program's."""
        ...

    def until(self, count: int) -> None:
        """Wait until so many messages about orders have come in all."""
        ...

    def subscribe(self) -> None:
        """Ask for ticks, and wait for the first message."""
        ...

    def until_tick(self, venue: VenueSimulator) -> None:
        """Let the venue tick, and wait until that has come."""
        ...

    def connect(self) -> None:
        """Log on; the numbers go on."""
        ...

    def close(self) -> None:
        """Log out and disconnect."""
        ...


def _ignored(*_: Any) -> None:
    pass


class App(quickfix.Application):
    """A QuickFIX application; a test may hang its own code into the callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.session: Any = None
        self.credentials: Fields = ()
        self.is_on = False
        self.got: list[str] = []
        self.ticks = 0
        self.before_send: Callable[[Any], None] = _ignored
        self.on_message: Callable[[str, Any], None] = _ignored

    def onCreate(self, session: Any) -> None:
        self.session = session

    def onLogon(self, session: Any) -> None:
        self.is_on = True

    def onLogout(self, session: Any) -> None:
        self.is_on = False

    def toAdmin(self, message: Any, session: Any) -> None:
        if message.getHeader().getField(35) == "A":
            for tag, value in self.credentials:
                message.setField(quickfix.StringField(tag, value))

    def fromAdmin(self, message: Any, session: Any) -> None:
        self._note(message.getHeader().getField(35))

    def toApp(self, message: Any, session: Any) -> None:
        self.before_send(message)

    def fromApp(self, message: Any, session: Any) -> None:
        msg_type = message.getHeader().getField(35)
        self.on_message(msg_type, message)
        self._note(msg_type)

    def _note(self, msg_type: str) -> None:
        if msg_type in REPORTS:
            self.got.append(msg_type)
        self.ticks += msg_type in MARKET_DATA


def credentials_of(venue: VenueSimulator) -> Fields:
    """What a logon proves itself with."""
    return ((553, venue.connect.api_key), (554, venue.connect.secret))


def quickfix_message(msg_type: str, fields: Fields) -> Any:
    """A message as programs make them."""
    message: Any = quickfix.Message()
    message.getHeader().setField(quickfix.MsgType(msg_type))
    for tag, value in fields:
        part = message.getHeader() if tag in (43, 97) else message
        part.setField(quickfix.StringField(tag, str(value)))
    return message


class QuickfixClient:
    """QuickFIX, with its numbers and messages in the folder `store`."""

    library = "quickfix"

    def __init__(
        self, venue: VenueSimulator, store: Path, *, app: App | None = None, kind: Any = None, **more: Any
    ) -> None:
        self.app: Any = app or App()
        self.app.credentials = credentials_of(venue)
        self._kind = kind or quickfix.SocketInitiator
        self._settings: Any = quickfix.SessionSettings()
        self._settings.setFromString(venue.connect.fix_settings(store=str(store), **more))
        self._engine: Any = None
        self.connect()

    @property
    def got(self) -> list[str]:
        return self.app.got

    def connect(self) -> None:
        factory = quickfix.FileStoreFactory(self._settings)
        self._engine = self._kind(self.app, factory, self._settings)
        self._engine.start()
        until(lambda: self.app.is_on)

    def close(self) -> None:
        if self._engine is None:
            return
        self._engine.stop(force=True)
        # Two engines must not have one session at a time: the library's registry of sessions would break.
        self._engine = None
        gc.collect()

    def send(self, msg_type: str, *fields: tuple[int, Any]) -> Any:
        return quickfix.Session.sendToTarget(quickfix_message(msg_type, fields), self.app.session)

    def until(self, count: int) -> None:
        until(lambda: len(self.got) >= count)

    def subscribe(self) -> None:
        self.send("V", *TICKS)
        until(lambda: self.app.ticks)

    def until_tick(self, venue: VenueSimulator) -> None:
        before = self.app.ticks
        venue.tick()
        until(lambda: self.app.ticks > before)


class SimplefixClient:
    """simplefix over a blocking socket: what a program has to write around that library."""

    library = "simplefix"

    def __init__(self, venue: VenueSimulator, sender: str = "CLIENT") -> None:
        self.got: list[str] = []
        self._address = venue.connect.address
        self._credentials = credentials_of(venue)
        self._sender = sender
        self._number = 0
        self._socket: socket.socket | None = None
        self.connect()

    def connect(self) -> None:
        self._socket = socket.create_connection(self._address, DEADLINE_S)
        self._parser: Any = simplefix.FixParser()
        self.send("A", (98, 0), (108, 30), *self._credentials)
        self._until(lambda message: message.message_type == b"A")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def message(self, msg_type: str, *fields: tuple[int, Any], number: int | None = None) -> Any:
        """A message under the next number, or another one."""
        if number is None:
            self._number += 1
        message: Any = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4")
        message.append_pair(35, msg_type)
        message.append_pair(49, self._sender)
        message.append_pair(56, "VENUE")
        message.append_pair(34, number or self._number)
        message.append_utc_timestamp(52)
        for tag, value in fields:
            message.append_pair(tag, value)
        return message

    def send(self, msg_type: str, *fields: tuple[int, Any]) -> Any:
        return self.send_message(self.message(msg_type, *fields))

    def send_message(self, message: Any) -> None:
        """Encode a message, and send it."""
        assert self._socket is not None
        self._socket.sendall(message.encode())

    def until(self, count: int) -> None:
        self._until(lambda _: len(self.got) >= count, len(self.got) >= count)

    def subscribe(self) -> None:
        self.send("V", *TICKS)
        self._until(lambda message: message.message_type == b"W")

    def until_tick(self, venue: VenueSimulator) -> None:
        venue.tick()
        self._until(lambda message: message.message_type == b"X")

    def _until(self, holds: Callable[[Any], bool], is_over: bool = False) -> None:
        while not is_over:
            message = self._parser.get_message()
            if message is None:
                self._read()
                continue
            msg_type = message.message_type.decode()
            if msg_type in REPORTS:
                self.got.append(msg_type)
            is_over = holds(message)

    def _read(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(65_536)
        assert data, "the venue has ended the connection"
        self._parser.append_buffer(data)


class Story:
    """What was told, without what differs from run to run."""

    def __init__(self, told: Capture) -> None:
        self._told = told

    def spans(self, name: str = "") -> list[RecordedSpan]:
        """Finished spans whose name begins so; due lifecycles are written first."""
        trading.shutdown()
        return [span for span in self._told.spans() if span.name.startswith(name)]

    def tree(self) -> str:
        """Their outline."""
        trading.shutdown()
        return self._told.tree()

    def executions(self) -> list[tuple[str, int]]:
        """Execution id and trace of every fill that was told."""
        events = self.spans("trading.order.event")
        key = "trading.execution.id"
        return [(span.attributes[key], span.trace_id) for span in events if key in span.attributes]


@pytest.fixture
def make_venue() -> Generator[MakeVenue]:
    """Starts a venue with the given knobs; all of them stop after the test."""
    running: list[VenueSimulator] = []

    def make(seed: int = 7, **knobs: Any) -> VenueSimulator:
        knobs.setdefault("tick_interval_s", 0)
        behaviour = Behaviour(**knobs)
        venue = VenueSimulator(dialect="fix", seed=seed, behaviour=behaviour).__enter__()
        running.append(venue)
        return venue

    yield make
    for venue in running:
        venue.__exit__()


@pytest.fixture
def told(telemetry: Capture) -> Generator[Capture]:
    """Both libraries instrumented; lifecycles are written when `trading.shutdown()` asks for them.

    In callbacks of C++ no fault is raised: here it fails the test.
    """
    settings = {"lifecycle_delay_s": 3600, "waiting_s": 3600, "environment": "simulated"}
    FixInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings=settings,
    )
    yield telemetry
    faults = [hook for hook in FixInstrumentor().statistics() if hook.errors]
    FixInstrumentor().uninstrument()
    assert faults == []


@pytest.fixture
def story(told: Capture) -> Story:
    """What was told so far."""
    return Story(told)


MakeClient = Callable[..., Any]


@pytest.fixture
def make_client(tmp_path: Path) -> Generator[MakeClient]:
    """Connects a client of a library to a venue; all of them are closed after the test."""
    clients: list[Any] = []

    def make(library: str, venue: VenueSimulator, **options: Any) -> Any:
        client = (
            QuickfixClient(venue, tmp_path, **options)
            if library == "quickfix"
            else SimplefixClient(venue, **options)
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
