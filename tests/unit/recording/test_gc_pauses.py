"""Pauses of the garbage collector are noted where they happen and told elsewhere."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording.gc_pauses import GcPauses, Pause, PauseTotals


@pytest.fixture
def pauses() -> Iterator[GcPauses]:
    made = GcPauses(itertools.count(1_000, 250).__next__)
    made.start()
    gc.disable()
    yield made
    gc.enable()
    made.stop()


def test_a_collection_is_noted_with_its_generation_and_length(pauses: GcPauses) -> None:
    gc.collect(1)
    gc.collect(2)
    assert list(pauses.take()) == [(1, 250), (2, 250)]
    assert list(pauses.take()) == []


def test_what_nobody_takes_in_time_is_lost_and_counted() -> None:
    pauses = GcPauses(itertools.count(1).__next__, most=2)
    for generation in range(3):
        pauses._note("start", {"generation": generation})
        pauses._note("stop", {"generation": generation})
    assert (list(pauses.take()), pauses.lost) == ([(1, 1), (2, 1)], 1)


def test_a_collection_that_began_before_anybody_looked_is_left_out() -> None:
    pauses = GcPauses()
    pauses._note("stop", {"generation": 0})
    assert list(pauses.take()) == []


def test_nothing_is_noted_after_the_end(pauses: GcPauses) -> None:
    pauses.stop()
    gc.collect()
    assert list(pauses.take()) == []


def test_a_forked_child_does_not_tell_its_parents_pauses(pauses: GcPauses) -> None:
    gc.collect()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, str(len(list(pauses.take()))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"0"
    os.close(reader)
    os.close(writer)
    assert list(pauses.take()) == [(2, 250)]


def noted(*pauses: tuple[int, int, int], most: int = 8) -> GcPauses:
    """Pauses of (start, stop, generation)."""
    clock = iter([moment for start, stop, _ in pauses for moment in (start, stop)])
    made = GcPauses(clock.__next__, most=most, wall_ns=lambda: 0)
    for _, _, generation in pauses:
        made._note("start", {"generation": generation})
        made._note("stop", {"generation": generation})
    return made


def test_pauses_since_a_moment_are_told_oldest_first() -> None:
    pauses = noted((10, 20, 0), (30, 45, 1), (50, 90, 2))
    assert pauses.since(20) == [Pause(30, 45, 1), Pause(50, 90, 2)]
    assert pauses.since(90) == []


def test_the_ring_keeps_the_latest() -> None:
    pauses = noted(*((10 * number, 10 * number + 5, 0) for number in range(1, 8)), most=3)
    assert pauses.since(0) == [Pause(50, 55, 0), Pause(60, 65, 0), Pause(70, 75, 0)]


def test_totals_are_kept_for_each_generation() -> None:
    pauses = noted((10, 20, 0), (30, 45, 2), (50, 90, 2))
    assert pauses.totals() == (PauseTotals(1, 10, 10), PauseTotals(), PauseTotals(2, 55, 40))


@pytest.mark.parametrize(
    ("start_ns", "stop_ns", "expected"),
    [
        (0, 5, (0, 0)),
        (0, 100, (3, 65)),
        (20, 30, (0, 0)),
        (35, 60, (2, 20)),
        (35, 40, (1, 5)),
        (0, 30, (1, 10)),
        (0, 31, (2, 11)),
        (89, 200, (1, 1)),
        (90, 200, (0, 0)),
    ],
)
def test_what_lies_within_a_time_is_cut_at_its_ends(
    start_ns: int, stop_ns: int, expected: tuple[int, int]
) -> None:
    assert noted((10, 20, 0), (30, 45, 1), (50, 90, 2)).within(start_ns, stop_ns) == expected


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=20),
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(1, 12),
)
def test_what_lies_within_a_time_is_the_sum_of_its_overlaps(
    steps: list[tuple[int, int]], one: int, other: int, most: int
) -> None:
    moments, now = [], 0
    for gap, length in steps:
        moments.append((now + gap, now + gap + length, 0))
        now += gap + length
    start_ns, stop_ns = min(one, other), max(one, other)
    overlaps = [min(stop, stop_ns) - max(start, start_ns) for start, stop, _ in moments[-most:]]
    inside = noted(*moments, most=most).within(start_ns, stop_ns)[1]
    assert inside == sum(overlap for overlap in overlaps if overlap > 0)


def test_it_is_called_until_the_last_user_has_stopped() -> None:
    pauses = GcPauses()
    pauses.start()
    pauses.start()
    pauses.stop()
    states = [pauses.is_on]
    pauses.stop()
    pauses.stop()
    assert [*states, pauses.is_on] == [True, False]
