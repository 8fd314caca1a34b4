"""tickspan's conformance suite, on the real ccxt against a simulated venue."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, ClassVar

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
from tickspan.instrumentation import Instrumentor
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_ccxt import CcxtInstrumentor

SYMBOL = "BTC/USDT"
CONFIG: Any = {"enableRateLimit": False}


@pytest.mark.integration
class TestCcxt(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = CcxtInstrumentor

    @pytest.fixture
    def calls(self) -> Generator[Sequence[Call]]:
        with VenueSimulator(seed=1, behaviour=Behaviour(fill_delay_s=60, balances={"USDT": "600"})) as venue:
            exchange = venue.connect.ccxt(ccxt.binance(CONFIG))
            resting = exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)["id"]

            def fetch(order_id: str) -> Any:
                exchange = venue.connect.ccxt(ccxt.binance(CONFIG))
                return exchange.fetch_order(order_id, SYMBOL)["id"]

            async def fetch_async(order_id: str) -> Any:
                exchange = venue.connect.ccxt(ccxt.async_support.binance(CONFIG))
                try:
                    return (await exchange.fetch_order(order_id, SYMBOL))["id"]
                finally:
                    await exchange.close()

            async def fetch_pro(order_id: str) -> Any:
                exchange = venue.connect.ccxt(ccxt.pro.binance(CONFIG))
                try:
                    return (await exchange.fetch_order_ws(order_id, SYMBOL))["id"]
                finally:
                    await exchange.close()

            def refuse() -> None:
                exchange = venue.connect.ccxt(ccxt.binance(CONFIG))
                exchange.create_order(SYMBOL, "limit", "buy", 0.01, 90_000, {"clientOrderId": "mine"})

            async def refuse_async() -> None:
                exchange = venue.connect.ccxt(ccxt.async_support.binance(CONFIG))
                try:
                    order = {"clientOrderId": "mine"}
                    await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 90_000, order)
                finally:
                    await exchange.close()

            yield (
                Call("fetch_order", lambda: fetch(resting), lambda: fetch_async(resting)),
                Call("fetch_order_ws", None, lambda: fetch_pro(resting)),
                Call("unknown order", lambda: fetch("99"), lambda: fetch_async("99"), ccxt.OrderNotFound),
                Call("refused", refuse, refuse_async, ccxt.InsufficientFunds),
            )
