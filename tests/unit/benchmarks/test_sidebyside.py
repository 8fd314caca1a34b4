"""What a benchmark says about delivery and ratios, from values."""

from __future__ import annotations

import pytest

from benchmarks.sidebyside.costs import Comparison, Cost, Spread, compared
from benchmarks.sidebyside.stories import Expected, faults

EXPECTED = [Expected("GET", {"level": 1})]


def story(span_id: str = "a", name: str = "GET", **attributes: object) -> dict[str, object]:
    return {"span_id": span_id, "name": name, "attributes": {"level": 1, **attributes}}


def test_spans_that_arrived_as_they_were_recorded_have_no_fault():
    assert faults([story("a"), story("b")], [story("b"), story("a")], EXPECTED, 2) == []


@pytest.mark.parametrize(
    ("received", "fault"),
    [
        ([], "'GET' did not arrive"),
        ([story(price=1.0)], "'GET' arrived with other attributes"),
        ([story(), story()], "1 spans came twice"),
        ([story(), story("b")], "'GET' arrived, but was not recorded"),
    ],
)
def test_what_the_wire_loses_changes_or_adds_is_named(received: list[dict[str, object]], fault: str):
    assert faults([story()], received, EXPECTED, 1) == [fault]


@pytest.mark.parametrize("level", [1.0, True, "1", None])
def test_a_value_of_another_type_is_another_value(level: object):
    told = [story(level=level)]
    assert faults(told, told, EXPECTED, 1) == [f"'GET' says level={level!r}, not 1"]


def test_a_contender_that_records_too_little_is_found_out_by_count():
    told = [story("a"), story("b", name="SET")]
    assert faults(told, told, EXPECTED, 2) == [
        "'GET' was recorded 1 times, not 2",
        "'SET' was recorded 1 times, not 0",
    ]


def test_only_the_first_few_faults_of_a_kind_are_told():
    told = [story(str(number)) for number in range(5)]
    assert faults(told, [], EXPECTED, 5) == [*["'GET' did not arrive"] * 3, "… and 2 more of the kind"]


def test_a_ratio_is_that_of_what_was_added_in_the_same_round():
    bare = [Cost(10, 10, 10), Cost(20, 20, 20)]
    peer = [Cost(12, 14, 15), Cost(24, 24, 30)]
    ours = [Cost(11, 12, 20), Cost(22, 22, 40)]
    spreads = (Spread(0.5, 0.5, 0.5), Spread(0.5, 0.5, 0.5), Spread(2, 2, 2))
    assert compared(ours, bare, peer, bare) == Comparison(*spreads)


def test_a_peer_that_adds_nothing_is_no_measure():
    cost = [Cost(10, 10, 10)]
    assert compared(cost, cost, cost, cost) is None


def test_a_spread_is_median_and_outer_deciles():
    assert Spread.of([float(value) for value in range(11)]) == Spread(1, 5, 9)
