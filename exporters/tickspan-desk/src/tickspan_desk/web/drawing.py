"""Pictures as SVG. Attributes say where, classes say how: a page may have no style of its own.

Lengths along an axis are in hundredths of the picture's width, so that a picture is as wide as its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from tickspan_desk.views.text import visible

__all__ = ["Dot", "Label", "Slab", "bar", "element", "icicle", "ruler", "scatter", "share"]

_ROW: Final = 20
_RIM: Final = 18
_LEAST_BAR: Final = 0.25
_LEAST_NAMED: Final = 2.0
_GUTTER: Final = 5.0
"""Hundredths of a scatter's width in which its durations are told."""
_LAST: Final = 92.0
"""From there on a text has no room to the right."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text on an axis, at a place from 0 to 100."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a scatter: places from 0 to 100, 0 left and at the bottom. What is wrong is a cross."""

    x: float
    y: float
    href: str
    title: str
    is_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Slab:
    """A frame of an icicle: where it is, in hundredths and levels."""

    at: float
    width: float
    level: int
    hue: int
    name: str
    title: str
    href: str


def element(name: str, /, *inner: object, **attributes: object) -> Markup:
    """One element; what is no Markup is made visible and escaped. `class_` is `class`, `_` else is `-`.

    >>> element("text", "<b>", x=1, class_="end")
    Markup('<text x="1" class="end">&lt;b&gt;</text>')
    """
    told = "".join(
        [
            f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
            for key, value in attributes.items()
            if value is not None
        ]
    )
    return Markup(f"<{name}{told}>{''.join(map(_text, inner))}</{name}>")  # noqa: S704 - each part is escaped


def _text(value: object) -> str:
    """Escaped and visible; a page may have ten thousand of these pictures."""
    if isinstance(value, (Markup, int, float)):
        return str(value)
    return str(escape(visible(str(value))))


def share(part: float, hue: int) -> Markup:
    """A bar as long as a share from 0 to 1 of its place."""
    width = f"{min(max(part, 0.0), 1.0) * 100:.2f}%"
    filled = element("rect", class_=f"c{hue}", width=width, height=8, rx=4)
    return element("svg", filled, class_="share", aria_hidden="true")


def bar(
    at: float,
    width: float,
    hue: int,
    marks: Sequence[float] = (),
    *,
    is_wrong: bool = False,
    is_held: bool = False,
) -> Markup:
    """A span's place in time: a bar, events as ticks on it, a line under it if it held the trace up."""
    shown = max(width, _LEAST_BAR)
    left = min(at, 100 - shown)
    parts = [
        element("rect", class_=f"span c{hue}", x=_percent(left), y=4, width=_percent(shown), height=10, rx=2)
    ]
    if is_wrong:
        parts.append(
            element("rect", class_="wrong", x=_percent(left), y=4, width=_percent(shown), height=10, rx=2)
        )
    if is_held:
        parts.append(element("rect", class_="held", x=_percent(left), y=16, width=_percent(shown), height=2))
    parts.extend(
        element("rect", class_="mark", x=_percent(mark), y=2, width=1.5, height=14)
        for mark in marks
        if 0 <= mark <= 100  # noqa: PLR2004 - hundredths
    )
    return element("svg", *parts, class_="bar-line", aria_hidden="true")


def ruler(labels: Iterable[Label]) -> Markup:
    """Times over the bars of a waterfall."""
    parts: list[Markup] = []
    for label in labels:
        is_last = label.at > _LAST
        parts.append(
            element("line", class_="axis", x1=_percent(label.at), x2=_percent(label.at), y1=12, y2=20)
        )
        parts.append(
            element(
                "text",
                label.text,
                x=_percent(label.at),
                dx=-3 if is_last else 3,
                y=11,
                class_="end" if is_last else None,
            )
        )
    return element("svg", *parts, class_="chart ruler", height=20, aria_hidden="true")


def scatter(
    dots: Iterable[Dot], below: Iterable[Label], beside: Iterable[Label], height: int = 150
) -> Markup:
    """Dots that lead somewhere, over two axes."""
    inner = height - _RIM
    parts: list[Markup] = []
    for label in beside:
        y = _from_below(label.at, inner)
        parts.append(element("line", class_="grid", x1=_percent(_GUTTER), x2="100%", y1=y, y2=y))
        parts.append(element("text", label.text, x=_percent(_GUTTER), dx=-8, y=y + 4, class_="end"))
    for label in below:
        x, end = _percent(_beside_gutter(label.at)), "end" if label.at > _LAST else None
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=0, y2=inner))
        parts.append(element("text", label.text, x=x, y=height - 4, class_=end))
    for dot in dots:
        # Nested, so that a share of the width and pixels can stand in one shape.
        shape = (
            element("path", d="M-4-4 4 4M-4 4 4-4", class_="cross")
            if dot.is_wrong
            else element("circle", r=3.5, class_="dot c0")
        )
        x, y = _percent(_beside_gutter(dot.x)), _from_below(dot.y, inner)
        inside = element("svg", element("title", dot.title), shape, x=x, y=y, overflow="visible")
        parts.append(element("a", inside, href=dot.href, tabindex=-1))
    return element("svg", *parts, class_="chart scatter", height=height, role="group")


def _beside_gutter(at: float) -> float:
    return round(_GUTTER + at / 100 * (99 - _GUTTER), 3)


def _from_below(at: float, inner: int) -> float:
    return round(inner - at / 100 * (inner - 10), 1)


def icicle(slabs: Iterable[Slab], levels: int) -> Markup:
    """Frames under what called them. A name that does not fit is cut by its frame."""
    parts = [
        element(
            "a",
            element(
                "svg",
                element("title", slab.title),
                element("rect", class_=f"slab c{slab.hue}", width="100%", height=_ROW - 1, rx=2),
                element("text", slab.name, x=5, y=13, class_="on-slab") if slab.width > _LEAST_NAMED else "",
                x=_percent(slab.at),
                y=slab.level * _ROW,
                width=_percent(slab.width),
                height=_ROW,
            ),
            href=slab.href,
        )
        for slab in slabs
    ]
    return element("svg", *parts, class_="chart icicle", height=levels * _ROW, role="group")


def _percent(number: float) -> str:
    return f"{number:g}%"
