"""Signals: how the agent is told to end, and how its main thread wakes up for it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType


class Wakeup:
    """A descriptor that becomes readable when a signal came, or `call` was called from any thread."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._writing.setblocking(False)  # noqa: FBT003 - as above
        self.is_told_to_end = False

    def fileno(self) -> int:
        """For `selectors`."""
        return self._reading.fileno()

    def call(self) -> None:
        """Wake the main thread."""
        with suppress(OSError):  # full: it will wake anyway
            self._writing.send(b"\0")

    def clear(self) -> None:
        """Forget the calls so far."""
        with suppress(OSError):
            self._reading.recv(4096)

    def close(self) -> None:
        """Let go of the descriptors."""
        self._reading.close()
        self._writing.close()

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """SIGTERM and SIGINT tell to end, SIGHUP says nothing: a terminal went away that is not ours."""
        chosen = {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: signal.SIG_IGN}
        before = {number: signal.signal(number, handler) for number, handler in chosen.items()}
        woken = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.is_told_to_end = True


def own_rss_bytes() -> int:
    """The resident memory of this process; 0 without `/proc`."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read every second
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
