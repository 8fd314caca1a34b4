"""The inquest: on a suspicion, a census in a thread of its own, and the event that names what grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from tickspan.instrumentation.forks import renew_after_fork
from tickspan.memory import libc
from tickspan.memory.censor import Censor, Census
from tickspan.memory.telling import event
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv import memory as names

__all__ = ["Inquest"]


class Inquest:
    """One census at a time; nobody waits for it.

    Args:
        censor: who remembers the last one for what has grown.
        free_share: of the C library's heap.
    """

    def __init__(self, censor: Censor, free_share: Callable[[], float | None] = libc.free_share) -> None:
        self._censor = censor
        self._free_share = free_share
        self._guard = Guard("thread", "census")
        self._thread: threading.Thread | None = None
        self.census: Census | None = None
        """The last one."""
        self.free: float | None = None
        """Of the C library's heap, which share was free then."""
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Inquest {'runs' if self._thread is not None else 'waits'}>"

    def begin(self, then: Callable[[], object] | None = None) -> bool:
        """Take a census and tell it; then make a call in the same thread. False where one runs already."""
        if self._thread is not None and self._thread.is_alive():
            return False
        thread = threading.Thread(target=self._run, args=(then,), name="tickspan-census", daemon=True)
        with suppress(RuntimeError):  # none can be started: the process, or its memory, is at its end
            thread.start()
            self._thread = thread
            return True
        return False

    def join(self, timeout_s: float) -> None:
        """Wait for the one that runs, if any."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def after_fork_in_child(self) -> None:
        """Threads are not here."""
        self._thread = None

    def _run(self, then: Callable[[], object] | None) -> None:
        self._guard.closing(self._take, default=None)
        if then is not None:
            self._guard.closing(then, default=None)

    def _take(self) -> None:
        self.free = self._free_share()
        self.census = census = self._censor.take()
        attributes: dict[str, AttributeValue] = {
            names.MEMORY_CENSUS_CONTAINERS: census.container_lines,
            names.MEMORY_CENSUS_DURATION: census.longest_piece_s,
        }
        if census.objects is not None:
            attributes[names.MEMORY_CENSUS_OBJECTS] = census.objects
            attributes[names.MEMORY_CENSUS_TYPES] = census.type_lines
        if census.declined is not None:
            attributes[names.MEMORY_CENSUS_DECLINED] = census.declined
        if census.owner is not None:
            attributes[names.MEMORY_OWNER] = census.owner
        if self.free is not None:
            attributes[names.MEMORY_CENSUS_FREE] = self.free
        event(names.EVENT_MEMORY_CENSUS, f"Grown most: {census.owner or 'no container'}", attributes)
