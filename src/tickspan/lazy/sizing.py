"""How many rows the next fetch asks for: by the time and the bytes that the last one took."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

MOST_ROWS: Final = 1_000_000
_SAMPLED_ROWS: Final = 8
_POINTER_BYTES: Final = 8
_GROWTH: Final = 2
_EACH: Final = (tuple, list)


def bytes_of(rows: Sequence[Any]) -> int:
    """About how many bytes of memory `rows` take, from at most eight of them, evenly chosen."""
    if not rows:
        return 0
    step = max(1, len(rows) // _SAMPLED_ROWS)
    sample = rows[::step]
    return round(sum(map(_row_bytes, sample)) / len(sample) * len(rows))


def _row_bytes(row: Any) -> int:
    size = sys.getsizeof(row) + _POINTER_BYTES
    if isinstance(row, _EACH):
        return size + sum(map(sys.getsizeof, row))
    if isinstance(row, Mapping):
        return size + sum(map(sys.getsizeof, row.values()))
    return size + sum(map(sys.getsizeof, getattr(row, "__dict__", {}).values()))


class ChunkSizer:
    """Aims at a time and a size: it doubles at most, and shrinks at once.

    Args:
        rows: to begin with.
        target_s: a fetch should take.
        target_bytes: a chunk should have at most.
        is_adaptive: whether the limit follows them; it stays otherwise.
    """

    __slots__ = ("_is_adaptive", "_target_bytes", "_target_s", "limit", "row_bytes")

    def __init__(self, rows: int, target_s: float, target_bytes: float, *, is_adaptive: bool = True) -> None:
        self.limit = rows
        self._is_adaptive = is_adaptive
        self.row_bytes = 0.0
        """Of the last chunk that had rows, on average."""
        self._target_s = target_s
        self._target_bytes = target_bytes

    def __repr__(self) -> str:
        return f"<ChunkSizer {self.limit:,} rows of {self.row_bytes:,.0f} bytes>"

    def learn(self, rows: int, seconds: float, size_bytes: int) -> None:
        """Choose the next limit after a chunk; one without rows teaches nothing."""
        if not rows:
            return
        self.row_bytes = size_bytes / rows
        if self._is_adaptive:
            self.limit = self._next(rows, seconds)

    def _next(self, rows: int, seconds: float) -> int:
        by_time = rows * self._target_s / seconds if seconds > 0 else MOST_ROWS
        by_size = self._target_bytes / self.row_bytes if self.row_bytes else MOST_ROWS
        most = (
            self.limit * _GROWTH if rows >= self.limit else self.limit
        )  # who gives less has a limit of its own
        wanted = min(by_time, by_size, most, MOST_ROWS)
        return max(1, int(wanted))
