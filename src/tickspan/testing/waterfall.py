"""A trace as a waterfall in plain text: one line a span, in the order of the tree, on one time axis. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.semconv.trading import SPAN_ORDER
from tickspan.testing.decoding import ReceivedSpan

LABEL: Final = 40
"""Characters of the names' column."""
TIMING: Final = 22
"""Characters of start and duration."""


@dataclass(frozen=True, slots=True)
class Line:
    """One span: its indented name, a bar in its place, and when it was, in milliseconds."""

    span: ReceivedSpan
    label: str
    bar: str
    timing: str

    def __str__(self) -> str:
        return f"{self.label}{self.bar}{self.timing}"


@dataclass(frozen=True, slots=True)
class Axis:
    """A trace's time on `width` characters."""

    start_ns: int
    total_ns: int
    width: int

    @staticmethod
    def of(spans: Sequence[ReceivedSpan], width: int) -> Axis:
        """The axis that all of `spans` fit on."""
        start_ns = min(span.start_ns for span in spans)
        return Axis(start_ns, max(max(span.end_ns for span in spans) - start_ns, 1), width)

    def bar(self, span: ReceivedSpan) -> str:
        """The span's place in time; at least one character, however short it was."""
        left = min(round((span.start_ns - self.start_ns) / self.total_ns * self.width), self.width - 1)
        length = max(1, round((span.end_ns - span.start_ns) / self.total_ns * self.width))
        return (" " * left + "█" * length)[: self.width].ljust(self.width)


def waterfall(spans: Sequence[ReceivedSpan], width: int = 48) -> list[Line]:
    """The lines of `spans`, which are of one trace; `width` is that of the axis, in characters."""
    if not spans:
        return []
    axis = Axis.of(spans, width)
    return [_line(span, depth, axis) for span, depth in in_tree_order(spans)]


def order_traces(spans: Sequence[ReceivedSpan]) -> list[list[ReceivedSpan]]:
    """The spans of each trace that tells of an order, in the order of their first span."""
    traces: dict[str, list[ReceivedSpan]] = {}
    for span in _by_start(spans):
        traces.setdefault(span.trace_id, []).append(span)
    return [trace for trace in traces.values() if any(_is_order(span) for span in trace)]


def in_tree_order(spans: Sequence[ReceivedSpan]) -> Iterator[tuple[ReceivedSpan, int]]:
    """Spans with their depth: parents first, siblings by their start."""
    known = {span.span_id for span in spans}
    pending = [(span, 0) for span in _by_start(spans) if span.parent_span_id not in known][::-1]
    while pending:
        span, depth = pending.pop()
        yield span, depth
        children = [child for child in _by_start(spans) if child.parent_span_id == span.span_id]
        pending.extend((child, depth + 1) for child in reversed(children))


def _line(span: ReceivedSpan, depth: int, axis: Axis) -> Line:
    label = f"{'  ' * depth}{span.name}"
    label = label if len(label) < LABEL else label[: LABEL - 2] + "…"
    start_ms, duration_ms = (span.start_ns - axis.start_ns) / 1e6, (span.end_ns - span.start_ns) / 1e6
    return Line(span, label.ljust(LABEL), axis.bar(span), f"{start_ms:>9.2f}{duration_ms:>9.2f} ms")


def _is_order(span: ReceivedSpan) -> bool:
    return span.name.startswith(f"{SPAN_ORDER}.")


def _by_start(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    return sorted(spans, key=lambda span: (span.start_ns, span.end_ns))
