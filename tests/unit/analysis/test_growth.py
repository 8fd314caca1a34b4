"""Trends are told from noise: Mann and Kendall, Hamed and Rao, Theil and Sen, and three windows in a row."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.growth import (
    BUCKETS,
    Growth,
    GrowthState,
    Trend,
    Verdict,
    mann_kendall,
    rises,
    theil_sen,
)

SEEDS = 40
MINUTE_S = 60.0
THREE_WINDOWS = 3 * BUCKETS


def test_the_slope_is_the_median_of_all_slopes() -> None:
    assert (theil_sen([1, 2, 3, 100]), theil_sen([5.0]), theil_sen([])) == (17, 0, 0)


def test_one_wild_value_does_not_move_the_slope() -> None:
    values = [2.0 * step for step in range(20)]
    values[7] = 1e9
    assert theil_sen(values) == pytest.approx(2.0)


def test_a_series_without_ties_is_scored_as_in_the_book() -> None:
    """Score 8 of 10 pairs, variance 5·4·15/18 = 16.67: z = 7/√16.67."""
    trend = mann_kendall([1, 2, 3, 5, 4])
    assert (trend.score, trend.z) == (8, pytest.approx(7 / math.sqrt(300 / 18)))


def test_ties_make_the_variance_smaller() -> None:
    """Two pairs of equal values: 6·5·17 - 2·(2·1·9) = 474, by 18."""
    trend = mann_kendall([1, 1, 2, 3, 3, 4])
    assert (trend.score, trend.z) == (13, pytest.approx(12 / math.sqrt(474 / 18)))


def test_nothing_is_said_of_few_or_equal_values() -> None:
    assert [mann_kendall(values) for values in ([1, 2, 3], [7] * 32, [])] == [Trend(0, 0.0, 1.0)] * 3


@given(st.lists(st.integers(-50, 50), max_size=40))
def test_a_series_that_is_turned_round_falls_as_it_rose(values: list[int]) -> None:
    forth, back = mann_kendall(values), mann_kendall(values[::-1])
    assert forth.score == -back.score
    assert theil_sen(values) == -theil_sen(values[::-1])


@given(st.lists(st.integers(-50, 50), min_size=4, max_size=40), st.integers(1, 9), st.integers(-99, 99))
def test_units_do_not_matter(values: list[int], scale: int, shift: int) -> None:
    scaled = mann_kendall([scale * value + shift for value in values])
    assert tuple(scaled) == pytest.approx(tuple(mann_kendall(values)))


def autocorrelated(draws: random.Random, number: int, memory: float, warm_up: int = 200) -> list[float]:
    level, values = 0.0, []
    for _ in range(warm_up + number):
        level = memory * level + draws.gauss(0, 1)
        values.append(level)
    return values[warm_up:]


def verdict(values: Sequence[float]) -> GrowthState:
    growth = Growth(scales_s=(MINUTE_S,))
    for minute, value in enumerate([*values, values[-1]]):
        growth.add(minute * MINUTE_S, value)
    return growth.verdict().state


def leaks(make: Callable[[random.Random], list[float]]) -> float:
    """The share of seeds whose series is called a leak."""
    states = [verdict(make(random.Random(seed))) for seed in range(SEEDS)]
    return states.count(GrowthState.LEAKING) / SEEDS


def test_without_the_correction_autocorrelation_would_be_a_trend() -> None:
    corrected = [
        mann_kendall(autocorrelated(random.Random(seed), THREE_WINDOWS, 0.9)).p < 0.01
        for seed in range(SEEDS)
    ]
    assert sum(corrected) / SEEDS < 0.35


def test_series_that_leak_nothing_are_no_leaks() -> None:
    found = {
        "noise": leaks(lambda draws: autocorrelated(draws, THREE_WINDOWS, 0.0)),
        "autocorrelated": leaks(lambda draws: autocorrelated(draws, THREE_WINDOWS, 0.9)),
        "saw-tooth": leaks(lambda draws: [step % 17 + draws.gauss(0, 0.3) for step in range(THREE_WINDOWS)]),
    }
    assert found == {"noise": 0, "autocorrelated": 0, "saw-tooth": 0}


def test_a_level_that_wanders_is_seldom_a_leak() -> None:
    """One of 80 random walks in the long run (`benchmarks/runtime/series.py`), three of these 40."""
    assert leaks(lambda draws: autocorrelated(draws, THREE_WINDOWS, 1.0, warm_up=0)) <= 0.08


def test_leaks_of_a_third_of_the_noise_per_bucket_are_found() -> None:
    def make(draws: random.Random) -> list[float]:
        return [0.3 * step + level for step, level in enumerate(autocorrelated(draws, THREE_WINDOWS, 0.5))]

    assert leaks(make) >= 0.8


def test_states_follow_one_another() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    states: list[GrowthState] = []
    for minute in range(3 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, float(minute))
        if not minute % BUCKETS:
            states.append(growth.verdict().state)
    assert states == ["warming", "suspected", "suspected", "leaking"]


def test_a_window_that_does_not_rise_ends_the_suspicion() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    for minute in range(2 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, float(min(minute, BUCKETS)))
    assert growth.verdict() == Verdict(GrowthState.STABLE, bucket_s=MINUTE_S)


def test_what_is_freed_within_a_bucket_does_not_count() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    for minute in range(3 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, 1_000.0 * minute)
        growth.add(minute * MINUTE_S + 30, 50.0)
    assert growth.verdict().state is GrowthState.STABLE


def test_a_limit_that_is_far_makes_no_leak() -> None:
    """A byte a minute: 10,080 in seven days."""
    states = {}
    for limit in (10_000.0, 20_000.0):
        growth = Growth(limit, (MINUTE_S,))
        for minute in range(3 * BUCKETS + 1):
            growth.add(minute * MINUTE_S, float(minute))
        states[limit] = growth.verdict()
    assert [(one.state, one.per_s * 60, one.left_s / 60) for one in states.values()] == [
        (GrowthState.LEAKING, pytest.approx(1), pytest.approx(9_904)),
        (GrowthState.SUSPECTED, pytest.approx(1), pytest.approx(19_904)),
    ]


def test_a_slow_leak_is_seen_at_the_scale_of_its_own() -> None:
    growth = Growth()
    for minute in range(3 * 5 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, minute / 5 + minute % 2)
    told = growth.verdict()
    assert (told.state, told.bucket_s) in {(GrowthState.LEAKING, 60.0), (GrowthState.LEAKING, 300.0)}


def test_a_restart_forgets_the_scales_that_are_shorter() -> None:
    growth = Growth(scales_s=(1.0, 60.0))
    for second in range(33 * 60):
        growth.add(float(second), float(second))
    growth.restart(60.0)
    kept = growth.verdict().bucket_s
    growth.restart()
    assert (kept, growth.verdict().state) == (60.0, GrowthState.WARMING)


def test_what_warms_up_is_no_leak_and_soon_no_suspicion() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    states: list[GrowthState] = []
    for minute in range(3 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, 1_000 * (1 - math.exp(-minute / 20)))
        if minute and not minute % BUCKETS:
            states.append(growth.verdict().state)
    assert states == ["suspected", "suspected", "suspected"]


def test_what_is_there_in_the_first_half_of_a_window_is_not_even_suspected() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    for minute in range(BUCKETS + 1):
        growth.add(minute * MINUTE_S, float(min(minute, BUCKETS // 2)))
    assert growth.verdict().state is GrowthState.STABLE


def test_a_saw_tooth_in_step_with_the_windows_is_no_leak() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    for minute in range(3 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, float(minute % BUCKETS))
    assert growth.verdict().state is GrowthState.SUSPECTED


def test_growth_by_less_than_what_is_material_does_not_count() -> None:
    states: list[GrowthState] = []
    for material in (0.0001, 0.01):
        growth = Growth(scales_s=(MINUTE_S,), material=material)
        for minute in range(3 * BUCKETS + 1):
            growth.add(minute * MINUTE_S, 10_000.0 + minute)
        states.append(growth.verdict().state)
    assert states == ["leaking", "stable"]


def test_the_slope_is_over_time_however_rarely_somebody_looks() -> None:
    growth = Growth(scales_s=(MINUTE_S,))
    for look in range(BUCKETS + 1):
        growth.add(look * 10 * MINUTE_S, float(look))
    assert growth.verdict().per_s * MINUTE_S == pytest.approx(0.1)


def test_a_window_rises_only_upwards() -> None:
    rising = [float(step) for step in range(32)]
    assert (rises(rising), rises(rising[::-1])) == (True, False)
