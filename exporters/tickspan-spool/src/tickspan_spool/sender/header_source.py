"""The headers of one destination: configured, from a file that changes, or given later."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from .destination import Destination
from .headers import parse_headers_file, put_header

_FILE_BYTES = 64 * 1024
_LOOK_EVERY_S = 1.0


class HeaderSource:
    """The headers of one destination as they are now. For one thread; `use` may come from another.

    A file that is gone or cannot be read leaves the values that it had. Before it was read once, requests
    have to wait: one without its credentials is refused, and its batch is dead.
    """

    def __init__(self, destination: Destination, clock: Callable[[], float]) -> None:
        self._configured = dict(destination.headers)
        self._awaited = destination.awaited_headers
        self._path = Path(destination.headers_file) if destination.headers_file else None
        self._clock = clock
        self._given: Mapping[str, str] = {}
        self._filed: Mapping[str, str] = {}
        self._trouble = f"headers file {self._path}: not read yet" if self._path else ""
        self._version: tuple[int, ...] = ()
        self._look_at_s = clock()

    def use(self, headers: Mapping[str, str]) -> None:
        """Values that came later, such as over the agent's socket; they win over all others."""
        given: dict[str, str] = {}
        for name, value in headers.items():
            put_header(given, name, value)
        self._given = given

    def current(self) -> Mapping[str, str]:
        """Names in lower case to values; looks at the file once a second at most."""
        self._look()
        return {**self._configured, **self._filed, **self._given}

    def lacking(self) -> str:
        """What a request would be refused for: one sentence, empty when nothing is lacking."""
        known = self.current()
        missing = [name for name in self._awaited if name not in known]
        if missing:
            return f"the values of these headers are awaited: {', '.join(missing)}"
        return self._trouble

    def _look(self) -> None:
        now_s = self._clock()
        if self._path is None or now_s < self._look_at_s:
            return
        self._look_at_s = now_s + _LOOK_EVERY_S
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if version != self._version:
                self._filed = parse_headers_file(_read(self._path))
                self._version, self._trouble = version, ""
        except (OSError, UnicodeDecodeError) as error:
            if not self._version:
                self._trouble = f"headers file {self._path}: {type(error).__name__}: {error}"


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - by descriptor
        return file.read(_FILE_BYTES).decode()
