"""What windows hold, compared with all that was ever given to them."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.histograms import Histogram
from tickspan.analysis.rules.model import StatName
from tickspan.analysis.rules.readings import ExplicitBuckets, HistogramPoint
from tickspan.analysis.rules.windows import (
    HISTORY_VALUES,
    SLOTS,
    HistogramWindow,
    History,
    LevelWindow,
    NumberWindow,
)

WINDOW_S = 60.0

seconds = st.lists(st.integers(0, 200), min_size=1, max_size=120, unique=True).map(sorted)
"""At most one reading in each second: a slot of a minute's window has one."""


def measured(value: int) -> Histogram:
    return Histogram.of(HistogramPoint(value, value * 0.5, ExplicitBuckets((1.0,), (value, 0))))


@given(seconds, st.integers(0, 60))
def test_numbers_are_exact_where_each_slot_has_one_reading(times: list[int], later_s: int) -> None:
    window = NumberWindow(WINDOW_S)
    for at_s in times:
        window.add(at_s + 1, float(at_s))
    since_s = times[-1] + later_s - WINDOW_S
    assert window.points(since_s) == [(float(at_s), at_s + 1) for at_s in times if at_s > since_s]
    assert window.total(since_s) == sum(at_s + 1 for at_s in times if at_s > since_s)


@given(seconds, st.integers(0, 60))
def test_histograms_are_exact_where_each_slot_has_one_reading(times: list[int], later_s: int) -> None:
    window = HistogramWindow(WINDOW_S)
    for at_s in times:
        window.add(measured(at_s + 1), float(at_s))
    since_s = times[-1] + later_s - WINDOW_S
    inside = [at_s + 1 for at_s in times if at_s > since_s]
    total = window.total(since_s)
    assert (total.count, total.sum) == (sum(inside), sum(inside) * 0.5)
    assert [amount.count for _, amount in window.points(since_s)] == inside


@given(seconds, st.integers(0, 60), st.randoms(use_true_random=False))
def test_levels_are_exact_where_each_slot_has_one_reading(
    times: list[int], later_s: int, random: Random
) -> None:
    window = LevelWindow(WINDOW_S)
    values = {at_s: random.uniform(-5, 5) for at_s in times}
    for at_s in times:
        window.add(values[at_s], float(at_s))
    since_s = times[-1] + later_s - WINDOW_S
    inside = [values[at_s] for at_s in times if at_s > since_s]
    stats = (StatName.LAST, StatName.AVG, StatName.MIN, StatName.MAX)
    exact = [inside[-1], math.fsum(inside) / len(inside), min(inside), max(inside)] if inside else [None] * 4
    assert [window.reduced(stat, since_s) for stat in stats] == exact
    assert window.count(since_s) == len(inside)


@given(
    st.lists(st.floats(0, 300), min_size=1, max_size=300).map(sorted),
    st.floats(0, 120),
)
def test_however_often_it_is_read_a_window_is_at_most_one_slot_too_long(
    times: list[float], later_s: float
) -> None:
    window = NumberWindow(WINDOW_S)
    for at_s in times:
        window.add(1, at_s)
    since_s = times[-1] + later_s - WINDOW_S
    slot_s = WINDOW_S / SLOTS
    total = window.total(since_s)
    assert sum(at_s > since_s for at_s in times) <= total <= sum(at_s > since_s - slot_s for at_s in times)
    assert len(window.points(since_s)) <= SLOTS + 1


@pytest.mark.parametrize("window", [NumberWindow(WINDOW_S), LevelWindow(WINDOW_S)], ids=["numbers", "levels"])
def test_a_window_that_nobody_reads_does_not_grow(window: NumberWindow | LevelWindow) -> None:
    for at_s in range(100_000):
        window.add(1.0, at_s * 0.25)
    assert len(window.to_json(0.0)) <= SLOTS + 1


@pytest.mark.parametrize(
    ("started_s", "is_counted"),
    [(60.0, True), (39.9, True), (39.0, True), (38.9, False), (-math.inf, False)],
)
def test_an_increase_counts_if_it_came_in_no_longer_time_than_the_window_and_a_slot(
    started_s: float, is_counted: bool
) -> None:
    numbers, histograms = NumberWindow(WINDOW_S), HistogramWindow(WINDOW_S)
    assert numbers.add(3, 100.0, started_s) is is_counted
    assert histograms.add(measured(3), 100.0, started_s) is is_counted
    assert (numbers.total(40.0), histograms.total(40.0).count) == ((3, 3) if is_counted else (0, 0))


def test_a_reading_that_is_late_counts_with_the_newest() -> None:
    window = NumberWindow(WINDOW_S)
    window.add(1, 10.0)
    window.add(2, 8.0)
    assert window.points(0.0) == [(10.0, 3)]


def test_the_oldest_is_what_leaves_first() -> None:
    window = NumberWindow(WINDOW_S)
    assert window.oldest_s == math.inf
    window.add(1, 10.0)
    window.add(1, 20.0)
    assert window.oldest_s == 10.0


def test_windows_come_back_from_json_moved_to_another_clock() -> None:
    numbers, histograms, levels = NumberWindow(WINDOW_S), HistogramWindow(WINDOW_S), LevelWindow(WINDOW_S)
    for at_s in (100.0, 110.0, 110.5):
        numbers.add(2, at_s)
        histograms.add(measured(2), at_s)
        levels.add(at_s, at_s)
    restored = NumberWindow(WINDOW_S), HistogramWindow(WINDOW_S), LevelWindow(WINDOW_S)
    for before, after in zip((numbers, histograms, levels), restored, strict=True):
        after.restore(json.loads(json.dumps(before.to_json(120.0))), 1020.0)
    assert restored[0].points(960.0) == [(1000.0, 2), (1010.5, 4)]
    assert [(at_s, amount.count) for at_s, amount in restored[1].points(960.0)] == [(1000.0, 2), (1010.5, 4)]
    assert restored[2].points(StatName.AVG, 960.0) == [(1000.0, 100.0), (1010.5, 110.25)]


def test_a_history_gives_the_last_value_before_a_time_if_it_is_not_too_old() -> None:
    history = History(86_400.0)
    for minute in range(3):
        history.add(float(minute), minute * 60.0)
    assert [history.at(at_s, 120.0) for at_s in (-1.0, 0.0, 59.0, 60.0, 240.0, 241.0)] == [
        None,
        0.0,
        0.0,
        1.0,
        2.0,
        None,
    ]


def test_a_history_keeps_one_value_a_slot_and_forgets_the_oldest() -> None:
    history = History(86_400.0)
    for second in range(0, 4 * 86_400, 20):
        history.add(float(second), float(second))
    kept = history.to_json()
    assert HISTORY_VALUES <= len(kept) <= 2 * HISTORY_VALUES
    assert history.at(3 * 86_400.0, 120.0) == 3 * 86_400.0
    assert history.at(86_400.0, 120.0) is None
    restored = History(86_400.0)
    restored.restore(json.loads(json.dumps(kept)))
    assert restored.to_json() == kept


def test_while_a_clock_is_set_back_a_history_keeps_nothing() -> None:
    history = History(86_400.0)
    for wall_s in (1000.0, 500.0, 1059.0, 1060.0):
        history.add(wall_s, wall_s)
    assert history.to_json() == [[1000.0, 1000.0], [1060.0, 1060.0]]
