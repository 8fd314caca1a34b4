"""Exemplar reservoirs: which samples stay."""

from __future__ import annotations

import random
from collections import Counter

from tickspan.recording.reservoirs import LatestOfBucket, Sample, Uniform


def sample(value: float, **attributes: str) -> Sample:
    return Sample(value, 5, 1, 2, attributes, None)


def values_of(reservoir: LatestOfBucket | Uniform) -> list[float]:
    return [value for _, value, *_ in reservoir.taken({})]


def test_the_latest_sample_of_each_bucket_stays() -> None:
    reservoir = LatestOfBucket((1.0, 2.0))
    for value in (1.5, 9.0, 0.5, 2.0, 3.0, 1.0):
        reservoir.offer(sample(value))
    assert (values_of(reservoir), values_of(reservoir)) == ([1.0, 2.0, 3.0], [])


def test_a_reservoir_keeps_the_first_samples_while_there_is_room() -> None:
    reservoir = Uniform(3)
    for value in (1.0, 2.0):
        reservoir.offer(sample(value))
    assert (values_of(reservoir), values_of(reservoir)) == ([1.0, 2.0], [])


def test_a_full_reservoir_keeps_each_sample_with_the_same_chance() -> None:
    draws = random.Random(7)  # the draws are under test, not secrets
    kept: Counter[float] = Counter()
    for _ in range(3_000):
        reservoir = Uniform(2, draws.randrange)
        for value in range(6):
            reservoir.offer(sample(value))
        kept.update(values_of(reservoir))
    assert sorted(kept) == [0, 1, 2, 3, 4, 5]
    assert all(900 < count < 1_100 for count in kept.values())


def test_nothing_is_drawn_from_the_applications_random() -> None:
    before = random.getstate()
    reservoir = Uniform(1)
    for value in range(100):
        reservoir.offer(sample(value))
    assert random.getstate() == before


def test_an_exemplar_tells_what_the_series_does_not() -> None:
    reservoir = Uniform(1)
    reservoir.offer(sample(1.5, side="buy", order="7"))
    assert reservoir.taken({"side": "buy"}) == [(5, 1.5, 1, 2, {"order": "7"})]
