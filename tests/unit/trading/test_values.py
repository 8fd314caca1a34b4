"""The small pure parts: quantities, buckets, stages, settings, messages, venue profiles."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.semconv import trading as names
from tickspan.trading import (
    Execution,
    OrderKey,
    OrderStatus,
    OrderUpdate,
    Point,
    Quantities,
    RejectReason,
    Source,
    TradingSettings,
    client_id_in,
    decimal_of,
    profile_of,
    reject_of_code,
)
from tickspan.trading.latency import STAGES, stages
from tickspan.trading.messages import merged
from tickspan.trading.model import decimal_text
from tickspan.trading.privacy import bucket, quantity_attributes
from tickspan.trading.waiting import WaitingRoom

POSITIVE = st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, allow_infinity=False)
SIZES = {
    names.ORDER_QUANTITY: Decimal("123.4500"),
    names.ORDER_PRICE: Decimal("0.070"),
    names.ORDER_STOP_PRICE: None,
}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), ("1.500", "1.5"), (100, "100"), (1e-8, "0.00000001"), ("2E+3", "2000"), (0, "0")],
)
def test_a_quantity_reads_and_writes_exactly(value: object, text: str) -> None:
    number = decimal_of(value)
    assert number is not None
    assert decimal_text(number) == text


@pytest.mark.parametrize("value", [None, True, "", "much", "nan", float("inf"), [1]])
def test_what_is_no_quantity_is_left_out(value: object) -> None:
    assert decimal_of(value) is None


def test_quantities_leave_as_far_as_the_setting_says() -> None:
    assert quantity_attributes(SIZES, Quantities.OFF) == {}
    assert quantity_attributes(SIZES, Quantities.BUCKETED) == {names.ORDER_QUANTITY: "100"}
    assert quantity_attributes(SIZES, Quantities.FULL) == {
        names.ORDER_QUANTITY: "123.45",
        names.ORDER_PRICE: "0.07",
    }


@given(POSITIVE)
def test_a_bucket_is_at_most_the_value_and_more_than_two_fifths_of_it(value: Decimal) -> None:
    assert bucket(value) <= value
    assert bucket(value) > value * Decimal("0.4")


def test_a_bucket_keeps_sign_and_zero() -> None:
    assert (bucket(Decimal(-7)), bucket(Decimal(0)), bucket(Decimal("0.3"))) == (-5, 0, Decimal("0.2"))


def test_a_stage_needs_both_points_in_their_order() -> None:
    points = {Point.RECEIVED: 1_000, Point.CALLED: 3_000, Point.ANSWERED: 9_000, Point.FIRST_FILL: 8_000}
    told = {stage.attribute: seconds for stage, seconds in stages(points).items()}
    assert told == {names.LATENCY_TICK_TO_DECISION: 2e-06}


def test_no_two_stages_share_a_name() -> None:
    assert (
        len({stage.attribute for stage in STAGES}) == len({stage.metric for stage in STAGES}) == len(STAGES)
    )


def test_settings_come_out_of_a_mapping_that_may_hold_more() -> None:
    given_values = {"quantities": "bucketed", "salt": "s", "environment": None, "elsewhere": 1}
    assert TradingSettings.of(given_values) == TradingSettings(quantities=Quantities.BUCKETED, salt="s")


def test_a_wrong_setting_names_what_was_expected() -> None:
    with pytest.raises(
        ValueError, match=r"trading\.quantities: expected one of off, bucketed, full, got 'x'"
    ):
        TradingSettings.of({"quantities": "x"})


def test_two_reports_of_one_message_become_one() -> None:
    trade = OrderUpdate("sim", Source.POLL, venue_id="1", executions=(Execution("x"),), venue_time_ns=5)
    order = OrderUpdate("sim", Source.POLL, OrderStatus.FILLED, venue_id="1", client_id="c", executions=())
    assert merged(trade, order) == OrderUpdate(
        "sim",
        Source.POLL,
        OrderStatus.FILLED,
        client_id="c",
        venue_id="1",
        executions=(Execution("x"),),
        venue_time_ns=5,
    )


@pytest.mark.parametrize(
    ("request_text", "client_id"),
    [
        ("symbol=BTCUSDT&newClientOrderId=x-1&signature=beef", "x-1"),
        ('{"id": "1", "params": {"newClientOrderId": "x_2.a"}}', "x_2.a"),
        ("newClientOrderId=one&newClientOrderId=two", None),
        ("cancelOrigClientOrderId=other", None),
        ("", None),
    ],
)
def test_a_client_id_is_found_in_what_is_sent(request_text: str, client_id: str | None) -> None:
    assert client_id_in(profile_of("binance"), request_text) == client_id


@given(st.text(max_size=200))
def test_any_request_can_be_searched(text: str) -> None:
    found = client_id_in(profile_of("nobody"), text)
    assert found is None or found in text


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        ("-2010", "Account has insufficient balance for requested action.", RejectReason.FUNDS),
        ("-2010", "Duplicate order sent.", RejectReason.DUPLICATE_ID),
        ("-2010", "New order rejected.", RejectReason.OTHER),
        ("-1013", "Filter failure: LOT_SIZE", RejectReason.QUANTITY),
        ("-1021", None, RejectReason.CLOCK_SKEW),
        ("-2011", "Unknown order sent.", RejectReason.NOT_FOUND),
    ],
)
def test_binance_codes_have_reasons(code: str, message: str | None, reason: RejectReason) -> None:
    reject = reject_of_code(profile_of("binance"), code, message)
    assert (reject.error_type, reject.reason) == (f"binance:{code}", reason)


def test_a_reject_text_leaves_without_what_looks_secret() -> None:
    reject = reject_of_code(profile_of("x"), "1", "bad signature=abcdef0123456789 " + "y" * 999)
    assert reject.message is not None
    assert "abcdef" not in reject.message
    assert len(reject.message) == 256


def test_a_waiting_room_lets_the_first_one_go_when_it_is_full() -> None:
    room = WaitingRoom(2)
    updates = [OrderUpdate("sim", Source.USER_STREAM, venue_id=str(number)) for number in range(3)]
    pushed_out = [room.admit((), update, at) for at, update in enumerate(updates)]
    assert pushed_out == [None, None, updates[0]]
    assert (room.leave(0), room.leave(1), room.leave(9), len(room)) == ([], [updates[1]], [updates[2]], 0)


def test_a_waiting_room_gives_the_reports_of_one_order_in_their_order() -> None:
    room = WaitingRoom(10)
    mine, other = OrderKey("sim", None, "1"), OrderKey("sim", None, "2")
    updates = [OrderUpdate("sim", Source.USER_STREAM, venue_id=str(number)) for number in range(4)]
    for at, (key, update) in enumerate(zip((mine, other, mine, other), updates, strict=True)):
        room.admit((key,), update, at)
    assert (room.take({mine}), room.take({mine}), len(room)) == ([updates[0], updates[2]], [], 2)
