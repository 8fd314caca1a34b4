"""Registration: one desk for each store, and its place among the viewers of a spool."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tickspan_spool.home import private_folder
from tickspan_spool.viewers import Viewer, register, this_process, unregister

__all__ = ["Claim", "Registration", "TakenError", "default_store"]

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST: Final = 4096
_NAME_BYTES: Final = 16


class TakenError(Exception):
    """Another desk shows this store.

    Attributes:
        url: of its page, as it printed it; empty when it has not come so far.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


def default_store(spool: Path) -> Path:
    """Beside the spool, so that it stays when the spool is cleared."""
    return spool.parent / "desk" / "desk.sqlite"


class Claim:
    """The claim to be the only desk of a store: a lock that the kernel frees at any death.

    The file beside the store is readable by its owner alone. It holds the name under which viewers are
    known, which lasts as long as the store, and the page's address, for a second `tickspan desk` to tell.
    """

    def __init__(self, store: Path) -> None:
        """Take it. Raises `TakenError`, or OSError when the folder cannot be used."""
        self._path = store.with_name(store.name + ".desk")
        store.parent.parent.mkdir(parents=True, exist_ok=True)
        if not store.parent.exists():
            private_folder(store.parent)
        self._fd = os.open(self._path, _FLAGS, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = _said(self._fd)
            os.close(self._fd)
            raise TakenError(str(said.get("url", ""))) from None
        known = _said(self._fd).get("name", "") if store.exists() else ""
        self.name = known if _is_name(known) else secrets.token_hex(_NAME_BYTES)
        """Of what the store keeps."""
        self._say("")

    def tell(self, url: str) -> None:
        """Say where the page is."""
        self._say(url)

    def release(self) -> None:
        """Let another desk have the store."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _say(self, url: str) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps({"name": self.name, "url": url, "pid": os.getpid()}).encode(), 0)


def _said(fd: int) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: Any = json.loads(os.pread(fd, _LONGEST, 0))
        if isinstance(found, dict):
            return found
    return {}


def _is_name(text: object) -> bool:
    return (
        isinstance(text, str)
        and len(text) == 2 * _NAME_BYTES
        and all(letter in "0123456789abcdef" for letter in text)
    )


class Registration:
    """As long as it is entered, the agents of a spool send everything to this process."""

    def __init__(self, spool: Path, name: str, endpoint: str, page: str, *, is_lasting: bool) -> None:
        self._spool = spool
        self.viewer: Viewer = this_process(name, endpoint, page, is_lasting=is_lasting)

    def __enter__(self) -> Self:
        """Raises OSError when the spool cannot be written to."""
        register(self._spool, self.viewer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unregister(self._spool, self.viewer)
