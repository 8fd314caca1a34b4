"""How long the measurements of metrics and alerts measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from benchmarks.pipeline.ground import Ground


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run measures."""

    rounds: int
    collections: int
    """Of all series, in a turn."""
    samples: int
    """Of a sampler, in a turn."""
    evaluations: int
    """Of all rules, in a turn."""
    breaches: int
    """Planted ones, in a turn."""


QUICK: Final = Scale(rounds=2, collections=2, samples=200, evaluations=5, breaches=2)
FULL: Final = Scale(rounds=8, collections=5, samples=2_000, evaluations=40, breaches=10)

Place: TypeAlias = Ground[Scale]
