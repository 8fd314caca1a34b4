"""One trace: a waterfall, what held it up, its flame graph, its spans, its logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.received import ReceivedLog, ReceivedSpan
from tickspan_desk.views.about import About, LogLine, about, log_line, moment_of, orders_of
from tickspan_desk.views.criticalpath import Stretch, critical_path, held
from tickspan_desk.views.flame import Frame, flame
from tickspan_desk.views.hues import OTHERS, Hue, Hues
from tickspan_desk.views.text import shown
from tickspan_desk.views.tree import Node, Tree, service_of
from tickspan_desk.views.waterfall import Row, Tick, Waterfall, is_error

__all__ = ["PathStep", "TraceView", "trace_view"]

_PATH_MAX: Final = 200
_LOGS_MAX: Final = 500
_ORDERS_MAX: Final = 20
_MARKS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class PathStep:
    """A stretch of the critical path, or all stretches of one span. Without an id nothing was recorded."""

    span_id: str
    name: str
    service: str
    hue: int
    offset_ns: int
    ns: int
    share: float
    """Of the trace's duration, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class TraceView:
    """The page of a trace.

    Attributes:
        notes: what is wrong with it, in sentences.
        part: name of the span whose part of the tree is shown alone; "" for the whole.
        hue_by: "service" or "instrumentation".
        left_out: spans that have no row.
        path: the critical path in the order of time.
        held: the same by span, longest first.
        about: spans that tell of themselves, by their start.
    """

    trace_id: str
    name: str
    service: str
    start_ns: int
    duration_ns: int
    spans: int
    errors: int
    depth: int
    orders: tuple[str, ...]
    notes: tuple[str, ...]
    part: str
    hue_by: str
    hues: tuple[Hue, ...]
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    left_out: int
    path: tuple[PathStep, ...]
    path_left_out: int
    held: tuple[PathStep, ...]
    flame: tuple[Frame, ...]
    flame_depth: int
    flame_left_out: int
    about: tuple[About, ...]
    logs: tuple[LogLine, ...]
    logs_left_out: int


def trace_view(
    spans: Sequence[ReceivedSpan], logs: Sequence[ReceivedLog], *, part: str = "", selected: str = ""
) -> TraceView:
    """What a page shows of a trace.

    Args:
        spans: of the trace, at least one, in any order.
        logs: of the trace, in any order.
        part: id of a span; the waterfall shows it and what is under it alone.
        selected: id of a span; it has a row and tells of itself, however many spans there are.
    """
    tree = Tree(spans)
    hues, stretches = Hues(tree), critical_path(tree)
    by_id = {node.span.span_id: node for node in tree.nodes}
    records = sorted(logs, key=moment_of)
    path = _time_on_path(stretches)
    fall = Waterfall(tree, hues, path, _marks(tree, records, by_id), by_id.get(part), by_id.get(selected))
    rows = tuple(fall.rows())
    telling = {row.span_id for row in rows if row.has_about}
    flames = flame(tree, hues.of)
    first = tree.roots[0].span
    orders = dict.fromkeys(order for node in tree.nodes for order in orders_of(node.span))
    return TraceView(
        trace_id=first.trace_id,
        name=shown(first.name),
        service=shown(service_of(first)),
        start_ns=tree.start_ns,
        duration_ns=tree.end_ns - tree.start_ns,
        spans=len(tree.nodes),
        errors=sum(map(is_error, tree.nodes)),
        depth=1 + max(depth for _, depth in tree.walk()),
        orders=tuple(orders)[:_ORDERS_MAX],
        notes=tuple(_notes(tree)),
        part="" if fall.part is None else shown(fall.part.span.name),
        hue_by=hues.by,
        hues=hues.told,
        ticks=tuple(fall.ticks()),
        rows=rows,
        left_out=sum(row.many for row in rows if row.kind == "left out"),
        path=tuple(
            _step(tree, hues, one.node, one.start_ns, one.end_ns - one.start_ns)
            for one in stretches[:_PATH_MAX]
        ),
        path_left_out=max(len(stretches) - _PATH_MAX, 0),
        held=tuple(
            _step(tree, hues, one.node, tree.start_ns if one.node is None else one.node.start_ns, one.ns)
            for one in held(tree, stretches)[:_PATH_MAX]
        ),
        flame=flames.frames,
        flame_depth=flames.depth,
        flame_left_out=flames.left_out,
        about=tuple(
            about(tree, node, hues.of(node), path.get(node.place, 0))
            for node in tree.nodes
            if node.span.span_id in telling
        ),
        logs=tuple(
            log_line(tree, record, record.span_id if record.span_id and record.span_id in by_id else "")
            for record in records[:_LOGS_MAX]
        ),
        logs_left_out=max(len(records) - _LOGS_MAX, 0),
    )


def _time_on_path(stretches: Sequence[Stretch]) -> dict[int, int]:
    """How long each node was on the path, by its place."""
    found: dict[int, int] = {}
    for one in stretches:
        if one.node is not None:
            found[one.node.place] = found.get(one.node.place, 0) + one.end_ns - one.start_ns
    return found


def _marks(
    tree: Tree, records: Sequence[ReceivedLog], by_id: Mapping[str, Node]
) -> Mapping[int, Sequence[int]]:
    """When events and log records of a node were, by its place."""
    found = {
        node.place: [event.time_ns for event in node.span.events[:_MARKS_MAX]]
        for node in tree.nodes
        if node.span.events
    }
    for record in records:
        node = by_id.get(record.span_id or "")
        if node is not None:
            found.setdefault(node.place, []).append(moment_of(record))
    return {place: times[:_MARKS_MAX] for place, times in found.items()}


def _step(tree: Tree, hues: Hues, node: Node | None, start_ns: int, ns: int) -> PathStep:
    offset_ns, share = start_ns - tree.start_ns, ns / max(tree.end_ns - tree.start_ns, 1)
    if node is None:
        return PathStep("", "", "", OTHERS, offset_ns, ns, share)
    name, service = shown(node.span.name), shown(service_of(node.span))
    return PathStep(node.span.span_id, name, service, hues.of(node), offset_ns, ns, share)


def _notes(tree: Tree) -> Iterator[str]:
    """What is wrong with a trace, in sentences."""
    if tree.orphans:
        yield (
            f"{_spans(tree.orphans, 'names', 'name')} a parent that is not here: it has not come yet, "
            "was not sampled, was lost, or is of a process that sends elsewhere."
        )
    whole = len(tree.roots) - tree.orphans
    if not whole:
        yield "The root of this trace is not here."
    elif whole > 1:
        yield f"{_spans(whole, 'has', 'have')} no parent: several roots share this trace."
    if tree.circles:
        yield f"{_spans(tree.circles, 'is its', 'are their')} own ancestor: the circle is cut at its first."
    if tree.repeated:
        yield f"{_spans(tree.repeated, 'came', 'came')} again under the same id; the first is shown."
    early = sum(node.parent >= 0 and node.start_ns < tree.nodes[node.parent].start_ns for node in tree.nodes)
    if early:
        yield f"{_spans(early, 'starts', 'start')} before the parent: the clocks of their machines differ."
    backwards = sum(node.span.end_ns < node.span.start_ns for node in tree.nodes)
    if backwards:
        yield f"{_spans(backwards, 'ends', 'end')} before the start: a clock was set back meanwhile."


def _spans(many: int, does: str, do: str) -> str:
    return f"One span of it {does}" if many == 1 else f"{many:,} spans of it {do}"
