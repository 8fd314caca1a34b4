"""The venue's truth beside what telemetry tells: orders in one trace each, fills missed or doubled. Pure."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.received import ReceivedSpan
from tickspan.semconv import trading
from tickspan.testing.venue import Truth, VenueOrder


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How the orders and executions of a venue are told. All is well when `shortfalls` is empty."""

    orders: int
    orders_in_one_trace: int
    executions: int
    executions_in_their_orders_trace: int
    executions_told_twice: int

    @property
    def shortfalls(self) -> list[str]:
        """What must not be, in words."""
        claims = {
            "an order is not in exactly one trace": self.orders_in_one_trace == self.orders,
            "an execution is outside its order's trace": self.executions_in_their_orders_trace
            == self.executions,
            "an execution is told twice": self.executions_told_twice == 0,
        }
        return [words for words, holds in claims.items() if not holds]


def reconcile(truth: Truth, spans: Sequence[ReceivedSpan]) -> Reconciliation:
    """Hold `spans` against what the venue knows.

    An order is recognised by its client id or by the venue's own; an execution by its id in a span of one of
    the traces of its order.
    """
    traces = traces_of_orders(spans)
    told = Counter(
        (span.trace_id, str(span.attributes[trading.EXECUTION_ID]))
        for span in spans
        if trading.EXECUTION_ID in span.attributes
    )
    traces_by_id = {order.order_id: traces_of(order, traces) for order in truth.orders}
    return Reconciliation(
        orders=len(truth.orders),
        orders_in_one_trace=sum(len(trace_ids) == 1 for trace_ids in traces_by_id.values()),
        executions=len(truth.executions),
        executions_in_their_orders_trace=sum(
            any((trace_id, str(fill.execution_id)) in told for trace_id in traces_by_id[fill.order_id])
            for fill in truth.executions
        ),
        executions_told_twice=sum(count > 1 for count in told.values()),
    )


def traces_of_orders(spans: Iterable[ReceivedSpan]) -> dict[str, frozenset[str]]:
    """Trace ids by client order id and by the venue's order id."""
    traces: defaultdict[str, set[str]] = defaultdict(set)
    for span in spans:
        for key in (trading.ORDER_CLIENT_ID, trading.ORDER_VENUE_ID):
            if key in span.attributes:
                traces[str(span.attributes[key])].add(span.trace_id)
    return {order_id: frozenset(trace_ids) for order_id, trace_ids in traces.items()}


def traces_of(order: VenueOrder, traces: dict[str, frozenset[str]]) -> frozenset[str]:
    """The traces that tell of `order`."""
    nowhere = frozenset[str]()
    return traces.get(order.client_id, nowhere) | traces.get(str(order.order_id), nowhere)


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
