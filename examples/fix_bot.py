"""A bot on QuickFIX: it buys at a tick, hedges at the fill, and moves and cancels an order that nobody takes.

Needs `pip install tickspan[testing] tickspan-fix quickfix-tls` and nothing else: the acceptor is simulated,
and the telemetry comes back to this program over OTLP, to be printed as waterfalls.
"""
# ruff: noqa: N802, ARG002 - QuickFIX calls its application by these names, with these arguments
# and by position: the names `arg0` and `arg1` in its base class are SWIG's.
# pyright: reportIncompatibleMethodOverride=false

import os
import tempfile
import threading
from itertools import count
from typing import Any

import quickfix
from opentelemetry import trace

import tickspan
from tickspan import trading
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan.waterfall import order_traces, waterfall

SYMBOL = "BTC/USDT"
PATIENCE_S = 30
BUY, SELL, MARKET, LIMIT, TRADES = "1", "2", "1", "2", "2"


class Bot(quickfix.Application):
    """Everything happens in QuickFIX's own thread, in the callback of the message that it is about."""

    def __init__(self) -> None:
        super().__init__()
        self.session: Any = None
        self.is_hedged = threading.Event()
        self.is_canceled = threading.Event()
        self._ids = (f"bot-{number}" for number in count(1))
        self._plan = ["rest", "buy"]

    def onCreate(self, session: Any) -> None:
        """There is one session."""
        self.session = session

    def onLogon(self, session: Any) -> None:
        """Ask for trades: snapshot and changes."""
        entries = ((262, "ticks"), (263, "1"), (264, "1"), (265, "1"), (267, "1"), (269, TRADES))
        self.send("V", *entries, (146, "1"), (55, SYMBOL))

    def onLogout(self, session: Any) -> None:
        """QuickFIX connects again by itself."""

    def toAdmin(self, message: Any, session: Any) -> None:
        """Here a real venue gets Username (553) and Password (554)."""

    def fromAdmin(self, message: Any, session: Any) -> None:
        """Heartbeats and the like."""

    def toApp(self, message: Any, session: Any) -> None:
        """Here `raise quickfix.DoNotSend` would hold an order back."""

    def fromApp(self, message: Any, session: Any) -> None:
        """The strategy at a tick, the book-keeping at a report."""
        kind = message.getHeader().getField(35)
        if kind == "X" and self._plan:
            getattr(self, self._plan.pop(0))()
        elif kind == "8":
            self.on_report(message)

    def buy(self) -> None:
        """At any price."""
        self.send("D", (54, BUY), (38, "0.5"), (40, MARKET))

    def rest(self) -> None:
        """Far from the market."""
        self.send("D", (54, BUY), (38, "0.1"), (40, LIMIT), (44, "10000.00"))

    def on_report(self, report: Any) -> None:
        """What was bought is sold; what rests is moved once, then canceled."""
        exec_type, side = report.getField(150), report.getField(54)
        is_filled = report.getField(39) == "2"
        if exec_type == "F" and is_filled and side == BUY:
            self.send("D", (54, SELL), (38, report.getField(14)), (40, MARKET))
        elif exec_type == "F" and is_filled:
            self.is_hedged.set()
        elif exec_type == "0" and report.isSetField(44):
            named = (41, report.getField(11)), (54, BUY)
            self.send("G", *named, (38, "0.2"), (40, LIMIT), (44, "11000.00"))
        elif exec_type == "5":
            self.send("F", (41, report.getField(11)), (54, BUY))
        elif exec_type == "4":
            self.is_canceled.set()

    def send(self, msg_type: str, *fields: tuple[int, str]) -> None:
        """A message about `SYMBOL` under a new id."""
        message: Any = quickfix.Message()
        message.getHeader().setField(quickfix.MsgType(msg_type))
        known = fields if msg_type == "V" else ((11, next(self._ids)), (55, SYMBOL), *fields)
        for tag, value in known:
            message.setField(quickfix.StringField(tag, value))
        quickfix.Session.sendToTarget(message, self.session)


def main() -> None:
    """One run, and a waterfall for each trace with an order in it."""
    behaviour = Behaviour(partials=(0.4, 0.6), fill_delay_s=0.02, tick_interval_s=0.2)
    with (
        VenueSimulator(dialect="fix", seed=7, behaviour=behaviour) as venue,
        OtlpServer() as server,
        tempfile.TemporaryDirectory() as store,
    ):
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
        tickspan.init({"agent": "thread", "trading": {"environment": "simulated"}}, service_name="fix-bot")
        settings: Any = quickfix.SessionSettings()
        settings.setFromString(venue.connect.fix_settings(store=store))
        bot = Bot()
        engine: Any = quickfix.SocketInitiator(bot, quickfix.FileStoreFactory(settings), settings)
        engine.start()
        bot.is_hedged.wait(PATIENCE_S)
        bot.is_canceled.wait(PATIENCE_S)
        engine.stop()
        trading.shutdown()
        trace.get_tracer_provider().force_flush()  # pyright: ignore[reportAttributeAccessIssue] - the SDK's
        for spans in order_traces(server.spans()):
            print(*waterfall(spans), "", sep="\n")
        print(
            f"The venue holds {len(venue.orders)} orders and has booked {len(venue.executions)} executions."
        )


if __name__ == "__main__":
    main()
