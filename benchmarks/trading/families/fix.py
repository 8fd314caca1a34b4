"""QuickFIX and simplefix: orders, replacements and cancels by FIX 4.4; reports come on the same session."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

from benchmarks.trading.families.family import Family, settle
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

if TYPE_CHECKING:
    from benchmarks.trading.families.quickfix_engine import Engine

_ACTS: Final = 40
_BREAK: Final = 20
"""Before this act, QuickFIX's engine ends and another takes its session over."""
_PATIENCE_S: Final = 10.0
_QUIET_S: Final = 0.5
_ASIDE: Final = ((55, "BTC/USDT"), (54, "1"))
_QUANTITIES: Final = ("0.1", "0.2")
_PRICES: Final = ("90000.00", "59990.00")
Fields = tuple[tuple[int, str], ...]


class _Client(Protocol):
    def send(self, msg_type: str, *fields: tuple[int, Any]) -> object: ...


class _Bot:
    """Places, replaces and cancels orders by lot."""

    def __init__(self, seed: int) -> None:
        self._lots = Random(seed)  # noqa: S311 - no secret
        self._open: list[tuple[str, str]] = []
        self._number = 0

    def act(self, client: _Client) -> None:
        """One order, or something about an earlier one."""
        lots, lot = self._lots, self._lots.random()
        if lot < 0.6 or not self._open:
            name, quantity = self._name(), lots.choice(_QUANTITIES)
            self._open.append((name, quantity))
            client.send("D", (11, name), *_ASIDE, (38, quantity), (40, "2"), (44, lots.choice(_PRICES)))
        elif lot < 0.8:
            place = lots.randrange(len(self._open))
            (old, quantity), name = self._open[place], self._name()
            more = f"{float(quantity) + 0.1:.1f}"
            self._open[place] = (name, more)
            client.send("G", (11, name), (41, old), *_ASIDE, (38, more), (40, "2"), (44, _PRICES[0]))
        else:
            old, _ = self._open.pop(lots.randrange(len(self._open)))
            client.send("F", (11, self._name()), (41, old), *_ASIDE)

    def _name(self) -> str:
        self._number += 1
        return f"o{self._number}"


def _credentials(venue: VenueSimulator) -> Fields:
    return ((553, venue.connect.api_key), (554, venue.connect.secret))


def _play_quickfix(venue: VenueSimulator, told: Capture, seed: int) -> None:
    """Half of the acts by one engine, the others by its successor, with the same store."""
    bot = _Bot(seed)
    with tempfile.TemporaryDirectory() as store:
        engine = _engine(venue, store)
        for number in range(_ACTS):
            if number == _BREAK:
                engine.close()
                engine = _engine(venue, store)
            bot.act(engine)
            venue.tick()
        settle(venue, told)
        engine.close()


def _engine(venue: VenueSimulator, store: str) -> Engine:
    from benchmarks.trading.families.quickfix_engine import Engine  # optional, and 0.3 s

    return Engine(venue.connect.fix_settings(store=store), _credentials(venue))


class _SimplefixClient:
    """simplefix over a blocking socket: what a program has to write around that library."""

    def __init__(self, venue: VenueSimulator) -> None:
        import simplefix

        self._made: Callable[[], Any] = simplefix.FixMessage
        self._parser: Any = simplefix.FixParser()
        self._number = 0
        self._socket = socket.create_connection(venue.connect.address, _PATIENCE_S)
        self.send("A", (98, 0), (108, 30), *_credentials(venue))
        while (message := self._parser.get_message()) is None or message.message_type != b"A":
            self._parser.append_buffer(self._socket.recv(65_536))

    def send(self, msg_type: str, *fields: tuple[int, Any]) -> None:
        """A message under the next number."""
        self._number += 1
        message = self._made()
        for tag, value in ((8, "FIX.4.4"), (35, msg_type), (49, "CLIENT"), (56, "VENUE"), (34, self._number)):
            message.append_pair(tag, value)
        message.append_utc_timestamp(52)
        for tag, value in fields:
            message.append_pair(tag, value)
        self._socket.sendall(message.encode())

    def drain(self) -> None:
        """Read until nothing comes any more, and close."""
        self._socket.settimeout(_QUIET_S)
        try:
            while data := self._socket.recv(65_536):
                self._parser.append_buffer(data)
                while self._parser.get_message() is not None:
                    pass
        except TimeoutError:
            pass
        self._socket.close()


def _play_simplefix(venue: VenueSimulator, told: Capture, seed: int) -> None:
    del told
    client, bot = _SimplefixClient(venue), _Bot(seed)
    for _ in range(_ACTS):
        bot.act(client)
        venue.tick()
    client.drain()


_KNOBS: Final = {"tick_interval_s": 0, "fill_gap_s": 0.01}
_INSTRUMENTOR: Final = "tickspan_fix:FixInstrumentor"
QUICKFIX: Final = Family(
    "fix",
    _INSTRUMENTOR,
    _play_quickfix,
    knobs=_KNOBS,
    more={Fault.ACCEPT_THEN_RESET: 0.1},
    adds_up=True,
)
SIMPLEFIX: Final = Family(
    "fix",
    _INSTRUMENTOR,
    _play_simplefix,
    knobs=_KNOBS,
    without=frozenset({Fault.ACCEPT_THEN_RESET}),  # the library has no session that could be resumed
    adds_up=True,
)
