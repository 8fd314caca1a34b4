"""Where caches are measured: a Redis server, the peers' environment, and how long a run measures."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.data.contenders import CONTENDERS, lacking
from benchmarks.pipeline import ground, peers
from benchmarks.pipeline.ground import ROOT, Ground, launch
from benchmarks.pipeline.peers import Peers
from benchmarks.sidebyside.lines import Child, ChildError
from scripts import backends, servers

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
HOME: Final = ROOT / ".venv-bench-data"
_numbers = count()
"""Of the files that contenders complain in."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run measures."""

    rounds: int
    """Of everything that takes turns."""
    batches: int
    """Of about three milliseconds, in a turn, of each operation."""
    calls: int
    """Timed one by one for a percentile, in a turn."""
    threads_s: float
    """How long threads race, in a turn."""
    requests: int
    """Of a trace."""
    capacity: int
    """Of a cache that a trace is asked of, in entries."""
    keys: int
    """Written and read in a tier, in a turn."""
    crowds: int
    """Stampedes of each kind."""
    asking_s: float
    """How long a client asks Redis, in a turn."""
    changes: int
    """Made elsewhere in a turn, that a near cache must hear of."""
    neighbours: int
    """Turns of near caches."""
    patience_s: float
    """For one call while Redis is away."""


QUICK: Final = Scale(
    rounds=2,
    batches=6,
    calls=2_000,
    threads_s=0.05,
    requests=30_000,
    capacity=500,
    keys=200,
    crowds=1,
    asking_s=0.15,
    changes=20,
    neighbours=1,
    patience_s=2.0,
)
FULL: Final = Scale(
    rounds=6,
    batches=20,
    calls=10_000,
    threads_s=0.2,
    requests=200_000,
    capacity=2_000,
    keys=600,
    crowds=6,
    asking_s=0.4,
    changes=100,
    neighbours=3,
    patience_s=8.0,
)


@dataclass(frozen=True, slots=True)
class Place:
    """What all measurements of a run share."""

    ground: Ground[Scale]
    peers: Peers
    url: str
    """Of a Redis server that nobody else uses."""

    @property
    def scale(self) -> Scale:
        """How long to measure."""
        return self.ground.scale

    @property
    def folder(self) -> Path:
        """For files, gone at the end of the run."""
        return self.ground.folder

    def child(self, module: str, contender: str, *arguments: str) -> Child:
        """A process of a contender, in its environment.

        Raises:
            UnavailableError: the peers' environment lacks what it needs.
        """
        return self.path(contender, module, contender, *arguments)

    def path(self, contender: str, module: str, *arguments: str) -> Child:
        """A process in a contender's environment whose arguments do not name the contender.

        Raises:
            UnavailableError: as `child`.
        """
        started = launch(python=CONTENDERS[contender].python(self.peers))
        errors = self.folder / f"{module}-{contender}-{next(_numbers)}.stderr"
        return Child(f"benchmarks.data.{module}", *arguments, launch=replace(started, errors=errors))

    def present(self, names: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
        """Those of the contenders that can take part, and a line about each that cannot."""
        known = list(names)
        reasons = lacking(known, self.peers)
        return (
            [name for name in dict.fromkeys(known) if name not in reasons],
            tuple(f"{name} is missing: {reason}" for name, reason in reasons.items()),
        )


@contextmanager
def opened(scale: Scale) -> Generator[Place]:
    """Start what is shared, and end it.

    Raises:
        ChildError: there is no Redis server.
    """
    found = backends.backend("redis-server")
    if not isinstance(found, backends.Backend):
        raise ChildError(str(found))
    environment = peers.ready(REQUIREMENTS, HOME)
    with ground.opened(scale) as shared, servers.redis_server(found.executable) as server:
        yield Place(shared, environment, server.url)
