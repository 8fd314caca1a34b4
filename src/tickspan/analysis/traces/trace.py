"""A trace as rules look at it: the spans that one process had in it, and its database calls in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from tickspan.analysis.findings import Confidence, Evidence, Rule, Severity
from tickspan.analysis.traces.call import Calls, DatabaseCall
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.span import SeenSpan
from tickspan.analysis.traces.transaction import Transaction, transactions_of

__all__ = ["Trace"]

_ORDER: Final = "trading.order."


class Trace:
    """Spans of one trace. Everything that rules ask for is worked out once."""

    def __init__(self, spans: Sequence[SeenSpan], calls: Calls) -> None:
        """`spans` are of one trace, at least one, in any order."""
        self.spans: Final = spans
        found = [call for span in spans if (call := calls.of(span)) is not None]
        found.sort(key=lambda call: call.span.start_ns)
        self.calls: Final[Sequence[DatabaseCall]] = found
        """By their start."""

    def __repr__(self) -> str:
        return f"<Trace {self.spans[0].trace_id:032x}: {len(self.calls)} calls, {len(self.spans)} spans>"

    @cached_property
    def is_on_order_path(self) -> bool:
        """Whether an order is placed, changed or reported in it."""
        return any(span.name.startswith(_ORDER) for span in self.spans)

    @cached_property
    def by_id(self) -> dict[int, SeenSpan]:
        """Spans by their ids."""
        return {span.span_id: span for span in self.spans}

    @cached_property
    def transactions(self) -> list[Transaction]:
        """That its calls tell of."""
        return transactions_of(self.calls)

    @cached_property
    def ended_transactions(self) -> list[Transaction]:
        """Those whose end is here: it tells of the whole, wherever the statements are."""
        return [transaction for transaction in self.transactions if transaction.end is not None]

    @cached_property
    def families(self) -> dict[int, list[DatabaseCall]]:
        """Calls by their parent's id, those without a parent left out."""
        found: dict[int, list[DatabaseCall]] = {}
        for call in self.calls:
            if call.span.parent_id:
                found.setdefault(call.span.parent_id, []).append(call)
        return found

    def ancestors(self, span: SeenSpan) -> Iterator[int]:
        """Ids of its parent, that one's parent, and so on, as far as they are known."""
        seen: set[int] = set()
        parent = span.parent_id
        while parent and parent not in seen:
            seen.add(parent)
            yield parent
            above = self.by_id.get(parent)
            parent = above.parent_id if above is not None else 0

    def sighting(
        self,
        rule: Rule,
        example: DatabaseCall,
        message: str,
        evidence: Evidence,
        *,
        severity: Severity | None = None,
        advice: str | None = None,
        time_lost_s: float = 0.0,
        span: SeenSpan | None = None,
        scope: str = "",
    ) -> Sighting:
        """A finding of `rule` about `example`, one step worse on the path of an order.

        `span` is shown in place of the call's own.
        """
        asked = rule.severity if severity is None else severity
        finding = rule.found(
            message,
            evidence,
            severity=asked.raised() if self.is_on_order_path else asked,
            advice=advice,
            confidence=Confidence.MEASURED,
            fingerprint=example.fingerprint,
            summary=example.summary,
        )
        shown = example.span if span is None else span
        return Sighting(
            finding,
            shown.trace_id,
            shown.span_id,
            shown.end_ns,
            time_lost_s,
            example.system,
            example.namespace,
            example.location,
            self.is_on_order_path,
            scope,
        )
