"""Scale: how much a run does."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a run does."""

    requests: int
    """Of 512 spans, sent in a round of the ingest."""
    rounds: int
    kept_spans: int
    """In the store that is asked."""
    asked: int
    """Times that each question is asked, each time about something else."""
    hours: int
    """Of simulated traffic."""
    starts: int


QUICK: Final = Scale(requests=40, rounds=1, kept_spans=50_000, asked=5, hours=4, starts=1)
FULL: Final = Scale(requests=200, rounds=3, kept_spans=1_000_000, asked=20, hours=24, starts=3)


@dataclass(frozen=True, slots=True)
class Place:
    """What all measurements of a run share: how much, and a folder that goes with the run."""

    scale: Scale
    folder: Path


@contextmanager
def opened(scale: Scale) -> Generator[Place]:
    """Make what is shared, and remove it."""
    with tempfile.TemporaryDirectory(prefix="tickspan-bench-desk-") as folder:
        yield Place(scale, Path(folder))
