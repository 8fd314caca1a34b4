"""Who traces allocations: `tracemalloc` of the interpreter, or memray where it is installed."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from tickspan.analysis.profiles import Frame
from tickspan.memory.heap import Allocated, Names

__all__ = ["BACKENDS", "DeclinedError", "Memray", "Seen", "Tracemalloc", "Tracing", "tracing"]

TRACEMALLOC, MEMRAY = "tracemalloc", "memray"
BACKENDS: Final = (TRACEMALLOC, MEMRAY)
_FILE: Final = "allocations"
_BUSY: Final = "allocations are traced already"


_in_use: Final = threading.Lock()
"""One tracer at a time: either makes the other's figures wrong."""


class DeclinedError(RuntimeError):
    """Now is no time for it; the text says why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was allocated while it was traced, and is still there.

    Attributes:
        traced_bytes: in all.
        peak_bytes: at the most.
        allocated: the largest first.
    """

    traced_bytes: int = 0
    peak_bytes: int = 0
    allocated: tuple[Allocated, ...] = ()


class Tracing(Protocol):
    """One time of tracing. `start` raises `DeclinedError` where somebody else traces."""

    def start(self) -> None:
        """Begin."""

    def current(self) -> int | None:
        """Bytes so far; None where nobody can tell before the end."""

    def stop(self) -> Seen:
        """End it."""
        ...


def tracing(backend: str, frames: int) -> Tracing:
    """The one of this name. Raises `ModuleNotFoundError`: memray is not installed."""
    return Memray(frames) if backend == MEMRAY else Tracemalloc(frames)


class Tracemalloc:
    """By the interpreter's own tracer: memory of its allocators."""

    def __init__(self, frames: int) -> None:
        import tracemalloc  # five milliseconds, for what few programs ask for

        self._tracer: ModuleType = tracemalloc
        self._frames = frames

    def __repr__(self) -> str:
        return f"<Tracemalloc {self._frames} frames>"

    def start(self) -> None:
        """Begin."""
        _take_turn()
        self._tracer.start(self._frames)

    def current(self) -> int | None:
        """Bytes so far."""
        return self._tracer.get_traced_memory()[0] if self._tracer.is_tracing() else None

    def stop(self) -> Seen:
        """End it; nothing was seen where somebody else has ended it."""
        tracer = self._tracer
        _in_use.release()
        if not tracer.is_tracing():
            return Seen()
        traced_bytes, peak_bytes = tracer.get_traced_memory()
        snapshot = tracer.take_snapshot()
        tracer.stop()
        own = tracer.Filter(inclusive=False, filename_pattern=tracer.__file__)
        found = snapshot.filter_traces([own]).statistics("traceback")
        names = Names()
        return Seen(
            traced_bytes,
            peak_bytes,
            tuple(
                Allocated(
                    tuple(names.frame(frame.filename, frame.lineno) for frame in reversed(one.traceback)),
                    one.size,
                    one.count,
                )
                for one in found
            ),
        )


class Memray:
    """By memray: memory of C libraries too, and at a fraction of the cost with many frames."""

    def __init__(self, frames: int) -> None:
        try:
            import memray  # optional, and large
        except ImportError as error:
            raise ModuleNotFoundError(
                "backend 'memray': memray is not installed; pip install memray, or use 'tracemalloc'",
                name="memray",
            ) from error
        self._memray: Any = memray
        self._frames = frames
        self._names = Names()
        self._folder = ""
        self._pid = 0
        self._tracker: Any = None

    def __repr__(self) -> str:
        return f"<Memray {self._frames} frames>"

    def start(self) -> None:
        """Begin; what is seen goes to a temporary file."""
        import tempfile  # a few milliseconds, as above

        _take_turn()
        self._pid = os.getpid()
        self._folder = tempfile.mkdtemp(prefix="tickspan-heap-")
        tracker = self._memray.Tracker(
            destination=self._memray.FileDestination(Path(self._folder, _FILE), overwrite=True),
            file_format=self._memray.FileFormat.AGGREGATED_ALLOCATIONS,
            trace_python_allocators=True,
        )
        try:
            tracker.__enter__()
        except RuntimeError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            _in_use.release()
            raise DeclinedError(f"{_BUSY}: {error}") from None
        self._tracker = tracker

    def current(self) -> int | None:
        """None: it is told at the end."""

    def stop(self) -> Seen:
        """End it; a forked child has seen nothing, and leaves the parent its file."""
        _in_use.release()
        if self._pid != os.getpid():
            return Seen()
        self._tracker.__exit__(None, None, None)
        try:
            with self._memray.FileReader(Path(self._folder, _FILE)) as reader:
                records = reader.get_leaked_allocation_records(merge_threads=True)
                found = [
                    Allocated(self._frames_of(record), record.size, record.n_allocations)
                    for record in records
                ]
                peak_bytes = reader.metadata.peak_memory
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        found.sort(key=lambda one: -one.size_bytes)
        return Seen(sum(one.size_bytes for one in found), peak_bytes, tuple(found))

    def _frames_of(self, record: Any) -> tuple[Frame, ...]:
        places = record.stack_trace(max_stacks=self._frames)
        return tuple(_qualified(self._names, *place) for place in places)


def _qualified(names: Names, function: str, file: str, line: int) -> Frame:
    """With the class of a method, where the source tells it."""
    known = names.frame(file, line)
    return known if known.name.rpartition(".")[2] == function else Frame(function, file, line)


def _take_turn() -> None:
    """Raises `DeclinedError`: somebody traces."""
    tracemalloc = sys.modules.get("tracemalloc")
    if (tracemalloc is not None and tracemalloc.is_tracing()) or not _in_use.acquire(blocking=False):
        raise DeclinedError(_BUSY)
