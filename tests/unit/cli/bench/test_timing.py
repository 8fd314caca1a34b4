"""Rates, middles and tails of calls."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tickspan.cli.bench.timing import percentile, timed, timed_by_tasks, timed_in_batches


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float):
    assert percentile([4, 1, 3, 2], share) == value


def test_every_argument_is_called_with_as_often_as_the_others():
    calls: Counter[str] = Counter()
    timing = timed(lambda key: calls.update([key]), ["a", "b"], 0.01)
    assert abs(calls["a"] - calls["b"]) <= 1
    assert 0 < timing.calls <= calls.total()


def test_a_rate_is_taken_over_at_least_half_of_the_time_that_was_asked_for():
    timing = timed(lambda _: None, list(range(100)), 0.02)
    assert timing.calls / timing.per_second >= 0.01


def test_the_middle_is_below_the_tail():
    timing = timed(lambda _: None, [1], 0.01)
    assert 0 < timing.p50_s <= timing.p99_s


def test_a_batch_counts_as_many_calls_as_it_has_members():
    sizes: list[int] = []
    timing = timed_in_batches(lambda batch: sizes.append(len(batch)), [[1, 2, 3], [4, 5, 6]], 0.01)
    assert set(sizes) == {3}
    assert timing.calls % 6 == 0


def test_tasks_begin_at_different_arguments_and_call_side_by_side():
    first: list[int] = []
    together = 0
    most = 0

    async def call(number: int) -> None:
        nonlocal together, most
        first.append(number)
        together += 1
        most = max(most, together)
        await asyncio.sleep(0)
        together -= 1

    timing = asyncio.run(timed_by_tasks(call, [0, 1, 2], 0.01, tasks=3))
    assert first[:3] == [0, 1, 2]
    assert most == 3
    assert timing.calls % 8 == 0
