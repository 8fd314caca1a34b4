"""Critical sections switch the collector off while at least one is open, in whatever threads."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from tickspan.recording import sections as module
from tickspan.recording.sections import Sections, depth


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_the_last_to_close_lets_the_collector_be_as_it_was() -> None:
    own = Sections()
    states = [gc.isenabled()]
    outer = own.enter()
    inner = own.enter()
    states.append(gc.isenabled())
    own.leave(outer)
    states.append(gc.isenabled())
    own.leave(inner)
    states.append(gc.isenabled())
    assert (states, own.depth, own.closed) == ([True, False, False, True], 0, 1)


def test_a_collector_that_the_program_had_switched_off_stays_off() -> None:
    own = Sections()
    gc.disable()
    own.leave(own.enter())
    assert not gc.isenabled()


def test_sections_of_two_threads_overlap() -> None:
    own = Sections()
    other: list[int] = []
    opened = threading.Thread(target=lambda: other.append(own.enter()))
    mine = own.enter()
    opened.start()
    opened.join()
    own.leave(mine)
    is_on = gc.isenabled()
    own.leave(other[0])
    assert (is_on, gc.isenabled()) == (False, True)


def test_one_that_was_ended_by_force_is_closed_in_vain() -> None:
    own = Sections()
    era = own.enter()
    ended = own.abort(era)
    is_on, left = gc.isenabled(), own.depth
    assert (ended, is_on, left, own.leave(era), own.aborted, own.closed) == (True, True, 0, False, 1, 0)


def test_a_late_close_does_not_end_the_next_section() -> None:
    own = Sections()
    first = own.enter()
    own.abort(first)
    second = own.enter()
    own.leave(first)
    assert (own.depth, gc.isenabled()) == (1, False)
    own.leave(second)


def test_only_the_section_that_was_looked_at_is_ended_by_force() -> None:
    own = Sections()
    first = own.enter()
    own.leave(first)
    second = own.enter()
    assert (own.abort(first), own.depth) == (False, 1)
    own.leave(second)


def test_a_forked_child_collects_again() -> None:
    own = module.sections()
    era = own.enter()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, f"{depth()} {gc.isenabled()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reader, 20)
    inside = depth()
    own.leave(era)
    os.close(reader)
    os.close(writer)
    assert (told, inside, depth()) == (b"0 True", 1, 0)
