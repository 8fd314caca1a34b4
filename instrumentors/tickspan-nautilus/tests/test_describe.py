"""Commands of the library as requests."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder, ModifyOrder, QueryOrder
from nautilus_trader.model.enums import OrderSide, TimeInForce, TrailingOffsetType
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId, TraderId, VenueOrderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from tickspan.trading import OrderOperation, OrderRequest
from tickspan_nautilus import describe

PERPETUAL: Any = TestInstrumentProvider.btcusdt_perp_binance()
PLACE = describe.place_of(PERPETUAL.id, PERPETUAL, environment="paper", account="BINANCE-1")
TRADER, STRATEGY = TraderId("TESTER-001"), StrategyId("Maker-002")
SIZE, PRICE = Quantity.from_str("0.010"), Price.from_str("50000.10")


@pytest.fixture
def factory() -> Any:
    return OrderFactory(TRADER, STRATEGY, TestClock())


def named(**known: Any) -> dict[str, Any]:
    return {
        "trader_id": TRADER,
        "strategy_id": STRATEGY,
        "instrument_id": PERPETUAL.id,
        "client_order_id": ClientOrderId("O-1"),
        "venue_order_id": VenueOrderId("77"),
        "command_id": UUID4(),
        "ts_init": 0,
        **known,
    }


def request(operation: OrderOperation, **known: Any) -> OrderRequest:
    return OrderRequest(
        operation,
        "binance",
        "nautilus_trader",
        environment="paper",
        account="BINANCE-1",
        strategy="Maker-002",
        instrument="BTCUSDT-PERP",
        venue_symbol="BTCUSDT",
        instrument_class="swap",
        **known,
    )


def test_a_limit_order(factory: Any) -> None:
    order = factory.limit(PERPETUAL.id, OrderSide.SELL, SIZE, PRICE, time_in_force=TimeInForce.IOC)
    assert describe.submit(order, PLACE) == request(
        OrderOperation.SUBMIT,
        client_id=str(order.client_order_id),
        side="sell",
        type="limit",
        time_in_force="immediate_or_cancel",
        quantity=Decimal("0.010"),
        price=Decimal("50000.10"),
    )


def test_a_stop_order(factory: Any) -> None:
    order = factory.stop_market(PERPETUAL.id, OrderSide.BUY, SIZE, PRICE)
    assert describe.submit(order, PLACE) == request(
        OrderOperation.SUBMIT,
        client_id=str(order.client_order_id),
        side="buy",
        type="stop",
        time_in_force="good_till_cancel",
        quantity=Decimal("0.010"),
        stop_price=Decimal("50000.10"),
    )


def test_types_without_a_word_of_fix_keep_the_librarys(factory: Any) -> None:
    touched = factory.market_if_touched(PERPETUAL.id, OrderSide.BUY, SIZE, PRICE)
    trailing = factory.trailing_stop_market(
        PERPETUAL.id, OrderSide.BUY, SIZE, Decimal(10), trailing_offset_type=TrailingOffsetType.PRICE
    )
    requests = [describe.submit(order, PLACE) for order in (touched, trailing)]
    assert [(asked.type, asked.type_raw) for asked in requests] == [
        (None, "MARKET_IF_TOUCHED"),
        ("trailing_stop", None),
    ]


def test_a_bracket_is_a_batch_whose_children_name_their_parent(factory: Any) -> None:
    bracket = factory.bracket(PERPETUAL.id, OrderSide.BUY, SIZE, tp_price=PRICE, sl_trigger_price=PRICE)
    asked = describe.submit_list([describe.submit(order, PLACE) for order in bracket.orders])
    entry = str(bracket.orders[0].client_order_id)
    assert asked.list_id == str(bracket.id)
    assert [order.parent_id for order in asked.batch] == [None, entry, entry]
    assert [order.list_id for order in asked.batch] == [str(bracket.id)] * 3


def test_a_change_says_what_is_left_as_it_was(factory: Any) -> None:
    order = factory.limit(PERPETUAL.id, OrderSide.SELL, SIZE, PRICE)
    command = ModifyOrder(**named(quantity=Quantity.from_str("0.020"), price=None, trigger_price=None))
    assert describe.modify(command, PLACE, order) == request(
        OrderOperation.REPLACE,
        original_client_id="O-1",
        venue_id="77",
        side="sell",
        type="limit",
        time_in_force="good_till_cancel",
        quantity=Decimal("0.020"),
        price=Decimal("50000.10"),
    )


def test_a_change_of_an_order_that_the_cache_has_lost() -> None:
    command = ModifyOrder(**named(quantity=None, price=PRICE, trigger_price=None))
    assert describe.modify(command, PLACE, None) == request(
        OrderOperation.REPLACE, original_client_id="O-1", venue_id="77", price=Decimal("50000.10")
    )


def test_a_cancel_and_a_query_name_their_order() -> None:
    about = {"original_client_id": "O-1", "venue_id": "77"}
    assert describe.cancel(CancelOrder(**named()), PLACE) == request(OrderOperation.CANCEL, **about)
    assert describe.query(QueryOrder(**named()), PLACE) == request(OrderOperation.QUERY, **about)


def test_a_spot_instrument_of_the_same_name_has_no_symbol_of_the_venues() -> None:
    spot: Any = TestInstrumentProvider.btcusdt_binance()
    assert describe.place_of(spot.id, spot, environment=None, account=None) == describe.Place(
        "binance", "BTCUSDT", instrument_class="spot"
    )


def test_an_instrument_without_a_definition_is_known_by_its_id() -> None:
    assert describe.place_of(PERPETUAL.id, None, environment=None, account=None) == describe.Place(
        "binance", "BTCUSDT-PERP"
    )


class _Venue:
    """Prints as adapters' enumerations do."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("kernel", "config", "environment"),
    [
        ("backtest", None, "backtest"),
        ("sandbox", None, "simulated"),
        ("live", None, None),
        ("live", SimpleNamespace(), None),
        ("live", SimpleNamespace(testnet=False, demo=False), None),
        ("live", SimpleNamespace(testnet=True), "testnet"),
        ("live", SimpleNamespace(is_testnet=True), "testnet"),
        ("live", SimpleNamespace(demo=True), "paper"),
        ("live", SimpleNamespace(is_demo=True), "paper"),
        ("live", SimpleNamespace(environment=_Venue("BinanceEnvironment.TESTNET")), "testnet"),
        ("live", SimpleNamespace(environment=_Venue("Demo")), "paper"),
        ("live", SimpleNamespace(environment=_Venue("BinanceEnvironment.LIVE")), None),
        ("live", SandboxExecutionClientConfig(venue="BINANCE", starting_balances=[]), "simulated"),
    ],
)
def test_what_is_at_stake_is_what_the_kernel_says_or_its_clients_configuration(
    kernel: str, config: Any, environment: str | None
) -> None:
    clients = {"OTHER": SimpleNamespace(testnet=True), "BINANCE": config}
    assert describe.environment_of(kernel, clients, "binance") == environment


def test_a_kernels_only_client_speaks_for_venues_of_other_names() -> None:
    paper = SimpleNamespace(demo=True)
    assert describe.environment_of("live", {"BROKER": paper}, "nasdaq") == "paper"
    assert describe.environment_of("live", {"BROKER": paper, "OTHER": None}, "nasdaq") is None
