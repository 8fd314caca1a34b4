"""tickspan's conformance suite, on the real python-binance against a simulated venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import binance
import pytest
from tickspan.instrumentation import Instrumentor
from tickspan.testing.capture import Capture
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_binance import BinanceInstrumentor

SYMBOL = "BTCUSDT"


@pytest.mark.integration
class TestBinance(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = BinanceInstrumentor

    @contextmanager
    def instrumented(self, telemetry: Capture, **options: Any) -> Generator[None]:
        """Lifecycles are written later than any of these calls lasts."""
        with super().instrumented(telemetry, settings={"lifecycle_delay_s": 3600}, **options):
            yield

    @pytest.fixture
    def calls(self, blocking: Callable[..., Any]) -> Generator[Sequence[Call]]:
        knobs: Any = {"fill_delay_s": 60, "balances": {"USDT": "600"}}
        with VenueSimulator(seed=1, behaviour=Behaviour(**knobs)) as venue:
            with blocking(venue) as client:
                resting = client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price="50000")["orderId"]

            def sync(helper: str, **params: Any) -> Callable[[], Any]:
                def run() -> Any:
                    with blocking(venue, ping=False) as client:
                        return getattr(client, helper)(symbol=SYMBOL, **params).get("orderId")

                return run

            def asynchronous(helper: str, **params: Any) -> Callable[[], Awaitable[Any]]:
                async def run() -> Any:
                    with venue.connect.python_binance() as account:
                        client: Any = binance.AsyncClient(**account)
                        try:
                            return (await getattr(client, helper)(symbol=SYMBOL, **params)).get("orderId")
                        finally:
                            await client.close_connection()

                return run

            def both(name: str, helper: str, error: type[BaseException] | None = None, **params: Any) -> Call:
                return Call(name, sync(helper, **params), asynchronous(helper, **params), error)

            refused = binance.BinanceAPIException
            dear = {"side": "BUY", "type": "MARKET", "quantity": "1", "newClientOrderId": "mine"}
            yield (
                both("get_order", "get_order", orderId=resting),
                both("ws_get_order", "ws_get_order", orderId=resting),
                both("unknown order", "get_order", refused, orderId=99),
                both("unknown order by ws", "ws_get_order", refused, orderId=99),
                both("refused", "create_order", refused, **dear),
                both("refused by ws", "ws_create_order", refused, **dear),
            )
