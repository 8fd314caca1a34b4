"""tickspan's conformance suite, on the real ib_async and ib_insync against a simulated TWS."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from tickspan.instrumentation import Instrumentor
from tickspan.testing.capture import Capture
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_ib import IbInstrumentor

BEHAVIOUR = Behaviour(
    symbols=("AAPL/USD=200",), balances={"USD": "1000000"}, fill_delay_s=60, tick_interval_s=0
)
Use = Callable[[Any], Any]


class Library:
    """One library, blocking and asynchronous, each time with a venue of its own: so that ids agree."""

    def __init__(self, name: str) -> None:
        self._library: Any = importlib.import_module(name)
        self._name = name

    def calls(self) -> Sequence[Call]:
        """The uses that are compared."""
        return (
            self._call("placed", self._place),
            # Not compared: the second venue gives its order the number of the first one's; a cancel is timed.
            *self._each("changed", self._change),
            *self._each("canceled", self._cancel_unknown),
            self._call("not connected", self._place_without_connection, ConnectionError),
        )

    def _call(self, name: str, use: Use, error: type[BaseException] | None = None) -> Call:
        return Call(
            f"{self._name} {name}", lambda: self._blocking(use), lambda: self._asynchronous(use), error
        )

    def _each(self, name: str, use: Use) -> Sequence[Call]:
        call = self._call(name, use)
        return replace(call, asynchronous=None), replace(call, sync=None)

    def _blocking(self, use: Use) -> Any:
        """`use` while the library runs the loop by itself."""
        with VenueSimulator(dialect="tws", behaviour=BEHAVIOUR) as venue, self._run_by_the_library():
            ib = self._library.IB()
            try:
                ib.connect(*venue.connect.ib_address, clientId=7)
                for holds in use(ib):
                    while not holds():
                        ib.waitOnUpdate(1)
            finally:
                ib.disconnect()
                ib.sleep(0.01)
        return self._name

    async def _asynchronous(self, use: Use) -> Any:
        self._forget_loop()
        with VenueSimulator(dialect="tws", behaviour=BEHAVIOUR) as venue:
            ib = self._library.IB()
            try:
                await ib.connectAsync(*venue.connect.ib_address, clientId=7)
                for holds in use(ib):
                    while not holds():
                        await ib.updateEvent
            finally:
                ib.disconnect()
                await asyncio.sleep(0.01)
        return self._name

    @contextmanager
    def _run_by_the_library(self) -> Generator[None]:
        """ib_async makes a loop, ib_insync takes the one that is set."""
        given = asyncio.new_event_loop()
        asyncio.set_event_loop(given)
        loop = self._forget_loop()()
        try:
            yield
        finally:
            asyncio.set_event_loop(None)
            for one in {given, loop}:
                one.close()

    def _forget_loop(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """What finds the library's loop: ib_async keeps the first one for ever."""
        get_loop: Any = importlib.import_module(f"{self._name}.util").getLoop
        getattr(get_loop, "cache_clear", lambda: None)()
        return get_loop

    def _contract(self) -> Any:
        return self._library.Stock("AAPL", "SMART", "USD")

    def _place(self, ib: Any) -> Any:
        trade = ib.placeOrder(self._contract(), self._library.LimitOrder("BUY", 10, 300))
        yield lambda: trade.orderStatus.status == "Submitted"

    def _change(self, ib: Any) -> Any:
        trade = ib.placeOrder(self._contract(), self._library.LimitOrder("BUY", 10, 150))
        yield lambda: trade.orderStatus.status == "Submitted"
        trade.order.lmtPrice = 151
        ib.placeOrder(trade.contract, trade.order)
        yield lambda: trade.log[-1].message == "Modified"

    def _cancel_unknown(self, ib: Any) -> Any:
        codes: list[int] = []

        def note(_: int, code: int, *__: Any) -> None:
            codes.append(code)

        ib.errorEvent += note
        ib.cancelOrder(self._library.Order(orderId=4_711))
        yield lambda: 10147 in codes

    def _place_without_connection(self, ib: Any) -> Any:
        ib.disconnect()
        ib.placeOrder(self._contract(), self._library.LimitOrder("BUY", 10, 300))
        yield lambda: True


@pytest.mark.integration
class TestIb(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = IbInstrumentor

    @contextmanager
    def instrumented(self, telemetry: Capture, **options: Any) -> Generator[None]:
        """Lifecycles are written when it ends: not among the spans of the next call."""
        with super().instrumented(telemetry, settings={"lifecycle_delay_s": 3600}, **options):
            yield

    @pytest.fixture
    def calls(self) -> Sequence[Call]:
        return [call for name in ("ib_async", "ib_insync") for call in Library(name).calls()]


def test_both_libraries_have_the_same_rows() -> None:
    rows = [
        {
            (row.module.partition(".")[2], getattr(row, "target", type(row).__name__))
            for row in IbInstrumentor.rows
            if row.module.startswith(f"{name}.")
        }
        for name in ("ib_async", "ib_insync")
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 20
