"""Threads by the interpreter's ids: their names, and the ids that the kernel knows them by.

The kernel's clocks of a thread are read by its id, never by `pthread_getcpuclockid`, which may crash for a
thread that has ended. Neither clock goes on while a thread is blocked: one whose CPU time stands still has
the very stack that it had.
"""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["ThreadClocks"]


class ThreadClocks:
    """Reads them by the interpreter's ids of threads. For one thread."""

    def __init__(self) -> None:
        self._active: dict[int, threading.Thread] = vars(threading)["_active"]  # no lock: a dict's lookup

    def name(self, ident: int) -> str:
        """The thread's name; a number for one that Python did not start."""
        thread: Any = self._active.get(ident)
        return f"thread-{ident}" if thread is None else str(thread.name)

    def native_id(self, ident: int) -> int:
        """The kernel's id; 0 where it is not known."""
        thread: Any = self._active.get(ident)
        return 0 if thread is None else thread.native_id or 0
