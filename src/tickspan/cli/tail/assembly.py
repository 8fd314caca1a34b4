"""From spans as they come to traces as they are over. Pure: the time is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tickspan.received import ReceivedSpan
from tickspan.semconv.trading import SPAN_ORDER_LIFECYCLE
from tickspan.waterfall import tells_of_orders

__all__ = ["Assembly", "Ended"]

SETTLE_S: Final = 0.3
"""After its last span a trace is over, if its root and the lives of its orders are told."""
ORPHANED_S: Final = 5.0
"""Else so long after: its root is in another program, or was never ended."""
STANDING_S: Final = 60.0
"""Or so long after, where an order may still stand."""
MOST_TRACES: Final = 2_000
"""That are waited for; the one that is silent for longest goes first."""
MOST_SPANS: Final = 5_000
"""Of one trace at once; what follows is told as a trace of its own."""
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Ended:
    """A trace that is over, as far as it is known here.

    Attributes:
        trace_id: in hex.
        spans: in the order in which they came.
        is_later_part: whether spans of it were told before.
    """

    trace_id: str
    spans: tuple[ReceivedSpan, ...]
    is_later_part: bool = False


@dataclass(slots=True)
class _Open:
    last_s: float
    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])

    def is_over(self, now_s: float) -> bool:
        """Whether nobody need wait for more."""
        silent_s = now_s - self.last_s
        if silent_s < SETTLE_S:
            return False
        if tells_of_orders(self.spans) and not any(one.name == SPAN_ORDER_LIFECYCLE for one in self.spans):
            return silent_s >= STANDING_S
        has_root = any(one.parent_span_id is None for one in self.spans)
        return has_root or silent_s >= ORPHANED_S


class Assembly:
    """Collects the spans of traces until they are over. Seconds are of any clock that never goes back."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._told: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Assembly {len(self._open)} open traces>"

    def add(self, spans: Iterable[ReceivedSpan], now_s: float) -> list[Ended]:
        """Take spans; what had to go since there is no more room."""
        pushed_out: list[Ended] = []
        for span in spans:
            found = self._open.setdefault(span.trace_id, _Open(now_s))
            found.spans.append(span)
            found.last_s = now_s
            self._open.move_to_end(span.trace_id)
            if len(found.spans) >= MOST_SPANS:
                pushed_out.append(self._told_now(span.trace_id))
            elif len(self._open) > MOST_TRACES:
                pushed_out.append(self._told_now(next(iter(self._open))))
        return pushed_out

    def over(self, now_s: float) -> list[Ended]:
        """The traces that are over by now, in the order in which they became silent."""
        done = [trace_id for trace_id, found in self._open.items() if found.is_over(now_s)]
        return [self._told_now(trace_id) for trace_id in done]

    def rest(self) -> list[Ended]:
        """All others, as far as they are known."""
        return [self._told_now(trace_id) for trace_id in list(self._open)]

    def _told_now(self, trace_id: str) -> Ended:
        found = self._open.pop(trace_id)
        was_told = trace_id in self._told
        self._told[trace_id] = None
        self._told.move_to_end(trace_id)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return Ended(trace_id, tuple(found.spans), was_told)
