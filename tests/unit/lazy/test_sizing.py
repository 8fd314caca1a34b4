"""Chunks follow the time and the bytes that the last one took."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.lazy import LazyRules, configure, configure_for_analytics
from tickspan.lazy.rules import current_rules
from tickspan.lazy.sizing import MOST_ROWS, ChunkSizer, bytes_of

MIB = 1024 * 1024


def limit_after(rows: int, seconds: float, row_bytes: int, start: int = 1000) -> int:
    sizer = ChunkSizer(start, 0.05, 4 * MIB)
    sizer.learn(rows, seconds, rows * row_bytes)
    return sizer.limit


@pytest.mark.parametrize(
    ("rows", "seconds", "row_bytes", "limit"),
    [
        (1000, 0.001, 100, 2000),  # fast and small: doubles, and no more
        (1000, 0.04, 100, 1250),  # up to the time that is aimed at
        (1000, 0.5, 100, 100),  # slow: shrinks at once
        (1000, 0.001, 42_000, 99),  # large: shrinks at once
        (1000, 60.0, 100, 1),  # one row at least
        (100, 0.001, 100, 1000),  # who gives less than was asked for is not asked for more
        (0, 9.0, 0, 1000),  # a page without rows teaches nothing
        (1000, 0.0, 100, 2000),  # a clock that did not move
    ],
)
def test_the_next_limit(rows: int, seconds: float, row_bytes: int, limit: int) -> None:
    assert limit_after(rows, seconds, row_bytes) == limit


@given(st.lists(st.tuples(st.floats(1e-6, 1e-5), st.integers(1, 10)), min_size=60, max_size=60))
def test_a_limit_never_grows_without_bound(costs: list[tuple[float, int]]) -> None:
    sizer = ChunkSizer(1000, 1e9, 1e15)
    for seconds, row_bytes in costs:
        sizer.learn(sizer.limit, seconds, sizer.limit * row_bytes)
    assert sizer.limit == MOST_ROWS


@given(st.floats(1e-6, 1e-2), st.integers(1, 200_000))
def test_a_steady_source_is_asked_for_what_takes_the_time_or_the_bytes(row_s: float, row_bytes: int) -> None:
    sizer = ChunkSizer(1000, 0.05, 4 * MIB)
    for _ in range(30):
        sizer.learn(sizer.limit, sizer.limit * row_s, sizer.limit * row_bytes)
    wanted = max(1, int(min(0.05 / row_s, 4 * MIB / row_bytes)))
    assert abs(sizer.limit - wanted) <= 1 + wanted // 1000


def test_the_size_of_rows_is_estimated_from_eight_of_them() -> None:
    rows = [(number + 1000, "x" * 100) for number in range(10_000)]
    exact = sum(row.__sizeof__() + 8 + 28 + 149 for row in rows)
    assert abs(bytes_of(rows) - exact) / exact < 0.15
    assert bytes_of([]) == 0


@pytest.mark.parametrize("row", [{"id": 1, "text": "x" * 1000}, ["x" * 1000], "x" * 1000, b"x" * 1000])
def test_the_size_of_a_row_has_that_of_its_values(row: object) -> None:
    assert 1000 < bytes_of([row]) < 1600


def test_the_size_of_an_object_has_that_of_its_attributes() -> None:
    class Trade:
        def __init__(self) -> None:
            self.text = "x" * 1000

    assert 1000 < bytes_of([Trade()]) < 1600


def test_defaults_for_analytics_hold_until_they_are_taken_back() -> None:
    before = current_rules()
    with configure_for_analytics():
        assert current_rules() == LazyRules(chunk=10_000, prefetch=2, prefetch_bytes=64 * MIB, fetch_s=0.25)
    assert current_rules() == before
    configured = configure(LazyRules(chunk=7))
    assert current_rules() == LazyRules(chunk=7)
    configured.restore()
    configured.restore()
    assert current_rules() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"chunk": 0}, "chunk must be a whole number, at least 1, not 0"),
        ({"prefetch": -1}, "prefetch must be a whole number, at least 0, not -1"),
        ({"prefetch_bytes": 0}, "prefetch_bytes must be a whole number, at least 1, not 0"),
        ({"chunk": "5"}, "chunk must be a whole number, at least 1, not '5'"),
        ({"fetch_s": 0.0}, "fetch_s must be more than 0, not 0.0"),
    ],
)
def test_rules_out_of_their_range_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LazyRules(**arguments)  # pyright: ignore[reportArgumentType] - the values under test
