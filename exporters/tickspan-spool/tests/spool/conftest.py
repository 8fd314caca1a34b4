"""Fixtures for the durable spool: both forms of the hot module, children that die on cue, an audit."""

from __future__ import annotations

import importlib
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tickspan_spool import folder, spool, track
from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.entries import Entry, Signal, StreamKey
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.ledger import Ledger
from tickspan_spool.sender import Destination
from tickspan_spool.spool import Spool, SpoolPlan

KEY = StreamKey("traces", b"resource", b"scope")


def destination(kind: Signal = "traces") -> Destination:
    return Destination(signal=kind, url="http://localhost:4318/v1/traces", protocol="http/protobuf")


@pytest.fixture(params=["pure", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hot module, interpreted and compiled; everything else uses it for this test."""
    name = "tickspan_spool.segment" if request.param == "pure" else "tickspan_spool._compiled.segment"
    if request.param == "compiled":
        pytest.importorskip(name, reason="the hot module is not compiled here")
    module = importlib.import_module(name)
    for user in (spool, track, folder):
        monkeypatch.setattr(user, "segment", module)
    return module


@dataclass
class Bench:
    """A spool directory, the spools made in it, and how to read it."""

    directory: Path
    spools: list[Spool] = field(default_factory=list[Spool])

    def plan(self, **changes: Any) -> SpoolPlan:
        options: dict[str, Any] = {
            "segment_bytes": 64 << 10,
            "agent": "off",
            "destinations": (destination(),),
        }
        return SpoolPlan(self.directory, **(options | changes))

    def spool(self, **changes: Any) -> Spool:
        made = Spool(self.plan(**changes))
        self.spools.append(made)
        return made

    def folders(self) -> list[ProcessFolder]:
        return SpoolDirectory(self.directory).folders()

    def folder(self) -> ProcessFolder:
        (found,) = self.folders()
        assert found.claim()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "spool")
    yield made
    for each in made.spools:
        each._keeper.stop(5)


def deliver(reader: ProcessFolder, kind: Signal = "traces", most: int = 512) -> list[Entry]:
    """Everything that is there, settled as delivered."""
    found: list[Entry] = []
    way = reader.track(kind, 0)
    while batch := way.read(most):
        way.acknowledge(batch, sum(entry.items for entry in batch), {})
        found += batch
    return found


def bodies(entries: list[Entry]) -> list[bytes]:
    return [entry.body for entry in entries]


def traces(reader: ProcessFolder) -> Ledger:
    return reader.ledger()["traces"]


class Child:
    """A forked process that runs one function and ends without any clean-up."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.pid = os.fork()
        if not self.pid:
            try:
                work()
            except BaseException:  # noqa: BLE001 - nothing of the test may run in the child
                traceback.print_exc()
                os._exit(1)
            os._exit(0)

    def wait(self) -> int:
        """Its exit status, or the negative signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> int:
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()


DIED = 77


class Steps:
    """Counts steps, and dies at one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.taken = 0

    def take(self) -> None:
        if self.taken == self.fatal:
            os._exit(DIED)
        self.taken += 1

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **options: Any) -> Any:
            self.take()
            return function(*args, **options)

        return stepping


class SteppingView:
    """A view whose every store is a step."""

    def __init__(self, view: Any, steps: Steps) -> None:
        self._view = view
        self._steps = steps

    def __getitem__(self, index: Any) -> Any:
        return self._view[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._steps.take()
        self._view[index] = value

    def cast(self, form: str) -> SteppingView:
        return SteppingView(self._view.cast(form), self._steps)


@dataclass
class Kit:
    """What tests of this folder share; fixtures hand it over, since tests are no package."""

    key: StreamKey = KEY
    deliver: Callable[..., list[Entry]] = deliver
    bodies: Callable[[list[Entry]], list[bytes]] = bodies
    traces: Callable[[ProcessFolder], Ledger] = traces
    child: type[Child] = Child
    steps: type[Steps] = Steps
    view: type[SteppingView] = SteppingView
    destination: Callable[..., Destination] = destination
    died: int = DIED


@pytest.fixture
def kit() -> Kit:
    return Kit()
