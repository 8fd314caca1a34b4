"""Election: one agent for each environment, decided by a lock that the kernel frees at any death."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from typing import Final

from tickspan_spool.identity import pid_namespace

from .places import AgentPlaces

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_PATIENCE_S: Final = 1.0
_RETRY_S: Final = 0.02
_IDENTITY_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the election.

    Attributes:
        pid: of the agent, in its own pid namespace; 0 while it has not written it yet.
        token: tells two agents with the same pid apart.
        namespace: the pid namespace; 0 when unknown.
    """

    pid: int
    token: str = ""
    namespace: int = 0


class Election:
    """The agent's claim to be the only one. Not thread-safe; the agent's main thread owns it.

    The lock belongs to the open file, so that the claim ends with the process, whatever ends it.
    """

    def __init__(self, places: AgentPlaces) -> None:
        self._places = places
        self._fd = -1

    def win(self, patience_s: float = _PATIENCE_S) -> bool:
        """Try to become the agent; False when another is. Raises OSError when the folder cannot be used.

        It asks for a while, because whoever only looks (`holder`) has the lock for an instant.
        """
        deadline = time.monotonic() + patience_s
        fd = os.open(self._places.lock, _FLAGS, 0o600)
        while not _lock(fd, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                os.close(fd)
                return False
            time.sleep(_RETRY_S)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {secrets.token_hex(8)} {pid_namespace()}\n".encode(), 0)
        self._fd = fd
        return True

    def still_stands(self) -> bool:
        """Whether the lock file is still where others look for it: a removed spool has no agent."""
        try:
            found = self._places.lock.lstat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._fd))

    def resign(self) -> None:
        """Let another agent be elected."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def holder(places: AgentPlaces) -> Holder | None:
    """Who is the agent now; None when nobody is. Raises OSError when the folder cannot be used."""
    try:
        fd = os.open(places.lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _lock(fd, fcntl.LOCK_SH):
            # A child forked this moment shares the open file: unlocking frees it in both, closing does not.
            fcntl.flock(fd, fcntl.LOCK_UN)
            return None
        return _identity(os.pread(fd, _IDENTITY_BYTES, 0))
    finally:
        os.close(fd)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _identity(text: bytes) -> Holder:
    match text.decode("ascii", "replace").split():
        case [pid, token, namespace] if pid.isdecimal() and namespace.isdecimal():
            return Holder(int(pid), token, int(namespace))
        case _:
            return Holder(0)
