"""Readings of our own accumulators."""

from __future__ import annotations

from typing import Any

import pytest

from tickspan.alerts.accumulators import reading_of, readings_of_host
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    PointKind,
    Reading,
    Sender,
    Worst,
)
from tickspan.providers.attention import Series
from tickspan.providers.samples import Value
from tickspan.recording import metering
from tickspan.semconv.host import SYSTEM_CPU_TIME, SYSTEM_CPU_UTILIZATION

BOT = Sender.of({"service.name": "bot"})


def series(kind: int, value: Any, *, is_monotonic: bool = False, **changes: Any) -> Series:
    return Series(
        "desk.metric", kind, is_monotonic, (1.0, 2.0), {"book": "eq"}, 5_000_000_000, value, None
    )._replace(**changes)


@pytest.mark.parametrize(
    ("given", "kind", "value"),
    [
        (series(metering.SUM, 3, is_monotonic=True), PointKind.COUNTER, 3.0),
        (series(metering.SUM, -3), PointKind.GAUGE, -3.0),
        (series(metering.LAST_VALUE, 0.5), PointKind.GAUGE, 0.5),
        (
            series(metering.BUCKETS, (4.5, 3, [1, 2, 0])),
            PointKind.HISTOGRAM,
            HistogramPoint(3, 4.5, ExplicitBuckets((1.0, 2.0), (1, 2, 0))),
        ),
        (
            series(metering.EXPONENTIAL, (4.5, 6, 3, 1, -2, [1, 0, 2], 7, [2])),
            PointKind.HISTOGRAM,
            HistogramPoint(6, 4.5, ExponentialBuckets(3, 1, {-2: 1, 0: 2}, {7: 2})),
        ),
    ],
)
def test_a_series_is_a_reading(given: Series, kind: PointKind, value: Any) -> None:
    assert reading_of(given, BOT) == Reading(BOT, "desk.metric", kind, {"book": "eq"}, value, 5.0)


def test_the_worst_measurement_has_its_ids_as_text() -> None:
    worst = [
        reading_of(series(metering.LAST_VALUE, 1, worst=given), BOT).worst
        for given in ((0.5, 0xAB, 0xC), (0.5, 0, 0))
    ]
    assert worst == [Worst(0.5, f"{0xAB:032x}", f"{0xC:016x}"), Worst(0.5, "", "")]


def test_attributes_are_the_very_same_object_unless_no_rule_could_name_them() -> None:
    plain, odd = {"book": "eq"}, {"book": "eq", "legs": ("a", "b")}
    readings = [reading_of(series(metering.SUM, 1, attributes=given), BOT) for given in (plain, odd)]
    assert readings[0].attributes is plain
    assert readings[1].attributes == {"book": "eq"}


def test_what_the_host_does_is_read_where_a_rule_asks() -> None:
    sample = {SYSTEM_CPU_TIME: [Value(9.0, {"a": "b"})], SYSTEM_CPU_UTILIZATION: [Value(0.5, {})]}
    asked = [list(readings_of_host(sample, BOT, frozenset({name}))) for name in (*sample, "other")]
    assert asked == [
        [Reading(BOT, SYSTEM_CPU_TIME, PointKind.COUNTER, {"a": "b"}, 9.0)],
        [Reading(BOT, SYSTEM_CPU_UTILIZATION, PointKind.GAUGE, {}, 0.5)],
        [],
    ]
