"""Preferences: how metrics are collected, from OpenTelemetry's standard variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION,
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE,
    OTEL_METRIC_EXPORT_INTERVAL,
)
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from tickspan.recording import diagnostics

T = TypeVar("T")

DEFAULT_INTERVAL_S: Final = 60.0
_MILLISECONDS: Final = 1_000
_DELTA_OF: Final[Mapping[str, tuple[type, ...]]] = {
    "cumulative": (),
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
}
_HISTOGRAM_OF: Final[Mapping[str, type[Aggregation]]] = {
    "explicit_bucket_histogram": ExplicitBucketHistogramAggregation,
    "base2_exponential_bucket_histogram": ExponentialBucketHistogramAggregation,
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """How metrics are collected.

    Attributes:
        interval_s: between two collections; infinite is never by itself.
        delta: the kinds of instruments that tell what changed since the last collection; others tell totals.
        histogram: what a histogram becomes unless a view says otherwise.
    """

    interval_s: float
    delta: tuple[type, ...]
    histogram: Aggregation

    @staticmethod
    def from_environment(environ: Mapping[str, str]) -> Preferences:
        """As the variables say. One that cannot be understood is told, and is as if unset."""
        return Preferences(
            _interval_s(environ),
            _chosen(_DELTA_OF, environ, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE),
            _chosen(_HISTOGRAM_OF, environ, OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION)(),
        )


def _interval_s(environ: Mapping[str, str]) -> float:
    given = environ.get(OTEL_METRIC_EXPORT_INTERVAL, "").strip()
    if not given:
        return DEFAULT_INTERVAL_S
    try:
        interval_s = float(given) / _MILLISECONDS
    except ValueError:
        interval_s = math.nan
    if interval_s > 0:
        return interval_s
    _tell(OTEL_METRIC_EXPORT_INTERVAL, "a number of milliseconds above 0", given)
    return DEFAULT_INTERVAL_S


def _chosen(choices: Mapping[str, T], environ: Mapping[str, str], variable: str) -> T:
    given = environ.get(variable, "").strip().lower()
    if given and given not in choices:
        _tell(variable, " or ".join(choices), given)
    return choices[given] if given in choices else next(iter(choices.values()))


def _tell(variable: str, expected: str, given: str) -> None:
    diagnostics.warning("%s: expected %s, got '%s'; the default is used", variable, expected, given)
