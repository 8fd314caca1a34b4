"""What happened, as data: the venue's truth beside what telemetry tells of it. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tickspan.demo.signals import Told
from tickspan.received import ReceivedSpan, StatusCode
from tickspan.semconv import trading
from tickspan.testing.reconciliation import (
    count_secrets,
    reconcile,
    signatures_in,
    traces_of,
    traces_of_orders,
)
from tickspan.testing.venue import Truth

STAGES: Final = {
    "tick→decision": trading.LATENCY_TICK_TO_DECISION,
    "decision→wire": trading.LATENCY_DECISION_TO_WIRE,
    "wire→ack": trading.LATENCY_WIRE_TO_ACK,
    "ack→fill": trading.LATENCY_ACK_TO_FIRST_FILL,
    "tick→fill": trading.LATENCY_TICK_TO_FILL,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One latency stage over all orders; seconds."""

    count: int
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Operations:
    """All spans of one name; durations in seconds."""

    name: str
    count: int
    p50_s: float
    p99_s: float
    errors: int


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The demo as data. Orders and executions are counted at the venue."""

    orders: int
    orders_filled: int
    order_traces: int
    triggering_ticks: int
    orders_with_one_trace: int
    executions: int
    executions_in_their_orders_trace: int
    spans: int
    ended: int
    delivered: int
    dropped: int
    operations: tuple[Operations, ...]
    stages: Mapping[str, Stage]
    secrets_found: int
    signals: tuple[Told, ...] = ()
    """What was planted for the bot in trouble, and what telemetry told of it."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return asdict(self)

    def shortfalls(self) -> list[str]:
        """What a good run must not show, in words; empty when all is well."""
        claims = {
            "no order was placed": self.orders > 0,
            "records were dropped": self.dropped == 0,
            "an order is not in exactly one trace": self.orders_with_one_trace == self.orders,
            "an execution is outside its order's trace": self.executions_in_their_orders_trace
            == self.executions,
            "order traces and triggering ticks differ": self.order_traces == self.triggering_ticks,
            "a secret left the process": self.secrets_found == 0,
            "a planted fault is not told as often as it was planted": all(
                one.is_right for one in self.signals
            ),
        }
        return [words for words, holds in claims.items() if not holds]


def build_report(
    truth: Truth,
    spans: Sequence[ReceivedSpan],
    ended: int,
    bodies: Iterable[bytes],
    secrets: Iterable[str],
    signals: Sequence[Told] = (),
) -> DemoReport:
    """Hold what was received against what the venue knows.

    Args:
        truth: the venue's orders, executions and requests.
        spans: all spans received.
        ended: spans that ended in the bot, by the ledger of its spool.
        bodies: the request bodies they came in, decompressed.
        secrets: keys and secrets; the signatures in `truth.requests` are added to them.
        signals: how the faults of the bot in trouble were told.
    """
    reconciliation = reconcile(truth, spans)
    traces = traces_of_orders(spans)
    with_orders = frozenset[str]().union(*(traces_of(order, traces) for order in truth.orders))
    return DemoReport(
        orders=len(truth.orders),
        orders_filled=sum(order.leaves_quantity == 0 for order in truth.orders),
        order_traces=len(with_orders),
        triggering_ticks=sum(
            span.name == trading.SPAN_FEED_MESSAGE and span.trace_id in with_orders for span in spans
        ),
        orders_with_one_trace=reconciliation.orders_in_one_trace,
        executions=len(truth.executions),
        executions_in_their_orders_trace=reconciliation.executions_in_their_orders_trace,
        spans=len(spans),
        ended=ended,
        delivered=len({(span.trace_id, span.span_id) for span in spans}),
        dropped=ended - len({(span.trace_id, span.span_id) for span in spans}),
        operations=tuple(operations_of(spans)),
        stages=stages_of(spans),
        secrets_found=count_secrets(bodies, [*secrets, *signatures_in(truth)]),
        signals=tuple(signals),
    )


def operations_of(spans: Iterable[ReceivedSpan]) -> list[Operations]:
    """Count, latency and errors by span name, the most frequent first."""
    durations: defaultdict[str, list[float]] = defaultdict(list)
    errors: Counter[str] = Counter()
    for span in spans:
        durations[span.name].append((span.end_ns - span.start_ns) / 1e9)
        errors[span.name] += span.status.code is StatusCode.ERROR
    rows = [
        Operations(name, len(values), quantile(values, 0.5), quantile(values, 0.99), errors[name])
        for name, values in durations.items()
    ]
    return sorted(rows, key=lambda row: (-row.count, row.name))


def stages_of(spans: Iterable[ReceivedSpan]) -> dict[str, Stage]:
    """Latency stages from the orders' lifecycle spans; a stage that no order has is left out."""
    lifecycles = [span for span in spans if span.name == trading.SPAN_ORDER_LIFECYCLE]
    values = {
        stage: [_seconds(span, key) for span in lifecycles if key in span.attributes]
        for stage, key in STAGES.items()
    }
    return {
        stage: Stage(len(seconds), quantile(seconds, 0.5), quantile(seconds, 0.99))
        for stage, seconds in values.items()
        if seconds
    }


def _seconds(span: ReceivedSpan, key: str) -> float:
    value = span.attributes[key]
    assert isinstance(value, int | float), f"{key} is {value!r}"
    return float(value)


def quantile(values: Sequence[float], q: float) -> float:
    """The value at rank `q` (nearest rank: 0.5 of four is the second), of at least one value."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
