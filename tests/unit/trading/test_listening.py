"""Who listens hears how each order stands; the version of a state says which is newer."""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording import strict
from tickspan.testing import Capture, capture
from tickspan.trading import (
    OrderOperation,
    OrderRequest,
    Orders,
    OrderState,
    OrderStatus,
    OrderUpdate,
    Source,
    listen,
    version_of,
)
from tickspan.trading.lifecycle import Order
from tickspan.trading.listening import hear


@pytest.fixture
def captured() -> Generator[Capture]:
    with capture() as made:
        yield made


@pytest.fixture
def orders(captured: Capture) -> Generator[Orders]:
    made = Orders(
        captured.tracer_provider.get_tracer("test"),
        captured.meter_provider.get_meter("test"),
        logger=captured.logger_provider.get_logger("test"),
    )
    yield made
    made.close()


@pytest.fixture
def heard() -> Generator[list[OrderState]]:
    states: list[OrderState] = []
    stop = listen(states.append)
    yield states
    stop()


def _update(status: OrderStatus, filled: str, source: Source) -> OrderUpdate:
    return OrderUpdate(
        "binance", source, status, venue_id="7", client_id="mine", filled_quantity=Decimal(filled)
    )


def test_every_state_of_an_order_is_heard_whatever_told_it(orders: Orders, heard: list[OrderState]) -> None:
    request = OrderRequest(
        OrderOperation.SUBMIT, "binance", "test", client_id="mine", quantity=Decimal(2), instrument="BTCUSDT"
    )
    call = orders.begin(request)
    orders.observe(_update(OrderStatus.PARTIALLY_FILLED, "1", Source.USER_STREAM))
    orders.acknowledged(call, [_update(OrderStatus.NEW, "0", Source.REST_RESPONSE)])
    orders.observe(_update(OrderStatus.FILLED, "2", Source.POLL))
    told = [(state.venue, state.order.client_id, state.order.status, state.order.filled) for state in heard]
    assert told[0] == ("binance", "mine", OrderStatus.PENDING_NEW, Decimal(0))
    assert told[1] == ("binance", "mine", OrderStatus.PARTIALLY_FILLED, Decimal(1))
    assert told[-1] == ("binance", "mine", OrderStatus.FILLED, Decimal(2))
    versions = [state.version for state in heard]
    assert versions == sorted(versions)


def test_an_order_of_a_back_test_is_not_heard_of(orders: Orders, heard: list[OrderState]) -> None:
    request = OrderRequest(OrderOperation.SUBMIT, "binance", "test", client_id="mine", environment="backtest")
    call = orders.begin(request)
    orders.acknowledged(call, [_update(OrderStatus.FILLED, "2", Source.REST_RESPONSE)])
    assert heard == []


def test_who_stops_listening_hears_no_more(heard: list[OrderState]) -> None:
    other: list[OrderState] = []
    stop = listen(other.append)
    stop()
    hear("binance", Order())
    assert (len(heard), other) == (1, [])


def test_a_listener_that_fails_harms_neither_the_order_nor_the_next_one(heard: list[OrderState]) -> None:
    def fail(_state: OrderState) -> None:
        raise ValueError("secret")

    stop = listen(fail)
    with strict(value=False):
        hear("binance", Order())
    stop()
    assert len(heard) == 1


_STATES = st.tuples(st.sampled_from(list(OrderStatus)), st.decimals(0, 10**12, places=8))


@given(_STATES, _STATES)
def test_a_state_that_is_further_or_has_more_filled_has_a_higher_version(
    one: tuple[OrderStatus, Decimal], other: tuple[OrderStatus, Decimal]
) -> None:
    ranks = list(OrderStatus)
    lower, higher = sorted((one, other), key=lambda state: (ranks.index(state[0]), state[1]))
    assert 0 < version_of(*lower) <= version_of(*higher) < 1 << 61


def test_a_millionth_more_of_a_large_order_is_newer() -> None:
    filled = Decimal(1_000_000)
    assert version_of(OrderStatus.NEW, filled) < version_of(OrderStatus.NEW, filled + Decimal("0.000001"))
    assert version_of(OrderStatus.NEW, filled) < version_of(OrderStatus.PARTIALLY_FILLED, Decimal(0))
