"""Private ids: no draw from the global generator, distinct after a fork."""

from __future__ import annotations

import os
import random

import pytest

from tickspan.recording import PrivateIds, ids


def test_the_global_generator_is_not_drawn_from() -> None:
    before = random.getstate()
    private = PrivateIds()
    private.trace_id()
    private.span_id()
    assert random.getstate() == before


def test_seeding_the_global_generator_does_not_repeat_ids() -> None:
    state = random.getstate()
    random.setstate(state)
    first = PrivateIds().trace_id()
    random.setstate(state)
    assert PrivateIds().trace_id() != first


def test_ids_are_of_the_width_that_opentelemetry_wants_and_never_zero() -> None:
    private = PrivateIds()
    assert all(0 < private.trace_id() < 2**128 for _ in range(1000))
    assert all(0 < private.span_id() < 2**64 for _ in range(1000))


def test_a_zero_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0, 0, 5])
    monkeypatch.setattr(ids, "draw_span_id", lambda: next(draws))
    assert PrivateIds().span_id() == 5


@pytest.mark.integration
def test_a_forked_child_has_ids_of_its_own() -> None:
    private = PrivateIds()
    private.trace_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, f"{private.trace_id():032x}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert int(pipe.read(), 16) != private.trace_id()
