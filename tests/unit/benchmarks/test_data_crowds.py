"""What the benchmark of data access makes of stampedes, near caches, outages and tiers, from values."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.data import near, outage, stampede, tiers
from benchmarks.data.contenders import OURS
from benchmarks.data.crowd import PEOPLE


def crowd(calls: int, right: int = PEOPLE, *wrong: str) -> dict[str, Any]:
    return {"calls": calls, "right": right, "wrong": list(wrong)}


@pytest.mark.parametrize(
    ("crowds", "told"),
    [
        ([crowd(1), crowd(1)], "1"),
        ([crowd(40), crowd(100)], "40 … 100"),
        ([crowd(1, 50, "RuntimeError")], "1; 50 callers: RuntimeError"),
        ([crowd(1, 98)], "1; 2 callers: no answer"),
    ],
)
def test_a_stampede_is_told_by_calls_of_the_loader_and_callers_that_were_not_served(
    crowds: list[dict[str, Any]], told: str
):
    assert stampede.calls_told(crowds) == told


def test_one_call_too_many_misses_the_target():
    crowds = {(OURS, "threads", False): [crowd(1)], (OURS, "threads", True): [crowd(2)]}
    target = stampede.target(crowds)
    assert (target.found, target.is_met) == ("at most 2, 2 stampedes", False)


def test_calls_of_peers_are_no_matter_of_the_target():
    assert stampede.target({("cashews", "threads", False): [crowd(100)]}).is_met is None


def test_a_caller_of_ours_that_is_not_served_is_a_fault():
    crowds = {(OURS, "threads", True): [crowd(1, 99)], ("cashews", "threads", True): [crowd(1, 0)]}
    assert stampede.faults(crowds) == ["stampede: tickspan, threads, load fails: 1; 1 callers: no answer"]


def heard(*lags_us: int, stale: int = 0, lost: int = 0) -> dict[str, Any]:
    return {"lags_ns": [lag * 1_000 for lag in lags_us], "stale": stale, "lost": lost, "hits": {}}


def test_a_near_cache_of_ours_may_neither_be_stale_nor_lose_a_change():
    told = {
        (OURS, "near"): [heard(80, 90), heard(70, stale=1), heard(70, lost=2), {"unavailable": "no"}],
        ("cashews", "near"): [heard(70, stale=6)],
    }
    assert near.faults(told) == [
        "near: tickspan, near: 1 stale, 0 changes never heard of",
        "near: tickspan, near: 0 stale, 2 changes never heard of",
        "near: tickspan, near: no",
    ]


def test_a_change_is_heard_of_within_the_middle_of_all_lags():
    targets = near.targets({(OURS, "near"): [heard(80, 90), heard(2_000)]})
    assert [(target.found, target.is_met) for target in targets] == [
        ("90 µs", True),
        ("0 of 3 changes", True),
    ]


def test_what_a_call_takes_later_is_the_middle_of_the_last_half():
    assert outage.later([9.0, 9.0, 1.0, 3.0, 2.0]) == 2.0


def test_each_way_through_an_outage_has_a_target_for_its_longest_and_its_later_calls():
    came = {"seconds": [0.3, 0.0001], "quickly": [0.0001, 0.00001, 0.00001], "outcomes": {"nothing": 3}}
    targets = outage.targets({(OURS, "Redis", "silent"): came, ("aiocache", "Redis", "silent"): came})
    assert [(target.what, target.found, target.is_met) for target in targets] == [
        ("longest call, Redis, silent", "300.0 ms", False),
        ("a call with the breaker open, Redis, silent", "10.0 µs", True),
    ]


def test_a_tier_is_compared_by_the_cpu_time_of_each_round():
    turns = {(OURS, "disk"): {0: {"read": {"cpu_ns": 5.0}}, 2: {"read": {"cpu_ns": 7.0}}}}
    assert tiers.cpu(turns, OURS, "disk", "read") == {0: 5.0, 2: 7.0}
    assert tiers.cpu(turns, "cashews", "disk", "read") == {}
