"""What telemetry knows of a run, held against what the venue knows. Pure, and one rule for both sides.

An order is found where any text of a span holds its client id, an execution where one is its id: no name of
an attribute favours a side. Only of ticks and submissions, which have no convention, are our names known.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from tickspan.received import ReceivedSpan, Value
from tickspan.testing.reconciliation import count_secrets, signatures_in
from tickspan.testing.venue import Truth

TICK = "trading.feed.message"
"""A span of this name counts as a tick, and so does any CONSUMER span."""

SUBMISSION = "trading.order.submit"
ORDER_PATH = "/api/v3/order"
URL = ("url.full", "http.url")
METHOD = ("http.request.method", "http.method")

STATEMENT = ("db.query.text", "db.statement")
SQL = frozenset({"sqlite", "postgresql"})
SYSTEM = ("db.system.name", "db.system")

_LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w.$:?])\d+(?:\.\d+)?\b")
_DEFINITION = re.compile(r"\s*(?:CREATE|DROP|ALTER|PRAGMA)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One side of the table. Orders and executions are the venue's."""

    spans: int
    traces: int
    orders_at_venue: int
    submissions: int
    """Spans of a call that hands an order in, as an HTTP request or as an order."""
    orders_found: int
    """Their client id stands in at least one span."""
    orders_joined: int
    """In exactly one trace, which holds no other order, and holds its tick and all its executions."""
    executions_at_venue: int
    executions_joined: int
    """In a trace of their order."""
    secrets_sent: int
    """Key, secret, and signatures that the venue received."""
    secrets_found: int
    """Of them, in the bytes received."""
    statements: int
    """Spans with an SQL text."""
    statements_with_literals: int
    """Of them, data manipulation whose text has a quoted string or a number."""
    redis_calls: int
    errors_on_stderr: int
    """Lines that the bot's process wrote there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one run has left."""

    truth: Truth
    spans: Sequence[ReceivedSpan]
    bodies: Sequence[bytes]
    credentials: tuple[str, str]
    stderr: str


def measure(evidence: Evidence) -> Outcome:
    """Hold one against the other."""
    truth, spans = evidence.truth, evidence.spans
    traces = _by_trace(spans)
    found = {order.client_id: _traces_with(order.client_id, traces) for order in truth.orders}
    together = Counter(trace_id for trace_ids in found.values() for trace_id in trace_ids)
    executions = {
        fill: any(
            _holds(traces[trace_id], str(fill.execution_id)) for trace_id in found.get(fill.client_id, ())
        )
        for fill in truth.executions
    }
    secrets = {*evidence.credentials, *signatures_in(truth)}
    statements = [text for span in spans for text in _statement(span)]
    return Outcome(
        spans=len(spans),
        traces=len(traces),
        orders_at_venue=len(truth.orders),
        submissions=sum(_is_submission(span) for span in spans),
        orders_found=sum(bool(trace_ids) for trace_ids in found.values()),
        orders_joined=sum(
            len(trace_ids) == 1
            and together[trace_ids[0]] == 1
            and any(_is_tick(span) for span in traces[trace_ids[0]])
            and all(is_joined for fill, is_joined in executions.items() if fill.client_id == client_id)
            for client_id, trace_ids in found.items()
        ),
        executions_at_venue=len(truth.executions),
        executions_joined=sum(executions.values()),
        secrets_sent=len(secrets),
        secrets_found=count_secrets(evidence.bodies, secrets),
        statements=len(statements),
        statements_with_literals=sum(has_literal(text) for text in statements),
        redis_calls=sum(_system(span) == "redis" for span in spans),
        errors_on_stderr=len(evidence.stderr.splitlines()),
    )


def has_literal(statement: str) -> bool:
    """Whether the text of a statement that is no definition holds a quoted string or a number."""
    return _DEFINITION.match(statement) is None and _LITERAL.search(statement) is not None


def _by_trace(spans: Iterable[ReceivedSpan]) -> Mapping[str, list[ReceivedSpan]]:
    traces: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return traces


def _traces_with(client_id: str, traces: Mapping[str, list[ReceivedSpan]]) -> list[str]:
    return [
        trace_id
        for trace_id, spans in traces.items()
        if any(client_id in text for span in spans for text in _texts(span))
    ]


def _holds(spans: Iterable[ReceivedSpan], execution_id: str) -> bool:
    return any(text == execution_id for span in spans for text in _texts(span))


def _texts(span: ReceivedSpan) -> Iterator[str]:
    """Every text of a span: its name, and the values of its attributes and its events'."""
    yield span.name
    for attributes in (span.attributes, *(event.attributes for event in span.events)):
        for value in attributes.values():
            yield from _strings(value)


def _strings(value: Value) -> Iterator[str]:
    match value:
        case str():
            yield value
        case tuple():
            for item in value:
                yield from _strings(item)
        case dict():
            for item in value.values():
                yield from _strings(item)
        case _:
            return


def _is_tick(span: ReceivedSpan) -> bool:
    return span.name == TICK or span.kind is SpanKind.CONSUMER


def _is_submission(span: ReceivedSpan) -> bool:
    is_request = _first(span, METHOD) == "POST" and urlsplit(_first(span, URL)).path == ORDER_PATH
    return is_request or span.name.startswith(SUBMISSION)


def _system(span: ReceivedSpan) -> str:
    return _first(span, SYSTEM)


def _statement(span: ReceivedSpan) -> list[str]:
    text = _first(span, STATEMENT)
    return [text] if text and _system(span) in SQL else []


def _first(span: ReceivedSpan, names: Sequence[str]) -> str:
    """The value of the first of these attributes that the span has; "" without any."""
    return next((str(span.attributes[name]) for name in names if name in span.attributes), "")
