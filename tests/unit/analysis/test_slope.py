"""How fast numbers rise, and whether they do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.slope import Slope, mann_kendall, slope_of, theil_sen, thinned


def test_a_straight_line_has_its_slope_per_hour_and_no_doubt() -> None:
    found = slope_of([(10.0 * number, 2.0 * number) for number in range(20)])
    assert found is not None
    assert found.per_hour == 720.0
    assert found.p_value == pytest.approx(8.68e-10, rel=0.01)  # Z = 189 / sqrt(950)
    assert found.is_significant


def test_one_outlier_does_not_move_the_slope() -> None:
    points = [(float(number), float(number)) for number in range(100)]
    points[50] = (50.0, 1e9)
    assert theil_sen(points) == pytest.approx(1.0, abs=0.01)


def test_noise_has_no_trend() -> None:
    noise = random.Random(7)
    found = slope_of([(10.0 * number, noise.gauss(5, 1)) for number in range(180)])
    assert found is not None
    assert not found.is_significant


def test_the_p_value_is_that_of_the_normal_approximation() -> None:
    # One pair of 45 falls: S = 43, and Z = 42 / sqrt(125) = 3.757.
    values = [1, 2, 3, 4, 5, 6, 7, 9, 8, 10]
    assert mann_kendall([float(value) for value in values]) == pytest.approx(0.000172, rel=0.01)


def test_equal_values_are_no_trend() -> None:
    assert mann_kendall([3.0] * 10) == 1.0
    assert slope_of([(10.0 * number, 3.0) for number in range(10)]) == Slope(0.0, 1.0)


def test_too_few_points_and_too_short_a_time_say_nothing() -> None:
    assert slope_of([(60.0 * number, 1.0) for number in range(7)]) is None
    assert slope_of([(float(number), 1.0) for number in range(20)]) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=200))
def test_thinned_points_are_few_and_keep_the_mean(points: list[tuple[float, float]]) -> None:
    few = thinned(points, 40)
    assert len(few) == min(len(points), 40)
    low, high = min(value for _, value in points), max(value for _, value in points)
    assert all(low - 1e-6 <= value <= high + 1e-6 for _, value in few)
