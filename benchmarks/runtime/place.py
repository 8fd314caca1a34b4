"""Where memory, profiler and logs are measured: the peers' environment, and how long a run measures."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.pipeline import ground, peers
from benchmarks.pipeline.ground import ROOT, Ground
from benchmarks.pipeline.peers import Peers

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
HOME: Final = ROOT / ".venv-bench-runtime"


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run measures."""

    rounds: int
    """Of everything that takes turns."""
    calls: int
    """Timed one by one for a percentile, in a turn."""
    raw_bytes: int
    """Of a log that is searched."""
    sampled_s: float
    """How long a sampler looks at a program, in a turn."""
    objects: int
    """On the heap whose collections are timed."""
    samples: int
    """Attributed to spans, of each kind of program."""
    seeds: int
    """Of each kind of leak and of each healthy workload."""


QUICK: Final = Scale(
    rounds=2, calls=2_000, raw_bytes=4 << 20, sampled_s=1.0, objects=200_000, samples=1_000, seeds=3
)
FULL: Final = Scale(
    rounds=6, calls=20_000, raw_bytes=64 << 20, sampled_s=5.0, objects=2_000_000, samples=10_000, seeds=20
)


@dataclass(frozen=True, slots=True)
class Place:
    """What all measurements of a run share."""

    ground: Ground[Scale]
    peers: Peers

    @property
    def scale(self) -> Scale:
        """How long to measure."""
        return self.ground.scale

    @property
    def folder(self) -> Path:
        """For files, gone at the end of the run."""
        return self.ground.folder


@contextmanager
def opened(scale: Scale) -> Generator[Place]:
    """Make what is shared, and remove it."""
    environment = peers.ready(REQUIREMENTS, HOME)
    with ground.opened(scale) as shared:
        yield Place(shared, environment)
