"""Quantiles, differences and sums of histograms; values marked so are of Prometheus's own test data."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.histograms import (
    MAX_BUCKETS,
    MAX_SCALE,
    Histogram,
    explicit_quantile,
    exponential_quantile,
    increase,
)
from tickspan.analysis.rules.readings import ExplicitBuckets, ExponentialBuckets, HistogramPoint

# `testhistogram`, `testhistogram2` of promql/promqltest/testdata/histograms.test
POSITIVE = ExplicitBuckets((0.1, 0.2, 1.0), (5, 2, 4, 1))
NEGATIVE = ExplicitBuckets((-0.2, -0.1, 0.3), (1, 1, 0, 1))
MIDDLES = ExplicitBuckets((0.0, 2.0, 4.0, 6.0), (0, 1, 1, 1, 0))
# `histogram_quantile_1` and `_2` of native_histograms.test; their zero bucket is 0.001 wide, ours is not
UPWARDS = ExponentialBuckets(0, 2, {-1: 2, 0: 3, 2: 1, 3: 4}, {})
DOWNWARDS = ExponentialBuckets(0, 2, {}, {-1: 2, 0: 3, 2: 1, 3: 4})

bounds = st.lists(st.floats(-10, 10), min_size=1, max_size=8, unique=True).map(
    lambda given: tuple(sorted(given))
)
explicit = bounds.flatmap(
    lambda given: st.lists(st.integers(0, 20), min_size=len(given) + 1, max_size=len(given) + 1).map(
        lambda counts: ExplicitBuckets(given, tuple(counts))
    )
)
side = st.dictionaries(st.integers(-40, 40), st.integers(1, 20), max_size=8)
exponential = st.builds(ExponentialBuckets, st.integers(-2, 12), st.integers(0, 3), side, side)


def point(buckets: ExplicitBuckets | ExponentialBuckets, total: float = 0.0) -> HistogramPoint:
    if isinstance(buckets, ExplicitBuckets):
        return HistogramPoint(sum(buckets.counts), total, buckets)
    count = buckets.zero + sum(buckets.positive.values()) + sum(buckets.negative.values())
    return HistogramPoint(count, total, buckets)


points = st.builds(point, st.one_of(explicit, exponential), st.integers(-100, 100).map(float))


def seen(histogram: Histogram) -> dict[str, object]:
    return {
        "count": histogram.count,
        "sum": histogram.sum,
        "explicit": {bounds: counts for bounds, counts in histogram.explicit.items() if any(counts)},
        "scale": histogram.scale,
        "zero": histogram.zero,
        "positive": histogram.positive,
        "negative": histogram.negative,
    }


@pytest.mark.parametrize(
    ("q", "buckets", "value"),
    [
        (0.0, POSITIVE, 0.0),
        (0.2, POSITIVE, 0.048),
        (0.5, POSITIVE, 0.15),
        (0.8, POSITIVE, 0.72),
        (1.0, POSITIVE, 1.0),
        (0.0, NEGATIVE, -0.2),
        (0.2, NEGATIVE, -0.2),
        (0.5, NEGATIVE, -0.15),
        (0.8, NEGATIVE, 0.3),
        (1.0, NEGATIVE, 0.3),
        (1 / 6, MIDDLES, 1.0),
        (0.5, MIDDLES, 3.0),
        (5 / 6, MIDDLES, 5.0),
        (-0.1, POSITIVE, -math.inf),
        (1.01, POSITIVE, math.inf),
    ],
)
def test_in_explicit_buckets_a_quantile_is_linear_as_in_prometheus(
    q: float, buckets: ExplicitBuckets, value: float
) -> None:
    assert explicit_quantile(q, buckets) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "buckets",
    [ExplicitBuckets((), (5,)), ExplicitBuckets((1.0,), (0, 0))],
    ids=["no bounds", "no measurements"],
)
def test_a_quantile_of_nothing_is_not_a_number(buckets: ExplicitBuckets) -> None:
    assert math.isnan(explicit_quantile(0.5, buckets))
    assert math.isnan(exponential_quantile(0.5, ExponentialBuckets(0, 0, {}, {})))


@pytest.mark.parametrize(
    ("q", "buckets", "value"),
    [
        (1.0, UPWARDS, 16.0),
        (0.99, UPWARDS, 15.67072476139083),
        (0.9, UPWARDS, 12.99603834169977),
        (0.6, UPWARDS, 4.594793419988138),
        (0.5, UPWARDS, 1.5874010519681994),
        (0.1, UPWARDS, 0.0),
        (0.0, UPWARDS, 0.0),
        (1.0, DOWNWARDS, 0.0),
        (0.9, DOWNWARDS, 0.0),
        (0.5, DOWNWARDS, -1.5874010519681996),
        (0.1, DOWNWARDS, -12.996038341699768),
        (0.0, DOWNWARDS, -16.0),
        (-1.0, UPWARDS, -math.inf),
        (1.001, UPWARDS, math.inf),
        (0.5, ExponentialBuckets(0, 0, {0: 1}, {}), 1.414213562373095),
        (0.5, ExponentialBuckets(0, 0, {}, {0: 1}), -1.414213562373095),
    ],
)
def test_in_exponential_buckets_a_quantile_is_geometric_as_in_prometheus(
    q: float, buckets: ExponentialBuckets, value: float
) -> None:
    assert exponential_quantile(q, buckets) == pytest.approx(value, rel=1e-12, abs=1e-100)


@given(st.one_of(explicit, exponential), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_greater_share_has_no_smaller_quantile(
    buckets: ExplicitBuckets | ExponentialBuckets, shares: list[float]
) -> None:
    histogram = Histogram.of(point(buckets))
    values = [histogram.quantile(q) for q in sorted(shares)]
    known = [value for value in values if value is not None]
    assert len(known) in {0, len(values)}
    assert all(lower <= upper * (1 + 1e-9 * math.copysign(1, upper)) for lower, upper in pairwise(known))


@given(st.integers(0, 6), st.lists(st.floats(0.001, 1000), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_measurement_that_it_stands_for(
    scale: int, values: list[float], q: float
) -> None:
    counts: dict[int, int] = {}
    for value in values:
        index = math.ceil(math.log2(value) * 2**scale) - 1
        counts[index] = counts.get(index, 0) + 1
    quantile = exponential_quantile(q, ExponentialBuckets(scale, 0, counts, {}))
    exact = sorted(values)[max(math.ceil(q * len(values)) - 1, 0)]
    neighbour = sorted(values)[min(math.floor(q * len(values)), len(values) - 1)]
    base = 2 ** (2.0**-scale)
    assert exact / base * 0.999999 <= quantile <= neighbour * base * 1.000001


@given(points, points)
def test_what_was_added_can_be_taken_away(one: HistogramPoint, other: HistogramPoint) -> None:
    total = Histogram.of(one)
    total.add(Histogram.of(other))
    assert total.count == one.count + other.count
    total.subtract(Histogram.of(other))
    left = Histogram.of(one)
    left._lower(total.scale)
    expected = seen(left) | {"scale": total.scale}
    assert seen(total) == expected | {"sum": left.sum if left.count else 0.0}


@given(points, points)
def test_the_order_of_adding_makes_no_difference(one: HistogramPoint, other: HistogramPoint) -> None:
    forwards, backwards = Histogram.of(one), Histogram.of(other)
    forwards.add(Histogram.of(other))
    backwards.add(Histogram.of(one))
    scale = min(forwards.scale, backwards.scale)
    forwards._lower(scale)
    backwards._lower(scale)
    assert {**seen(forwards), "scale": 0} == {**seen(backwards), "scale": 0}


def test_histograms_of_different_scales_meet_at_the_coarser_one() -> None:
    total = Histogram.of(point(ExponentialBuckets(2, 1, {3: 1, 4: 2, 7: 4}, {-1: 5})))
    total.add(Histogram.of(point(ExponentialBuckets(0, 0, {0: 10, 1: 20}, {}))))
    assert total.buckets == ExponentialBuckets(0, 1, {0: 11, 1: 26}, {-1: 5})


def test_finer_scales_than_prometheus_knows_are_joined() -> None:
    fine = Histogram.of(point(ExponentialBuckets(MAX_SCALE + 2, 0, {0: 1, 3: 1, 4: 1, -1: 1}, {})))
    assert fine.buckets == ExponentialBuckets(MAX_SCALE, 0, {0: 2, 1: 1, -1: 1}, {})


def test_a_sum_with_too_many_buckets_becomes_coarser() -> None:
    total = Histogram.of(point(ExponentialBuckets(8, 0, dict.fromkeys(range(MAX_BUCKETS), 1), {})))
    total.add(Histogram.of(point(ExponentialBuckets(8, 0, dict.fromkeys(range(-500, 0), 1), {}))))
    assert (total.scale, len(total.positive), total.count) == (7, 762, MAX_BUCKETS + 500)


def test_explicit_buckets_of_different_bounds_meet_at_those_they_share() -> None:
    total = Histogram.of(point(ExplicitBuckets((1.0, 2.0, 5.0), (1, 2, 3, 4))))
    total.add(Histogram.of(point(ExplicitBuckets((1.0, 3.0, 5.0), (10, 20, 30, 40)))))
    assert total._joined() == ExplicitBuckets((1.0, 5.0), (11, 55, 44))


def test_the_increase_is_the_difference_of_two_points() -> None:
    old = HistogramPoint(6, 3.0, ExplicitBuckets((1.0,), (4, 2)))
    new = HistogramPoint(9, 10.0, ExplicitBuckets((1.0,), (5, 4)))
    assert seen(increase(new, old)) == seen(
        Histogram.of(HistogramPoint(3, 7.0, ExplicitBuckets((1.0,), (1, 2))))
    )


def test_the_increase_across_a_change_of_scale_is_at_the_coarser_one() -> None:
    old = HistogramPoint(3, 3.0, ExponentialBuckets(2, 0, {0: 1, 3: 2}, {}))
    new = HistogramPoint(6, 40.0, ExponentialBuckets(0, 0, {0: 4, 5: 2}, {}))
    assert increase(new, old).buckets == ExponentialBuckets(0, 0, {0: 1, 5: 2}, {})


@pytest.mark.parametrize(
    "new",
    [
        HistogramPoint(2, 1.0, ExplicitBuckets((1.0,), (2, 0))),
        HistogramPoint(7, 1.0, ExplicitBuckets((1.0,), (7, 0))),
        HistogramPoint(7, 1.0, ExplicitBuckets((2.0,), (5, 2))),
    ],
    ids=["fewer in all", "fewer in a bucket", "other bounds"],
)
def test_after_a_reset_everything_is_new(new: HistogramPoint) -> None:
    old = HistogramPoint(6, 3.0, ExplicitBuckets((1.0,), (4, 2)))
    assert seen(increase(new, old)) == seen(Histogram.of(new))


@pytest.mark.parametrize(
    ("buckets", "bound", "above"),
    [
        (ExplicitBuckets((0.1, 0.2), (5, 3, 2)), 0.1, 5.0),
        (ExplicitBuckets((0.1, 0.2), (5, 3, 2)), 0.2, 2.0),
        (ExplicitBuckets((0.1, 0.2), (5, 3, 2)), 0.15, 3.5),
        (ExplicitBuckets((0.1, 0.2), (5, 3, 2)), 0.05, 7.5),
        (ExplicitBuckets((0.1, 0.2), (5, 3, 2)), 0.3, 2.0),
        (ExplicitBuckets((0.0, 2.0, 4.0, 6.0), (0, 1, 1, 1, 0)), 3.5, 1.25),
        (ExponentialBuckets(0, 1, {0: 4, 1: 8}, {}), 2.0, 8.0),
        (ExponentialBuckets(0, 1, {0: 4, 1: 8}, {}), math.sqrt(2), 10.0),
        (ExponentialBuckets(0, 1, {0: 4, 1: 8}, {}), -1.0, 13.0),
        (ExponentialBuckets(0, 1, {0: 4, 1: 8}, {}), 4.0, 0.0),
        (ExponentialBuckets(0, 0, {0: 1}, {0: 4}), -math.sqrt(2), 3.0),
    ],
)
def test_how_many_are_above_a_bound_is_exact_at_bounds_and_interpolated_between(
    buckets: ExplicitBuckets | ExponentialBuckets, bound: float, above: float
) -> None:
    assert Histogram.of(point(buckets)).above(bound) == pytest.approx(above)


@given(points)
def test_a_histogram_comes_back_from_json(given_point: HistogramPoint) -> None:
    histogram = Histogram.of(given_point)
    assert seen(Histogram.from_json(json.loads(json.dumps(histogram.to_json())))) == seen(histogram) | {
        "scale": histogram.scale if histogram.is_exponential else MAX_SCALE
    }
