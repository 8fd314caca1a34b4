"""What happened, as data: the venue's truth beside what telemetry tells of it. Pure."""

from __future__ import annotations

import base64
import math
import re
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tickspan.semconv import trading
from tickspan.testing.decoding import ReceivedSpan, StatusCode
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
        }
        return [words for words, holds in claims.items() if not holds]


def build_report(
    truth: Truth,
    spans: Sequence[ReceivedSpan],
    ended: int,
    bodies: Iterable[bytes],
    secrets: Iterable[str],
) -> DemoReport:
    """Hold what was received against what the venue knows.

    Args:
        truth: the venue's orders, executions and requests.
        spans: all spans received.
        ended: spans that ended in the bot, by the ledger of its spool.
        bodies: the request bodies they came in, decompressed.
        secrets: keys and secrets; the signatures in `truth.requests` are added to them.
    """
    traces = traces_of_orders(spans)
    executions = {
        (span.trace_id, str(span.attributes[trading.EXECUTION_ID])) for span in _with_execution(spans)
    }
    told = [traces.get(order.client_id, frozenset()) for order in truth.orders]
    with_orders = frozenset[str]().union(*told)
    return DemoReport(
        orders=len(truth.orders),
        orders_filled=sum(order.leaves_quantity == 0 for order in truth.orders),
        order_traces=len(with_orders),
        triggering_ticks=sum(
            span.name == trading.SPAN_FEED_MESSAGE and span.trace_id in with_orders for span in spans
        ),
        orders_with_one_trace=sum(len(trace_ids) == 1 for trace_ids in told),
        executions=len(truth.executions),
        executions_in_their_orders_trace=sum(
            any(
                (trace_id, str(fill.execution_id)) in executions
                for trace_id in traces.get(fill.client_id, frozenset())
            )
            for fill in truth.executions
        ),
        spans=len(spans),
        ended=ended,
        delivered=len({(span.trace_id, span.span_id) for span in spans}),
        dropped=ended - len({(span.trace_id, span.span_id) for span in spans}),
        operations=tuple(operations_of(spans)),
        stages=stages_of(spans),
        secrets_found=count_secrets(bodies, [*secrets, *signatures_in(truth)]),
    )


def traces_of_orders(spans: Iterable[ReceivedSpan]) -> dict[str, frozenset[str]]:
    """Trace ids by client order id."""
    traces: defaultdict[str, set[str]] = defaultdict(set)
    for span in spans:
        client_id = span.attributes.get(trading.ORDER_CLIENT_ID)
        if client_id is not None:
            traces[str(client_id)].add(span.trace_id)
    return {client_id: frozenset(trace_ids) for client_id, trace_ids in traces.items()}


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


def signatures_in(truth: Truth) -> set[str]:
    """Signatures that the venue received."""
    found: set[str] = set()
    for request in truth.requests:
        found.update(_SIGNATURE.findall(request.query), _SIGNATURE.findall(request.body))
    return found


_SIGNATURE: Final = re.compile(r"""\bsignature["']?\s*[=:]\s*["']?([0-9A-Za-z+/%_-]+)""")
"""In a query or form, and in the JSON of a WebSocket request."""


def count_secrets(bodies: Iterable[bytes], secrets: Iterable[str]) -> int:
    """How many secrets stand in the bodies, as they are or in base64, hex or percent-encoding."""
    haystack = b"\n".join(bodies)
    return sum(any(form in haystack for form in forms_of(secret)) for secret in set(secrets) if secret)


def forms_of(secret: str) -> set[bytes]:
    """Encodings under which a secret could have left; in base64 it may start at any of three offsets."""
    raw = secret.encode()
    inner = [_inner_base64(raw, shift) for shift in range(3)]
    return {
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        urllib.parse.quote(secret, safe="").encode(),
        *inner,
        *(form.translate(_URL_SAFE) for form in inner),
    }


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def _inner_base64(raw: bytes, shift: int) -> bytes:
    """The characters of base64 that depend on `raw` alone when `shift` bytes stand before it."""
    encoded = base64.b64encode(b"\0" * shift + raw)
    return encoded[(8 * shift + 5) // 6 : 8 * (shift + len(raw)) // 6]


def quantile(values: Sequence[float], q: float) -> float:
    """The value at rank `q` (nearest rank: 0.5 of four is the second), of at least one value."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def _with_execution(spans: Iterable[ReceivedSpan]) -> list[ReceivedSpan]:
    return [span for span in spans if trading.EXECUTION_ID in span.attributes]
