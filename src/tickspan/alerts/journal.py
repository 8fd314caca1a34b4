"""The journal: requests that were accepted and are not yet in a checkpoint, for the next start."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from tickspan_spool.entries import Signal

__all__ = ["Journal", "Request"]

_HEAD: Final = struct.Struct("<dBI")
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
_LARGEST: Final = 64 << 20


class Request(NamedTuple):
    """An accepted request.

    Attributes:
        arrived_s: since 1970.
        signal: of it.
        body: serialised.
    """

    arrived_s: float
    signal: Signal
    body: bytes


class Journal:
    """Two files of a folder, the older of which ends with a checkpoint. For one thread at a time.

    What was written survives the end of the process, not that of the machine.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "alerts-journal"
        self._older = folder / "alerts-journal.old"
        self._file: BinaryIO = self._path.open("ab")
        self._file.truncate(sum(_HEAD.size + len(one.body) for one in self._of(self._path)))

    def __repr__(self) -> str:
        return f"<Journal {self._path} {self._file.tell()} bytes>"

    @property
    def is_full(self) -> bool:
        """Whether a checkpoint should be made."""
        return self._file.tell() >= _LARGEST

    def add(self, request: Request) -> None:
        """Keep a request. Raises OSError when the disk is full."""
        signal = _SIGNALS.index(request.signal)
        self._file.write(_HEAD.pack(request.arrived_s, signal, len(request.body)) + request.body)
        self._file.flush()

    def turn(self) -> None:
        """A checkpoint was made: what was written before the last one is not needed any more."""
        self._file.close()
        self._path.replace(self._older)
        self._file = self._path.open("ab")

    def requests(self) -> Iterator[Request]:
        """All that is kept, oldest first. What was cut by the end of the process is left out."""
        yield from self._of(self._older)
        yield from self._of(self._path)

    @staticmethod
    def _of(path: Path) -> Iterator[Request]:
        try:
            with path.open("rb") as file:
                yield from _requests(file)
        except FileNotFoundError:
            return

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _requests(file: BinaryIO) -> Iterator[Request]:
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        arrived_s, signal, size = _HEAD.unpack(head)
        if signal >= len(_SIGNALS) or not 0 < size <= _LARGEST:
            return
        body = file.read(size)
        if len(body) < size:
            return
        yield Request(arrived_s, _SIGNALS[signal], body)
