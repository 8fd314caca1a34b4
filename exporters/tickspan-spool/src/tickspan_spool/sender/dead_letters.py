"""Dead letters: requests that a destination refused for good, kept with the reason until somebody decides."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tickspan_spool.entries import Signal

from .channel import Channel
from .destination import SIGNALS
from .outcome import Outcome, OutcomeKind

_MAGIC = b"TSPLTR 1\n"
_HEAD_BYTES = 16 * 1024
_LETTER_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z-(?:traces|metrics|logs)-[0-9a-f]{8}\.(letter|new)")


@dataclass(frozen=True, slots=True)
class LetterHead:
    """A dead letter without its request.

    Attributes:
        path: the file.
        signal: "traces", "metrics" or "logs".
        refused_at_unix_s: when, by the wall clock.
        reason: what the destination said.
        place: the destination without credentials.
        items: spans, log records or metric points.
        size_bytes: of the request.
    """

    path: Path
    signal: Signal
    refused_at_unix_s: float
    reason: str
    place: str
    items: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: its head and the export request that was refused, uncompressed."""

    head: LetterHead
    request: bytes


class DeadLetters:
    """The folder of dead letters, bounded: the oldest ones make room. Several processes may write to it.

    Args:
        directory: made with mode 0700 when the first letter is written.
        max_letters: files kept at most.
        max_bytes: bytes kept at most, over all files.
        wall_clock: seconds since 1970, for names.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_letters: int = 1000,
        max_bytes: int = 64 * 1024 * 1024,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._max_letters = max_letters
        self._max_bytes = max_bytes
        self._wall_clock = wall_clock

    def add(self, signal: Signal, request: bytes, *, items: int, reason: str, place: str) -> str:
        """Keep a request. Never raises.

        Returns:
            Empty, or why it could not be kept: the records are counted as refused all the same.
        """
        now_s = self._wall_clock()
        head = {
            "signal": signal,
            "refused_at_unix_s": now_s,
            "reason": reason[:1000],
            "place": place[:1000],
            "items": items,
            "size_bytes": len(request),
            "crc32": zlib.crc32(request),
        }
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._make_room(len(request) + _HEAD_BYTES):
                return f"a request of {len(request)} bytes is above the bound of {self._max_bytes}"
            _write(
                self._directory / _name(signal, now_s), _MAGIC + json.dumps(head).encode() + b"\n", request
            )
        except OSError as error:
            return f"{self._directory}: {error.strerror or error}"
        return ""

    def _make_room(self, size_bytes: int) -> bool:
        """Remove the oldest letters until one more fits; whether it can."""
        kept = [(path, _size(path)) for path in _paths(self._directory)]
        total = sum(size for _path, size in kept)
        while kept and (len(kept) >= self._max_letters or total + size_bytes > self._max_bytes):
            path, size = kept.pop(0)
            path.unlink(missing_ok=True)
            total -= size
        return size_bytes <= self._max_bytes


def list_letters(directory: Path) -> list[LetterHead]:
    """The letters that can be read, oldest first. A file that is none is left out."""
    heads: list[LetterHead] = []
    for path in _paths(directory):
        if path.suffix != ".letter":
            continue
        with contextlib.suppress(OSError, ValueError):
            heads.append(_open_letter(path, with_request=False).head)
    return heads


def show_letter(path: Path) -> Letter:
    """One letter with its request.

    Raises:
        OSError: it cannot be read, or is a link.
        ValueError: it is not a dead letter, or is damaged.
    """
    return _open_letter(path, with_request=True)


def redrive(path: Path, channel: Channel) -> tuple[Letter, Outcome]:
    """Send a letter once more, as new records to the ledger; the file goes when they are delivered.

    The caller enters `letter.head.items` as ended and, where the outcome says so, as delivered or rejected.

    Raises:
        OSError: it cannot be read or removed.
        ValueError: it is not a dead letter, or is damaged.
    """
    letter = show_letter(path)
    outcome = channel.send(letter.request, letter.head.items)
    if outcome.kind is OutcomeKind.DELIVERED:
        path.unlink(missing_ok=True)
    return letter, outcome


def _paths(directory: Path) -> list[Path]:
    """By name, which is by age. Drafts of a writer that died are among them, and go when they are oldest."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are matched before they become paths
    except OSError:
        return []
    return [directory / name for name in sorted(names) if _NAME.fullmatch(name)]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _name(signal: Signal, now_s: float) -> str:
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{moment}-{signal}-{secrets.token_hex(4)}.letter"


def _write(path: Path, head: bytes, request: bytes) -> None:
    """Whole or not at all: written under another name first."""
    draft = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - by descriptor
            file.write(head)
            file.write(request)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _open_letter(path: Path, *, with_request: bool) -> Letter:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - by descriptor
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"{path}: not a dead letter of this version")
        head = _read_head(path, file.readline(_HEAD_BYTES))
        request = file.read(_LETTER_BYTES) if with_request else b""
    if with_request and (len(request), zlib.crc32(request)) != (head["size_bytes"], head["crc32"]):
        raise ValueError(f"{path}: damaged, its request is not what was written")
    return Letter(
        LetterHead(
            path=path,
            signal=head["signal"],
            refused_at_unix_s=float(head["refused_at_unix_s"]),
            reason=str(head["reason"]),
            place=str(head["place"]),
            items=head["items"],
            size_bytes=head["size_bytes"],
        ),
        request,
    )


def _read_head(path: Path, line: bytes) -> dict[str, Any]:
    try:
        head: Any = json.loads(line)
    except ValueError:
        raise ValueError(f"{path}: damaged, its head is no JSON") from None
    expected = {"signal": str, "refused_at_unix_s": (int, float), "reason": str, "place": str}
    numbers = dict.fromkeys(("items", "size_bytes", "crc32"), int)
    is_head = isinstance(head, dict) and all(
        isinstance(head.get(key), kind) for key, kind in {**expected, **numbers}.items()
    )
    if not is_head or head["signal"] not in SIGNALS:
        raise ValueError(f"{path}: damaged, its head lacks a field")
    return head
