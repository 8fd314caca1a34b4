"""The place of a race: the sink and the feed, and turns of contenders, each in a process of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.sidebyside.lines import Child, Launch

from . import processes
from .contenders import Contender, endpoints
from .peers import ROOT, Peers

_WARM_UP_BATCHES: Final = 12
_WARM_UP_BATCH: Final = 50
"""Records that no clock sees: more than a batch of 512, so that all that starts late has started."""
_ARRIVAL_S: Final = 8.0


class UnavailableError(Exception):
    """A contender cannot run here; the message says why."""


@dataclass(slots=True)
class Turn:
    """A contender that runs."""

    contender: Contender
    child: Child
    library: str
    folder: Path
    _place: Place
    _signal: str
    _next: int = 0

    def ask(self, task: str, **arguments: Any) -> Any:
        """Have a task done."""
        return self.child.ask({"task": task, **arguments})

    def numbers(self, count: int) -> int:
        """The first of so many numbers that no record of this turn has had."""
        first, self._next = self._next, self._next + count
        return first

    @property
    def recorded(self) -> int:
        """How many numbers have been given out."""
        return self._next

    def warm_up(self) -> None:
        """Record, and wait until all has come: agent, threads and connections are there afterwards."""
        first = self.numbers(_WARM_UP_BATCHES * _WARM_UP_BATCH)
        self.ask("fast", first=first, bursts=1, batches=_WARM_UP_BATCHES, size=_WARM_UP_BATCH)
        self.settle()

    def shortfall(self, found: Mapping[str, Any]) -> str | None:
        """What is wrong with what has come of this turn's records."""
        return shortfall(found, self._next) if self.contender.sends else None

    def cpu_ns(self) -> tuple[int, int]:
        """CPU time so far: of the application with all that it has started, and of its agent alone."""
        agents = set(processes.agents(self.folder))
        family = {*processes.family(self.child.pid), *agents}
        return sum(map(processes.cpu_ns, family)), sum(map(processes.cpu_ns, agents))

    def settle(self, patience_s: float = _ARRIVAL_S) -> dict[str, Any]:
        """Flush; what has come of all that was recorded in this turn, decoded and compared."""
        self.ask("flush")
        if not self.contender.sends:
            return {}
        return self.arrived(self._next, patience_s)

    def arrived(self, count: int, patience_s: float = _ARRIVAL_S) -> dict[str, Any]:
        """What has come, once it is `count` or nothing more comes."""
        return self._place.sink.ask(
            {"ask": "await", "signal": self._signal, "count": count, "patience_s": patience_s}
        )


def shortfall(found: Mapping[str, Any], count: int) -> str | None:
    """What is wrong with findings of the sink, when `count` records should have come, once each."""
    if found["wrong"]:
        return f"{found['wrong']:,} came with {found['fault']}"
    if found["count"] < count:
        return f"{count - found['count']:,} of {count:,} did not come: number {found['absent']} and on"
    return f"{found['twice']:,} came twice" if found["twice"] else None


@dataclass(slots=True)
class Place:
    """What all contenders of a run share."""

    peers: Peers
    sink: Child
    feed: Child
    http: str
    grpc: str
    folder: Path

    @contextmanager
    def turn(self, contender: Contender, signal: str) -> Generator[Turn]:
        """A contender in a fresh process and an empty spool, warm and settled; all of it ends with the block.

        Raises:
            UnavailableError: it, or the other end of its protocol, is not installed.
        """
        self.sink.ask({"ask": "clear"})
        folder = Path(tempfile.mkdtemp(prefix="spool-", dir=self.folder))
        settings = {
            **self.launch_settings(contender, folder),
            **endpoints(contender, self.http, self.grpc),
        }
        launch = Launch(self.python(contender), (ROOT,), settings, folder / "stderr")
        child = Child("benchmarks.pipeline.worker", signal, contender.recorders[signal], launch=launch)
        try:
            said = child.hello()
            if "unavailable" in said:
                raise UnavailableError(said["unavailable"])
            yield Turn(contender, child, said["library"], folder, self, signal)
        finally:
            child.stop()
            processes.end_agents(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def python(self, contender: Contender) -> str:
        """The interpreter of a contender.

        Raises:
            UnavailableError: the peers' environment lacks what it needs.
        """
        lacks = [name for name in contender.needs if name in self.peers.missing]
        if lacks and not contender.is_here_too:
            raise UnavailableError(f"{lacks[0]} cannot be installed: {self.peers.missing[lacks[0]]}")
        return self.peers.python if contender.needs and not lacks else sys.executable

    def launch_settings(self, contender: Contender, folder: Path) -> dict[str, str]:
        """What a contender's environment says, but for where it sends."""
        spool = {"TICKSPAN_SPOOL_DIR": str(folder)} if contender.is_ours else {}
        return {**contender.settings, **spool}


@contextmanager
def opened(peers: Peers) -> Generator[Place]:
    """Start what is shared, and end it."""
    launch = Launch(sys.executable if peers.missing else peers.python, (ROOT,))
    with (
        tempfile.TemporaryDirectory(prefix="tickspan-bench-") as folder,
        Child("benchmarks.pipeline.sink", launch=launch) as sink,
        Child("benchmarks.pipeline.feed", launch=launch) as feed,
    ):
        at = sink.hello()
        feed.hello()
        yield Place(peers, sink, feed, at["http"], str(at["grpc"]), Path(folder))
