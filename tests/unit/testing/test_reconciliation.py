"""The venue's truth beside what telemetry tells of it: joined, missed, doubled; and secrets that left."""

import base64
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import quote

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tickspan.received import ReceivedSpan, ReceivedStatus, Value
from tickspan.testing.reconciliation import Reconciliation, count_secrets, reconcile, traces_of_orders
from tickspan.testing.venue import Execution, Side, Status, Truth, VenueOrder

_SECRET = "k3y/with+signs=and-æ"


def _order(order_id: int, client_id: str) -> VenueOrder:
    return VenueOrder(
        order_id=order_id,
        client_id=client_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        type="LIMIT",
        time_in_force="GTC",
        quantity=Decimal(1),
        quote_quantity=Decimal(0),
        price=Decimal(1),
        filled_quantity=Decimal(1),
        filled_quote=Decimal(1),
        status=Status.FILLED,
        created_ms=0,
        updated_ms=0,
        via="rest",
        replaces=None,
        working_price=Decimal(1),
        is_maker=False,
    )


def _execution(execution_id: int, order_id: int, client_id: str) -> Execution:
    return Execution(
        execution_id=execution_id,
        order_id=order_id,
        client_id=client_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal(1),
        fee=Decimal(0),
        fee_asset="BNB",
        is_maker=False,
        time_ms=0,
    )


def _span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    trace_id: str = "a",
    duration_ns: int = 1_000_000_000,
    code: StatusCode = StatusCode.UNSET,
) -> ReceivedSpan:
    return ReceivedSpan(
        name=name,
        kind=SpanKind.INTERNAL,
        trace_id=trace_id,
        span_id="1",
        parent_span_id=None,
        start_ns=5,
        end_ns=5 + duration_ns,
        attributes=attributes or {},
        events=(),
        links=(),
        status=ReceivedStatus(code),
        scope="test",
        resource={},
    )


@pytest.mark.parametrize("shift", range(6))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_found_in_base64_wherever_it_starts(encode: object, shift: int):
    assert callable(encode)
    text = encode(b"x" * shift + _SECRET.encode() + b" and what follows")
    assert isinstance(text, bytes)
    assert count_secrets([b"body " + text], [_SECRET]) == 1


@pytest.mark.parametrize(
    "body",
    [
        _SECRET.encode(),
        _SECRET.encode().hex().encode(),
        _SECRET.encode().hex().upper().encode(),
        quote(_SECRET, safe="").encode(),
    ],
)
def test_a_secret_is_found_as_it_is_in_hex_and_percent_encoded(body: bytes):
    assert count_secrets([b"first", b"\x0a\x20" + body + b"\x00"], [_SECRET]) == 1


def test_what_is_no_secret_is_not_found():
    halves = [_SECRET[:10].encode(), base64.b64encode(_SECRET[:10].encode())]
    assert count_secrets(halves, [_SECRET, ""]) == 0


def test_a_secret_counts_once_however_often_it_is_there():
    assert count_secrets([_SECRET.encode() * 3, b"other"], [_SECRET, _SECRET, "other"]) == 2


def test_an_order_belongs_to_every_trace_that_names_it():
    spans = [
        _span("submit", {"trading.order.client_id": "one"}),
        _span("lifecycle", {"trading.order.client_id": "one"}),
        _span("submit", {"trading.order.client_id": "two"}),
        _span("submit", {"trading.order.client_id": "two"}, trace_id="b"),
        _span("GET"),
    ]
    assert traces_of_orders(spans) == {"one": frozenset({"a"}), "two": frozenset({"a", "b"})}


def test_all_is_well_when_each_order_has_one_trace_and_each_execution_is_told_in_it_once():
    truth = Truth((_order(1, "one"),), (_execution(7, 1, "one"),), (), (), 0)
    spans = [
        _span("submit", {"trading.order.client_id": "one"}),
        _span("filled", {"trading.order.client_id": "one", "trading.execution.id": "7"}),
    ]
    told = reconcile(truth, spans)
    assert (told, told.shortfalls) == (Reconciliation(1, 1, 1, 1, 0), [])


def test_an_order_may_be_recognised_by_the_venues_id():
    truth = Truth((_order(1, "one"),), (_execution(7, 1, "one"),), (), (), 0)
    spans = [_span("filled", {"trading.order.venue_id": "1", "trading.execution.id": "7"})]
    assert reconcile(truth, spans) == Reconciliation(1, 1, 1, 1, 0)


def test_what_is_missed_torn_or_doubled_is_a_shortfall():
    orders = (_order(1, "one"), _order(2, "two"))
    fills = (_execution(7, 1, "one"), _execution(8, 2, "two"))
    spans = [
        _span("submit", {"trading.order.client_id": "one"}),
        _span("filled", {"trading.order.client_id": "one", "trading.execution.id": "7"}, trace_id="b"),
        _span("filled", {"trading.order.client_id": "one", "trading.execution.id": "7"}, trace_id="b"),
    ]
    told = reconcile(Truth(orders, fills, (), (), 0), spans)
    assert told == Reconciliation(2, 0, 2, 1, 1)
    assert told.shortfalls == [
        "an order is not in exactly one trace",
        "an execution is outside its order's trace",
        "an execution is told twice",
    ]
