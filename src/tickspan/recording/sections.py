"""Critical sections: while one is open the garbage collector is off and nothing of ours samples.

Depth is counted for the whole process: sections nest and overlap in any threads, and only the first to open
and the last to close touch the collector. A collector that the program had switched off stays off.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Sections", "depth", "quiet", "sections"]


class Sections:
    """See the module. Safe from any thread, and from finalizers that run while its lock is held."""

    __slots__ = (
        *("_clock_ns", "_depth", "_era", "_lock", "_was_enabled"),
        *("aborted", "closed", "opened_ns", "quiet"),
    )

    def __init__(self, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.RLock()
        self._depth = 0
        self._era = 0
        self._was_enabled = False
        self.quiet = bytearray(1)
        """One byte, 1 while any is open: code of C looks at it without the interpreter's lock."""
        self.opened_ns = 0
        """When the outermost one was opened."""
        self.closed = 0
        """How often the last one of several was closed."""
        self.aborted = 0
        """How often `abort` had something to end."""

    def __repr__(self) -> str:
        return f"<Sections {self._depth} open, {self.closed} closed, {self.aborted} aborted>"

    @property
    def depth(self) -> int:
        """How many are open."""
        return self._depth

    @property
    def era(self) -> int:
        """A number that changes when the outermost section opens, and when it is ended by force."""
        return self._era

    def enter(self) -> int:
        """Open one; the result is for `leave`."""
        with self._lock:
            if not self._depth:
                self._era += 1
                self._was_enabled = gc.isenabled()
                self.opened_ns = self._clock_ns()
                gc.disable()
                self.quiet[0] = 1
            self._depth += 1
            return self._era

    def leave(self, era: int) -> bool:
        """Close one; False when it had been ended by force before."""
        with self._lock:
            if era != self._era or not self._depth:
                return False
            self._depth -= 1
            if not self._depth:
                self.quiet[0] = 0
                self.closed += 1
                if self._was_enabled:
                    gc.enable()
            return True

    def abort(self, era: int) -> bool:
        """End all that are open, if the outermost is that of `era`: the collector is as it was before."""
        with self._lock:
            if era != self._era or not self._depth:
                return False
            self._depth = 0
            self.quiet[0] = 0
            self._era += 1
            self.aborted += 1
            if self._was_enabled:
                gc.enable()
            return True

    def after_fork(self) -> None:
        """A forked child: threads that had sections open are not here, and the lock may be held by nobody."""
        self._lock = threading.RLock()
        self.abort(self._era)


_OF_PROCESS: Final = Sections()
_is_known_to_forks: Final[list[bool]] = []


def sections() -> Sections:
    """Those of this process."""
    if not _is_known_to_forks:
        _is_known_to_forks.append(True)
        os.register_at_fork(after_in_child=_OF_PROCESS.after_fork)
    return _OF_PROCESS


def depth() -> int:
    """How many critical sections are open in this process."""
    return _OF_PROCESS.depth


def quiet() -> bytearray:
    """`Sections.quiet` of this process."""
    return _OF_PROCESS.quiet
