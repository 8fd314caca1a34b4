"""The plot: multiples of the stock SDK as bars on a logarithmic scale, in an SVG of few lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from .contenders import OURS, PURE

_LABEL, _WIDTH, _BAR, _GAP, _HEAD = 150, 480, 16, 4, 46
_TITLE: Final = 40
_HEADING: Final = "Multiples of the stock SDK over OTLP/HTTP; shorter is better"
_LOWEST: Final = 0.01
_TICKS: Final = (0.01, 0.1, 1.0, 10.0)
_COLOURS: Final[Mapping[str, str]] = {OURS: "#0a7f5a", PURE: "#7fbfa8"}
_OTHERS: Final = "#9aa3ad"


def svg(bars: Mapping[str, Mapping[str, float]], caption: str) -> str:
    """One group of bars per figure; shorter is better."""
    groups = list(bars.items())
    body: list[str] = []
    top = _TITLE
    for title, values in groups:
        body += _group(title, values, top)
        top += _HEAD + len(values) * (_BAR + _GAP) + _GAP
    total = _LABEL + _WIDTH + 90
    size = f'width="{total}" height="{top + 24}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="8" y="18" font-weight="bold">{_HEADING}</text>',
        f'<text x="8" y="36" fill="#777777">{escape(caption)}</text>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def position(value: float) -> float:
    """Where a multiple stands on the axis, from 0 to 1; what lies beyond the axis is at its end."""
    lowest, highest = math.log10(_LOWEST), math.log10(_TICKS[-1])
    place = (math.log10(max(value, _LOWEST)) - lowest) / (highest - lowest)
    return min(1.0, max(0.0, place))


def _group(title: str, values: Mapping[str, float], top: int) -> Sequence[str]:
    bottom = top + _HEAD + len(values) * (_BAR + _GAP)
    return [
        f'<text x="8" y="{top + 20}" font-weight="bold">{escape(title)}</text>',
        *_axis(top + 42, bottom),
        *(line for row, (name, value) in enumerate(values.items()) for line in _bar(name, value, top, row)),
    ]


def _axis(top: int, bottom: int) -> Iterator[str]:
    for tick in _TICKS:
        x = _LABEL + _WIDTH * position(tick)
        colour = "#555555" if tick == 1 else "#dddddd"
        yield f'<line x1="{x:.0f}" y1="{top}" x2="{x:.0f}" y2="{bottom}" stroke="{colour}"/>'
        yield f'<text x="{x:.0f}" y="{top - 3}" text-anchor="middle" fill="#777777">{tick:g}x</text>'


def _bar(name: str, value: float, top: int, row: int) -> Iterator[str]:
    y = top + _HEAD + row * (_BAR + _GAP)
    width = _WIDTH * position(value)
    colour = _COLOURS.get(name, _OTHERS)
    yield f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
    yield f'<rect x="{_LABEL}" y="{y}" width="{max(1.0, width):.0f}" height="{_BAR}" fill="{colour}"/>'
    yield f'<text x="{_LABEL + width + 6:.0f}" y="{y + 12}">{value:.3g}x</text>'
