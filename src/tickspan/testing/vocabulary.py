"""Whether telemetry keeps to the registry of `trading.*`: names, units and instruments as declared there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tickspan.received import ReceivedLog, ReceivedMetric, ReceivedSpan, Telemetry
from tickspan.semconv import trading

_OURS: Final = ("trading.", "tickspan.trading.")
_ON_METRICS: Final = trading.METRIC_ATTRIBUTES | trading.OPT_IN_METRIC_ATTRIBUTES
_INSTRUMENTS: Final = {
    **dict.fromkeys(trading.HISTOGRAMS, "histogram"),
    **dict.fromkeys(trading.COUNTERS, "counter"),
    **dict.fromkeys(trading.GAUGES, "gauge"),
}


def undeclared(telemetry: Telemetry) -> list[str]:
    """What has a name below `trading.` and not the form that the registry declares: a sentence for each."""
    found = (
        *(words for span in telemetry.spans for words in _of_span(span)),
        *(words for metric in telemetry.metrics for words in _of_metric(metric)),
        *(words for log in telemetry.logs for words in _of_log(log)),
    )
    return sorted(set(found))


def _of_span(span: ReceivedSpan) -> Iterator[str]:
    first = span.name.partition(" ")[0]
    if _is_ours(first) and first not in trading.SPANS:
        yield f"span {first} is not declared"
    yield from _of_attributes(span.attributes, f"span {first}")
    for event in span.events:
        yield from _of_attributes(event.attributes, f"event {event.name} of span {first}")
    for link in span.links:
        yield from _of_attributes(link.attributes, f"link of span {first}")


def _of_metric(metric: ReceivedMetric) -> Iterator[str]:
    if _is_ours(metric.name):
        yield from _of_instrument(metric)
    for key in sorted({key for point in metric.points for key in point.attributes if _is_ours(key)}):
        if key not in _ON_METRICS:
            yield f"attribute {key} of metric {metric.name} is not declared for metrics"


def _of_instrument(metric: ReceivedMetric) -> Iterator[str]:
    if metric.name not in trading.METRICS:
        yield f"metric {metric.name} is not declared"
        return
    unit, instrument = trading.UNITS[metric.name], _INSTRUMENTS[metric.name]
    if metric.unit != unit:
        yield f"metric {metric.name} has unit {metric.unit!r} and is declared with {unit!r}"
    if _instrument(metric) != instrument:
        yield f"metric {metric.name} is no {instrument} but of kind {_instrument(metric)}"


def _instrument(metric: ReceivedMetric) -> str:
    match metric.kind:
        case "histogram" | "exponential_histogram":
            return "histogram"
        case "sum":
            return "counter" if metric.is_monotonic else "updowncounter"
        case kind:
            return kind


def _of_log(log: ReceivedLog) -> Iterator[str]:
    if _is_ours(log.event_name) and log.event_name not in trading.EVENTS:
        yield f"event {log.event_name} is not declared"
    yield from _of_attributes(log.attributes, f"event {log.event_name}" if log.event_name else "log record")


def _of_attributes(keys: Iterable[str], where: str) -> Iterator[str]:
    for key in keys:
        if _is_ours(key) and key not in trading.ATTRIBUTES:
            yield f"attribute {key} of {where} is not declared"


def _is_ours(name: str) -> bool:
    return name.startswith(_OURS)
