"""Charts: lines, heat and states over time, and flame graphs, as SVG.

What is drawn against time begins at the same distance from the left, so that charts below one another line
up. Widths are shares of the picture, which is as wide as its place; heights are pixels.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple, Protocol

from markupsafe import Markup

from tickspan_desk.web.drawing import element

__all__ = ["HUES", "HeatLike", "LineLike", "SegmentLike", "flame", "heat_map", "line_chart", "state_timeline"]

HUES: Final = 8
"""Colours of lines, `c0` to `c7`; from the ninth line on they are dashed."""
_BELOW: Final = 18
_HEIGHT: Final = 200
_WIDTH: Final = 1000
_TICKS: Final = 4
_CELL: Final = 12
_MOST_CELLS_TOLD: Final = 4
_GAP: Final = 5
"""A line is broken where nothing came for so many times its usual distance of points."""
_DASHES: Final = (None, "6 3", "2 3", "8 3 2 3")
_STATES: Final = {
    "firing": ("bad", 0, 18),
    "pending": ("warn", 5, 13),
    "inactive": ("ok", 12, 6),
    "silent": ("c7", 15, 2),
}
"""Class, top and height: a state is told by its height too."""
_FRAME: Final = 18
_DEEPEST: Final = 80
_MOST_FRAMES: Final = 2_000
_LEAST_FRAME: Final = 0.1
_WARM: Final = (1, 4, 3)
"""Colours of frames."""


class _Rim(NamedTuple):
    """Around a chart: hundredths of the width for values on its left, and how many times stand below."""

    left: float
    times: int


_WIDE: Final = _Rim(8.0, 6)
_SMALL: Final = _Rim(18.0, 2)


class LineLike(Protocol):
    """A line: its name, and (nanoseconds, value), oldest first."""

    @property
    def label(self) -> str:
        """What tells it from the others."""
        ...

    @property
    def points(self) -> Sequence[tuple[int, float]]:
        """Oldest first."""
        ...


class RowLike(Protocol):
    """A bucket: measurements above `low`, up to `high`, how many in each column."""

    @property
    def low(self) -> float:
        """Exclusive."""
        ...

    @property
    def high(self) -> float:
        """Inclusive."""
        ...

    @property
    def counts(self) -> Sequence[int]:
        """One for each column."""
        ...


class HeatLike(Protocol):
    """A distribution over time; lowest bucket first."""

    @property
    def since_ns(self) -> int:
        """Where the first column begins."""
        ...

    @property
    def step_ns(self) -> int:
        """Width of a column."""
        ...

    @property
    def rows(self) -> Sequence[RowLike]:
        """Lowest first."""
        ...


class SegmentLike(Protocol):
    """A time in which something had one state."""

    @property
    def since_ns(self) -> int:
        """Beginning."""
        ...

    @property
    def until_ns(self) -> int:
        """End."""
        ...

    @property
    def state(self) -> str:
        """Firing, pending or inactive."""
        ...


def line_chart(
    lines: Sequence[LineLike],
    since_ns: int,
    until_ns: int,
    told: Callable[[float], str],
    label: str,
    height: int = _HEIGHT,
    *,
    is_small: bool = False,
    base: int = 10,
) -> Markup:
    """Lines over a range of time.

    The axis begins at zero unless a value is below it. A line is broken where points are missing, and a point
    with neither neighbour is a dot.

    Args:
        lines: in the order of their colours.
        since_ns: left end.
        until_ns: right end.
        told: a value in words.
        label: what the picture shows, for who does not see it.
        height: in pixels, with the times below.
        is_small: whether it is one of several side by side: fewer times, more room for values.
        base: 2 has round values of bytes on the axis.
    """
    values = [value for line in lines for _, value in line.points if math.isfinite(value)]
    low, high, ticks = _scale(min(values, default=0.0), max(values, default=0.0), base)
    inner, rim = height - _BELOW, _SMALL if is_small else _WIDE
    span_ns = max(1, until_ns - since_ns)

    def place(at_ns: int, value: float) -> tuple[float, float]:
        x = (at_ns - since_ns) / span_ns * _WIDTH
        return round(x, 1), round(inner - (value - low) / (high - low) * (inner - 8), 1)

    placed = [(told(tick), place(since_ns, tick)[1]) for tick in ticks]
    parts = [*_values(placed, rim), *_times(since_ns, until_ns, height, rim)]
    drawn = [_drawn(line, number, place) for number, line in enumerate(lines)]
    parts.append(
        element(
            "svg",
            *drawn,
            x=_percent(rim.left),
            y=0,
            width=_percent(100 - rim.left),
            height=inner,
            viewBox=f"0 0 {_WIDTH} {inner}",
            preserveAspectRatio="none",
        )
    )
    return element("svg", *parts, class_="chart plot", height=height, role="img", aria_label=label)


def heat_map(heat: HeatLike, told: Callable[[float], str], label: str) -> Markup:
    """Columns are times, rows are buckets, and how dark a cell is says how many fell there.

    Darkness is of the root of the count, so that a few stay visible beside many.
    """
    columns = max((len(row.counts) for row in heat.rows), default=1)
    most = max((count for row in heat.rows for count in row.counts), default=0)
    left = _WIDE.left
    width = (100 - left) / columns
    height = len(heat.rows) * _CELL + _BELOW
    parts: list[Markup] = []
    for number, row in enumerate(reversed(heat.rows)):
        top = number * _CELL
        if number % _MOST_CELLS_TOLD == 0 or number == len(heat.rows) - 1:
            parts.append(
                element("text", _bound(row, told), x=_percent(left - 0.6), y=top + _CELL - 2, class_="end")
            )
        parts.extend(
            element(
                "rect",
                element("title", _cell(heat, row, column, count, told)),
                class_="c0",
                x=_percent(left + column * width),
                y=top,
                width=_percent(width),
                height=_CELL,
                fill_opacity=round(0.12 + 0.88 * math.sqrt(count / most), 2),
            )
            for column, count in enumerate(row.counts)
            if count
        )
    parts += _times(heat.since_ns, heat.since_ns + columns * heat.step_ns, height, _WIDE)
    return element("svg", *parts, class_="chart heat", height=height, role="img", aria_label=label)


def state_timeline(segments: Iterable[SegmentLike], since_ns: int, until_ns: int, label: str) -> Markup:
    """States of one alert over a range: what fires is a high bar, what is pending a lower one."""
    span_ns = max(1, until_ns - since_ns)
    parts: list[Markup] = []
    for one in segments:
        class_, top, height = _STATES.get(one.state, _STATES["inactive"])
        left = max(0.0, (one.since_ns - since_ns) / span_ns * 100)
        width = max(0.2, (one.until_ns - one.since_ns) / span_ns * 100)
        said = f"{one.state} from {_clock(one.since_ns)} to {_clock(one.until_ns)}"
        parts.append(
            element(
                "rect",
                element("title", said),
                class_=class_,
                x=_percent(left),
                y=top,
                width=_percent(min(width, 100 - left)),
                height=height,
            )
        )
    return element("svg", *parts, class_="chart states", height=_FRAME, role="img", aria_label=label)


def flame(stacks: Iterable[tuple[str, int]], label: str) -> Markup:
    """A flame graph, root on top: as wide as the samples in a frame and below it.

    Frames narrower than a thousandth, deeper than 80 or beyond the 2,000th are left out. Without samples it
    is empty.
    """
    root = _tree(stacks)
    if not root.samples:
        return Markup()
    boxes = list(_boxes(root))
    levels = max(box.level for box in boxes) + 1
    parts = [_framed(box, root.samples) for box in boxes]
    return element("svg", *parts, class_="chart flame", height=levels * _FRAME, role="img", aria_label=label)


@dataclass(slots=True)
class _Node:
    name: str
    samples: int = 0
    below: dict[str, _Node] = field(default_factory=dict[str, "_Node"])


class _Box(NamedTuple):
    node: _Node
    level: int
    left: float
    width: float


def _tree(stacks: Iterable[tuple[str, int]]) -> _Node:
    root = _Node("all")
    for stack, samples in stacks:
        root.samples += samples
        node = root
        for name in stack.split(";", _DEEPEST)[:_DEEPEST]:
            node = node.below.setdefault(name, _Node(name))
            node.samples += samples
    return root


def _boxes(root: _Node) -> Iterator[_Box]:
    """Widest first within a level, until there are too many."""
    level, count = [_Box(root, 0, 0.0, 100.0)], 0
    while level and count < _MOST_FRAMES:
        yield from level[: _MOST_FRAMES - count]
        count += len(level)
        following: list[_Box] = []
        for box in level:
            left = box.left
            for child in sorted(box.node.below.values(), key=lambda one: one.name):
                width = child.samples / root.samples * 100
                if width >= _LEAST_FRAME:
                    following.append(_Box(child, box.level + 1, left, width))
                left += width
        level = following


def _framed(box: _Box, total: int) -> Markup:
    node = box.node
    hue = _WARM[zlib.crc32(node.name.encode(errors="replace")) % len(_WARM)]
    title = f"{node.name}: {node.samples:,} samples, {node.samples / total:.1%}"
    # Nested, so that the frame cuts a name that is longer.
    return element(
        "svg",
        element("title", title),
        element("rect", class_=f"slab c{hue}", width="100%", height=_FRAME - 1, rx=2),
        element("text", node.name, x=4, y=13, class_="on-slab") if box.width > 2 else "",  # noqa: PLR2004 - a few letters
        x=_percent(box.left),
        y=box.level * _FRAME,
        width=_percent(box.width),
        height=_FRAME,
    )


def _drawn(line: LineLike, number: int, place: Callable[[int, float], tuple[float, float]]) -> Markup:
    parts: list[Markup | str] = [element("title", line.label)]
    hue, dash = f"line c{number % HUES}", _DASHES[number // HUES % len(_DASHES)]
    for run in _runs([point for point in line.points if math.isfinite(point[1])]):
        places = [place(*point) for point in run]
        is_dot = len(places) == 1
        if is_dot:
            # A short line with round ends is a dot that keeps its shape, however wide the picture is.
            places = [*places, (places[0][0] + 0.1, places[0][1])]
        told = " ".join(f"{x:g},{y:g}" for x, y in places)
        parts.append(
            element(
                "polyline",
                points=told,
                class_=f"{hue} point" if is_dot else hue,
                stroke_dasharray=None if is_dot else dash,
                stroke_linecap="round" if is_dot else None,
            )
        )
    return element("g", *parts)


def _runs(points: Sequence[tuple[int, float]]) -> Iterator[Sequence[tuple[int, float]]]:
    """The points between gaps."""
    if not points:
        return
    usual = median([after[0] - before[0] for before, after in pairwise(points)] or [0])
    begun = 0
    for number in range(1, len(points)):
        if usual and points[number][0] - points[number - 1][0] > _GAP * usual:
            yield points[begun:number]
            begun = number
    yield points[begun:]


def _values(ticks: Iterable[tuple[str, float]], rim: _Rim) -> Iterator[Markup]:
    for told, y in ticks:
        yield element("line", class_="grid", x1=_percent(rim.left), x2="100%", y1=y, y2=y)
        yield element("text", told, x=_percent(rim.left - 0.6), y=max(9, y + 4), class_="end")


def _times(since_ns: int, until_ns: int, height: int, rim: _Rim) -> Iterator[Markup]:
    for number in range(rim.times + 1):
        at_ns = since_ns + (until_ns - since_ns) * number // rim.times
        x = rim.left + (100 - rim.left) * number / rim.times
        class_ = "end" if number == rim.times else "middle" if number else None
        yield element("text", _clock(at_ns), x=_percent(x), y=height - 4, class_=class_)


def _scale(low: float, high: float, base: int) -> tuple[float, float, list[float]]:
    """Ends of an axis and the values on it: multiples of 1, 2 or 5 of a power of ten, or powers of two."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 0 or not math.isfinite(high - low):
        return 0.0, 1.0, [0.0]
    step = _step((high - low) / _TICKS, base)
    if step <= 0:
        return low, high, [low, high]
    first, last = math.floor(low / step), math.ceil(high / step)
    return first * step, last * step, [number * step for number in range(first, last + 1)]


def _step(rough: float, base: int) -> float:
    """The next larger round number; 0 where there is none."""
    if base == 2:  # noqa: PLR2004 - powers of two
        return 2.0 ** math.ceil(math.log2(rough))
    power = 10.0 ** math.floor(math.log10(rough))
    return next((size * power for size in (1, 2, 5) if size * power >= rough), 10 * power)


def _bound(row: RowLike, told: Callable[[float], str]) -> str:
    return f"> {told(row.low)}" if math.isinf(row.high) else told(row.high)


def _cell(heat: HeatLike, row: RowLike, column: int, count: int, told: Callable[[float], str]) -> str:
    at_ns = heat.since_ns + column * heat.step_ns
    low = "" if math.isinf(row.low) else f"{told(row.low)} to "
    return f"{_clock(at_ns)}: {count:,} of {low}{_bound(row, told)}"


def _clock(at_ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return ""


def _percent(number: float) -> str:
    return f"{number:.6g}%"
