"""Spans and records as tests of views spell them: short, and all that matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import SpanKind, StatusCode
from tickspan_desk.store import OrderEntry

from tickspan.received import ReceivedLog, ReceivedSpan, ReceivedStatus, Value
from tickspan.semconv import common, trading

EPOCH_NS: Final = 1_700_000_000_000_000_000
MS: Final = 1_000_000
TRACE: Final = "0" * 31 + "1"
RESOURCE: Final[dict[str, Value]] = {common.SERVICE_NAME: "bot", common.PROCESS_PID: 7}


def at(milliseconds: float) -> int:
    """A moment after the epoch of tests."""
    return EPOCH_NS + round(milliseconds * MS)


def span(
    number: int,
    name: str,
    start_ms: float,
    end_ms: float,
    parent: int | None = None,
    *,
    trace_id: str = TRACE,
    failed: bool = False,
    resource: Mapping[str, Any] = RESOURCE,
    **known: Any,
) -> ReceivedSpan:
    """A span whose id is a number; `attributes` are given whole."""
    return ReceivedSpan(
        name=name,
        kind=SpanKind.INTERNAL,
        trace_id=trace_id,
        span_id=f"{number:016x}",
        parent_span_id=None if parent is None else f"{parent:016x}",
        start_ns=at(start_ms),
        end_ns=at(end_ms),
        attributes=known.get("attributes", {}),
        events=(),
        links=(),
        status=ReceivedStatus(StatusCode.ERROR if failed else StatusCode.UNSET),
        scope="tests",
        resource=resource,
    )


def log(
    time_ms: float,
    event: str = "",
    body: Value = None,
    severity: int = 9,
    *,
    trace_id: str | None = TRACE,
    within: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any] = RESOURCE,
) -> ReceivedLog:
    """A record, within a span whose id is a number."""
    return ReceivedLog(
        body=body,
        severity_number=severity,
        severity_text="",
        event_name=event,
        time_ns=at(time_ms),
        observed_ns=at(time_ms),
        attributes=attributes or {},
        trace_id=trace_id,
        span_id=None if within is None else f"{within:016x}",
        scope="tests",
        resource=resource,
    )


def order_entry(order_id: str = "c-1", *others: str, status: str = "filled", **known: Any) -> OrderEntry:
    """An order as the store tells it."""
    return OrderEntry(
        order_id=order_id,
        other_ids=others,
        venue="sim",
        symbol="BTC/USDT",
        side="buy",
        status=status,
        service="bot",
        start_ns=at(known.get("start_ms", 10)),
        end_ns=at(known.get("end_ms", 60)),
        trace_id=TRACE,
        trace_ids=known.get("trace_ids", (TRACE,)),
    )


def named(
    client_id: str | None = "c-1", venue_id: str | None = None, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Attributes that name an order."""
    ids = {trading.ORDER_CLIENT_ID: client_id, trading.ORDER_VENUE_ID: venue_id}
    return {**{name: value for name, value in ids.items() if value is not None}, **(more or {})}


def one_order() -> list[ReceivedSpan]:
    """From a tick at 0 ms to a fill at 60 ms: decided at 10, sent at 30 after a wait, answered at 40."""
    return [
        span(1, trading.SPAN_FEED_MESSAGE, 0, 2, attributes={trading.VENUE_NAME: "sim"}),
        span(2, trading.SPAN_STRATEGY_DECISION, 2, 10, 1),
        span(
            3,
            f"{trading.SPAN_RISK_CHECK} size",
            8,
            9,
            2,
            attributes={trading.RISK_CHECK_NAME: "size", trading.RISK_CHECK_OUTCOME: "pass"},
        ),
        span(
            4,
            f"{trading.SPAN_ORDER}.submit sim",
            10,
            41,
            2,
            attributes=named(
                venue_id="v-1",
                more={
                    trading.ORDER_OPERATION: "submit",
                    trading.ORDER_STATUS: "new",
                    trading.TRIGGER: "tick",
                    trading.LATENCY_THROTTLE_WAIT: 0.015,
                    trading.LATENCY_SIGNING: 0.001,
                },
            ),
        ),
        span(
            5,
            f"{trading.SPAN_ORDER_EVENT} filled",
            60,
            60.5,
            4,
            attributes=named(
                venue_id="v-1",
                more={
                    trading.ORDER_STATUS: "filled",
                    trading.ORDER_EVENT_SOURCE: "user_stream",
                    trading.ORDER_FILLED_RATIO: 1.0,
                    trading.EXECUTION_ID: "x-1",
                    trading.EXECUTION_LIQUIDITY: "taker",
                    trading.VENUE_TIME_UNIX_NANO: at(55),
                },
            ),
        ),
        span(
            6,
            trading.SPAN_ORDER_LIFECYCLE,
            10,
            60,
            4,
            attributes=named(
                venue_id="v-1",
                more={
                    trading.ORDER_STATUS: "filled",
                    trading.ORDER_COMPLETE: True,
                    trading.ORDER_OPERATION: "submit",
                    trading.LATENCY_FEED_QUEUE: 0.002,
                    trading.LATENCY_TICK_TO_DECISION: 0.010,
                    trading.LATENCY_DECISION_TO_WIRE: 0.020,
                    trading.LATENCY_WIRE_TO_ACK: 0.010,
                    trading.LATENCY_ACK_TO_FIRST_FILL: 0.020,
                    trading.LATENCY_ORDER_DURATION: 0.050,
                },
            ),
        ),
    ]
