"""How long the measurements of queries measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from benchmarks.pipeline.ground import Ground


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run measures."""

    rounds: int
    batches: int
    """In a turn, of each operation."""
    size: int
    """Operations in a batch."""
    ticking_s: float
    """How long a thread ticks in a turn."""
    statements: int
    """New ones that are analysed beside it."""


QUICK: Final = Scale(rounds=2, batches=10, size=50, ticking_s=1.0, statements=100)
FULL: Final = Scale(rounds=10, batches=40, size=100, ticking_s=6.0, statements=1_000)

Place: TypeAlias = Ground[Scale]
