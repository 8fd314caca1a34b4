"""Latencies in little room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.traces import Latencies

DURATIONS = st.lists(st.integers(min_value=0, max_value=10**13), min_size=1, max_size=200)


def of(durations: list[int]) -> Latencies:
    made = Latencies()
    for duration in durations:
        made.add(duration)
    return made


@given(DURATIONS, st.sampled_from((0.5, 0.9, 0.95, 1.0)))
def test_a_quantile_is_within_a_thirtysecond_of_the_exact_one(durations: list[int], share: float) -> None:
    exact = sorted(durations)[max(0, -int(-share * len(durations) // 1) - 1)]
    assert of(durations).quantile(share) * 1e9 == pytest.approx(exact, rel=1 / 32, abs=1.0)


@given(DURATIONS, DURATIONS)
def test_merging_is_adding_all(first: list[int], second: list[int]) -> None:
    merged = of(first)
    merged.merge(of(second))
    assert (merged.to_text(), merged.count) == (of(first + second).to_text(), len(first) + len(second))


@given(DURATIONS)
def test_the_text_says_all(durations: list[int]) -> None:
    read = Latencies.from_text(of(durations).to_text())
    assert (read.to_text(), read.count) == (of(durations).to_text(), len(durations))


@pytest.mark.parametrize("text", ["1:2:3", "a:1", "9999999:1", "5"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 'bucket:count' pairs"):
        Latencies.from_text(text)


def test_nothing_has_no_latency() -> None:
    assert Latencies().quantile(0.5) == 0.0


def test_half_of_it_has_the_same_shape() -> None:
    halved = of([1_000_000] * 100 + [50_000_000] * 10).halved()
    assert (halved.count, halved.quantile(0.5), halved.quantile(1.0)) == (
        55,
        pytest.approx(0.001, rel=1 / 32),
        pytest.approx(0.05, rel=1 / 32),
    )
