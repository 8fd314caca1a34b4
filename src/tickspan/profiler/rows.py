"""Rows: sums of samples that are alike, and how they are made fewer when their bound comes near. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from tickspan.analysis.profiles import Link
from tickspan.profiler.states import State
from tickspan.profiler.tables import NOWHERE

__all__ = ["Row", "Rows", "slimmed", "unlinked"]

Row: TypeAlias = tuple[int, str, State, Link | None]
"""Number of a stack, name of a thread, state, span."""
Rows: TypeAlias = dict[Row, list[int]]
"""How many samples, and the nanoseconds of wall time that they stand for."""


def unlinked(rows: Mapping[Row, list[int]]) -> Rows:
    """The same sums without their spans: each span makes rows of its own, and old ones are of no interest."""
    found: Rows = {}
    for (stack, thread, state, _), sums in rows.items():
        _add(found, (stack, thread, state, None), sums)
    return found


def slimmed(rows: Mapping[Row, list[int]], most_stacks: int) -> tuple[Rows, int]:
    """Rows of the most frequent stacks, and how many samples are no longer told by their stack.

    These are not gone: they count for `NOWHERE`, with their thread and state.
    """
    frequent: Counter[int] = Counter()
    for row, (count, _) in rows.items():
        frequent[row[0]] += count
    del frequent[NOWHERE]
    kept = {NOWHERE, *(stack for stack, _ in frequent.most_common(most_stacks))}
    found: Rows = {}
    lost = 0
    for row, sums in rows.items():
        if row[0] in kept:
            _add(found, row, sums)
        else:
            lost += sums[0]
            _add(found, (NOWHERE, row[1], row[2], None), sums)
    return found, lost


def _add(rows: Rows, row: Row, sums: list[int]) -> None:
    known = rows.get(row)
    if known is None:
        rows[row] = list(sums)
    else:
        known[0] += sums[0]
        known[1] += sums[1]
