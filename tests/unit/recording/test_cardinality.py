"""Cardinality reports: which metric is too wide, and by which attribute."""

from __future__ import annotations

from tickspan.recording.cardinality import Cardinality, cardinality_of, worst_first


def test_a_report_names_the_attribute_with_the_most_values() -> None:
    kept = [{"side": "buy", "id": number} for number in range(5)]
    report = cardinality_of("scope", "orders", 5, 9, kept)
    assert report == Cardinality("scope", "orders", 5, 5, 9, "id", 5)
    assert str(report) == (
        "metric 'orders' of 'scope' has reached its limit of 5 attribute sets; more are added up under"
        " otel.metric.overflow. Attribute 'id' has 5 values"
    )


def test_a_metric_without_attributes_has_no_widest_one() -> None:
    assert cardinality_of("scope", "orders", 5, 0, [{}]) == Cardinality("scope", "orders", 1, 5, 0, "", 0)


def test_what_refused_most_comes_first_then_what_has_most_series() -> None:
    quiet, wide, worst = (
        Cardinality("s", name, series, 10, refused, "", 0)
        for name, series, refused in (("quiet", 1, 0), ("wide", 9, 0), ("worst", 10, 5))
    )
    assert worst_first([quiet, wide, worst]) == (worst, wide, quiet)
