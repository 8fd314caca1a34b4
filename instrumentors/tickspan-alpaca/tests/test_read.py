"""What the venue says as reports and verdicts, in each of the forms in which the libraries hand it on."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
import requests
from tickspan.trading import (
    Execution,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    Verdict,
)
from tickspan_alpaca import read

CLIENT: Any = SimpleNamespace(_api_key="key", _base_url="https://paper-api.alpaca.markets")
ORDER: dict[str, Any] = {
    "id": "a5be8f5e-fdfa-41f5-a644-7a74fe947a8f",
    "client_order_id": "4642fd68-d59a-47d7-a9ac-e22f536828d1",
    "created_at": "2022-04-19T13:45:04.981350886-04:00",
    "updated_at": "2022-04-19T13:45:05.027690731-04:00",
    "submitted_at": "2022-04-19T13:45:04.980944666-04:00",
    "asset_id": "1cf35270-99ee-44e2-a77f-6fab902c7f80",
    "asset_class": "us_equity",
    "symbol": "AAPL",
    "qty": "10",
    "filled_qty": "4",
    "filled_avg_price": "190.1",
    "order_class": "",
    "order_type": "limit",
    "type": "limit",
    "side": "sell",
    "time_in_force": "gtc",
    "limit_price": "190",
    "status": "partially_filled",
    "extended_hours": False,
    "legs": None,
}
UPDATED_NS = 1_650_390_305_027_690_731
FILLED_NS = 1_650_390_305_024_916_716
FILL: dict[str, Any] = {
    "stream": "trade_updates",
    "data": {
        "event": "partial_fill",
        "execution_id": "2f63ea93-423d-4169-b3f6-3fdafc10c418",
        "order": ORDER,
        "position_qty": "0",
        "price": "190.1",
        "qty": "4",
        "timestamp": "2022-04-19T17:45:05.024916716Z",
    },
}


def report(**values: Any) -> OrderUpdate:
    known: dict[str, Any] = {
        "source": Source.USER_STREAM,
        "status": OrderStatus.PARTIALLY_FILLED,
        "library": "alpaca-py",
        "environment": "paper",
        "account": "key",
        "client_id": ORDER["client_order_id"],
        "venue_id": ORDER["id"],
        "instrument": "AAPL",
        "side": "sell",
        "type": "limit",
        "time_in_force": "good_till_cancel",
        "quantity": Decimal(10),
        "price": Decimal(190),
        "filled_quantity": Decimal(4),
        "average_price": Decimal("190.1"),
        "venue_time_ns": UPDATED_NS,
    }
    return OrderUpdate("alpaca", **{**known, **values})


# --- orders


def test_an_order_is_read_the_same_from_json_from_a_model_and_from_an_entity() -> None:
    from alpaca.trading.models import Order

    expected = report(source=Source.REST_RESPONSE)
    entity = SimpleNamespace(_raw=ORDER)
    assert read.answers(CLIENT, ORDER) == (expected,)
    assert read.answers(CLIENT, entity) == (expected,)
    assert read.answers(CLIENT, Order(**ORDER)) == (
        report(source=Source.REST_RESPONSE, venue_time_ns=UPDATED_NS // 1_000 * 1_000),
    )


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("new", "0", OrderStatus.NEW),
        ("accepted", "0", OrderStatus.PENDING_NEW),
        ("pending_new", "0", OrderStatus.PENDING_NEW),
        ("held", "0", OrderStatus.PENDING_NEW),
        ("pending_cancel", "0", OrderStatus.NEW),
        ("pending_cancel", "4", OrderStatus.PARTIALLY_FILLED),
        ("pending_replace", "0", OrderStatus.NEW),
        ("done_for_day", "4", OrderStatus.PARTIALLY_FILLED),
        ("filled", "10", OrderStatus.FILLED),
        ("canceled", "4", OrderStatus.CANCELED),
        ("expired", "0", OrderStatus.EXPIRED),
        ("replaced", "0", OrderStatus.REPLACED),
        ("rejected", "0", OrderStatus.REJECTED),
        ("a word of tomorrow", "0", OrderStatus.UNKNOWN),
        (None, None, None),
    ],
)
def test_each_of_alpacas_states_is_one_of_ours(
    word: str | None, filled: str | None, status: OrderStatus | None
) -> None:
    update = read.order_update(CLIENT, {**ORDER, "status": word, "filled_qty": filled}, Source.POLL)
    assert update is not None
    assert update.status is status


def test_an_order_that_was_turned_down_later_is_a_reject() -> None:
    (update,) = read.answers(CLIENT, {**ORDER, "status": "rejected"})
    assert update.reject == Reject("alpaca:rejected", RejectReason.OTHER, RejectOrigin.VENUE)


def test_what_names_no_order_is_none() -> None:
    for other in (None, "", [], {}, {"id": "only an id"}, SimpleNamespace(id=7)):
        assert read.answers(CLIENT, other) == ()


def test_legs_are_orders_too() -> None:
    leg = {**ORDER, "id": "leg", "client_order_id": "of the leg", "status": "held", "filled_qty": "0"}
    updates = read.answers(CLIENT, {**ORDER, "legs": [leg]})
    assert [(update.venue_id, update.status) for update in updates] == [
        (ORDER["id"], OrderStatus.PARTIALLY_FILLED),
        ("leg", OrderStatus.PENDING_NEW),
    ]


def test_closing_all_positions_answers_for_each_whether_it_could_be_closed() -> None:
    answer = [
        {"symbol": "AAPL", "status": 200, "body": ORDER},
        {"symbol": "TSLA", "status": 403, "body": {"code": 40310000, "message": "insufficient qty"}},
    ]
    closed, refused = read.closing_answers(CLIENT, answer)
    assert (closed.venue_id, closed.status) == (ORDER["id"], OrderStatus.PARTIALLY_FILLED)
    assert (refused.instrument, refused.status) == ("TSLA", OrderStatus.REJECTED)
    assert refused.reject is not None
    assert (refused.reject.error_type, refused.reject.reason) == ("alpaca:40310000", RejectReason.QUANTITY)


def test_without_a_position_nothing_comes_of_closing_all() -> None:
    (nothing,) = read.closing_answers(CLIENT, [])
    assert (nothing.status, nothing.venue_id, nothing.client_id) == (OrderStatus.CANCELED, None, None)


def test_the_answer_to_a_cancel_says_nothing_of_the_order() -> None:
    assert read.cancel_answers(CLIENT, [{"id": ORDER["id"], "status": 200}]) == ()


def test_listed_orders_are_polled_reports_of_their_account() -> None:
    (update,) = read.orders(CLIENT, [ORDER], "an account")
    assert update == report(source=Source.POLL, account="an account")
    assert list(read.orders(CLIENT, None)) == []


# --- trade updates


def test_a_fill_is_an_execution_at_its_own_time() -> None:
    execution = Execution("2f63ea93-423d-4169-b3f6-3fdafc10c418", Decimal(4), Decimal("190.1"))
    assert read.trade_updates(CLIENT, FILL) == (report(venue_time_ns=FILLED_NS, executions=(execution,)),)


@pytest.mark.parametrize("event", ["new", "canceled", "pending_replace", "order_cancel_rejected", "restated"])
def test_the_execution_id_of_another_event_is_no_fill(event: str) -> None:
    (update,) = read.trade_updates(CLIENT, {**FILL, "data": {**FILL["data"], "event": event}})
    assert update.executions == ()


@pytest.mark.parametrize("event", ["pending_cancel", "pending_replace", "order_replace_rejected", "restated"])
def test_what_is_only_on_its_way_changes_no_state(event: str) -> None:
    (update,) = read.trade_updates(CLIENT, {**FILL, "data": {**FILL["data"], "event": event}})
    assert (update.status, update.filled_quantity) == (None, Decimal(4))


def test_a_fill_of_several_legs_is_told_of_each() -> None:
    legs = [
        {
            "execution_id": f"execution {number}",
            "qty": "1",
            "price": "1.6",
            "order_id": f"leg {number}",
            "symbol": "AAPL250321P00200000",
            "timestamp": "2022-04-19T17:45:05.024916716Z",
        }
        for number in (1, 2)
    ]
    data = {**FILL["data"], "execution_id": None, "legs": legs}
    whole, *parts = read.trade_updates(CLIENT, {"stream": "trade_updates", "data": data})
    assert (whole.executions, whole.filled_quantity) == ((), Decimal(4))
    assert [(part.venue_id, part.status, [fill.id for fill in part.executions]) for part in parts] == [
        ("leg 1", None, ["execution 1"]),
        ("leg 2", None, ["execution 2"]),
    ]


def test_a_brokers_event_is_the_same_of_one_of_its_accounts() -> None:
    event = json.dumps({**FILL["data"], "account_id": "an account", "event_id": "01JJ3WE73W5PG672TC4XACXH5R"})
    (update,) = read.event_updates(CLIENT, event)
    assert (update.account, update.venue_id, len(update.executions)) == ("an account", ORDER["id"], 1)


@pytest.mark.parametrize("event", ["", "no json", "[]", "{}", "7", None])
def test_an_event_that_cannot_be_read_tells_nothing(event: Any) -> None:
    assert read.event_updates(CLIENT, event) == ()


# --- times


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2022-04-19T17:45:05.024916716Z", FILLED_NS),
        ("2022-04-19T13:45:05.024916716-04:00", FILLED_NS),
        ("2022-04-19T17:45:05Z", FILLED_NS // 10**9 * 10**9),
        ("2022-04-19T17:45:05.5Z", FILLED_NS // 10**9 * 10**9 + 500_000_000),
        ("2022-04-19T17:45:05", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1_650_390_305, None),
    ],
)
def test_a_time_is_read_to_the_nanosecond_or_not_at_all(value: Any, expected: int | None) -> None:
    assert read.unix_ns(value) == expected


def test_market_data_is_dated_by_its_timestamp_and_news_by_their_creation() -> None:
    moment = msgpack.Timestamp.from_unix_nano(FILLED_NS)
    assert read.message_ns({"T": "q", "t": moment}) == FILLED_NS
    assert read.message_ns({"T": "n", "created_at": moment}) == FILLED_NS
    assert read.message_ns({"T": "n"}) is None


# --- errors


class APIError(Exception):
    """As alpaca-py has it: the body as text, and the HTTP error it came from."""

    def __init__(self, body: Any, status: int) -> None:
        super().__init__(body)
        self._error = body
        self.response = SimpleNamespace(status_code=status)


SENT: Any = SimpleNamespace(is_sent=True)
NOT_SENT: Any = SimpleNamespace(is_sent=False)
DUPLICATE = APIError('{"code":40010001,"message":"client_order_id must be unique"}', 422)


def test_a_refusal_goes_by_the_venues_code() -> None:
    error = APIError('{"code":40310000,"message":"insufficient buying power"}', 403)
    reject = Reject(
        "alpaca:40310000", RejectReason.FUNDS, RejectOrigin.VENUE, "40310000", "insufficient buying power"
    )
    assert read.verdict(error, SENT) == Verdict("alpaca:40310000", reject)


def test_the_older_librarys_error_holds_the_json_itself() -> None:
    error = APIError({"code": 40410000, "message": "order not found"}, 404)
    judged = read.verdict(error, SENT)
    assert judged.reject is not None
    assert (judged.error_type, judged.reject.reason) == ("alpaca:40410000", RejectReason.NOT_FOUND)


def test_a_page_of_a_gateway_goes_by_its_status() -> None:
    judged = read.verdict(APIError("<html>403 Forbidden</html>", 403), SENT)
    assert judged.reject is not None
    assert (judged.error_type, judged.reject.code) == ("alpaca:403", "403")


def test_too_many_requests_is_a_rate_limit_whatever_the_body_says() -> None:
    judged = read.verdict(APIError("too many requests.", 429), SENT)
    assert judged.reject is not None
    assert (judged.error_type, judged.reject.reason) == ("alpaca:429", RejectReason.RATE_LIMIT)


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_without_the_venues_own_answer_the_fate_is_unknown(status: int) -> None:
    assert read.verdict(APIError("", status), SENT) == Verdict(f"alpaca:{status}")


def test_a_refusal_after_an_attempt_without_an_answer_leaves_the_fate_unknown() -> None:
    assert read.verdict(DUPLICATE, SENT, is_doubtful=True) == Verdict("alpaca:40010001")
    assert read.verdict(DUPLICATE, SENT).reject is not None


def test_what_was_never_sent_is_refused_here() -> None:
    assert read.verdict(ValueError("order_id must be a UUID"), NOT_SENT) == Verdict(
        "ValueError", Reject("ValueError", RejectReason.OTHER, RejectOrigin.CLIENT_LIBRARY)
    )


def test_without_a_connection_nothing_has_left() -> None:
    refused = requests.ConnectionError(SimpleNamespace(reason=type("NewConnectionError", (Exception,), {})()))
    gateway = Reject("requests.exceptions.ConnectionError", RejectReason.OTHER, RejectOrigin.GATEWAY)
    assert read.verdict(refused, SENT) == Verdict("requests.exceptions.ConnectionError", gateway)
    assert read.verdict(refused, SENT, is_doubtful=True).reject is None


@pytest.mark.parametrize("error", [requests.ConnectionError("reset"), requests.ReadTimeout(), TimeoutError()])
def test_a_connection_that_broke_leaves_the_fate_unknown(error: Exception) -> None:
    assert read.verdict(error, SENT).reject is None
