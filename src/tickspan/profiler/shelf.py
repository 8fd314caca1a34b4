"""The shelf: a bounded folder of profiles, beside the spool. What is oldest makes room.

Requests for a profile and their answers pass through the same folder; what nobody fetched goes after a day.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from tickspan_spool.home import private_folder, write_file

from tickspan.analysis.profiles import Profile
from tickspan.profiler.control import FOLDER
from tickspan.profiler.encoding.pprof import pprof

__all__ = ["ENDING", "MOST_BYTES", "MOST_FILES", "Shelf", "shelved"]

MOST_FILES: Final = 500
MOST_BYTES: Final = 64 << 20
ENDING: Final = ".pb.gz"
_NAME: Final = re.compile(r"\d{8}T\d{6}Z-.*\.pb\.gz")
_PASSING: Final = frozenset({".request", ".profile", ".new"})
_FETCHED_S: Final = 86_400.0
_ODD: Final = re.compile(r"[^A-Za-z0-9._]+")
_LONGEST_SERVICE: Final = 40
_NS_PER_S: Final = 1_000_000_000


class Shelf:
    """Of one spool. For one thread."""

    def __init__(self, spool: Path, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> None:
        self._folder = spool / FOLDER
        self._most_files = most_files
        self._most_bytes = most_bytes

    def __repr__(self) -> str:
        return f"<Shelf {self._folder}>"

    def put(self, profile: Profile, kind: str, name: str, comments: Mapping[str, str] | None = None) -> Path:
        """Write a profile as pprof; the same one again takes its own place.

        Args:
            profile: to write.
            kind: `slow`, `error` or `minute`.
            name: what tells it from others of its kind and second.
            comments: for the file.

        Returns:
            The file: `20261126T185912Z-bot-slow-1a2b3c4d.pb.gz`.

        Raises:
            OSError: it cannot be written, or not wholly.
        """
        data = pprof(profile, comments)
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(profile.started_unix_ns // _NS_PER_S))
        service = _ODD.sub("_", profile.service)[:_LONGEST_SERVICE] or "unknown"
        private_folder(self._folder)
        path = self._folder / f"{moment}-{service}-{_ODD.sub('_', kind)}-{_ODD.sub('_', name)}{ENDING}"
        write_file(path, data)
        if path.stat().st_size != len(data):
            path.unlink()
            raise OSError(f"{path}: the disk took only a part")
        self._make_room(path)
        return path

    def _make_room(self, newest: Path) -> None:
        for path in self._folder.iterdir():
            with suppress(OSError):
                if path.suffix in _PASSING and time.time() - path.stat().st_mtime > _FETCHED_S:
                    path.unlink()
        files = _by_age(self._folder, lambda path: path != newest)
        sizes = {path: _size(path) for path in (*files, newest)}
        total = sum(sizes.values())
        left = len(sizes)
        for path in files:
            if left <= self._most_files and total <= self._most_bytes:
                return
            with suppress(OSError):
                path.unlink()
                left, total = left - 1, total - sizes[path]


def shelved(spool: Path) -> list[Path]:
    """The profiles beside a spool, oldest first."""
    return _by_age(spool / FOLDER, lambda _: True)


def _by_age(folder: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
    """Names begin with the time."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and is_wanted(path))
    return []


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
