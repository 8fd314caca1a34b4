"""tickspan's conformance suite, on the real alpaca-py against a simulated venue."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from tickspan.instrumentation import Instrumentor
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan.testing.venue import VenueSimulator
from tickspan_alpaca import AlpacaInstrumentor

MakeVenue = Callable[..., VenueSimulator]


@pytest.mark.integration
class TestAlpaca(InstrumentorConformance):
    """The library has blocking calls only; its streams have tests of their own."""

    instrumentor: ClassVar[type[Instrumentor]] = AlpacaInstrumentor

    @pytest.fixture
    def calls(self, make_venue: MakeVenue) -> Generator[Sequence[Call]]:
        from alpaca.broker.client import BrokerClient
        from alpaca.common.exceptions import APIError
        from alpaca.trading.client import TradingClient
        from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

        for module in ("alpaca.data.live", "alpaca.trading.stream"):
            import_module(module)  # the rows of streams want their targets

        venue = make_venue(fill_delay_s=60, balances={"USD": "2000"}, tick_interval_s=0)
        trading: Any = TradingClient(**venue.connect.alpaca(TradingClient))
        broker: Any = BrokerClient(**venue.connect.alpaca(BrokerClient))
        order = {"symbol": "AAPL", "side": "buy", "time_in_force": "day"}
        resting = trading.submit_order(LimitOrderRequest(**order, qty=1, limit_price=100)).id

        def refuse() -> None:
            trading.submit_order(MarketOrderRequest(**order, qty=1_000))

        yield (
            Call("get_order_by_id", lambda: trading.get_order_by_id(resting).id),
            Call("for account", lambda: broker.get_order_for_account_by_id(uuid4(), resting).id),
            Call("unknown order", lambda: trading.get_order_by_id(uuid4()), error=APIError),
            Call("refused", refuse, error=APIError),
            Call("wrong use", lambda: trading.get_order_by_id(7), error=ValueError),
        )
        for client in (trading, broker):
            client._session.close()
