"""A process that makes small objects, or takes them from a pool: nanoseconds of each, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from benchmarks.sidebyside.lines import answer, questions
from tickspan.memory import BufferPool, ObjectPool

EMPTY, POSITION, KEYWORD, POOLED = "empty loop", "by position", "by keyword", "pool"
BUILT_BUFFER, POOLED_BUFFER = "bytearray", "BufferPool"
FIELDS: Final = (2, 4, 8)
BUFFER_BYTES: Final = 1 << 20
_BATCH: Final = 500
_BATCHES: Final = 60

Batch = Callable[[], None]


def main() -> None:
    """Answer each question, `{"round"}`, with the least nanoseconds of each way."""
    ways = {str(fields): _ways(fields) for fields in FIELDS}
    buffers = _buffers()
    answer({"ready": True})
    for _ in questions():
        answer(
            {
                "ns": {fields: _least(batches) for fields, batches in ways.items()},
                "buffers": _least(buffers),
            }
        )


def _least(batches: dict[str, Batch]) -> dict[str, float]:
    """Of a call, in the batch that was disturbed least; ways take turns."""
    found = dict.fromkeys(batches, float("inf"))
    for _ in range(_BATCHES):
        for way, batch in batches.items():
            began_ns = time.perf_counter_ns()
            batch()
            found[way] = min(found[way], (time.perf_counter_ns() - began_ns) / _BATCH)
    return found


class _Two:
    __slots__ = ("a", "b")

    def __init__(self, a: int, b: int) -> None:
        self.a, self.b = a, b


class _Four:
    __slots__ = ("a", "b", "c", "d")

    def __init__(self, a: int, b: int, c: int, d: int) -> None:
        self.a, self.b = a, b
        self.c, self.d = c, d


class _Eight:
    __slots__ = ("a", "b", "c", "d", "e", "f", "g", "h")

    def __init__(self, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int) -> None:
        self.a, self.b = a, b
        self.c, self.d = c, d
        self.e, self.f = e, f
        self.g, self.h = g, h


def _two_by_position(count: int) -> None:
    for _ in range(count):
        _Two(0, 1)


def _two_by_keyword(count: int) -> None:
    for _ in range(count):
        _Two(a=0, b=1)


def _four_by_position(count: int) -> None:
    for _ in range(count):
        _Four(0, 1, 2, 3)


def _four_by_keyword(count: int) -> None:
    for _ in range(count):
        _Four(a=0, b=1, c=2, d=3)


def _eight_by_position(count: int) -> None:
    for _ in range(count):
        _Eight(0, 1, 2, 3, 4, 5, 6, 7)


def _eight_by_keyword(count: int) -> None:
    for _ in range(count):
        _Eight(a=0, b=1, c=2, d=3, e=4, f=5, g=6, h=7)


def _empty(count: int) -> None:
    for _ in range(count):
        pass


_MADE: Final[dict[int, tuple[Callable[[], object], Callable[[int], None], Callable[[int], None]]]] = {
    2: (lambda: _Two(0, 1), _two_by_position, _two_by_keyword),
    4: (lambda: _Four(0, 1, 2, 3), _four_by_position, _four_by_keyword),
    8: (lambda: _Eight(0, 1, 2, 3, 4, 5, 6, 7), _eight_by_position, _eight_by_keyword),
}


def _ways(fields: int) -> dict[str, Batch]:
    make, by_position, by_keyword = _MADE[fields]
    pool: ObjectPool[object] = ObjectPool(make)
    taken = [pool.acquire() for _ in range(8)]
    for one in taken:
        pool.release(one)

    def pooled() -> None:
        acquire, release = pool.acquire, pool.release
        for _ in range(_BATCH):
            release(acquire())

    return {EMPTY: _of(_empty), POSITION: _of(by_position), KEYWORD: _of(by_keyword), POOLED: pooled}


def _of(loop: Callable[[int], None]) -> Batch:
    return lambda: loop(_BATCH)


def _buffers() -> dict[str, Batch]:
    pool = BufferPool(BUFFER_BYTES)
    pool.release(pool.acquire())

    def built() -> None:
        for _ in range(_BATCH):
            bytearray(BUFFER_BYTES)

    def pooled() -> None:
        acquire, release = pool.acquire, pool.release
        for _ in range(_BATCH):
            release(acquire())

    return {BUILT_BUFFER: built, POOLED_BUFFER: pooled}


if __name__ == "__main__":
    main()
