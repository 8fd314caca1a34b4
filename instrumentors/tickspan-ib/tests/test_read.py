"""What messages say, as values."""

from __future__ import annotations

import importlib
import struct
from decimal import Decimal
from typing import Any

import pytest
from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderStatus,
    OrderUpdate,
    RejectReason,
    Source,
)
from tickspan_ib import read
from tickspan_ib.describe import Place
from tickspan_ib.read import Receipt
from tickspan_ib.venue import Meaning, meaning_of

RECEIPT = Receipt(Place("ib_async", 7, "DU1234567"), 1_000, Source.USER_STREAM)
WHERE: Any = {
    "library": "ib_async",
    "environment": "paper",
    "account": "DU1234567",
    "received_ns": 1_000,
}


def status(state: str, filled: float = 0, client_id: int = 7, order_id: int = 5) -> read.Report:
    return read.order_status(RECEIPT, order_id, state, filled, 10 - filled, 190.5, 99, 0, 0, client_id, "", 0)


@pytest.fixture(params=["ib_async", "ib_insync"])
def ib(request: pytest.FixtureRequest) -> Any:
    """Either library."""
    return importlib.import_module(request.param)


def test_a_status_is_a_report_of_a_named_order() -> None:
    report = status("Submitted", 4)
    assert (report.order_id, report.state, report.is_known, report.terms) == (5, "Submitted", True, None)
    assert report.update == OrderUpdate(
        "ib",
        Source.USER_STREAM,
        OrderStatus.PARTIALLY_FILLED,
        client_id="7:5",
        venue_id="99",
        filled_quantity=Decimal(4),
        average_price=Decimal("190.5"),
        **WHERE,
    )


@pytest.mark.parametrize(
    ("state", "known"),
    [
        ("PreSubmitted", OrderStatus.NEW),
        ("Submitted", OrderStatus.NEW),
        ("Filled", OrderStatus.FILLED),
        ("Cancelled", OrderStatus.CANCELED),
        ("ApiCancelled", OrderStatus.CANCELED),
        ("PendingSubmit", None),
        ("PendingCancel", None),
        ("ApiPending", None),
        ("Inactive", None),
    ],
)
def test_a_word_of_tws_is_a_status_or_says_nothing_certain(state: str, known: OrderStatus | None) -> None:
    report = status(state)
    assert (report.update.status, report.update.status_raw, report.is_known) == (
        known,
        None,
        known is not None,
    )


def test_a_word_that_nobody_knows_is_kept() -> None:
    update = status("Teleported").update
    assert (update.status, update.status_raw) == (OrderStatus.UNKNOWN, "Teleported")


def test_an_order_of_another_client_or_made_in_tws_is_not_ours() -> None:
    other, manual = status("Submitted", client_id=8), status("Submitted", order_id=-3)
    assert (other.order_id, other.update.client_id) == (0, "8:5")
    assert (manual.order_id, manual.update.client_id, manual.update.venue_id) == (0, None, "99")


def test_an_open_order_tells_its_terms(ib: Any) -> None:
    order = ib.LimitOrder("BUY", 10, 190.5, orderId=5, clientId=7, permId=99, auxPrice=0)
    report = read.open_order(
        RECEIPT, 5, ib.Stock("AAPL", "SMART", "USD"), order, ib.OrderState(status="Submitted")
    )
    assert report.terms == (Decimal(10), Decimal("190.5"), None)
    assert (report.update.quantity, report.update.price, report.update.instrument) == (
        Decimal(10),
        Decimal("190.5"),
        "AAPL/USD",
    )


def test_an_execution_is_told_whole(ib: Any) -> None:
    fill = importlib.import_module(f"{ib.__name__}.objects").Execution(
        execId="0000e0d5.004c4b41.01.01",
        shares=4,
        price=190.5,
        permId=99,
        clientId=7,
        orderId=5,
        side="SLD",
        cumQty=4,
        avgPrice=190.5,
        lastLiquidity=1,
    )
    assert read.execution(RECEIPT, ib.Stock("AAPL", "SMART", "USD"), fill) == OrderUpdate(
        "ib",
        Source.USER_STREAM,
        client_id="7:5",
        venue_id="99",
        instrument="AAPL/USD",
        side="sell",
        filled_quantity=Decimal(4),
        average_price=Decimal("190.5"),
        executions=(Execution("0000e0d5.004c4b41.01.01", Decimal(4), Decimal("190.5"), "maker"),),
        **WHERE,
    )


@pytest.mark.parametrize(
    ("operation", "asked", "state", "terms", "is_answer"),
    [
        (OrderOperation.SUBMIT, None, "Submitted", None, True),
        (OrderOperation.SUBMIT, None, "Filled", None, True),
        (OrderOperation.SUBMIT, None, "PendingSubmit", None, False),
        (OrderOperation.SUBMIT, None, "Inactive", None, False),
        (OrderOperation.REPLACE, (1, 2, None), "Submitted", (1, 2, None), True),
        (OrderOperation.REPLACE, (1, 2, None), "Submitted", (1, 1, None), False),
        (OrderOperation.REPLACE, (1, 2, None), "Submitted", None, False),
        (OrderOperation.REPLACE, (1, 2, None), "Filled", None, False),
        (OrderOperation.CANCEL, None, "Cancelled", None, True),
        (OrderOperation.CANCEL, None, "PendingCancel", None, False),
        (OrderOperation.CANCEL, None, "Filled", None, False),
    ],
)
def test_what_answers_an_order_call(
    operation: OrderOperation, asked: Any, state: str, terms: Any, is_answer: bool
) -> None:
    report = read.Report(5, state, status(state).update, terms)
    assert read.answers(report, operation, asked) is is_answer


@pytest.mark.parametrize(
    ("text", "order"),
    [
        (b"3\x0012\x000\0AAPL\0", (OrderOperation.SUBMIT, 12)),
        (b"4\x001\x0012\0\0", (OrderOperation.CANCEL, 12)),
        (b"58\x001\0", (OrderOperation.CANCEL, 0)),
        (b"61\x001\0", (None, 0)),
        (b"3\0twelve\0", (OrderOperation.SUBMIT, -1)),
        (b"", (None, 0)),
    ],
)
def test_the_bytes_of_a_message_say_which_order_it_is_about(text: bytes, order: Any) -> None:
    assert read.sent_order(struct.pack(">I", len(text)) + text) == order


def test_the_handshake_is_no_order() -> None:
    assert read.sent_order(b"API\0\0\0\0\x09v157..176") == (None, 0)


@pytest.mark.parametrize(
    ("code", "text", "meaning"),
    [
        (201, "Order rejected - reason:…", Meaning.REFUSED),
        (103, "Duplicate order id", Meaning.REFUSED),
        (202, "Order Canceled - reason:", Meaning.CANCELED),
        (10147, "OrderId 5 that needs to be cancelled is not found.", Meaning.CANCEL_REFUSED),
        (100, "Max rate of messages per second has been exceeded", Meaning.RATE_LIMIT),
        (1100, "Connectivity … lost", Meaning.LOST),
        (1101, "Connectivity … restored - data lost", Meaning.RESTORED),
        (1102, "Connectivity … restored - data maintained", Meaning.RESTORED),
        (399, "Order Message: …", Meaning.NOTICE),
        (2104, "Market data farm connection is OK:usfarm", Meaning.NOTICE),
        (2158, "Sec-def data farm connection is OK:secdefnj", Meaning.NOTICE),
        (0, "Warning: Approaching max rate of 50 messages per second (44)", Meaning.NOTICE),
    ],
)
def test_most_errors_are_none(code: int, text: str, meaning: Meaning) -> None:
    assert meaning_of(code, text) is meaning


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (201, "Order rejected - reason:YOUR EQUITY WITH LOAN VALUE MUST EXCEED …", RejectReason.FUNDS),
        (201, "Order rejected - reason:Exchange is closed.", RejectReason.MARKET_CLOSED),
        (201, "Order rejected - reason:No trading permissions.", RejectReason.AUTH),
        (201, "Order rejected - reason:Something else", RejectReason.OTHER),
        (110, "The price does not conform to the minimum price variation", RejectReason.PRICE),
        (200, "No security definition has been found for the request", RejectReason.SYMBOL),
        (103, "Duplicate order id", RejectReason.DUPLICATE_ID),
    ],
)
def test_a_refusal_has_a_reason_that_venues_share(code: int, text: str, reason: RejectReason) -> None:
    refusal = read.refusal(code, text)
    assert (refusal.error_type, refusal.reason, refusal.message) == (f"ib:{code}", reason, text)


def test_a_refusal_says_no_account_number() -> None:
    refusal = read.refusal(201, "Order rejected - reason:U1234567 and DU7654321 may not trade F1.")
    assert refusal.message == "Order rejected - reason:… and … may not trade F1."
