"""Calls that come again: alike ones under one parent, and patterns of several that repeat as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.traces.call import DatabaseCall

__all__ = ["Cycle", "busy_ns", "cycles", "overlaps"]

_LONGEST: Final = 8
_FEWEST_TURNS: Final = 3


@dataclass(frozen=True, slots=True)
class Cycle:
    """At least two different statements that come at least three times in the same order, without a gap.

    Attributes:
        calls: of all turns, in order.
        length: of the pattern.
    """

    calls: Sequence[DatabaseCall]
    length: int

    @property
    def turns(self) -> int:
        """How often it came."""
        return len(self.calls) // self.length

    @property
    def pattern(self) -> Sequence[DatabaseCall]:
        """Its first turn."""
        return self.calls[: self.length]


def cycles(calls: Sequence[DatabaseCall]) -> list[Cycle]:
    """Patterns of 2 to 8 statements in a sequence; the shortest pattern, and as many turns as there are."""
    prints = [call.fingerprint for call in calls]
    found: list[Cycle] = []
    if len(set(prints)) < 2:  # noqa: PLR2004 - a pattern has two statements
        return found
    at = 0
    while at < len(prints):
        # A pattern begins anew where its first statement comes again.
        lengths = [
            length
            for length in range(2, _LONGEST + 1)
            if prints[at : at + 1] == prints[at + length : at + length + 1]
        ]
        cycle = next((c for length in lengths if (c := _at(calls, prints, at, length))), None)
        if cycle is None:
            at += 1
        else:
            found.append(cycle)
            at += len(cycle.calls)
    return found


def _at(calls: Sequence[DatabaseCall], prints: Sequence[str], at: int, length: int) -> Cycle | None:
    pattern = prints[at : at + length]
    if len(pattern) < length or len(set(pattern)) == 1:
        return None
    end = at + length
    while prints[end : end + length] == pattern:
        end += length
    return Cycle(calls[at:end], length) if end - at >= _FEWEST_TURNS * length else None


def busy_ns(calls: Sequence[DatabaseCall]) -> int:
    """Time in which at least one of them ran; `calls` are in the order of their start."""
    busy = 0
    until = 0
    for call in calls:
        start, end = call.span.start_ns, call.span.end_ns
        busy += max(0, end - max(start, until))
        until = max(until, end)
    return busy


def overlaps(calls: Sequence[DatabaseCall]) -> bool:
    """Whether any two ran at the same time; `calls` are in the order of their start."""
    until = 0
    for call in calls:
        if call.span.start_ns < until:
            return True
        until = max(until, call.span.end_ns)
    return False
