"""How long a run measures: quickly, to see that all works, or long enough for verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """Rounds and lengths of all measurements."""

    rounds: int
    """Of costs."""
    tail_rounds: int
    bursts: int
    """Of 400 spans each, per turn."""
    paced_s: float
    feed_s: float
    offered_s: float
    """How long 50,000 spans a second are offered."""
    burst_spans: int
    peers_burst_spans: int
    """Fewer, since they lose from the first full queue on and take their time for it."""
    exit_patience_s: float
    """For a process that does not end."""
    starts: int


QUICK: Final = Scale(
    rounds=2,
    tail_rounds=2,
    bursts=5,
    paced_s=1.0,
    feed_s=1.0,
    offered_s=2.0,
    burst_spans=100_000,
    peers_burst_spans=50_000,
    exit_patience_s=8.0,
    starts=3,
)
FULL: Final = Scale(
    rounds=5,
    tail_rounds=10,
    bursts=10,
    paced_s=2.0,
    feed_s=2.0,
    offered_s=10.0,
    burst_spans=1_000_000,
    peers_burst_spans=250_000,
    exit_patience_s=60.0,
    starts=10,
)
