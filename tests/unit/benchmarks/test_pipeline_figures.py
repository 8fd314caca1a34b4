"""What the pipeline's benchmark makes of its samples, from values."""

from __future__ import annotations

import pytest

from benchmarks.pipeline.figures import Cost, Tail, is_flat, is_within, percent, percentile, ratios, spread_of
from benchmarks.sidebyside.costs import Spread


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.1, 1), (0.5, 5), (0.51, 6), (0.999, 10), (1.0, 10)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float):
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == value


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 0.5)


def test_a_cost_is_the_tenth_percentile_so_that_disturbed_batches_do_not_count():
    quiet = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert Cost.of(quiet) == Cost(good=1.0, typical=2.0)
    assert Cost.of([*quiet[:-1], 900.0]) == Cost(good=1.0, typical=2.0)


def test_a_tail_tells_how_many_iterations_were_late():
    latencies = [100.0] * 998 + [2_000_000.0, 5_000_000.0]
    assert Tail.of(latencies) == Tail(
        p50=100.0, p99=100.0, p999=2_000_000.0, longest=5_000_000.0, share_late=0.002
    )


def test_exactly_one_millisecond_is_not_late():
    assert Tail.of([1_000_000.0]).share_late == 0


def test_a_ratio_is_that_of_what_was_added_in_the_same_round():
    own, peer, empty = {0: 3.0, 1: 5.0}, {0: 21.0, 1: 41.0}, {0: 1.0, 1: 1.0}
    assert ratios(own, peer, empty) == [0.1, 0.1]


def test_without_an_empty_loop_the_values_themselves_are_divided():
    assert ratios({0: 3.0}, {0: 6.0}) == [0.5]


def test_a_round_that_somebody_missed_has_no_ratio():
    assert ratios({0: 2.0, 2: 2.0}, {0: 4.0, 1: 4.0, 2: 4.0}, {0: 0.0, 1: 0.0}) == [0.5]


def test_a_peer_that_added_nothing_makes_no_ratio():
    assert ratios({0: 2.0, 1: 2.0}, {0: 1.0, 1: 3.0}, {0: 1.0, 1: 1.0}) == [0.5]


def test_no_ratio_has_no_spread():
    assert spread_of([]) is None
    assert spread_of([0.5]) == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("own", "empty", "expected"),
    [
        ([300, 310, 900], [250, 320], True),
        ([300, 330, 900], [250, 320], False),
        ([10, 11], [250, 320], True),
        ([], [250], False),
        ([300], [], False),
    ],
)
def test_a_tail_is_within_the_empty_loops_range_if_its_median_does_not_exceed_it(
    own: list[float], empty: list[float], expected: object
):
    assert is_within(own, empty) is expected


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.999999, "99.999 %"), (0.5, "50 %"), (0.33305, "33.305 %"), (0.0, "0 %")],
)
def test_a_hundred_percent_means_that_nothing_is_missing(share: float, text: str):
    assert percent(share) == text


@pytest.mark.parametrize(("peak", "expected"), [(40, True), (60, True), (61, False)])
def test_memory_is_flat_if_it_grows_by_no_more_than_what_is_taken_once(peak: float, expected: object):
    assert is_flat(start=50, peak=peak, allowance=10) is expected
