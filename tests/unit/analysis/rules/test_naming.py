"""Names in Prometheus: `data/names.json` is what `github.com/prometheus/otlptranslator` 1.0.0 itself says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.naming import prometheus_label, prometheus_name
from tickspan.analysis.rules.readings import PointKind

RECORDED = json.loads((Path(__file__).parent / "data" / "names.json").read_text(encoding="utf-8"))


def name_or_nothing(metric: str, unit: str, kind: PointKind, *, is_sum: bool) -> str:
    try:
        return prometheus_name(metric, unit, kind, is_sum=is_sum)
    except ValueError:
        return ""


def test_every_recorded_name_is_the_translators() -> None:
    ours = [
        [metric, unit, kind, is_sum, name_or_nothing(metric, unit, PointKind(kind), is_sum=is_sum)]
        for metric, unit, kind, is_sum, _ in RECORDED
    ]
    assert ours == RECORDED


@pytest.mark.parametrize(
    ("attribute", "label"),
    [
        ("trading.venue.name", "trading_venue_name"),
        ("label:with:colons", "label_with_colons"),
        ("label!with&special$chars)", "label_with_special_chars_"),
        ("label_with_foreign_characters_字符", "label_with_foreign_characters_"),
        ("123label", "key_123label"),
        ("_label_starting_with_underscore", "_label_starting_with_underscore"),
        ("__label_starting_with_2underscores", "_label_starting_with_2underscores"),
        ("label.name__with&&special##chars", "label_name_with_special_chars"),
        ("__reserved__label__name__", "__reserved_label_name__"),
        ("trailing_underscores___", "trailing_underscores_"),
    ],
)
def test_a_label_is_the_translators(attribute: str, label: str) -> None:
    assert prometheus_label(attribute) == label


@pytest.mark.parametrize("attribute", ["", "__", "____", "ようこそ"])
def test_an_attribute_without_letter_or_digit_has_no_label(attribute: str) -> None:
    with pytest.raises(ValueError, match="expected an attribute name with a letter or digit, got"):
        prometheus_label(attribute)


def test_a_metric_without_letter_or_digit_has_no_name() -> None:
    with pytest.raises(ValueError, match="expected a metric name with a letter or digit, got '@#'"):
        prometheus_name("@#", "", PointKind.GAUGE)


@given(st.from_regex(r"[a-z][a-z0-9_.]{0,30}", fullmatch=True), st.sampled_from(["", "s", "By", "1", "{x}"]))
def test_a_name_is_one_that_prometheus_takes_and_is_stable(metric: str, unit: str) -> None:
    name = prometheus_name(metric, unit, PointKind.COUNTER)
    assert name.endswith("total")
    assert prometheus_name(name, unit, PointKind.COUNTER) == name
