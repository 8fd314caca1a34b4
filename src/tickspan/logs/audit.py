"""Audit records: numbered without a gap in each process, and on the disk when their writer waits for it."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tickspan.logs.capture import Capture, Note
from tickspan.logs.category import Category
from tickspan.semconv.logs import TICKSPAN_AUDIT_SEQUENCE

__all__ = ["AUDIT", "AuditTrail", "DiskWait"]


class DiskWait:
    """Waits for the disk to have what a process has written into its segments; callers share a round.

    `fdatasync` cannot be interrupted, so a thread does it, and a caller waits no longer than it wants to.
    """

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        """`folder` is where the segments are now; None while no disk takes records."""
        self._folder = folder
        self.forget()

    def forget(self) -> None:
        """A forked child has neither the thread nor a right to the lock's state."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._asked = self._done = self._failed = 0

    def wait(self, timeout_s: float) -> bool:
        """Whether everything written before this call is on the disk; False when time is up or it fails."""
        if self._folder() is None:
            return False
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._asked += 1
            mine = self._asked
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="tickspan-audit-disk", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            while self._done < mine:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return False
            return self._failed < mine

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._asked == self._done:
                    self._changed.wait()
                target = self._asked
            is_written = self._write()
            with self._changed:
                self._done = target
                if not is_written:
                    self._failed = target
                self._changed.notify_all()

    def _write(self) -> bool:
        folder = self._folder()
        if folder is None:
            return False
        try:
            for path in folder.glob("*.seg"):
                with suppress(FileNotFoundError):  # acknowledged and removed meanwhile
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        os.fdatasync(descriptor)
                    finally:
                        os.close(descriptor)
        except OSError:
            return False
        return True


class AuditTrail:
    """Numbers of this process: 1, 2, 3, … in the order in which the records are written."""

    def __init__(self) -> None:
        self._disk: DiskWait | None = None
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def writes_to(self, folder: Callable[[], Path | None]) -> None:
        """Where segments are now; None while no disk takes records."""
        self._disk = DiskWait(folder)

    def record(self, capture: Capture, record: logging.LogRecord, note: Note) -> bool:
        """Give the record its number and record it; whether it was."""
        if not capture.is_on:
            return False
        with self._lock:  # the order of numbers is the order in the spool; a signal handler may come again
            fields = {**note.fields, TICKSPAN_AUDIT_SEQUENCE: next(self._numbers)}
            return capture.take_audit(record, Note(Category.AUDIT.value, fields, note.event_name))

    def is_on_disk(self, timeout_s: float) -> bool:
        """Whether the disk says in time that it has all that was recorded."""
        return self._disk is not None and self._disk.wait(timeout_s)

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        if self._disk is not None:
            self._disk.forget()


AUDIT: Final = AuditTrail()
"""Of this process."""
