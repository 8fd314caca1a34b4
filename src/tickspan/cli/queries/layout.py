"""Tables and durations as people read them, within 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["WIDTH", "count", "duration", "markdown_table", "table"]

WIDTH: Final = 100
_THOUSANDS: Final = (("G", 10**9), ("M", 10**6), ("k", 10**4))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, all but the last two right-aligned; the last is cut so that lines fit."""
    columns = list(zip(headings, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns[:-1]]
    room = max(8, WIDTH - sum(widths) - 2 * len(widths))
    lines: list[str] = []
    for row in (headings, *rows):
        cells = [
            cell.rjust(width) if place < len(widths) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        lines.append("  ".join([*cells, _cut(row[-1], room)]).rstrip())
    return lines


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The same for documents."""
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def duration(seconds: float) -> str:
    """In the unit that suits, at most 8 characters: `1.23 s`, `45.6 ms`, `789 us`, `2.1 h`."""
    if seconds >= 3_600:  # noqa: PLR2004 - an hour
        return f"{seconds / 3_600:.1f} h"
    if seconds >= 100:  # noqa: PLR2004 - more than three digits
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:  # noqa: PLR2004 - a millisecond
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} us"


def count(number: int) -> str:
    """At most 6 characters: `9876`, `12.3k`, `4.5M`."""
    for unit, size in _THOUSANDS:
        if number >= size:
            return f"{number / (1_000 if unit == 'k' else size):.1f}{unit}"
    return str(number)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
