"""What a comparison of two profiles tells."""

from __future__ import annotations

import random

import pytest

from tickspan.analysis.profiles import Frame, Profile, Sample
from tickspan.analysis.regression import Change, compared


def profile(counts: dict[str, int], line: int = 1, state: str = "cpu") -> Profile:
    frames = tuple(Frame(name, "/bot.py", line, line) for name in counts)
    stacks = ((), *((index,) for index in range(len(frames))))
    samples = tuple(
        Sample(place, "t", state, None, count, count)
        for place, count in enumerate(counts.values(), 1)
        if count
    )
    return Profile("bot", "", 1, 0, 1, 1, frames, stacks, samples)


def test_a_function_that_takes_more_is_told_first_also_when_it_moved():
    changes = compared(
        profile({"a": 600, "b": 300, "c": 100}), profile({"a": 450, "b": 450, "c": 100}, line=9)
    )
    assert [(one.function, one.before, one.after, one.is_significant) for one in changes] == [
        ("b (bot.py)", 0.3, 0.45, True),
        ("c (bot.py)", 0.1, 0.1, False),
        ("a (bot.py)", 0.6, 0.45, True),
    ]


def test_fewer_than_two_points_are_not_told_however_certain():
    changes = compared(profile({"a": 500_000, "b": 500_000}), profile({"a": 515_000, "b": 485_000}))
    assert [one.is_significant for one in changes] == [False, False]
    assert max(one.p_value for one in changes) < 0.001


def test_few_samples_are_no_evidence():
    assert not any(
        one.is_significant for one in compared(profile({"a": 6, "b": 4}), profile({"a": 4, "b": 6}))
    )


def bursts(generator: random.Random, slower: str = "", samples: int = 1_500) -> Profile:
    """Of a program whose calls take from one sample to ten, so that neighbours are alike."""
    shares = [1 / (place + 1) for place in range(20)]
    counts = dict.fromkeys((f"f{place}" for place in range(20)), 0)
    while sum(counts.values()) < samples:
        name = generator.choices(list(counts), shares)[0]
        counts[name] += generator.choice((1, 1, 2, 10)) * (2 if name == slower else 1)
    return profile(counts)


def test_two_runs_of_the_same_program_differ_at_most_5_times_in_100():
    generator = random.Random(7)
    told = [
        any(one.is_significant for one in compared(bursts(generator), bursts(generator))) for _ in range(100)
    ]
    assert sum(told) <= 5


def test_independent_samples_differ_at_most_5_times_in_100():
    def drawn(generator: random.Random) -> Profile:
        counts = dict.fromkeys((f"f{place}" for place in range(40)), 0)
        for name in generator.choices(list(counts), [1 / (place + 1) for place in range(40)], k=1_000):
            counts[name] += 1
        return profile(counts)

    generator = random.Random(8)
    told = [
        any(one.is_significant for one in compared(drawn(generator), drawn(generator))) for _ in range(100)
    ]
    assert sum(told) <= 5


def test_a_function_that_takes_twice_as_long_is_found_and_no_other_rises():
    generator = random.Random(9)
    told = [
        {
            one.function
            for one in compared(bursts(generator, "", 6_000), bursts(generator, "f1", 6_000))
            if one.is_significant and one.points > 0
        }
        for _ in range(20)
    ]
    assert told.count({"f1 (bot.py)"}) >= 18


def test_thousands_of_functions_are_compared_in_a_moment():
    many = {f"f{place}": 10 + place % 7 for place in range(3_000)}
    changes = compared(profile(many), profile({**many, "f0": 8_000}))
    assert [one.function for one in changes if one.is_significant] == ["f0 (bot.py)"]


def test_a_new_function_rises_from_nothing():
    changes = compared(profile({"a": 1_000}), profile({"a": 800, "new": 200}))
    assert changes[0] == Change("new (bot.py)", 0.0, 0.2, changes[0].p_value, is_significant=True)
    assert changes[0].points == 0.2


@pytest.mark.parametrize("after", [profile({}), profile({"a": 5}, state="idle")])
def test_a_profile_without_busy_threads_cannot_be_compared(after: Profile):
    with pytest.raises(ValueError, match="samples of busy threads"):
        compared(profile({"a": 5}), after)
