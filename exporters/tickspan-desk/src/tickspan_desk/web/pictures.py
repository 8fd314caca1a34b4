"""The pictures of the traces' pages."""

from __future__ import annotations

from markupsafe import Markup

from tickspan_desk.views.trace import PathStep, TraceView
from tickspan_desk.views.traces import TracesView
from tickspan_desk.views.waterfall import Row
from tickspan_desk.web.drawing import Dot, Label, Slab, bar, icicle, ruler, scatter
from tickspan_desk.web.words import as_clock, as_duration

__all__ = ["drawn_bar", "drawn_flame", "drawn_ruler", "drawn_step", "drawn_traces"]


def drawn_traces(model: TracesView) -> Markup:
    """When traces were, and how long."""
    dots = [
        Dot(
            dot.x,
            dot.y,
            f"/traces/{dot.trace_id}",
            f"{dot.name}: {as_duration(dot.duration_ns)}{', failed' if dot.is_wrong else ''}",
            dot.is_wrong,
        )
        for dot in model.dots
    ]
    below = [Label(mark.at, as_clock(mark.ns)[:8]) for mark in model.times]
    return scatter(dots, below, [Label(mark.at, as_duration(mark.ns)) for mark in model.durations])


def drawn_bar(row: Row) -> Markup:
    """A line of a waterfall."""
    return bar(row.at, row.width, row.hue, row.marks, is_wrong=row.errors > 0, is_held=row.is_held)


def drawn_step(step: PathStep, duration_ns: int) -> Markup:
    """A stretch of a critical path."""
    total = max(duration_ns, 1)
    return bar(step.offset_ns / total * 100, step.ns / total * 100, step.hue)


def drawn_ruler(model: TraceView) -> Markup:
    """Times over a waterfall."""
    return ruler(
        Label(tick.at, as_duration(tick.offset_ns) if tick.offset_ns else "0") for tick in model.ticks
    )


def drawn_flame(model: TraceView) -> Markup:
    """A flame graph; a frame leads to the longest span in it."""
    slabs = [
        Slab(
            frame.at,
            frame.width,
            frame.depth,
            frame.hue,
            frame.name,
            f"{frame.name} ({frame.service}): {frame.calls:,} calls, together {as_duration(frame.ns)}, "
            f"itself {as_duration(frame.self_ns)}",
            f"?selected={frame.slowest}#span-{frame.slowest}",
        )
        for frame in model.flame
    ]
    return icicle(slabs, model.flame_depth)
