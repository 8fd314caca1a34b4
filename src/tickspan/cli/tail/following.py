"""The spans that programs on this host end from now on: the segments of the spool, read and nothing else.

Nothing is claimed, acknowledged or locked: the agent delivers as if nobody looked. A segment that is being
read stays open, so that one that the agent removes between two looks is read to its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool.entries import Entry, StreamKey, export_request
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.home import FORMAT_FOLDER
from tickspan_spool.layout import CODE_OF_SIGNAL, SEGMENT_HEADER_BYTES, next_record, unpack_stream_key
from tickspan_spool.segment import BLANK, ENDED, FULL, SHORT, scan

from tickspan.received import ReceivedSpan, decode_traces

__all__ = ["SpoolFollower"]

_TRACES: Final = CODE_OF_SIGNAL["traces"]
_CHUNK_BYTES: Final = 1 << 20
_LARGEST_BYTES: Final = 16 << 20
"""More than any record has."""
_MOST_RECORDS: Final = 4_096
_NOTHING_YET: Final = (SHORT, BLANK)
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class SpoolFollower:
    """Looks for spans again and again. For one thread.

    Args:
        spool: the folder of the spool; it may come later.
        from_begin: whether to begin with all that still lies there, instead of the segments now written.
    """

    def __init__(self, spool: Path, *, from_begin: bool = False) -> None:
        self._home = spool / FORMAT_FOLDER
        self._from_begin = from_begin
        self._followed: dict[Path, _Followed] = {}
        self._has_looked = False

    def __repr__(self) -> str:
        return f"<SpoolFollower {self._home}, {len(self._followed)} processes>"

    def close(self) -> None:
        """Let go of all files."""
        for followed in self._followed.values():
            followed.close()
        self._followed.clear()

    def new_spans(self) -> Iterator[ReceivedSpan]:
        """Whatever was added since the last look; of each process in its order."""
        there = set(self._folders())
        for path in sorted(there - self._followed.keys()):
            self._followed[path] = _Followed(path, from_begin=self._from_begin or self._has_looked)
        self._has_looked = True
        for path, followed in list(self._followed.items()):
            for batch in followed.new_entries():
                yield from _decoded(batch)
            if path not in there and followed.is_gone():
                followed.close()
                del self._followed[path]

    def _folders(self) -> Iterator[Path]:
        with suppress(OSError):
            for path in self._home.iterdir():
                if path.is_dir() and "." not in path.name:
                    yield path


def _decoded(batch: list[Entry]) -> list[ReceivedSpan]:
    """A batch that is damaged is looked at record by record."""
    try:
        return decode_traces(ExportTraceServiceRequest.FromString(export_request(batch)))
    except DecodeError:
        return [] if len(batch) == 1 else [span for entry in batch for span in _decoded([entry])]


def _left_alone(_path: Path) -> None:
    """Files that are not what they should be are the agent's to put aside."""


@dataclass(slots=True)
class _Open:
    """A segment that is being read."""

    number: int
    fd: int
    offset: int = SEGMENT_HEADER_BYTES


@dataclass(slots=True)
class _Followed:
    """One process's folder."""

    path: Path
    from_begin: bool
    streams: dict[int, StreamKey] = field(default_factory=dict[int, StreamKey])
    """One number means one stream in all segments of a process."""
    folder: ProcessFolder = field(init=False)
    current: _Open | None = None
    last: int = 0
    """Number of the last segment that was opened."""

    def __post_init__(self) -> None:
        self.folder = ProcessFolder(self.path, quarantine=_left_alone)

    def close(self) -> None:
        if self.current is not None:
            os.close(self.current.fd)
            self.current = None

    def is_gone(self) -> bool:
        """Whether nothing more can come."""
        return not self.folder.segments()

    def new_entries(self) -> Iterator[list[Entry]]:
        """Whole records only: one that is being written comes next time."""
        while self.current is not None or self._open_next():
            assert self.current is not None
            entries, is_over = self._scan(self.current)
            if entries:
                yield entries
            if is_over and not self._open_next():
                return
            if not is_over and not entries:
                return

    def _open_next(self) -> bool:
        """Go to the next segment that is there; False while there is none, and the one at hand stays open."""
        for number in [number for number in self.folder.segments() if number > self.last]:
            if self.last == 0 and not self.from_begin and number < self.folder.page().segment:
                continue
            try:
                fd = os.open(self.folder.segment_path(number), _READ)
            except OSError:  # removed since it was seen
                continue
            self.close()
            self.current, self.last = _Open(number, fd), number
            return True
        return False

    def _scan(self, at: _Open) -> tuple[list[Entry], bool]:
        """What follows in a segment, and whether it is over: it says so, or a later one is written."""
        is_left = self.folder.page().segment > at.number  # asked first: then all of it is there
        entries: list[Entry] = []
        size = _CHUNK_BYTES
        while True:
            data = os.pread(at.fd, size, at.offset)
            position, stop = scan(
                data,
                0,
                _TRACES,
                self.streams,
                unpack_stream_key,
                entries,
                [],
                _MOST_RECORDS,
                _LARGEST_BYTES,
            )
            at.offset += position
            if stop == FULL:
                return entries, False
            if stop == SHORT and len(data) == size and (position or size < _LARGEST_BYTES):
                size = _CHUNK_BYTES if position else size * 2
            elif stop == ENDED or stop in _NOTHING_YET or not self._passed_damage(at):
                return entries, stop == ENDED or is_left

    def _passed_damage(self, at: _Open) -> bool:
        """Go on at the next whole record behind something that is none."""
        rest = os.pread(at.fd, _LARGEST_BYTES, at.offset)
        found = next_record(rest, 8)
        if found < 0:
            return False
        at.offset += found
        return True
