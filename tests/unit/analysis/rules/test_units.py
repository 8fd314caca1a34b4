"""Durations and quantities as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.units import duration_s, quantity, told_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5s", 5.0),
        ("250ms", 0.25),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("1d 12h", 129_600.0),
        ("2w", 1_209_600.0),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("10min", 600.0),
        ("0", 0.0),
        (0, 0.0),
        (" 5s ", 5.0),
    ],
)
def test_a_duration_is_read(written: object, seconds: float) -> None:
    assert duration_s(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "5",
        5,
        0.5,
        "-5s",
        "s",
        "5 parsecs",
        "1h30",
        "5S",
        True,
        None,
        [],
        {},
        "1e3s",
        "9" * 5000 + "s",
        "\u0665s",
    ],
)
def test_what_is_no_duration_is_told(written: object) -> None:
    with pytest.raises(Misread, match=r"^expected a duration like '5s', got "):
        duration_s(written)


@given(st.integers(1, 10**6).map(float) | st.integers(1, 999).map(lambda number: number / 1000))
def test_a_told_duration_is_read_as_itself(seconds: float) -> None:
    assert duration_s(told_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("written", "unit", "number"),
    [
        ("100ms", "s", 0.1),
        ("100", "s", 100.0),
        (0.1, "s", 0.1),
        ("5s", "ms", 5000.0),
        ("5m", "s", 300.0),
        ("90%", "1", 0.9),
        ("70%", "1", 0.7),
        ("90%", "%", 90.0),
        ("0.9", "1", 0.9),
        ("64MiB", "By", 67_108_864.0),
        ("64 MiB", "By", 67_108_864.0),
        ("1GB", "By", 1e9),
        ("1GB", "MBy", 1000.0),
        ("10MiB/h", "By/h", 10_485_760.0),
        ("60/min", "{order}/s", 1.0),
        ("3600/h", "{order}/s", 1.0),
        ("10MB/s", "By/s", 1e7),
        ("-500ms", "s", -0.5),
        ("1e3", "{order}", 1000.0),
        (".5", "1", 0.5),
        ("3", "", 3.0),
    ],
)
def test_a_number_is_converted_to_the_unit(written: object, unit: str, number: float) -> None:
    assert quantity(written, unit) == number


@pytest.mark.parametrize(
    ("written", "unit", "expected"),
    [
        ("100MiB", "s", "expected a number like '100ms' (unit s), got '100MiB'"),
        ("100ms", "By", "expected a number like '100MiB' (unit By), got '100ms'"),
        ("5s", "1", "expected a number like '90%' or 0.9 (unit 1), got '5s'"),
        ("5%", "{order}", "expected a number (unit {order}), got '5%'"),
        ("5/s", "{order}", "expected a number (unit {order}), got '5/s'"),
        ("5/d", "By/s", "expected a number like '10MiB/s' (unit By/s), got '5/d'"),
        ("nan", "s", "expected a number like '100ms' (unit s), got 'nan'"),
        ("1_000", "s", "expected a number like '100ms' (unit s), got '1_000'"),
        ("0x10", "s", "expected a number like '100ms' (unit s), got '0x10'"),
        (True, "1", "expected a number like '90%' or 0.9 (unit 1), got true"),
        (float("inf"), "1", "expected a number like '90%' or 0.9 (unit 1), got inf"),
        (10**400, "1", "expected a number like '90%' or 0.9 (unit 1), got a huge number"),
        ("1e999", "1", "expected a finite number, got '1e999'"),
        ({}, "", "expected a number, got a mapping"),
    ],
)
def test_what_is_no_number_of_the_unit_is_told(written: object, unit: str, expected: str) -> None:
    with pytest.raises(Misread) as caught:
        quantity(written, unit)
    assert str(caught.value) == expected
