"""What a refusal's text says of prices and sizes stays here, on spans and events, unless it is asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from order_stage import OrderStage, answer, replace_of, report, submit

from tickspan.config import Quantities
from tickspan.testing.capture import Capture
from tickspan.trading import OrderCall, Orders, OrderStatus, Reject
from tickspan.trading.privacy import reject_text

TEXT = "limit_price 1,234.50 of 0.25 BTC is below 1.3e3; balance: $99"
SCRUBBED = "limit_price ? of ? BTC is below ?e?; balance: $?"
REFUSED = Reject("sim:1", code="1", message=TEXT)


def by_its_exception(orders: Orders) -> None:
    orders.begin(submit()).fail("Refused", REFUSED)


def by_its_answer(orders: Orders) -> None:
    orders.begin(submit()).acknowledge([answer(OrderStatus.REJECTED, reject=REFUSED)])


def by_a_report(orders: Orders) -> None:
    call: OrderCall = orders.begin(submit())
    call.acknowledge([answer()])
    orders.observe(report(OrderStatus.REJECTED, reject=REFUSED))


def of_a_replacement(orders: Orders) -> None:
    orders.begin(submit()).acknowledge([answer()])
    orders.begin(replace_of("v-1", "c-2")).fail("Refused", REFUSED)


WAYS = [by_its_exception, by_its_answer, by_a_report, of_a_replacement]


def messages(telemetry: Capture) -> set[Any]:
    """Every text of a refusal that was recorded."""
    told = [*telemetry.spans(), *telemetry.events()]
    return {one.attributes.get("trading.order.reject.message") for one in told} - {None}


@pytest.mark.parametrize("refuse", WAYS)
@pytest.mark.parametrize(
    ("quantities", "text"),
    [(Quantities.OFF, SCRUBBED), (Quantities.BUCKETED, SCRUBBED), (Quantities.FULL, TEXT)],
)
def test_a_refusals_text_has_numbers_only_where_quantities_are_full(
    stage: OrderStage, refuse: Any, quantities: Quantities, text: str
) -> None:
    orders = stage.orders(quantities=quantities)
    refuse(orders)
    orders.close()
    assert messages(stage.telemetry) == {text}


@given(st.text(max_size=400))
def test_no_digit_is_left(text: str) -> None:
    assert re.search(r"\d", reject_text(text, Quantities.OFF)) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Order's price [321.45] is outside", "Order's price [?] is outside"),
        (
            "{'code': -2010, 'msg': 'Account has 99 of 1_000 USDT'}",
            "{'code': -?, 'msg': 'Account has ? of ? USDT'}",
        ),
        ("Minimum 5USD at 09:30.", "Minimum ?USD at ?."),
        ("Exchange is closed.", "Exchange is closed."),
        ("١٢٣ shares", "? shares"),
    ],
)
def test_each_number_becomes_a_question_mark(text: str, told: str) -> None:
    assert reject_text(text, Quantities.OFF) == told
