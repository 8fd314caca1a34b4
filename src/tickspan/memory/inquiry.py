"""How agent and process speak of memory: small files in the spool's folder, looked at once a second.

The agent's tap says that it watches a process, and asks it for a census; the answer is an event of the
process. A file is named by the process's number and start, so nobody takes another's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tickspan_spool.home import private_folder, write_file
from tickspan_spool.identity import own_start_time

__all__ = ["FOLDER", "Inquiry", "Questions", "key_of"]

FOLDER: Final = "memory"
"""Below the spool's folder."""
SIGN_EVERY_S: Final = 60.0
"""How often the agent says that it watches."""
_SIGN_HOLDS_S: Final = 3 * SIGN_EVERY_S
_REQUEST: Final = ".census"
_SIGN: Final = ".watched"


def key_of(process: str) -> str:
    """What names a process in file names, out of `TapBatch.process`: `<pid>-<start time>`."""
    return "-".join(process.split("-")[:2])


class Questions:
    """The agent's side. Raises OSError where the folder cannot be used."""

    def __init__(self, spool: Path) -> None:
        self._folder = spool / FOLDER

    def __repr__(self) -> str:
        return f"<Questions in {self._folder}>"

    def say_watched(self, key: str) -> None:
        """This process need not judge itself."""
        private_folder(self._folder)
        write_file(self._folder / (key + _SIGN), b"")

    def ask(self, key: str) -> None:
        """Ask a process for a census."""
        private_folder(self._folder)
        write_file(self._folder / (key + _REQUEST), b"")

    def forget(self, key: str) -> None:
        """The process has ended."""
        for suffix in (_SIGN, _REQUEST):
            (self._folder / (key + suffix)).unlink(missing_ok=True)


class Inquiry:
    """The process's side. A forked child answers for itself."""

    def __init__(self, spool: Path, wall: Callable[[], float] = time.time) -> None:
        self._folder = spool / FOLDER
        self._wall = wall
        self._pid = 0
        self._key = ""

    def __repr__(self) -> str:
        return f"<Inquiry in {self._folder}, {'watched' if self.is_watched() else 'not watched'}>"

    def is_watched(self) -> bool:
        """Whether an agent judges how this process grows."""
        try:
            signed_s = (self._folder / (self._own_key() + _SIGN)).stat().st_mtime
        except OSError:
            return False
        return abs(self._wall() - signed_s) < _SIGN_HOLDS_S

    def take(self) -> bool:
        """Whether a census is asked for; the request is gone then."""
        path = self._folder / (self._own_key() + _REQUEST)
        if not path.exists():
            return False
        with suppress(OSError):
            path.unlink()
            return True
        return False

    def _own_key(self) -> str:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._key = f"{self._pid}-{own_start_time()}"
        return self._key
