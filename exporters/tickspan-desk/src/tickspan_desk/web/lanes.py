"""The stages of an order as a picture: a lane each, on one axis of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from tickspan_desk.views.stages import Part, Stage, Way
from tickspan_desk.web.drawing import element

__all__ = ["stages"]

LABELS: Final = 15.0
"""Hundredths of the width: where the lanes begin."""
ROOM: Final = 8.0
"""Right of the lanes, for a duration."""
LANE: Final = 24
BAR: Final = 14
RIM: Final = 20
MAX_LANES: Final = 24
MAX_LABEL: Final = 24
MAX_FILLS: Final = 200
_LEAST: Final = 0.25
"""How wide a bar is at least."""
_UNEVEN: Final = 4.0
"""When what follows the answer is so many times longer than what leads to it, the axis is broken there."""
_FRONT: Final = 0.66
"""The part of a broken axis that leads to the answer."""
_LAST: Final = 92.0
"""Right of it a duration stands before its bar."""

COLOURS: Final[Mapping[Part, str]] = {
    "tick": "c5",
    "decision": "c0",
    "check": "c6",
    "wait": "c1",
    "signing": "c4",
    "client": "c3",
    "call": "c3",
    "wire": "c2",
    "fill": "c7",
    "cancel": "c1",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """Time to places: linear, or linear on each side of a break."""

    start_ns: int
    break_ns: int | None
    end_ns: int

    @staticmethod
    def of(way: Way) -> Axis:
        """The axis on which a way fits; it has stages."""
        start_ns = min(stage.start_ns for stage in way.stages)
        end_ns = max([*(stage.end_ns for stage in way.stages), *way.fills_ns, start_ns + 1])
        answered_ns = way.answered_ns
        if answered_ns is None or answered_ns <= start_ns:
            return Axis(start_ns, None, end_ns)
        is_uneven = end_ns - answered_ns > _UNEVEN * (answered_ns - start_ns)
        return Axis(start_ns, answered_ns if is_uneven else None, end_ns)

    def at(self, time_ns: int) -> float:
        """The place of a moment, in hundredths of the picture's width."""
        width = 100 - LABELS - ROOM
        if self.break_ns is None:
            return LABELS + width * (time_ns - self.start_ns) / (self.end_ns - self.start_ns)
        if time_ns <= self.break_ns:
            return LABELS + width * _FRONT * (time_ns - self.start_ns) / (self.break_ns - self.start_ns)
        rest = (time_ns - self.break_ns) / (self.end_ns - self.break_ns)
        return LABELS + width * (_FRONT + (1 - _FRONT) * rest)


def stages(way: Way, duration: Callable[[float], str]) -> Markup:
    """A picture of where the time of an order went; nothing for a way without stages.

    Args:
        way: the stages, each of which becomes a lane; at most `MAX_LANES`.
        duration: nanoseconds as text.
    """
    if not way.stages:
        return Markup()
    axis, lanes, fills = Axis.of(way), way.stages[:MAX_LANES], way.fills_ns[:MAX_FILLS]
    height = LANE * (len(lanes) + bool(fills)) + RIM
    told = ", ".join(f"{stage.name} {duration(stage.end_ns - stage.start_ns)}" for stage in lanes)
    parts = [*_grid(axis, height, duration)]
    for number, stage in enumerate(lanes):
        parts += _lane(axis, stage, number * LANE, duration)
    if fills:
        parts += _fills(axis, fills, len(lanes) * LANE, duration)
    return element(
        "svg", *parts, class_="chart", height=height, role="group", aria_label=f"From tick to fill: {told}"
    )


def _lane(axis: Axis, stage: Stage, top: int, duration: Callable[[float], str]) -> list[Markup]:
    left = axis.at(stage.start_ns)
    width = max(axis.at(stage.end_ns) - left, _LEAST)
    length, offset = duration(stage.end_ns - stage.start_ns), duration(stage.start_ns - axis.start_ns)
    name = stage.name if len(stage.name) <= MAX_LABEL else f"{stage.name[: MAX_LABEL - 1]}…"
    bar = element(
        "rect",
        element("title", f"{stage.name}: {length}, from {offset} on"),
        class_=COLOURS[stage.part],
        x=_percent(left),
        y=top + (LANE - BAR) // 2,
        width=_percent(width),
        height=BAR,
        rx=2,
    )
    is_last = left + width > _LAST
    return [
        _label(name, top),
        element("a", bar, href=stage.path) if stage.path else bar,
        element(
            "text",
            length,
            x=_percent(left if is_last else left + width),
            dx=-5 if is_last else 5,
            y=top + LANE // 2 + 4,
            class_="end" if is_last else None,
        ),
    ]


def _fills(axis: Axis, fills: Sequence[int], top: int, duration: Callable[[float], str]) -> list[Markup]:
    marks = [
        element(
            "circle",
            element("title", f"fill {number}, at {duration(time_ns - axis.start_ns)}"),
            class_="ok",
            cx=_percent(axis.at(time_ns)),
            cy=top + LANE // 2,
            r=4,
        )
        for number, time_ns in enumerate(fills, 1)
    ]
    return [_label("1 fill" if len(fills) == 1 else f"{len(fills)} fills", top), *marks]


def _grid(axis: Axis, height: int, duration: Callable[[float], str]) -> list[Markup]:
    """Lines at even distances up to the break, one at the break, one at the end."""
    front_ns = (axis.break_ns or axis.end_ns) - axis.start_ns
    moments = [axis.start_ns + front_ns * quarter // 4 for quarter in range(5)]
    moments += [axis.end_ns] if axis.break_ns else []
    found: list[Markup] = []
    for moment in moments:
        place, is_break = _percent(axis.at(moment)), moment == axis.break_ns
        line = element(
            "line", class_="axis" if is_break else "grid", x1=place, x2=place, y1=0, y2=height - RIM
        )
        told = duration(moment - axis.start_ns) if moment > axis.start_ns else "0"
        words = f"{told} ⋯ other scale" if is_break else told
        found += [line, element("text", words, x=place, y=height - 6, class_="middle")]
    return found


def _label(text: str, top: int) -> Markup:
    return element("text", text, class_="end strong", x=_percent(LABELS), dx=-8, y=top + LANE // 2 + 4)


def _percent(number: float) -> str:
    return f"{number:.2f}%"
