"""A call to somebody else while a transaction is open: its locks last until the other has answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import END
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.span import CLIENT, SeenSpan
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.analysis.traces.transaction import Transaction
from tickspan.semconv import foreign, trading

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "external_call_in_transaction",
    Severity.ERROR,
    "An HTTP or broker call runs inside a database transaction.",
    "Commit before the call; keep what must happen afterwards in an outbox table.",
)
NEEDS: Final = END
_ORDER: Final = "trading.order."
_HTTP: Final = (foreign.HTTP_REQUEST_METHOD, foreign.HTTP_METHOD_OLD, foreign.URL_FULL, foreign.HTTP_URL)


def check(trace: Trace, _habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For each transaction with such a span within; a broker's is critical. The call's span is shown."""
    outside = [span for span in trace.spans if span.kind == CLIENT and _is_external(span)]
    if not outside:
        return
    for transaction in trace.transactions:
        inside = [span for span in outside if _is_inside(span, transaction, trace)]
        if inside:
            yield _sighting(trace, transaction, inside)


def _sighting(trace: Trace, transaction: Transaction, inside: list[SeenSpan]) -> Sighting:
    brokers = [span for span in inside if _is_brokers(span)]
    worst = max(brokers or inside, key=lambda span: span.end_ns - span.start_ns)
    spent_s = (worst.end_ns - worst.start_ns) / 1e9
    kind = "broker" if brokers else "HTTP"
    return trace.sighting(
        RULE,
        transaction.calls[-1] if transaction.calls else transaction.example,
        f"The {kind} call {worst.name} ran for {told(spent_s)} inside a transaction of"
        f" {transaction.statements} statements.",
        {
            "calls": len(inside),
            "call_s": round(spent_s, 6),
            "transaction_s": round(transaction.duration_s, 6),
            "statements": transaction.statements,
            "writes": transaction.writes,
        },
        severity=Severity.CRITICAL if brokers else None,
        time_lost_s=sum(span.end_ns - span.start_ns for span in inside) / 1e9,
        span=worst,
        scope=transaction.id,
    )


def _is_external(span: SeenSpan) -> bool:
    return _is_brokers(span) or any(name in span.attributes for name in _HTTP)


def _is_brokers(span: SeenSpan) -> bool:
    return span.name.startswith(_ORDER) or trading.VENUE_NAME in span.attributes


def _is_inside(span: SeenSpan, transaction: Transaction, trace: Trace) -> bool:
    """Whether it lies in the transaction's time, on the same line of work.

    Work beside the transaction, of another task under the same parent, mostly overlaps one of its statements;
    what waits for it cannot.
    """
    if not (transaction.start_ns <= span.start_ns and span.end_ns <= transaction.end_ns):
        return False
    parents = {call.span.parent_id for call in (*transaction.calls, transaction.example)}
    if parents.isdisjoint(trace.ancestors(span)):
        return False
    return not any(
        call.span.start_ns < span.end_ns and span.start_ns < call.span.end_ns for call in transaction.calls
    )
