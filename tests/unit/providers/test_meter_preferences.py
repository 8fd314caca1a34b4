"""Preferences of metrics: what the standard variables mean."""

from __future__ import annotations

import math

import pytest
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from tickspan.providers.preferences import Preferences

TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
HISTOGRAM = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"


@pytest.mark.parametrize(
    ("given", "delta"),
    [
        (None, ()),
        ("", ()),
        ("cumulative", ()),
        (" DELTA ", (Counter, Histogram, ObservableCounter)),
        ("lowmemory", (Counter, Histogram)),
        ("sometimes", ()),
    ],
)
def test_the_temporality_preference_says_which_instruments_tell_changes(
    given: str | None, delta: tuple[type, ...]
) -> None:
    environ = {} if given is None else {TEMPORALITY: given}
    assert Preferences.from_environment(environ).delta == delta


@pytest.mark.parametrize(
    ("given", "aggregation"),
    [
        ("", ExplicitBucketHistogramAggregation),
        ("explicit_bucket_histogram", ExplicitBucketHistogramAggregation),
        ("base2_exponential_bucket_histogram", ExponentialBucketHistogramAggregation),
        ("pie_chart", ExplicitBucketHistogramAggregation),
    ],
)
def test_the_default_histogram_can_be_chosen(given: str, aggregation: type) -> None:
    assert type(Preferences.from_environment({HISTOGRAM: given}).histogram) is aggregation


@pytest.mark.parametrize(
    ("given", "interval_s"),
    [("", 60.0), ("500", 0.5), ("inf", math.inf), ("0", 60.0), ("-1", 60.0), ("nan", 60.0), ("often", 60.0)],
)
def test_the_interval_is_in_milliseconds_and_a_wrong_one_is_the_default(
    given: str, interval_s: float
) -> None:
    assert Preferences.from_environment({INTERVAL: given}).interval_s == interval_s


def test_what_cannot_be_understood_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Preferences.from_environment({INTERVAL: "often"})
    assert capsys.readouterr().err == (
        "tickspan: OTEL_METRIC_EXPORT_INTERVAL: expected a number of milliseconds above 0, got 'often';"
        " the default is used\n"
    )
