"""A trace as a waterfall in plain text: a line for each span, in the order of the tree, on one axis. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.received import ReceivedSpan, StatusCode
from tickspan.semconv.trading import SPAN_ORDER

LABEL: Final = 40
"""Characters of the names' column."""
TIMING: Final = 22
"""Characters of start and duration."""


@dataclass(frozen=True, slots=True)
class Line:
    """One span, or several alike: the indented name, a bar in its place, and when it was, in milliseconds."""

    span: ReceivedSpan
    """The first of them."""
    label: str
    bar: str
    timing: str
    depth: int = 0
    count: int = 1
    """Spans that it stands for."""
    errors: int = 0
    """How many of them failed."""
    start_ns: int = 0
    end_ns: int = 0

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

    def bar(self, start_ns: int, end_ns: int) -> str:
        """A place in time; at least one character, however short it was."""
        left = min(round((start_ns - self.start_ns) / self.total_ns * self.width), self.width - 1)
        length = max(1, round((end_ns - start_ns) / self.total_ns * self.width))
        return (" " * left + "█" * length)[: self.width].ljust(self.width)


def waterfall(spans: Sequence[ReceivedSpan], width: int = 48, *, fold_from: int = 0) -> list[Line]:
    """The lines of `spans`, which are of one trace.

    Args:
        spans: in any order.
        width: of the axis, in characters.
        fold_from: this many siblings in a row that have one name and no children are one line; 0 is never.
    """
    if not spans:
        return []
    axis = Axis.of(spans, width)
    return [_line(run, depth, axis) for run, depth in _runs(list(in_tree_order(spans)), fold_from)]


def order_traces(spans: Sequence[ReceivedSpan]) -> list[list[ReceivedSpan]]:
    """The spans of each trace that tells of an order, in the order of their first span."""
    traces: dict[str, list[ReceivedSpan]] = {}
    for span in _by_start(spans):
        traces.setdefault(span.trace_id, []).append(span)
    return [trace for trace in traces.values() if tells_of_orders(trace)]


def tells_of_orders(spans: Sequence[ReceivedSpan]) -> bool:
    """Whether a trace has to do with an order."""
    return any(_is_order(span) for span in spans)


def in_tree_order(spans: Sequence[ReceivedSpan]) -> Iterator[tuple[ReceivedSpan, int]]:
    """Spans with their depth: parents first, siblings by their start. Each once, whatever names what."""
    ordered = _by_start(spans)
    known = {span.span_id for span in ordered}
    children: dict[str | None, list[ReceivedSpan]] = {}
    for span in ordered:
        children.setdefault(span.parent_span_id if span.parent_span_id in known else None, []).append(span)
    told: set[int] = set()
    for root in (*children.get(None, ()), *ordered):  # the rest: those whose parents name one another
        pending = [(root, 0)]
        while pending:
            span, depth = pending.pop()
            if id(span) not in told:
                told.add(id(span))
                yield span, depth
                pending.extend((child, depth + 1) for child in reversed(children.get(span.span_id, ())))


_Placed = tuple[ReceivedSpan, int]


def _runs(placed: Sequence[_Placed], fold_from: int) -> Iterator[tuple[list[ReceivedSpan], int]]:
    """Neighbours alike together where there are enough of them, each one alone otherwise."""
    place = 0
    while place < len(placed):
        length = _length_of_run(placed, place) if fold_from else 1
        taken = length if length >= fold_from else 1
        yield [one for one, _ in placed[place : place + taken]], placed[place][1]
        place += taken


def _length_of_run(placed: Sequence[_Placed], place: int) -> int:
    """How many siblings in a row have the name of the one at `place`, and no children."""
    first, depth = placed[place]
    end = place
    while end < len(placed):
        span, at = placed[end]
        if (span.name, span.parent_span_id, at) != (first.name, first.parent_span_id, depth):
            break
        has_children = end + 1 < len(placed) and placed[end + 1][1] > depth
        if has_children:
            break
        end += 1
    return max(1, end - place)


def _line(run: Sequence[ReceivedSpan], depth: int, axis: Axis) -> Line:
    span, start_ns, end_ns = run[0], run[0].start_ns, max(one.end_ns for one in run)
    times = f" x{len(run)}" if len(run) > 1 else ""
    room = LABEL - len(times)
    label = f"{'  ' * depth}{span.name}"
    label = label if len(label) < room else label[: room - 2] + "…"
    start_ms, duration_ms = (start_ns - axis.start_ns) / 1e6, (end_ns - start_ns) / 1e6
    return Line(
        span,
        f"{label}{times}".ljust(LABEL),
        axis.bar(start_ns, end_ns),
        f"{start_ms:>9.2f}{duration_ms:>9.2f} ms",
        depth,
        len(run),
        sum(one.status.code is StatusCode.ERROR for one in run),
        start_ns,
        end_ns,
    )


def _is_order(span: ReceivedSpan) -> bool:
    return span.name.startswith(f"{SPAN_ORDER}.")


def _by_start(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    return sorted(spans, key=lambda span: (span.start_ns, span.end_ns))
