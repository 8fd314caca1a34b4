"""Stage: what an act gets: the recorder, its settings, and the moment before telemetry is set up."""

from __future__ import annotations

import atexit
import os
import resource
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..outside import OutsideLedger  # noqa: TID252 - the package has two names: as a script's and as a test's
from ..recorder import Recorder  # noqa: TID252


@dataclass
class Stage:
    """Where an act plays.

    Attributes:
        ledger: the outside one.
        contender: whose telemetry it is.
        settings: of the act; names that begin with `before_` act before the set-up.
        recorder: there once telemetry is.
    """

    ledger: OutsideLedger
    contender: str
    settings: Mapping[str, Any]
    recorder: Recorder = None  # pyright: ignore[reportAssignmentType] - set right after the set-up

    def before_set_up(self) -> None:
        """What an application may have done before it sets telemetry up."""
        if self.settings.get("before_umask"):
            os.umask(0)
        if limit := self.settings.get("before_file_size"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        if self.settings.get("before_descriptors"):
            use_up_descriptors(leave=int(self.settings["before_descriptors"]) - 1)
        if self.settings.get("before_atexit"):  # runs after telemetry's own, which registers later
            atexit.register(lambda: self.recorder.several(10))
        if self.settings.get("before_clock"):
            step_clock(float(self.settings["before_clock"]))
        if step := int(os.environ.get("FAULTS_STEP", "0")):
            from .. import saboteur  # noqa: TID252

            saboteur.arm(step, dies_after=os.environ.get("FAULTS_STEP_SIDE") == "after")


Act: TypeAlias = Callable[[Stage], None]
ACTS: Final[dict[str, Act]] = {}


def act(function: Act) -> Act:
    """Make it known by its name, with spaces for underscores."""
    ACTS[function.__name__.replace("_", " ")] = function
    return function


_held: Final[list[int]] = []


def use_up_descriptors(leave: int = 0) -> None:
    """Open files until there are only `leave` descriptors left."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            _held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        pass
    for _ in range(leave):
        os.close(_held.pop())


def give_descriptors_back() -> None:
    """Close what `use_up_descriptors` opened."""
    while _held:
        os.close(_held.pop())


_real: Final = (time.time, time.time_ns)
_offset_s = 0.0


def step_clock(seconds: float) -> None:
    """From now on the wall clock of this process differs by so much from the truth."""
    global _offset_s
    _offset_s = seconds
    time.time = lambda: _real[0]() + _offset_s
    time.time_ns = lambda: _real[1]() + int(_offset_s * 1e9)


def in_threads(count: int, work: Callable[[], object]) -> None:
    """Run it in so many threads at once, and wait for all."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
