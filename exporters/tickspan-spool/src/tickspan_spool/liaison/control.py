"""The agent's control socket: one line of JSON in, one line out, for processes of the same user only."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

_LONGEST_PATH: Final = 107
"""`sun_path` has room for 108 bytes, the last of which is zero."""
_LONGEST_LINE: Final = 1 << 20
_SERVING_S: Final = 1.0
_CREDENTIALS: Final = struct.Struct("3i")

Request = Mapping[str, Any]
Answer = Mapping[str, Any]


class Peer(NamedTuple):
    """Who is at the other end, as the kernel says; `pid` is 0 when it is in another pid namespace."""

    pid: int
    user: int


class ControlSocket:
    """The listening side; the agent's main thread waits on `fileno()` and then calls `serve_one()`."""

    def __init__(self, path: Path, answer: Callable[[Request, Peer], Answer]) -> None:
        """Listen at `path`, in place of any file there: the caller holds the election. Raises OSError."""
        self._path = path
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        os.fchmod(self._listener.fileno(), 0o600)  # Linux gives the socket's file this mode, less the umask
        with _short(path) as address:
            self._listener.bind(address)
        path.chmod(0o600)
        self._listener.listen(16)
        self._listener.setblocking(False)  # noqa: FBT003 - the standard library's signature

    def fileno(self) -> int:
        """For `selectors`."""
        return self._listener.fileno()

    def serve_one(self) -> None:
        """Answer one waiting peer, for one second at most. Raises nothing that a peer can cause."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            connection, _ = self._listener.accept()
            with connection:
                peer = _peer(connection)
                if _is_trusted(peer):
                    line = _read_line(connection, time.monotonic() + _SERVING_S)
                    connection.sendall(_line(self._answer(_request(line), peer)))

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def ask(path: Path, request: Request, timeout_s: float = 1.0) -> dict[str, Any] | None:
    """What the agent answers; None when none listens, answers in time, or is of another user."""
    deadline = time.monotonic() + timeout_s
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            with _short(path) as address:
                connection.connect(address)
            if not _is_trusted(_peer(connection)):
                return None
            connection.sendall(_line(request))
            return _request(_read_line(connection, deadline))
    except (OSError, ValueError, RecursionError):
        return None


@contextmanager
def _short(path: Path) -> Generator[str]:
    """An address that fits: a path too long is reached through a descriptor of its folder."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _peer(connection: socket.socket) -> Peer:
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _group = _CREDENTIALS.unpack(packed)
    return Peer(pid, user)


def _is_trusted(peer: Peer) -> bool:
    return peer.user in (os.geteuid(), 0)


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    """One line without its end. Raises OSError (TimeoutError) or ValueError for one that does not end."""
    received = bytearray()
    while not received.endswith(b"\n"):
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(65_536)
        received += part
        if not part or len(received) > _LONGEST_LINE or time.monotonic() > deadline:
            raise ValueError(f"expected a line, got {len(received)} bytes without its end")
    return bytes(received)


def _request(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - what a peer sends is a value, not a type
    return found


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
