"""Lines, crossings of thresholds with their uncertainty, and what is usual at a time of a session."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.slope import mann_kendall
from tickspan.analysis.trend import Line, Season, crossing_of, line_through, season_of

DAY_S = 86_400.0
values = st.lists(st.integers(-1000, 1000).map(float), min_size=8, max_size=40)


def points(*given_values: float, apart_s: float = 1.0) -> list[tuple[float, float]]:
    return [(number * apart_s, value) for number, value in enumerate(given_values)]


@pytest.mark.parametrize(("from_s", "value"), [(3000.0, 76.81818181818181), (600.0, 51.36363636363637)])
def test_a_line_of_least_squares_is_predict_linears(from_s: float, value: float) -> None:
    # `predict_linear(testcounter_reset_middle_total[55m] @ 3000, 3600)` of promqltest's functions.test
    counter = points(0.0, 10.0, 20.0, 30.0, 40.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0, apart_s=300.0)
    line = line_through(counter, from_s)
    assert line is not None
    assert line.at(3600.0) == pytest.approx(value)


def test_a_line_leaves_as_much_above_as_below() -> None:
    line = line_through(points(1.0, 2.0, 2.0, 5.0), 0.0)
    assert line is not None
    assert tuple(line) == pytest.approx((1.2, 0.7))


@pytest.mark.parametrize(
    ("given_points", "line"),
    [
        ([], None),
        ([(0.0, 1.0)], None),
        ([(5.0, 1.0), (5.0, 2.0)], None),
        ([(5.0, 3.0), (5.0, 3.0)], Line(0.0, 3.0)),
        ([(0.0, math.inf), (1.0, math.inf)], None),
    ],
)
def test_a_line_needs_two_times(given_points: list[tuple[float, float]], line: Line | None) -> None:
    assert line_through(given_points, 0.0) == line


def test_numbers_on_a_line_cross_a_threshold_at_one_time() -> None:
    given_points = points(*(10.0 + 2.0 * number for number in range(20)))
    crossing = crossing_of(given_points, 98.0)
    assert crossing is not None
    assert tuple(crossing) == pytest.approx(
        (25.0, 25.0, 25.0, math.erfc(189 / math.sqrt(950) / math.sqrt(2)))
    )


@pytest.mark.parametrize(
    ("threshold", "times"),
    [(100.0, (math.inf, math.inf, math.inf)), (29.0, (0.0, 0.0, 0.0)), (9.0, (20.0, 20.0, 20.0))],
)
def test_a_threshold_that_lies_behind_is_never_reached(threshold: float, times: tuple[float, ...]) -> None:
    falling = points(*(48.0 - number for number in range(20)))
    crossing = crossing_of(falling, threshold)
    assert crossing is not None
    assert crossing[:3] == times


def test_of_few_numbers_nothing_is_forecast() -> None:
    assert crossing_of(points(*range(7)), 10.0) is None


def test_one_outlier_in_four_moves_no_forecast() -> None:
    numbers = [float(number) for number in range(40)]
    for at in range(0, 40, 4):
        numbers[at] = 1e6
    crossing = crossing_of(points(*numbers), 59.0)
    assert crossing is not None
    assert crossing.expected_s == pytest.approx(20.0, abs=1.0)


def test_numbers_without_a_trend_may_never_cross() -> None:
    random = Random(3)
    crossing = crossing_of(points(*(random.gauss(50.0, 1.0) for _ in range(60))), 80.0)
    assert crossing is not None
    assert (crossing.latest_s, crossing.p_value > 0.05) == (math.inf, True)


def test_nine_of_ten_intervals_hold_the_true_time() -> None:
    random = Random(11)
    hits = 0
    for _ in range(200):
        noisy = points(*(100.0 + 0.5 * number + random.gauss(0.0, 2.0) for number in range(60)))
        crossing = crossing_of(noisy, 179.5)
        assert crossing is not None
        hits += crossing.earliest_s <= 100.0 <= crossing.latest_s
    assert hits >= 180


@given(values, st.integers(-2000, 2000), st.integers(1, 50))
def test_a_forecast_does_not_depend_on_the_units(numbers: list[float], threshold: int, factor: int) -> None:
    one = crossing_of(points(*numbers), float(threshold))
    other = crossing_of(
        points(*(factor * value + 7 for value in numbers), apart_s=2.0), factor * threshold + 7.0
    )
    assert one is not None
    assert other is not None
    assert [time_s / 2 for time_s in other[:3]] == pytest.approx(one[:3], rel=1e-6, abs=1e-6)
    assert other.p_value == pytest.approx(one.p_value)


@given(values, st.integers(-2000, 2000))
def test_what_is_expected_lies_between_the_earliest_and_the_latest(
    numbers: list[float], threshold: int
) -> None:
    crossing = crossing_of(points(*numbers), float(threshold))
    assert crossing is not None
    assert crossing.earliest_s <= crossing.expected_s * (1 + 1e-9)
    assert crossing.expected_s <= crossing.latest_s * (1 + 1e-9)


def test_the_test_of_mann_and_kendall_for_ten_that_rise() -> None:
    # S = 45 and Var(S) = 10 * 9 * 25 / 18 = 125, so that Z = 44 / sqrt(125)
    assert mann_kendall([float(number) for number in range(10)]) == pytest.approx(8.303e-05, rel=1e-3)


def three_days() -> Season:
    openings = tuple(day * DAY_S for day in range(3))
    calendar = Calendar("us", openings, tuple(opening + 3600.0 for opening in openings))
    numbers = [
        (day * DAY_S + minute * 60.0, 100.0 * day + minute) for day in range(3) for minute in range(90)
    ]
    return season_of(numbers, calendar.opened_at, slot_s=600.0)


def test_what_is_usual_is_the_median_of_the_sessions_at_the_same_time_after_the_opening() -> None:
    season = three_days()
    assert season.usual == {slot: 100.0 + 10 * slot + 4.5 for slot in range(6)}
    assert season.spread == {slot: pytest.approx(148.26) for slot in range(6)}
    assert season.sessions == dict.fromkeys(range(6), 3)
    assert [season.expected(at_s) for at_s in (2 * DAY_S + 599.0, 2 * DAY_S + 600.0, 2 * DAY_S + 3600.0)] == [
        104.5,
        114.5,
        None,
    ]


def test_a_deviation_is_counted_in_spreads() -> None:
    season = three_days()
    assert season.deviation(0.0, 104.5 + 296.52) == pytest.approx(2.0)
    assert season.deviation(4000.0, 5.0) is None
    same = season_of([(0.0, 1.0), (DAY_S, 1.0)], lambda wall_s: wall_s // DAY_S * DAY_S)
    assert [same.deviation(0.0, value) for value in (0.0, 1.0, 2.0)] == [-math.inf, 0.0, math.inf]


def test_without_the_season_a_trend_is_left() -> None:
    def rising(day: int, hour: int) -> float:
        return 3.0 * day + (50.0 if hour in {0, 7} else 0.0)

    numbers = [(day * DAY_S + hour * 3600.0, rising(day, hour)) for day in range(9) for hour in range(8)]
    season = season_of(numbers, lambda wall_s: wall_s // DAY_S * DAY_S, slot_s=3600.0)
    assert {value for at_s, value in season.without(numbers) if at_s < DAY_S} == {-12.0}
    assert [value for at_s, value in season.without(numbers) if at_s % DAY_S == 0.0] == [
        3.0 * day - 12.0 for day in range(9)
    ]
