"""The claim on a prefix: one writer at a time has it in a folder, as long as it lives.

The kernel lets go of a lock when its holder ends, however it does. Who finds `oms` taken writes as `oms.2`:
two agents, or programs without one, never write into one file or into one chain.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Claim", "give_up", "is_of_family", "lock_path", "locked"]

_MOST: Final = 64
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Claim:
    """The right to write files of a prefix in a folder. Made once, shared by all files of a writer."""

    def __init__(self, directory: Path, prefix: str) -> None:
        """Touches nothing yet."""
        self._directory = directory
        self._wanted = prefix
        self._descriptor = -1
        self._prefix = ""
        _ALL.add(self)

    def __repr__(self) -> str:
        return f"<Claim {lock_path(self._directory, self.known_prefix)}, {self.is_held=}>"

    @property
    def is_held(self) -> bool:
        """Whether it was taken, and not let go."""
        return self._descriptor >= 0

    @property
    def known_prefix(self) -> str:
        """What is held, was held last, or will be asked for."""
        return self._prefix or self._wanted

    def prefix(self) -> str:
        """The prefix that is ours; taken at the first call, and again when the folder was removed.

        Raises:
            OSError: the folder takes no lock file, or too many writers are at work there.
        """
        if self._descriptor >= 0 and _is_same(self._descriptor, lock_path(self._directory, self._prefix)):
            return self._prefix
        self.release()
        for number in range(1, _MOST + 1):
            prefix = self._wanted if number == 1 else f"{self._wanted}.{number}"
            descriptor = locked(self._directory, prefix)
            if descriptor is not None:
                self._descriptor, self._prefix = descriptor, prefix
                return prefix
        raise BlockingIOError(f"{_MOST} writers have files of this prefix")

    def give_up(self) -> None:
        """Let others have it, and leave no lock file."""
        if self._descriptor >= 0:
            give_up(self._descriptor, self._directory, self._prefix)
        self._descriptor = -1

    def release(self) -> None:
        """Let others have it, as the end of the process does."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def locked(directory: Path, prefix: str) -> int | None:
    """Locks a prefix until the descriptor is closed; None where a living writer has it. Raises OSError."""
    path = lock_path(directory, prefix)
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        if _is_same(descriptor, path):
            return descriptor
        os.close(descriptor)  # who had it has removed the file meanwhile


def give_up(descriptor: int, directory: Path, prefix: str) -> None:
    """Close what `locked` gave, and remove the file: nobody is to go on with this prefix."""
    with suppress(OSError):
        lock_path(directory, prefix).unlink(missing_ok=True)
    with suppress(OSError):
        os.close(descriptor)


def lock_path(directory: Path, prefix: str) -> Path:
    """The file that is locked."""
    return directory / f".{prefix}.lock"


def is_of_family(prefix: str, wanted: str) -> bool:
    """Whether who says `wanted` means files of this prefix too: `oms` is also `oms.2` and `oms.4711`."""
    rest = prefix.removeprefix(wanted)
    return prefix == wanted or (
        prefix.startswith(f"{wanted}.") and all(part.isdecimal() for part in rest[1:].split("."))
    )


def _is_same(descriptor: int, path: Path) -> bool:
    held = os.fstat(descriptor)
    try:
        named = path.lstat()
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)


_ALL: Final = weakref.WeakSet[Claim]()


def _release_in_child() -> None:
    """A forked child would hold the lock of its parent until it ends."""
    for claim in list(_ALL):
        claim.release()


os.register_at_fork(after_in_child=_release_in_child)
