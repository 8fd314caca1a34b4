"""Fields to requests, reports and refusals: pure functions, held to the specification's tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
)
from tickspan_fix.describe import order_request
from tickspan_fix.fields import Get, Session, unix_ns
from tickspan_fix.read import (
    Kind,
    Refusal,
    Report,
    business_refusal,
    cancel_refusal,
    execution_report,
    is_duplicate_refusal,
    session_refusal,
)

HERE = Session("VENUE", "CLIENT")


def fields(text: str) -> Get:
    """`11=a|38=1` as fields."""
    known: dict[int, str] = {}
    for pair in filter(None, text.split("|")):
        tag, _, value = pair.partition("=")
        known.setdefault(int(tag), value)
    return known.get


def report(text: str) -> Report:
    """An execution report of the order `a`, with these further fields."""
    told = execution_report(fields(f"37=7|11=a|17=E1|{text}"), HERE, "quickfix")
    assert told is not None
    return told


def test_a_new_order_in_words():
    message = fields("11=a|1=ACC|55=ESZ6|167=FUT|54=5|38=2|40=4|44=5000.25|99=4990|59=6|66=list")
    assert order_request("D", message, HERE, "quickfix") == OrderRequest(
        OrderOperation.SUBMIT,
        "VENUE",
        "quickfix",
        account="CLIENT",
        instrument="ESZ6",
        instrument_class="future",
        client_id="a",
        list_id="list",
        side="sell_short",
        type="stop_limit",
        time_in_force="good_till_date",
        quantity=Decimal(2),
        price=Decimal("5000.25"),
        stop_price=Decimal(4990),
    )


def test_a_cancel_names_two_orders_and_no_size():
    message = fields("11=c|41=a|37=7|55=ESZ6|54=2|38=2")
    assert order_request("F", message, HERE, "simplefix") == OrderRequest(
        OrderOperation.CANCEL,
        "VENUE",
        "simplefix",
        account="CLIENT",
        instrument="ESZ6",
        client_id="c",
        original_client_id="a",
        venue_id="7",
        side="sell",
    )


@pytest.mark.parametrize(
    ("msg_type", "operation"),
    [
        ("D", OrderOperation.SUBMIT),
        ("AB", OrderOperation.SUBMIT),
        ("F", OrderOperation.CANCEL),
        ("G", OrderOperation.REPLACE),
        ("AC", OrderOperation.REPLACE),
        ("H", OrderOperation.QUERY),
    ],
)
def test_messages_that_ask_something_about_an_order(msg_type: str, operation: OrderOperation):
    told = order_request(msg_type, fields("11=a"), HERE, "quickfix")
    assert told is not None
    assert told.operation is operation


@pytest.mark.parametrize(
    ("msg_type", "text"), [("D", "55=ESZ6"), ("V", "262=r"), ("8", "11=a"), ("", "11=a")]
)
def test_other_messages_ask_nothing(msg_type: str, text: str):
    assert order_request(msg_type, fields(text), HERE, "quickfix") is None


@pytest.mark.parametrize(("code", "word", "raw"), [("1", "market", None), ("P", None, "P"), ("", None, None)])
def test_a_type_without_a_shared_word_keeps_its_own(code: str, word: str | None, raw: str | None):
    told = order_request("D", fields(f"11=a|40={code}"), HERE, "quickfix")
    assert told is not None
    assert (told.type, told.type_raw) == (word, raw)


def test_a_fill_says_all_it_knows():
    told = report(
        "150=F|39=1|1=ACC|55=BTC/USD|54=1|40=2|44=100|59=1|38=3|32=1.5|31=99.5|14=2|6=99.25|851=1"
        "|12=0.02|13=3|479=USD|60=20240131-09:30:00.123456789|52=20240131-09:30:01"
    )
    update = OrderUpdate(
        "VENUE",
        Source.FIX,
        OrderStatus.PARTIALLY_FILLED,
        library="quickfix",
        account="CLIENT",
        client_id="a",
        venue_id="7",
        instrument="BTC/USD",
        side="buy",
        type="limit",
        time_in_force="good_till_cancel",
        quantity=Decimal(3),
        price=Decimal(100),
        filled_quantity=Decimal(2),
        average_price=Decimal("99.25"),
        executions=(Execution("E1", Decimal("1.5"), Decimal("99.5"), "maker", "0.02 USD"),),
        venue_time_ns=1_706_693_400_123_456_789,
    )
    assert told == Report(Kind.FILL, update, "a", None)


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        # FIX 4.4: ExecType says what happened, OrdStatus how the order stands.
        ("150=0|39=0", Kind.STATE, OrderStatus.NEW),
        ("150=A|39=A", Kind.PENDING, OrderStatus.PENDING_NEW),
        ("150=F|39=2|14=1", Kind.FILL, OrderStatus.FILLED),
        ("150=4|39=4", Kind.CANCELED, OrderStatus.CANCELED),
        ("150=6|39=6", Kind.PENDING, None),
        ("150=E|39=E", Kind.PENDING, None),
        ("150=5|39=0", Kind.REPLACED, OrderStatus.NEW),
        ("150=5|39=1|14=1", Kind.REPLACED, OrderStatus.PARTIALLY_FILLED),
        ("150=8|39=8", Kind.REJECTED, OrderStatus.REJECTED),
        ("150=C|39=C", Kind.STATE, OrderStatus.EXPIRED),
        ("150=3|39=3", Kind.STATE, None),
        ("150=7|39=7", Kind.STATE, None),
        ("150=9|39=9", Kind.STATE, None),
        ("150=D|39=0|14=1", Kind.STATE, OrderStatus.PARTIALLY_FILLED),
        ("150=G|39=1|14=1", Kind.CORRECTION, OrderStatus.PARTIALLY_FILLED),
        ("150=H|39=0", Kind.CORRECTION, OrderStatus.NEW),
        ("150=I|39=1|14=1", Kind.ANSWER, OrderStatus.PARTIALLY_FILLED),
        # FIX 4.2: ExecType repeats OrdStatus, ExecTransType says whether it is news.
        ("20=0|150=1|39=1|32=1|14=1", Kind.FILL, OrderStatus.PARTIALLY_FILLED),
        ("20=0|150=2|39=2|32=1|14=1", Kind.FILL, OrderStatus.FILLED),
        ("20=0|150=5|39=5|14=0", Kind.REPLACED, OrderStatus.NEW),
        ("20=1|150=1|39=1|32=1|14=0", Kind.CORRECTION, OrderStatus.PARTIALLY_FILLED),
        ("20=3|150=2|39=2|14=1", Kind.ANSWER, OrderStatus.FILLED),
        # FIX 4.0 has no ExecType.
        ("20=0|39=0", Kind.STATE, OrderStatus.NEW),
        ("20=0|39=2|32=1|14=1", Kind.FILL, OrderStatus.FILLED),
        ("20=0|39=4|32=0", Kind.CANCELED, OrderStatus.CANCELED),
        ("20=0|39=8", Kind.REJECTED, OrderStatus.REJECTED),
    ],
)
def test_kind_and_state_of_a_report_in_every_version(text: str, kind: Kind, status: OrderStatus | None):
    told = report(text)
    assert (told.kind, told.update.status) == (kind, status)
    assert bool(told.update.executions) == (kind is Kind.FILL)
    assert told.update.source is (Source.POLL if kind is Kind.ANSWER else Source.FIX)


def test_a_canceled_order_keeps_its_own_name():
    told = report("150=4|39=4|41=order")
    assert (told.update.client_id, told.update.original_client_id) == ("order", None)
    assert (told.request_id, told.original_id) == ("a", "order")


def test_a_replaced_order_has_two_names():
    told = report("150=5|39=0|41=old")
    assert (told.update.client_id, told.update.original_client_id) == ("a", "old")


def test_an_answer_goes_by_the_id_of_its_question():
    assert report("150=I|39=0|790=q").request_id == "q"


@pytest.mark.parametrize("text", ["37=NONE", "17=E1", "37=0"])
def test_a_report_that_names_no_order_is_none(text: str):
    assert execution_report(fields(text), HERE, "quickfix") is None


@pytest.mark.parametrize(
    ("text", "fee"),
    [
        ("12=1|13=3|479=USD", "1 USD"),
        ("12=1|13=3", "1"),
        ("12=1|13=2", None),
        ("13=3|479=USD", None),
        ("12=x|13=3", None),
    ],
)
def test_a_commission_is_a_fee_if_it_is_an_amount(text: str, fee: str | None):
    [execution] = report(f"150=F|39=2|14=1|{text}").update.executions
    assert execution.fee == fee


def refused(code: str, reason: RejectReason, message: str | None = None) -> Reject:
    return Reject(f"VENUE:{code}", reason, RejectOrigin.VENUE, code, message)


@pytest.mark.parametrize(
    ("text", "reject"),
    [
        ("103=1", refused("1", RejectReason.SYMBOL)),
        ("103=2", refused("2", RejectReason.MARKET_CLOSED)),
        ("103=3", refused("3", RejectReason.RISK)),
        ("103=3|58=Insufficient margin", refused("3", RejectReason.FUNDS, "Insufficient margin")),
        ("103=6", refused("6", RejectReason.DUPLICATE_ID)),
        ("103=13", refused("13", RejectReason.QUANTITY)),
        ("103=99|58=Price out of band", refused("99", RejectReason.PRICE, "Price out of band")),
        ("58=Trading halted", refused("99", RejectReason.MARKET_CLOSED, "Trading halted")),
        ("103=15|1=ACC|58=No ACC", refused("15", RejectReason.AUTH, "No [redacted]")),
        ("103=77", refused("77", RejectReason.OTHER)),
    ],
)
def test_a_refused_order_has_a_code_and_a_reason_in_words(text: str, reject: Reject):
    assert report(f"150=8|39=8|{text}").reject == reject


def test_a_refusal_of_a_second_order_with_the_same_id_is_known():
    assert [is_duplicate_refusal(fields(text)) for text in ("103=6", "103=7", "103=1", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_three_ways_to_refuse_a_message():
    gateway = Reject("VENUE:373=10", RejectReason.CLOCK_SKEW, RejectOrigin.GATEWAY, "373=10")
    assert session_refusal(fields("45=9|373=10"), HERE) == Refusal(gateway, number=9)
    throttled = refused("380=0", RejectReason.RATE_LIMIT, "Throttle limit exceeded")
    business = fields("45=9|379=a|380=0|58=Throttle limit exceeded")
    assert business_refusal(business, HERE) == Refusal(throttled, "a", 9)
    assert cancel_refusal(fields("11=c|41=a|102=1"), HERE) == Refusal(
        refused("1", RejectReason.NOT_FOUND), "c"
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20240131-09:30:00", 1_706_693_400_000_000_000),
        ("20240131-09:30:00.123", 1_706_693_400_123_000_000),
        ("20240131-09:30:00.123456", 1_706_693_400_123_456_000),
        ("20240131-09:30:00.1234567891", 1_706_693_400_123_456_789),
        ("20240131-09:30:00.x", None),
        ("20240131", None),
        ("", None),
        (None, None),
    ],
)
def test_moments_are_read_to_the_nanosecond(text: str | None, moment: int | None):
    assert unix_ns(text) == moment


TAGS = st.sampled_from(
    [
        1,
        6,
        11,
        12,
        13,
        14,
        17,
        20,
        31,
        32,
        37,
        38,
        39,
        40,
        41,
        44,
        45,
        52,
        54,
        55,
        58,
        59,
        60,
        102,
        103,
        150,
        373,
        380,
    ]
)


@given(st.dictionaries(TAGS, st.text(max_size=12)))
def test_no_message_makes_them_raise(known: dict[int, str]):
    get: Any = known.get
    execution_report(get, HERE, "quickfix")
    order_request("D", get, HERE, "quickfix")
    refusals = [read(get, HERE) for read in (cancel_refusal, session_refusal, business_refusal)]
    assert all(refusal.reject.error_type.startswith("VENUE:") for refusal in refusals)
