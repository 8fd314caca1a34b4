"""Reasons of refusals, in the library's own words and in a venue's."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.events import OrderCancelRejected, OrderDenied, OrderRejected
from nautilus_trader.model.identifiers import AccountId, ClientOrderId, InstrumentId, StrategyId, TraderId
from tickspan.trading import Reject, RejectOrigin, RejectReason
from tickspan_nautilus import read
from tickspan_nautilus.describe import Place

NAMES: dict[str, Any] = {
    "trader_id": TraderId("TESTER-001"),
    "strategy_id": StrategyId("Maker-002"),
    "instrument_id": InstrumentId.from_str("BTCUSDT.BINANCE"),
    "client_order_id": ClientOrderId("O-1"),
}
MOMENTS: dict[str, Any] = {"event_id": UUID4(), "ts_event": 0, "ts_init": 0}
ACCOUNT = AccountId("BINANCE-1")


def denied(reason: str) -> Any:
    return OrderDenied(**NAMES, reason=reason, event_id=UUID4(), ts_init=0)


def rejected(reason: str, *, reconciliation: bool = False) -> Any:
    return OrderRejected(**NAMES, account_id=ACCOUNT, reason=reason, reconciliation=reconciliation, **MOMENTS)


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (
            "NOTIONAL_EXCEEDS_FREE_BALANCE: free=100.00 USDT, balance_impact=-25_000.00 USDT",
            "NOTIONAL_EXCEEDS_FREE_BALANCE",
            RejectReason.FUNDS,
        ),
        (
            "NOTIONAL_EXCEEDS_MAX_PER_ORDER: max_notional=1, notional=2",
            "NOTIONAL_EXCEEDS_MAX_PER_ORDER",
            RejectReason.QUANTITY,
        ),
        ("Exceeded MAX_ORDER_SUBMIT_RATE", "MAX_ORDER_SUBMIT_RATE", RejectReason.RATE_LIMIT),
        ("quantity 90000.0 invalid (> maximum trade size of 9000.0)", None, RejectReason.QUANTITY),
        ("price 1.234567 invalid (precision 6 > 2)", None, RejectReason.PRICE),
        ("trigger price -1.00 invalid (not positive)", None, RejectReason.PRICE),
        ("Instrument for BTCUSDT.BINANCE not found", None, RejectReason.SYMBOL),
        ("TradingState.HALTED", None, RejectReason.RISK),
        ("BUY when TradingState.REDUCING and LONG BTCUSDT.BINANCE", None, RejectReason.RISK),
        ("Reduce only order would increase position PositionId('P-1')", None, RejectReason.RISK),
        ("duplicate ClientOrderId('O-1')", None, RejectReason.DUPLICATE_ID),
        ("GTD 2020-01-01T00:00:00Z already passed", None, RejectReason.OTHER),
    ],
)
def test_a_denied_order_was_refused_by_the_checks(text: str, code: str | None, reason: RejectReason) -> None:
    reject = read.reject_of(denied(text), "binance")
    assert (reject.code, reject.reason, reject.origin) == (code, reason, RejectOrigin.CLIENT_RISK)
    assert reject.error_type == (f"nautilus_trader:{code}" if code else "OrderDenied")


@pytest.mark.parametrize(
    ("text", "reject"),
    [
        (
            "{'code': -2010, 'msg': 'Account has insufficient balance for requested action.'}",
            Reject(
                "binance:-2010",
                RejectReason.FUNDS,
                RejectOrigin.VENUE,
                "-2010",
                "{'code': -2010, 'msg': 'Account has insufficient balance for requested action.'}",
            ),
        ),
        (
            "POST_ONLY LIMIT BUY order limit px of 50_001.00 would have been a TAKER: bid=49_999.00",
            Reject(
                "OrderRejected",
                RejectReason.PRICE,
                RejectOrigin.VENUE,
                None,
                "POST_ONLY LIMIT BUY order limit px of 50_001.00 would have been a TAKER: bid=49_999.00",
            ),
        ),
        (
            "no market for BTCUSDT.BINANCE",
            Reject(
                "OrderRejected",
                RejectReason.SYMBOL,
                RejectOrigin.VENUE,
                None,
                "no market for BTCUSDT.BINANCE",
            ),
        ),
    ],
)
def test_a_rejected_order_was_refused_by_the_venue(text: str, reject: Reject) -> None:
    assert read.reject_of(rejected(text), "binance") == reject


def test_what_the_library_gave_up_itself_was_refused_by_nobody_else() -> None:
    reject = read.reject_of(rejected("ORDER_NOT_FOUND_AT_VENUE", reconciliation=True), "binance")
    assert (reject.reason, reject.origin) == (RejectReason.NOT_FOUND, RejectOrigin.CLIENT_LIBRARY)


def test_a_command_that_was_never_sent_was_refused_by_the_checks() -> None:
    event = OrderCancelRejected(
        **NAMES, venue_order_id=None, account_id=ACCOUNT, reason="Exceeded MAX_ORDER_MODIFY_RATE", **MOMENTS
    )
    origins = [read.reject_of(event, "binance", is_sent=is_sent).origin for is_sent in (False, True)]
    assert origins == [RejectOrigin.CLIENT_RISK, RejectOrigin.VENUE]


@given(st.text(max_size=400))
def test_any_reason_is_read_and_cut(text: str) -> None:
    for name in ("OrderDenied", "OrderRejected"):
        event = type(name, (SimpleNamespace,), {})(reason=text, reconciliation=False)
        reject = read.reject_of(event, "somewhere")
        assert reject.message is not None
        assert text.startswith(reject.message)
        assert len(reject.message) <= 160


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("QuoteTick", "quotes"),
        ("TradeTick", "trades"),
        ("Bar", "bars"),
        ("OrderBookDeltas", "book"),
        ("OrderBookDepth10", "book"),
        pytest.param(
            "MarkPriceUpdate",
            "mark_prices",
            marks=pytest.mark.library("nautilus_trader", at_least=(1, 219)),
        ),
        ("InstrumentStatus", None),
        ("CustomData", None),
    ],
)
def test_data_of_instruments_has_a_channel(name: str, channel: str | None) -> None:
    data = importlib.import_module("nautilus_trader.model.data")
    assert read.channel_of(getattr(data, name)) == channel


def test_parts_of_a_spreads_fill_are_no_orders_reports() -> None:
    fill = type("OrderFilled", (SimpleNamespace,), {})(client_order_id="O-1-LEG-BTCUSDT")
    assert read.update_of(fill, None, Place("binance", "BTCUSDT"), 0) is None
