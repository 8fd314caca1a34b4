"""What a thread did, by its clocks and its innermost instruction."""

from __future__ import annotations

import pytest

from tickspan.profiler.states import Leaf, State, state_of


@pytest.mark.parametrize(
    ("leaf", "gc_ns", "cpu_ns", "delay_ns", "expected"),
    [
        (Leaf.CALL, 50, 100, 0, State.GC),
        (Leaf.CALL, 49, 100, 0, State.CPU),
        (Leaf.NO_CALL, 0, 50, 50, State.CPU),
        (Leaf.NO_CALL, 0, 49, 50, State.RUNQUEUE),
        (Leaf.NO_CALL, 0, 49, 49, State.GIL),
        (Leaf.IDLE, 0, 0, 0, State.IDLE),
        (Leaf.IDLE, 100, 0, 0, State.IDLE),
        (Leaf.LOCK, 0, 0, 0, State.LOCK),
        (Leaf.CALL, 0, 0, 0, State.IO),
        (Leaf.NO_CALL, 0, None, 0, State.CPU),
        (Leaf.CALL, 0, None, 0, State.IO),
    ],
)
def test_the_first_state_that_fits_is_told(
    leaf: Leaf, gc_ns: int, cpu_ns: int | None, delay_ns: int, expected: State
):
    assert state_of(leaf, 100, gc_ns=gc_ns, cpu_ns=cpu_ns, delay_ns=delay_ns) is expected
