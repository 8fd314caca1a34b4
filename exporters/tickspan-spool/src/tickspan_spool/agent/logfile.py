"""LogFile: where the agent says what happened; bounded, and never the application's streams."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Final

LONGEST_LOG_BYTES: Final = 1 << 20
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_FORMAT: Final = "%(asctime)sZ %(levelname)s %(message)s"


class LogFile(logging.Handler):
    """Writes to the standard error, which is the log file of a detached agent.

    So whatever writes there, the interpreter's own last words included, is in one place. A file that has
    grown beyond `longest` bytes is kept as `.1` in place of the one before, and a new one becomes the
    standard error. With `path` None the standard error is left as it is: that of a service in the foreground.
    """

    def __init__(self, path: Path | None, longest: int = LONGEST_LOG_BYTES) -> None:
        super().__init__()
        self._path = path
        self._longest = longest
        formatter = logging.Formatter(_FORMAT)
        formatter.converter = time.gmtime
        self.setFormatter(formatter)
        if path is not None:
            self._open(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a full disk loses it."""
        with contextlib.suppress(OSError):
            os.write(2, f"{self.format(record)}\n".encode(errors="replace"))
            if self._path is not None and os.fstat(2).st_size > self._longest:
                self._path.replace(self._path.with_suffix(".log.1"))
                self._open(self._path)

    @staticmethod
    def _open(path: Path) -> None:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            sys.stdout.flush()
            os.dup2(fd, 1)
            os.dup2(fd, 2)
        finally:
            os.close(fd)


def start_logging(path: Path | None) -> None:
    """Send what the agent's process logs to its file; for the agent's own process only."""
    root = logging.getLogger()
    root.handlers[:] = [LogFile(path)]
    root.setLevel(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
