"""Whether a process leaks: layers by what rises, what is news, when a census is due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pytest

from tickspan.analysis.growth import BUCKETS, GrowthState
from tickspan.analysis.leaks import (
    ANONYMOUS,
    BLOCKS,
    LIVE_BLOCKS,
    MAPPED,
    Layer,
    LeakReport,
    MemoryGrowth,
    Suspicion,
    layer_of,
)

MIB = 1 << 20
MINUTE_S = 60.0


def grown(
    minutes: int,
    steps: Mapping[str, float],
    *,
    limit_bytes: int | None = None,
    free_share: float | None = None,
) -> MemoryGrowth:
    """A process whose series rise by so much a minute."""
    growth = MemoryGrowth(limit_bytes)
    growth.free_share = free_share
    levels = {ANONYMOUS: 100.0 * MIB, BLOCKS: 1_000_000.0, MAPPED: 50.0 * MIB}
    for minute in range(minutes + 1):
        growth.add(minute * MINUTE_S, levels)
        levels = {name: level + steps.get(name, 0) for name, level in levels.items()}
    return growth


@pytest.mark.parametrize(
    ("facts", "layer"),
    [
        ({"anonymous": True, "blocks": True, "mapped": False}, Layer.PYTHON),
        ({"anonymous": False, "blocks": True, "mapped": True}, Layer.PYTHON),
        ({"anonymous": True, "blocks": False, "mapped": True}, Layer.NATIVE),
        ({"anonymous": True, "blocks": False, "mapped": False, "free_share": 0.2}, Layer.NATIVE),
        ({"anonymous": True, "blocks": False, "mapped": False, "free_share": 0.7}, Layer.FRAGMENTATION),
        ({"anonymous": False, "blocks": False, "mapped": True}, Layer.MAPPED),
        ({"anonymous": False, "blocks": False, "mapped": False}, None),
    ],
)
def test_the_layer_follows_from_what_rises(facts: dict[str, bool], layer: Layer | None) -> None:
    assert layer_of(**facts) is layer


@pytest.mark.parametrize(
    ("steps", "layer"),
    [
        pytest.param({"anonymous": MIB, "blocks": 10_000}, Layer.PYTHON, id="objects"),
        pytest.param({"anonymous": MIB, "blocks": 40}, Layer.PYTHON, id="few large objects"),
        pytest.param({"anonymous": MIB, "blocks": 5}, Layer.NATIVE, id="a handful of blocks"),
        pytest.param({"anonymous": MIB}, Layer.NATIVE, id="no blocks"),
        pytest.param({"mapped": MIB}, Layer.MAPPED, id="files"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_the_layer_of_a_process(steps: dict[str, float], layer: Layer | None) -> None:
    assert grown(3 * BUCKETS, steps).report().layer is layer


def test_a_heap_that_is_mostly_free_is_fragmentation() -> None:
    growth = grown(3 * BUCKETS, {ANONYMOUS: MIB}, free_share=0.8)
    assert growth.report().layer is Layer.FRAGMENTATION


def test_blocks_that_rise_for_one_window_by_chance_leave_a_leak_native() -> None:
    growth = grown(2 * BUCKETS, {ANONYMOUS: MIB})
    for minute in range(2 * BUCKETS + 1, 3 * BUCKETS + 1):
        values = {ANONYMOUS: (100.0 + minute) * MIB, BLOCKS: 1_000_000.0 + 100 * (minute - 2 * BUCKETS)}
        growth.add(minute * MINUTE_S, values)
    report = growth.report()
    assert (report.state, report.series[BLOCKS], report.layer) == (
        GrowthState.LEAKING,
        GrowthState.SUSPECTED,
        Layer.NATIVE,
    )


def test_a_limit_that_is_far_leaves_it_at_a_suspicion_whatever_blocks_do() -> None:
    states = [
        grown(3 * BUCKETS, {ANONYMOUS: MIB, BLOCKS: 10_000}, limit_bytes=limit).report().state
        for limit in (None, 1_000 * MIB, 1_000_000 * MIB)
    ]
    assert states == ["leaking", "leaking", "suspected"]


def test_the_report_has_rate_and_time_to_the_limit() -> None:
    report = grown(3 * BUCKETS, {ANONYMOUS: MIB, BLOCKS: 10_000}, limit_bytes=1_000 * MIB).report()
    assert (report.bytes_per_hour / MIB, report.hours_left, report.bucket_s) == (
        pytest.approx(60),
        pytest.approx((900 - 96) / 60),
        60.0,
    )
    assert (report.slopes(), report.slopes(["native"])) == (
        {"python": report.bytes_per_hour},
        {"native": 0.0, "python": report.bytes_per_hour},
    )


def test_the_live_set_alone_tells_of_objects_that_are_kept() -> None:
    growth = MemoryGrowth()
    for minute in range(3 * BUCKETS + 1):
        growth.add(minute * MINUTE_S, {ANONYMOUS: 100.0 * MIB, BLOCKS: 1_000_000.0})
        growth.add(minute * MINUTE_S, {LIVE_BLOCKS: 900_000.0 + 1_000 * minute})
    report = growth.report()
    assert (report.state, report.layer) == (GrowthState.LEAKING, Layer.PYTHON)


def test_a_session_leaves_the_longest_scale_alone() -> None:
    growth = MemoryGrowth(bucket_s=2.0)
    for second in range(60 * (BUCKETS + 1)):
        growth.add(float(second), {ANONYMOUS: 100.0 * MIB + second * MIB})
    growth.restart_session()
    kept = growth.report()
    growth.restart()
    assert (kept.state, kept.bucket_s, growth.report().state) == (
        GrowthState.SUSPECTED,
        60.0,
        GrowthState.WARMING,
    )


def reports(*states: GrowthState) -> Iterator[LeakReport]:
    for state in states:
        yield LeakReport(state, None, 1.0, math.inf, MINUTE_S, {})


def test_a_census_follows_a_suspicion_then_five_buckets_then_each_window() -> None:
    suspicion = Suspicion()
    (report,) = reports(GrowthState.SUSPECTED)
    first = suspicion.judged(report, 0.0)
    asked = [minute for minute in range(1, 80) if suspicion.judged(report, minute * MINUTE_S).ask]
    assert (first, asked) == ((True, True), [5, 5 + BUCKETS, 5 + 2 * BUCKETS])


def test_only_changes_of_what_rises_are_news() -> None:
    suspicion = Suspicion()
    states = [
        GrowthState.WARMING,
        GrowthState.STABLE,
        GrowthState.SUSPECTED,
        GrowthState.SUSPECTED,
        GrowthState.LEAKING,
        GrowthState.STABLE,
        GrowthState.LEAKING,
    ]
    told = [suspicion.judged(report, 0.0) for report in reports(*states)]
    assert told == [
        (False, False),
        (False, False),
        (True, True),
        (False, False),
        (True, False),
        (False, False),
        (True, True),
    ]
