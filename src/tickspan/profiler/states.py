"""What a thread did between two samples of it, decided from its clocks and from its innermost instruction."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["Leaf", "State", "state_of"]

_HALF: Final = 2


class State(StrEnum):
    """In the order in which they are considered."""

    GC = "gc"
    """The garbage collector held the program up."""
    CPU = "cpu"
    RUNQUEUE = "runqueue"
    """It could have run, and the kernel ran something else."""
    GIL = "gil"
    """It waits for the interpreter's lock: nothing else lets it stand between two instructions."""
    IDLE = "idle"
    """It has nothing to do: an event loop in its selector, a worker without work, a sleeper."""
    LOCK = "lock"
    IO = "io"
    """Any other call that waits."""


class Leaf(StrEnum):
    """What the innermost instruction of a stack does."""

    NO_CALL = "no call"
    IDLE = "idle"
    LOCK = "lock"
    CALL = "call"


_OF_LEAF: Final = {
    Leaf.NO_CALL: State.GIL,
    Leaf.IDLE: State.IDLE,
    Leaf.LOCK: State.LOCK,
    Leaf.CALL: State.IO,
}


def state_of(
    leaf: Leaf, interval_ns: int, *, gc_ns: int = 0, cpu_ns: int | None = None, delay_ns: int = 0
) -> State:
    """The first that fits; one of gc, CPU and run queue fits if it took at least half of the interval.

    Args:
        leaf: of the stack at the end of the interval.
        interval_ns: since the last sample of the thread.
        gc_ns: pauses of the garbage collector within it, which hold up nobody who has nothing to do.
        cpu_ns: by which the thread's CPU clock went on; None where there is no such clock, and then a thread
            between two instructions is taken to run.
        delay_ns: for which the kernel let it wait for a processor.
    """
    if gc_ns and gc_ns * _HALF >= interval_ns and leaf is not Leaf.IDLE:
        return State.GC
    if cpu_ns is None:
        return State.CPU if leaf is Leaf.NO_CALL else _OF_LEAF[leaf]
    if cpu_ns and cpu_ns * _HALF >= interval_ns:
        return State.CPU
    if delay_ns and delay_ns * _HALF >= interval_ns:
        return State.RUNQUEUE
    return _OF_LEAF[leaf]
