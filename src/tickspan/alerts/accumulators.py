"""Readings of this process's own accumulators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    PointKind,
    Reading,
    Sender,
    Value,
    Worst,
)
from tickspan.providers.attention import Series
from tickspan.providers.samples import Sample
from tickspan.recording._impl import metering
from tickspan.semconv.catalogue import METRICS

__all__ = ["reading_of", "readings_of", "readings_of_host"]

_SCALARS: Final = (str, bool, int, float)


def readings_of(series: Iterator[Series], sender: Sender) -> Iterator[Reading]:
    """The readings that series are, one by one."""
    for one in series:
        yield reading_of(one, sender)


def readings_of_host(
    sample: Sample, sender: Sender, metrics: AbstractSet[str] = frozenset()
) -> Iterator[Reading]:
    """What a sample of the host says of these metrics; counters count from a start that does not change."""
    for name in metrics & sample.keys():
        kind = PointKind.COUNTER if METRICS[name].instrument == "counter" else PointKind.GAUGE
        for one in sample[name]:
            yield Reading(sender, name, kind, one.attributes, float(one.value))


def reading_of(series: Series, sender: Sender) -> Reading:
    """A series as rules read it. Attributes that are lists or mappings are left out: no rule names them."""
    kind, value = _value_of(series)
    return Reading(
        sender,
        series.metric,
        kind,
        _scalars(series.attributes),
        value,
        series.start_ns / 1e9,
        None if series.worst is None else _worst(*series.worst),
    )


def _scalars(attributes: Mapping[str, Any]) -> Mapping[str, Value]:
    for value in attributes.values():
        if not isinstance(value, _SCALARS):
            return {name: value for name, value in attributes.items() if isinstance(value, _SCALARS)}
    return attributes


def _worst(value: float, trace_id: int, span_id: int) -> Worst:
    return Worst(float(value), f"{trace_id:032x}" if trace_id else "", f"{span_id:016x}" if span_id else "")


def _value_of(series: Series) -> tuple[PointKind, float | HistogramPoint]:
    given = series.value
    if series.kind == metering.BUCKETS:
        added, count, counts = given
        return PointKind.HISTOGRAM, HistogramPoint(
            count, added, ExplicitBuckets(series.bounds, tuple(counts))
        )
    if series.kind == metering.EXPONENTIAL:
        added, count, scale, zeros, low, positive, negative_low, negative = given
        buckets = ExponentialBuckets(
            scale, zeros, _by_index(low, positive), _by_index(negative_low, negative)
        )
        return PointKind.HISTOGRAM, HistogramPoint(count, added, buckets)
    is_counter = series.kind == metering.SUM and series.is_monotonic
    return PointKind.COUNTER if is_counter else PointKind.GAUGE, float(given)


def _by_index(low: int, counts: list[int]) -> Mapping[int, int]:
    return {low + number: count for number, count in enumerate(counts) if count}
