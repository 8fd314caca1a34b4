"""Series as promtool's unit tests write them."""

import math

import pytest

from tickspan.analysis.rules.notation import STALE, NativeHistogram, label_set, matchers, samples
from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.readings import ExplicitBuckets, ExponentialBuckets, HistogramPoint


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", ()),
        ("1 2.5 -3 1e3", (1.0, 2.5, -3.0, 1000.0)),
        ("0+10x3", (0.0, 10.0, 20.0, 30.0)),
        ("4-2x2 7", (4.0, 2.0, 0.0, 7.0)),
        ("5x2", (5.0, 5.0, 5.0)),
        ("_ 1 _x2 stale", (None, 1.0, None, None, STALE)),
        ("-1+1e-1x1", (-1.0, -0.9)),
        ("Inf -Inf", (math.inf, -math.inf)),
    ],
)
def test_values_stand_for_themselves_or_for_many(text: str, values: tuple[object, ...]):
    assert samples(text) == values


def test_values_are_added_up_as_prometheus_does_it():
    assert samples("0+0.1x3")[-1] == 0.1 + 0.1 + 0.1


def test_a_native_histogram_grows_bucket_by_bucket():
    found = samples(
        "{{schema:1 count:3 sum:4.5 z_bucket:1 buckets:[1 1] offset:-1}}+{{schema:1 count:1 buckets:[1]}}x1"
    )
    assert found == (
        NativeHistogram(1, 3.0, 4.5, 1.0, {-1: 1.0, 0: 1.0}),
        NativeHistogram(1, 4.0, 4.5, 1.0, {-1: 1.0, 0: 2.0}),
    )


def test_buckets_of_otlp_count_from_their_lower_bound():
    (found,) = samples(
        "{{schema:0 count:4 sum:7 z_bucket:1 buckets:[2 1] offset:3 n_buckets:[1] n_offset:1}}"
    )
    assert isinstance(found, NativeHistogram)
    assert found.point() == HistogramPoint(4, 7.0, ExponentialBuckets(0, 1, {2: 2, 3: 1}, {0: 1}))


def test_custom_bounds_are_explicit_buckets():
    (found,) = samples("{{schema:-53 count:3 sum:2 custom_values:[0.1 1] buckets:[1 0 2]}}")
    assert isinstance(found, NativeHistogram)
    assert found.point() == HistogramPoint(3, 2.0, ExplicitBuckets((0.1, 1.0), (1, 0, 2)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1+2", "got '1+2'"),
        ("abc", "got 'abc'"),
        ("1x1000000", "expected at most 100000 values"),
        ("{{count:x}}", "expected numbers in a histogram"),
        ("{{colour:3}}", "expected a histogram like"),
        ("{{schema:1}}+{{schema:2}}x1", "histograms of one schema"),
    ],
)
def test_what_is_no_value_is_told(text: str, told: str):
    with pytest.raises(Misread, match=told.replace("+", r"\+")):
        samples(text)


def test_half_a_measurement_is_none():
    with pytest.raises(Misread, match=r"expected whole counts in a histogram, got 1\.5"):
        NativeHistogram(count=1.5).point()


def test_labels_may_have_quotes_commas_and_braces_in_their_values():
    assert label_set("""up{job="a, }\\"b", instance='x'}""") == {
        "__name__": "up",
        "job": 'a, }"b',
        "instance": "x",
    }


def test_a_selector_has_a_sign_for_each_label():
    assert matchers('{a=~"x|y", b!="", c!~"z"}') == (("a", "=~", "x|y"), ("b", "!=", ""), ("c", "!~", "z"))


@pytest.mark.parametrize("text", ['up{job=~"a"}', 'up{job="a"', "up{job}", "1up"])
def test_what_is_no_series_is_told(text: str):
    with pytest.raises(Misread, match="expected"):
        label_set(text)
