"""Metrics: what lines, heat and quantiles are made of."""

from __future__ import annotations

import math

import pytest
from tickspan_desk.views.metrics import (
    Heat,
    HeatRow,
    Line,
    QuantileStep,
    heat_of,
    increase_of,
    lines_of,
    measured,
    metric_view,
    metrics_of,
    quantile_steps,
    told,
    told_rate,
    values_of,
)

from tickspan.semconv.common import SERVICE_NAME

from .conftest import Make


def test_a_gauge_is_drawn_as_it_is(make: Make) -> None:
    series = make.series([make.value(10, 3), make.value(20, 1.5)])
    assert values_of(series) == (((make.at(10), 3.0), (make.at(20), 1.5)), 0)


def test_a_value_that_is_no_number_is_left_out(make: Make) -> None:
    series = make.series([make.value(10, math.nan), make.value(20, math.inf), make.value(30, 1)])
    assert values_of(series) == (((make.at(30), 1.0),), 0)


def test_a_cumulative_sum_becomes_a_rate_per_second(make: Make) -> None:
    series = make.series([make.value(10, 100), make.value(20, 150), make.value(25, 150)], kind="sum")
    assert values_of(series) == (((make.at(20), 5.0), (make.at(25), 0.0)), 0)


def test_after_a_restart_the_rate_is_of_what_came_since_it(make: Make) -> None:
    points = [make.value(10, 100), make.value(20, 30, start_s=14), make.value(30, 20, start_s=14)]
    series = make.series(points, kind="sum")
    # 30 since second 14; then a smaller value of the same start, all of which came since the point before.
    assert values_of(series) == (((make.at(20), 5.0), (make.at(30), 2.0)), 2)


def test_a_later_start_is_a_restart_although_the_value_is_larger(make: Make) -> None:
    series = make.series([make.value(10, 1), make.value(20, 50, start_s=15)], kind="sum")
    assert values_of(series) == (((make.at(20), 10.0),), 1)


def test_points_of_the_same_moment_give_no_rate(make: Make) -> None:
    series = make.series([make.value(10, 1), make.value(10, 5), make.value(20, 5)], kind="sum")
    assert values_of(series) == (((make.at(20), 0.0),), 0)


def test_a_delta_sum_is_divided_by_its_own_time(make: Make) -> None:
    points = [make.value(10, 40, start_s=0), make.value(20, 5, start_s=10)]
    series = make.series(points, kind="sum", temporality="delta")
    assert values_of(series) == (((make.at(10), 4.0), (make.at(20), 0.5)), 0)


def test_a_delta_sum_that_may_fall_is_added_up(make: Make) -> None:
    points = [make.value(10, 4), make.value(20, -1)]
    series = make.series(points, kind="sum", temporality="delta", is_monotonic=False)
    assert values_of(series) == (((make.at(10), 4.0), (make.at(20), 3.0)), 0)


def test_a_cumulative_sum_that_may_fall_is_drawn_as_it_is(make: Make) -> None:
    series = make.series([make.value(10, 4), make.value(20, 3)], kind="sum", is_monotonic=False)
    assert values_of(series) == (((make.at(10), 4.0), (make.at(20), 3.0)), 0)


def test_a_line_is_called_by_what_tells_it_from_its_neighbours(make: Make) -> None:
    common = {"venue": "binance"}
    series = [
        make.series([make.value(1, 1)], attributes={**common, "side": "buy"}),
        make.series([make.value(1, 2)], attributes={**common, "side": "sell"}, number=2),
    ]
    assert lines_of(series, make.window()) == (
        Line("side=buy", ((make.at(1), 1.0),)),
        Line("side=sell", ((make.at(1), 2.0),)),
    )


def test_series_that_nothing_tells_apart_have_numbers(make: Make) -> None:
    series = [make.series([make.value(1, 1)], number=number) for number in (7, 8)]
    assert [line.label for line in lines_of(series, make.window())] == ["series=7", "series=8"]


def test_rates_of_a_group_are_added_up(make: Make) -> None:
    series = [
        make.series(
            [make.value(0, 0), make.value(10, 10), make.value(20, 20)],
            kind="sum",
            attributes={"side": side, "symbol": symbol},
        )
        for side, symbol in (("buy", "BTC"), ("buy", "ETH"), ("sell", "BTC"))
    ]
    lines = lines_of(series, make.window(0, 20), by="side")
    assert [(line.label, [value for _, value in line.points]) for line in lines] == [
        ("buy", [2.0, 2.0]),
        ("sell", [1.0, 1.0]),
    ]


def test_gauges_of_a_group_are_averaged(make: Make) -> None:
    series = [
        make.series([make.value(10, value)], resource={SERVICE_NAME: service})
        for service, value in (("a", 1), ("a", 4), ("b", 7))
    ]
    lines = lines_of(series, make.window(), by="service")
    assert [(line.label, line.last) for line in lines] == [("a", 2.5), ("b", 7.0)]


def test_a_long_line_is_thinned_to_means(make: Make) -> None:
    series = make.series([make.value(at, at % 2) for at in range(480)])
    (line,) = lines_of([series], make.window(0, 480))
    assert len(line.points) == 240
    assert {value for _, value in line.points} == {0.5}


def test_a_line_knows_its_extremes(make: Make) -> None:
    line = Line("x", ((1, 2.0), (2, 6.0), (3, 1.0)))
    assert (line.last, line.lowest, line.highest, line.mean) == (1.0, 1.0, 6.0, 3.0)
    assert Line("x", ()).last is Line("x", ()).mean is None


def test_explicit_buckets_fall_into_the_column_of_their_point(make: Make) -> None:
    points = [make.explicit(1, (0.1, 1.0), (2, 0, 0)), make.explicit(30, (0.1, 1.0), (2, 3, 1))]
    series = make.series(points, kind="histogram")
    assert heat_of([series], make.window(0, 60), columns=2) == Heat(
        make.at(0),
        30 * make.second_ns,
        (
            HeatRow(0.0, 0.1, (2, 0)),
            HeatRow(0.1, 1.0, (0, 3)),
            HeatRow(1.0, math.inf, (0, 1)),
        ),
    )


def test_what_was_measured_before_the_range_is_not_in_it(make: Make) -> None:
    points = [
        make.explicit(10, (1.0,), (90, 10), start_s=-100),
        make.explicit(40, (1.0,), (91, 10), start_s=-100),
    ]
    series = make.series(points, kind="histogram")
    assert heat_of([series], make.window(0, 60), columns=1) == Heat(
        make.at(0), 60 * make.second_ns, (HeatRow(0.0, 1.0, (1,)),)
    )


def test_bounds_of_exponential_buckets_come_from_scale_and_offset(make: Make) -> None:
    # Scale 0: base 2. Offset 3: the first bucket is (8, 16]; nothing in (16, 32], one in (32, 64].
    series = make.series([make.exponential(10, 0, 3, (2, 0, 1))], kind="exponential_histogram")
    assert heat_of([series], make.window(0, 60), columns=1) == Heat(
        make.at(0),
        60 * make.second_ns,
        (HeatRow(8.0, 16.0, (2,)), HeatRow(16.0, 32.0, (0,)), HeatRow(32.0, 64.0, (1,))),
    )


def test_exponential_buckets_of_two_scales_meet_at_the_coarser(make: Make) -> None:
    fine = make.series([make.exponential(10, 1, 0, (1, 1, 1, 1))], kind="exponential_histogram")
    coarse = make.series([make.exponential(40, 0, 0, (5,))], kind="exponential_histogram")
    heat = heat_of([fine, coarse], make.window(0, 60), columns=2)
    assert heat is not None
    assert heat.rows == (HeatRow(1.0, 2.0, (2, 5)), HeatRow(2.0, 4.0, (2, 0)))


def test_zero_and_what_is_below_are_one_row(make: Make) -> None:
    point = make.exponential(10, 0, 0, (1,), zero=2, below=3, least=-4.0)
    heat = heat_of([make.series([point], kind="exponential_histogram")], make.window(), columns=1)
    assert heat is not None
    assert heat.rows == (HeatRow(-math.inf, 0.0, (5,)), HeatRow(1.0, 2.0, (1,)))


def test_many_exponential_buckets_are_joined_to_few_rows(make: Make) -> None:
    point = make.exponential(10, 5, 0, (1,) * 160)
    heat = heat_of([make.series([point], kind="exponential_histogram")], make.window(), columns=1)
    assert heat is not None
    assert len(heat.rows) == 20
    assert sum(row.counts[0] for row in heat.rows) == 160
    assert heat.highest == 8


def test_nothing_measured_is_no_heat(make: Make) -> None:
    series = make.series([make.explicit(10, (1.0,), (0, 0))], kind="histogram")
    assert heat_of([series], make.window()) is None


def test_quantiles_of_explicit_buckets_are_interpolated(make: Make) -> None:
    series = make.series([make.explicit(10, (1.0, 2.0), (50, 50, 0))], kind="histogram")
    assert quantile_steps([series], make.window(0, 60), columns=1) == (
        QuantileStep(make.at(0), 100, 1.0, 1.98),
    )


@pytest.mark.parametrize("scale", [0, 3, 6])
def test_a_quantile_of_exponential_buckets_is_within_its_error(make: Make, scale: int) -> None:
    values = [1.0 + number / 100 for number in range(1000)]
    counts = [0] * (1 + max(math.ceil(math.log2(value) * 2**scale) for value in values))
    for value in values:
        counts[max(0, math.ceil(math.log2(value) * 2**scale) - 1)] += 1
    series = make.series([make.exponential(10, scale, 0, counts)], kind="exponential_histogram")
    (step,) = quantile_steps([series], make.window(0, 60), columns=1)
    most = 2 ** (2**-scale)
    assert step.p50 is not None
    assert step.p99 is not None
    assert 1 / most <= step.p50 / values[499] <= most
    assert 1 / most <= step.p99 / values[989] <= most


def test_the_increase_is_of_the_range_and_over_restarts(make: Make) -> None:
    points = [make.value(1, 5, start_s=0.5), make.value(2, 9, start_s=0.5), make.value(3, 4, start_s=2.5)]
    assert increase_of(make.series(points, kind="sum"), make.window()) == 5 + 4 + 4
    older = [make.value(1, 5, start_s=-9), make.value(2, 9, start_s=-9)]
    assert increase_of(make.series(older, kind="sum"), make.window()) == 4
    parts = [make.value(1, 5), make.value(2, 9)]
    assert increase_of(make.series(parts, kind="sum", temporality="delta"), make.window()) == 14


def test_delta_distributions_are_added_up(make: Make) -> None:
    points = [make.explicit(1, (1.0,), (1, 2)), make.explicit(2, (1.0,), (1, 2))]
    series = make.series(points, kind="histogram", temporality="delta")
    assert measured([series], make.window()).count == 6


def test_the_view_of_a_distribution_says_how_far_it_may_be_off(make: Make) -> None:
    point = make.exponential(10, 3, 0, (1,))
    known = make.series([], kind="exponential_histogram", unit="s", attributes={"side": "buy"})
    shown = make.series([point], kind="exponential_histogram", unit="s", attributes={"side": "buy"})
    view = metric_view([known], [shown], make.window(), total=1)
    assert (
        view.error == "Quantiles come from exponential buckets of scale 3: at most 9.05% of their value off."
    )
    assert view.choices == {"side": ("buy",)}
    assert view.meaning == "quantile"
    assert [line.label for line in view.lines] == ["p50", "p99"]


def test_the_list_is_searched_whatever_the_case() -> None:
    names = [("a.Rate", "1", "gauge", 2), ("b", "s", "sum", 1)]
    assert [entry.name for entry in metrics_of(names, "RATE").entries] == ["a.Rate"]
    assert metrics_of(names, "x").total == 2


def test_values_and_rates_are_told_in_words() -> None:
    assert [told(value, unit) for value, unit in ((None, "s"), (0, "s"), (0.0125, "s"), (2048, "By"))] == [
        "\N{EN DASH}",
        "0",
        "12.5 ms",
        "2 KiB",
    ]
    assert [told_rate(value, unit) for value, unit in ((3.5, "{order}"), (2048, "By"), (0.25, "s"))] == [
        "3.5/s",
        "2 KiB/s",
        "0.25 s/s",
    ]
