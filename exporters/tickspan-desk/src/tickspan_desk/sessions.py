"""Sessions: everything that a desk keeps as one file, to be looked at on another day or machine.

The file is a line of magic, a line of JSON, and one zstandard frame of requests: for each the signal, how
long it is, and its bytes as a receiver took them. Reading bounds every number before it believes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import zstandard
from tickspan_spool.receiver import Batch, Limits, Signal, decode
from tickspan_spool.receiver.refusal import Refusal

__all__ = ["Session", "SessionError", "load", "save"]

MAGIC: Final = b"TSPDESK 1\n"
MOST_REQUESTS: Final = 2_000_000
MOST_BYTES: Final = 8 << 30
"""Of all requests of a session, inflated."""
_LONGEST_HEAD: Final = 4096
_REQUEST: Final = struct.Struct("<BI")
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
_WINDOW_BYTES: Final = 8 << 20
_LEVEL: Final = 3
_PROTOBUF: Final = {"content-type": "application/x-protobuf"}
_RATIO: Final = 1000
"""More inflated bytes for each of the file are not believed, beyond the first 64 MiB."""
_FREE_BYTES: Final = 64 << 20


class SessionError(Exception):
    """A file is no session, or is damaged; the text says where."""


@dataclass(frozen=True, slots=True)
class Session:
    """What was saved or loaded.

    Attributes:
        path: the file.
        requests: in it.
        records: spans, metric points and log records; 0 where they were not counted.
        bytes: of the file.
    """

    path: str
    requests: int
    records: int
    bytes: int


def save(path: Path, requests: Iterable[tuple[Signal, bytes]]) -> Session:
    """Write a session, wholly or not at all, for its owner alone. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    count = 0
    try:
        with open(os.open(fresh, flags, 0o600), "wb") as file:  # noqa: PTH123 - by descriptor
            file.write(MAGIC)
            file.write(json.dumps({"saved_unix_ns": time.time_ns()}).encode() + b"\n")
            with zstandard.ZstdCompressor(_LEVEL).stream_writer(file, closefd=False) as writer:
                for signal, body in requests:
                    writer.write(_REQUEST.pack(_SIGNALS.index(signal), len(body)))
                    writer.write(body)
                    count += 1
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    return Session(str(path), count, 0, path.stat().st_size)


def load(path: Path, limits: Limits | None = None) -> Generator[Batch]:
    """The requests of a session, decoded and checked like those of any sender.

    Raises OSError when it cannot be read, SessionError when it is none, is damaged, or holds more than a
    session may; what came before the damage has been given by then.
    """
    bounds = limits or Limits()
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - by descriptor
        _check_head(path, file)
        with zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).stream_reader(
            file, read_across_frames=False, closefd=False
        ) as reader:
            yield from _batches(path, reader, path.stat().st_size, bounds)


def _check_head(path: Path, file: IO[bytes]) -> None:
    if file.read(len(MAGIC)) != MAGIC:
        raise SessionError(f"{path}: not a session of this version of tickspan desk")
    try:
        head: Any = json.loads(file.readline(_LONGEST_HEAD))
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise SessionError(f"{path}: damaged, its head is no JSON object")


def _batches(path: Path, reader: Any, file_bytes: int, limits: Limits) -> Generator[Batch]:
    inflated = 0
    allowed = min(MOST_BYTES, max(_FREE_BYTES, file_bytes * _RATIO))
    for number in range(1, MOST_REQUESTS + 1):
        head = _read(path, reader, _REQUEST.size, number)
        if not head:
            return
        if len(head) < _REQUEST.size:
            raise SessionError(f"{path}: damaged, it ends in the head of request {number}")
        signal, length = _REQUEST.unpack(head)
        if signal >= len(_SIGNALS) or length > limits.inflated_bytes:
            raise SessionError(f"{path}: damaged, request {number} has signal {signal} and {length} bytes")
        inflated += length
        if inflated > allowed:
            raise SessionError(f"{path}: inflates to more than {allowed} bytes")
        body = _read(path, reader, length, number)
        if len(body) < length:
            raise SessionError(f"{path}: damaged, it ends in request {number}")
        yield _decoded(path, number, _SIGNALS[signal], body, limits)
    raise SessionError(f"{path}: more than {MOST_REQUESTS} requests")


def _decoded(path: Path, number: int, signal: Signal, body: bytes, limits: Limits) -> Batch:
    try:
        return decode(signal, _PROTOBUF, body, limits)
    except Refusal as refusal:
        raise SessionError(f"{path}: request {number}: {refusal.message}") from None


def _read(path: Path, reader: Any, size: int, number: int) -> bytes:
    parts: list[bytes] = []
    left = size
    try:
        while left:
            part = reader.read(left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
    except zstandard.ZstdError as error:
        raise SessionError(f"{path}: damaged at request {number}: {error}") from None
    return b"".join(parts)
