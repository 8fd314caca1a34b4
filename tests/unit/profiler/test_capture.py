"""What is kept of a trace, and when."""

from __future__ import annotations

import tracemalloc

import pytest

from tickspan.analysis.profiles import Link
from tickspan.profiler.capture import Capture, Kept, Roots, SampleRing, folded_stacks
from tickspan.profiler.sampler import Seen
from tickspan.profiler.states import State

S = 1_000_000_000
LINK = Link(7, 70)


def seen(at_s: float, link: Link | None = LINK, stack: int = 1) -> Seen:
    return Seen(int(at_s * S), stack, "MainThread", State.CPU, link, S // 10)


def capture(**options: float) -> Capture:
    return Capture(lambda: 0.1, options.get("slow_s", 0.5), monotonic=lambda: options.get("now", 0.0))


def test_the_samples_of_a_slow_root_are_kept_with_it():
    keeps = capture()
    for one in (seen(9.9), seen(10.1), seen(10.2, Link(8, 80)), seen(10.3, Link(7, 71)), seen(10.4, None)):
        keeps.ring.add(one)
    kept = keeps.ended(LINK, "order", 10 * S, 6 * S // 10, is_error=False)
    expected = Kept("slow", LINK, "order", 10 * S, 6 * S // 10, [seen(10.1), seen(10.3, Link(7, 71))])
    assert kept == expected


def test_a_failed_root_is_kept_although_it_was_fast():
    keeps = capture()
    keeps.ring.add(seen(10.1))
    kept = keeps.ended(LINK, "order", 10 * S, 3 * S // 10, is_error=True)
    assert kept is not None
    assert kept.reason == "error"


def test_a_root_that_was_neither_is_not_kept_and_refuses_nothing():
    keeps = capture()
    keeps.ring.add(seen(10.1))
    assert keeps.ended(LINK, "order", 10 * S, 3 * S // 10, is_error=False) is None
    assert keeps.refused == {}


def test_what_is_shorter_than_two_periods_or_was_never_seen_is_told():
    keeps = capture(slow_s=0.01)
    assert keeps.ended(LINK, "order", 10 * S, S // 10, is_error=False) is None
    assert keeps.ended(LINK, "order", 10 * S, S, is_error=False) is None
    assert keeps.refused == {"short": 1, "unseen": 1}


def test_six_a_minute_are_kept():
    now = [0.0]
    keeps = Capture(lambda: 0.1, 0.5, monotonic=lambda: now[0])
    keeps.ring.add(seen(10.1))

    def kept() -> bool:
        return keeps.ended(LINK, "order", 10 * S, S, is_error=False) is not None

    assert [kept() for _ in range(8)] == [True] * 6 + [False] * 2
    now[0] = 60.0
    assert (kept(), keeps.refused) == (True, {"often": 2})


def test_a_root_is_slow_beyond_the_99th_percentile_of_its_name():
    roots = Roots()
    assert not any(roots.is_slow("order", 199 - place) for place in range(100))
    assert [roots.is_slow("order", duration) for duration in (150, 198, 199, 500)] == [
        False,
        False,
        True,
        True,
    ]
    assert not roots.is_slow("other", 10_000)


def test_names_of_roots_are_bounded():
    roots = Roots()
    for place in range(2_000):
        roots.is_slow(f"root {place}", 1)
    assert repr(roots) == "<Roots of 500 names>"


def test_the_ring_forgets_what_is_old_and_what_is_too_much():
    ring = SampleRing(most=3, age_s=30)
    for at_s in (0, 1, 31, 32, 33):
        ring.add(seen(at_s))
    assert [one.at_unix_ns // S for one in ring.of_trace(7, 0)] == [31, 32, 33]


@pytest.mark.parametrize(("most", "expected"), [(1_000, "main;a 2\nmain;b 1"), (9, "main;a 2"), (3, "")])
def test_the_most_frequent_stacks_are_told_as_many_as_fit(most: int, expected: str):
    names = {1: ["a", "main"], 2: ["b", "main"]}
    kept = Kept("slow", LINK, "order", 0, S, [seen(1), seen(2, stack=2), seen(3)])
    assert folded_stacks(kept, names.__getitem__, most) == expected


def test_samples_of_child_spans_and_of_other_threads_belong_to_the_trace():
    ring = SampleRing()
    child = Seen(2 * S, 1, "worker", State.IO, Link(7, 71), S)
    for one in (seen(1), child, seen(3, Link(8, 80))):
        ring.add(one)
    assert ring.of_trace(7, 0) == [seen(1), child]


def test_a_trace_whose_samples_are_gone_leaves_nothing():
    ring = SampleRing(age_s=30)
    for at_s in (0, 1, 50):
        ring.add(seen(at_s, Link(at_s, 1)))
    assert ([len(ring.of_trace(trace, 0)) for trace in (0, 1, 50)], ring._of_traces.keys()) == (
        [0, 0, 1],
        {50},
    )


def test_the_ring_takes_two_mebibytes_at_most():
    ring = SampleRing()
    tracemalloc.start()
    try:
        for place in range(30_000):
            ring.add(Seen(S + place * 1_000, 1, "t", State.CPU, Link(place % 100, place), 1_000 + place))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ring._samples) == 7_000
    assert size <= 2 << 20


def test_the_stacks_of_the_ring_are_known_to_whoever_forgets_others():
    ring = SampleRing(most=2)
    for place in (1, 2, 3):
        ring.add(seen(place, stack=place))
    assert ring.stacks() == {2, 3}


def test_of_a_trace_with_very_many_samples_the_latest_are_kept_and_the_rest_is_counted():
    keeps = capture()
    for place in range(2_500):
        keeps.ring.add(seen(10 + place / 1_000))
    kept = keeps.ended(LINK, "order", 10 * S, 3 * S, is_error=False)
    assert kept is not None
    assert (len(kept.samples), kept.omitted, kept.samples[0]) == (1_000, 1_500, seen(11.5))
