"""Pauses of the garbage collector are noted where they happen and told elsewhere."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator

import pytest

from tickspan.recording.gc_pauses import GcPauses


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
