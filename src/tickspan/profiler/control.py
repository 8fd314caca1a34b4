"""How a running process is asked for a profile: by a file in the spool's folder, read once a second.

No signal, no socket, no ptrace. The folder belongs to the user alone; who may write into it may read the
process's telemetry anyway. A request vanishes when it is taken, and its answer appears under its id.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tickspan_spool.home import private_folder, write_file

from tickspan.analysis.profiles import Profile
from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.guard import Guard
from tickspan.recording.ticker import Ticker, ticker

__all__ = ["DECLINED", "FOLDER", "Answering", "HeapTaker", "Request", "answer_path", "ask", "request_path"]

HeapTaker = Callable[[float, int, str], Callable[[str, str], Profile]]
"""(seconds at most, frames, backend) to what ends it and gives the profile of (service, version)."""

DECLINED: Final = b"declined: "
"""How an answer begins that is no profile."""
_SLACK_S: Final = 30.0
FOLDER: Final = "profiles"
"""Below the spool's folder."""
LONGEST_S: Final = 600.0
_MOST_BYTES: Final = 4_096
_ID: Final = re.compile(r"[0-9a-f]{16}")
_RATES: Final = (0.01, 1_000.0)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        id: 16 hex digits.
        seconds: how long to sample, 600 at most.
        hz: passes a second.
        heap: who is to trace allocations in place of that, such as `tracemalloc`.
        frames: of each allocation.
    """

    id: str
    seconds: float
    hz: float
    heap: str = ""
    frames: int = 1

    def dump(self) -> bytes:
        """As a file."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def load(data: bytes) -> Request:
        """Out of a file.

        Raises:
            ValueError: it is none, or asks for what cannot be.
        """
        try:
            given: Any = json.loads(data)
        except RecursionError:
            raise ValueError("expected a request, got what is nested too deep") from None
        if not isinstance(given, dict) or not _ID.fullmatch(str(given.get("id"))):
            raise ValueError("expected a request with an id of 16 hex digits")
        try:
            request = Request(
                str(given["id"]),
                float(given["seconds"]),
                float(given["hz"]),
                str(given.get("heap", "")),
                int(given.get("frames", 1)),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected a request with seconds and hz: {error}") from None
        if not 0 < request.seconds <= LONGEST_S or not _RATES[0] <= request.hz <= _RATES[1]:
            raise ValueError(f"expected up to {LONGEST_S:g} seconds, and a rate from 0.01 to 1,000")
        return request


def request_path(spool: Path, pid: int) -> Path:
    """Where a process looks for requests."""
    return spool / FOLDER / f"{pid}.request"


def answer_path(spool: Path, pid: int, request: str) -> Path:
    """Where the profile appears."""
    return spool / FOLDER / f"{pid}-{request}.profile"


def ask(spool: Path, pid: int, request: Request) -> None:
    """Leave a request for a process. Raises OSError."""
    private_folder(spool / FOLDER)
    write_file(request_path(spool, pid), request.dump())


class Answering:
    """Answers requests of this process, one at a time."""

    def __init__(
        self,
        spool: Path,
        service: tuple[str, str] = ("", ""),
        clock: Ticker | None = None,
        every_s: float = 1.0,
        heap: HeapTaker | None = None,
    ) -> None:
        """`heap` is asked when a request is for the heap."""
        self._spool = spool
        self._service = service
        self._ticker = clock or ticker()
        self._every_s = every_s
        self._stop: Callable[[], None] | None = None
        self._sampler: Any = None
        self._heap = heap

    def __repr__(self) -> str:
        state = "records" if self._sampler is not None else "waits" if self._stop is not None else "is off"
        return f"<Answering in {self._spool}, {state}>"

    def start(self) -> Callable[[], None]:
        """Look for requests from now on; returns what stops that."""
        self._stop = self._ticker.every(self._every_s, self.look)
        return self._stop

    def look(self) -> bool:
        """Take a request, if there is one and none is being answered."""
        if self._sampler is not None:
            return False
        path = request_path(self._spool, os.getpid())
        try:
            if not path.exists():
                return False
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES)
            path.unlink()
            request = Request.load(data)
        except (OSError, ValueError) as error:
            diagnostics.warning("profile: a request cannot be taken: %s", error)
            return False
        if request.heap:
            self._take_heap(request)
        else:
            self._record(request)
        return True

    def _take_heap(self, request: Request) -> None:
        if self._heap is None:
            self._write(request, DECLINED + b"nobody here looks at the heap")
            return
        try:
            end = self._heap(request.seconds + _SLACK_S, request.frames, request.heap)
        except (ValueError, RuntimeError, ImportError) as error:  # declined, or not installed
            self._write(request, DECLINED + str(error).encode(errors="replace"))
            return
        self._sampler = end
        self._ticker.once(request.seconds, lambda: self._answer_heap(request, end))

    def _answer_heap(self, request: Request, end: Callable[[str, str], Profile]) -> None:
        """In a thread of its own: a heap takes seconds to be told, and the ticker has others to call."""

        def answer() -> None:
            try:
                self._write(request, end(*self._service).dump())
            finally:
                self._sampler = None

        guard = Guard("thread", "answer with the heap")
        threading.Thread(
            target=guard.closing, args=(answer,), kwargs={"default": None}, name="tickspan-heap", daemon=True
        ).start()

    def _record(self, request: Request) -> None:
        from tickspan.profiler.sampler import (
            Sampler,
        )  # the sampler: nobody who is not asked is to wait for it

        self._sampler = Sampler(request.hz, service=self._service, cpu_budget=0.05)
        self._sampler.start()
        self._ticker.once(request.seconds, lambda: self._answer(request))

    def _answer(self, request: Request) -> None:
        sampler, self._sampler = self._sampler, None
        sampler.stop()
        self._write(request, sampler.profile().dump())

    def _write(self, request: Request, data: bytes) -> None:
        private_folder(self._spool / FOLDER)
        write_file(answer_path(self._spool, os.getpid(), request.id), data)
