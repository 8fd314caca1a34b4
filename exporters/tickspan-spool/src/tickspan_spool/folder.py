"""ProcessFolder: the folder of one process as its readers see it, while the process lives and afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import identity
from ._impl import segment
from .entries import Entry, Signal, StreamKey
from .home import LOCK, NEW, PAGE, write_file
from .layout import (
    ALL_SIGNALS,
    CODE_OF_SIGNAL,
    FLAG_LAGS,
    KIND_DEFINITION,
    KIND_PENDING,
    KIND_RECORD,
    KIND_SETTLED,
    PAGE_BYTES,
    REASON_ROOM,
    SEGMENT_HEADER_BYTES,
    SIGNALS,
    SPAN_ID_BYTES,
    WORD_AGENT_DROPS,
    Acknowledgement,
    Page,
    by_reason,
    next_record,
    pack_record,
    pack_stream_key,
    parse_acknowledgement,
    parse_page,
    parse_record_header,
    parse_segment_header,
    unpack_stream_key,
)
from .ledger import Ledger
from .reasons import REASONS, Reason
from .track import TAP_TRACK, VIEWER_TRACK, Place, Track

if TYPE_CHECKING:
    from .sender import Destination

GONE: Final = ".gone"
READER_LOCK: Final = "reader.lock"
OPEN_SPANS: Final = "open-spans"
DESCRIPTION: Final = "process.json"
DESCRIPTION_COPY: Final = "process.copy.json"
_KNOWN_SUFFIXES: Final = frozenset({".seg", ".ack", NEW})
_KNOWN_NAMES: Final = frozenset({LOCK, READER_LOCK, PAGE, DESCRIPTION, DESCRIPTION_COPY, OPEN_SPANS})
_ALIVE_FOR_S: Final = 1.0
_MOST_HELD: Final = 4
"""Segments that are kept for viewers who have not come so far."""
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_QUAD: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class ProcessDescription:
    """What a process says about itself to its readers; all of it is unknown when the file is damaged."""

    pid: int = 0
    start_time: int = 0
    boot_id: str = ""
    pid_namespace: int = 0
    environment_id: str = ""
    service_name: str = ""
    destinations: tuple[Mapping[str, Any], ...] = ()
    """As `Destination.to_json` wrote them."""
    taps: tuple[str, ...] = ()
    viewed_taps: tuple[str, ...] = ()
    fsync: str = "off"
    created_unix_ns: int = 0
    argv0: str = ""

    @property
    def is_of_this_kernel(self) -> bool:
        """Whether its process number means something here: same boot, same pid namespace."""
        own = (identity.boot_id().hex(), identity.pid_namespace())
        return own == (self.boot_id, self.pid_namespace) and any(identity.boot_id())

    def destination(self, index: int) -> Destination:
        """One of its destinations, without header values. Raises ValueError when it is none."""
        from .sender import Destination

        return Destination.from_json(self.destinations[index])


def parse_description(text: bytes) -> ProcessDescription:
    """The description; an empty one when the bytes are none."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return ProcessDescription()
    if not isinstance(value, dict):
        return ProcessDescription()
    return ProcessDescription(
        pid=_of(value, "pid", 0),
        start_time=_of(value, "start_time", 0),
        boot_id=_of(value, "boot_id", ""),
        pid_namespace=_of(value, "pid_namespace", 0),
        environment_id=_of(value, "environment_id", ""),
        service_name=_of(value, "service_name", ""),
        destinations=tuple(item for item in _of(value, "destinations", []) if isinstance(item, dict)),
        taps=tuple(item for item in _of(value, "taps", []) if isinstance(item, str)),
        viewed_taps=tuple(item for item in _of(value, "viewed_taps", []) if isinstance(item, str)),
        fsync=_of(value, "fsync", "off"),
        created_unix_ns=_of(value, "created_unix_ns", 0),
        argv0=_of(value, "argv0", ""),
    )


def _of(value: dict[str, Any], name: str, default: Any) -> Any:
    """A field of the type of its default."""
    found = value.get(name, default)
    return found if type(found) is type(default) else default


class ProcessFolder:
    """Reads what one process wrote. Methods may be called from any thread.

    Args:
        path: `<spool>/v1/<pid>-<start time>-<random>`.
        quarantine: takes files that are not what they should be.
    """

    def __init__(
        self,
        path: Path,
        quarantine: Callable[[Path], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.streams: dict[int, StreamKey] = {}
        """By number, as far as they are known; one number means one stream in all segments of a process."""
        self._quarantine = quarantine or _unlink
        self._clock = clock
        self._lock = threading.RLock()
        self._claim = -1
        self._tracks: dict[tuple[Signal, int], Track] = {}
        self._viewed: dict[tuple[Signal, str], Track] = {}
        self._walked: set[int] = set()
        self._damaged: set[int] = set()
        self._is_dead = False
        self._alive_until_s = float("-inf")

    def __repr__(self) -> str:
        state = "dead" if self._is_dead else "alive"
        return f"<ProcessFolder {self.path.name}, {state}, {len(self.segments())} segments>"

    @cached_property
    def description(self) -> ProcessDescription:
        """What the process says about itself: of the two copies the first that says anything."""
        for name in (DESCRIPTION, DESCRIPTION_COPY):
            with contextlib.suppress(OSError):
                description = parse_description((self.path / name).read_bytes())
                if description != ProcessDescription():
                    return description
        return ProcessDescription()

    # Whose it is -----------------------------------------------------------------------------------------

    def is_alive(self, *, fresh: bool = False) -> bool:
        """Whether its process may still write; the answer is of the last second unless it must be fresh."""
        if self._is_dead:
            return False
        now_s = self._clock()
        if fresh or now_s >= self._alive_until_s:
            self._is_dead = not self._looks_alive()
            self._alive_until_s = now_s + _ALIVE_FOR_S
        return not self._is_dead

    def _looks_alive(self) -> bool:
        described = self.description
        if described.is_of_this_kernel and described.start_time:
            state = identity.process_state(described.pid)
            return state is not None and state.is_running and state.start_time == described.start_time
        return is_locked(self.path / LOCK)

    @property
    def has_exited_cleanly(self) -> bool:
        """Whether the process said that it ends."""
        return self.page().clean_exits > 0

    def claim(self) -> bool:
        """Become the one who reads this folder and settles what is in it; False when somebody else is."""
        with self._lock:
            if self._claim < 0:
                self._claim = _locked(self.path / READER_LOCK)
            return self._claim >= 0

    @property
    def is_claimed(self) -> bool:
        """Whether we are the one who reads it."""
        return self._claim >= 0

    def release(self) -> None:
        """Let somebody else read it."""
        with self._lock:
            claim, self._claim = self._claim, -1
            if claim >= 0:
                os.close(claim)

    # What is in it ---------------------------------------------------------------------------------------

    def page(self) -> Page:
        """What the process counts; zeros that say nothing when the page is missing or foreign."""
        with contextlib.suppress(OSError):
            fd = os.open(self.path / PAGE, _READ)
            try:
                return parse_page(os.pread(fd, PAGE_BYTES, 0)) or Page(flags=FLAG_LAGS)
            finally:
                os.close(fd)
        return Page(flags=FLAG_LAGS)

    def segments(self) -> list[int]:
        """Their numbers, the oldest first."""
        try:
            names = os.listdir(self.path)  # noqa: PTH208 - three times faster
        except OSError:
            return []
        return sorted(int(name[:-4]) for name in names if name.endswith(".seg") and name[:-4].isdecimal())

    def oldest_segment(self) -> int | None:
        """Number of the oldest that may be dropped: not the one that is being written, nor a later one."""
        current = self.page().segment if self.is_alive() else None
        droppable = [number for number in self.segments() if current is None or number < current]
        return droppable[0] if droppable else None

    def segment_after(self, number: int) -> int | None:
        """The next one that is there."""
        return next((other for other in self.segments() if other > number), None)

    def segment_path(self, number: int) -> Path:
        """Where a segment is, or was."""
        return self.path / f"{number:08}.seg"

    def read_segment(self, number: int, offset: int, size: int) -> bytes | None:
        """Bytes of a segment, fewer at its end; None when it is not there. No descriptor is kept."""
        try:
            fd = os.open(self.segment_path(number), _READ)
        except FileNotFoundError:
            return None
        try:
            return os.pread(fd, min(size, max(0, os.fstat(fd).st_size - offset)), offset)
        finally:
            os.close(fd)

    def has_records(self, number: int) -> bool:
        """Whether anything was written into a segment."""
        return next_record(self._whole(number), 0) >= 0

    def _whole(self, number: int) -> bytes:
        """Everything behind a segment's header."""
        return self.read_segment(number, SEGMENT_HEADER_BYTES, 1 << 40) or b""

    def know_streams_before(self, number: int, offset: int) -> None:
        """Learn the streams that are defined in a segment before the place where reading begins."""
        if number in self._walked:
            return
        self._walked.add(number)
        self._note_bad_header(number)
        if offset > SEGMENT_HEADER_BYTES:
            before = self.read_segment(number, SEGMENT_HEADER_BYTES, offset - SEGMENT_HEADER_BYTES)
            self._learn(before or b"")

    def _note_bad_header(self, number: int) -> None:
        header = self.read_segment(number, 0, SEGMENT_HEADER_BYTES)
        if header is None or parse_segment_header(header) is None:
            self.note_damage(number)

    def find_streams(self) -> None:
        """Learn every stream that any segment defines."""
        for number in self.segments():
            self._learn(self._whole(number))

    def _learn(self, data: bytes) -> None:
        for _, stream, _, payload in segment.walk(data, 0, (KIND_DEFINITION,)):
            key = unpack_stream_key(payload)
            if key is not None:
                self.streams.setdefault(stream, key)

    def newest(self, signal: Signal, segments: int = 2) -> list[Entry]:
        """Records of a signal in the last segments, oldest first; whether they are settled is not asked.

        For people who look: nothing is acknowledged by that. `sequence` is 0.
        """
        self.find_streams()
        code = CODE_OF_SIGNAL[signal]
        return [
            Entry(self.streams[stream], payload, 0, 0)
            for number in self.segments()[-segments:]
            for _, stream, of, payload in segment.walk(self._whole(number), 0, (KIND_RECORD,))
            if of == code and stream in self.streams
        ]

    def note_damage(self, number: int) -> None:
        """Keep this segment for people to look at, once it is read."""
        self._damaged.add(number)

    def count_items(self, number: int, place: Place, code: int) -> tuple[int, int]:
        """Items of a signal in a segment that are not settled, and the sequence number behind them."""
        begin = place.offset - SEGMENT_HEADER_BYTES if place.segment == number else 0
        data = self._whole(number)
        items = next_sequence = 0
        position = next_record(data, begin)
        while position >= 0:
            header = parse_record_header(data, position)
            assert header is not None
            if header.kind == KIND_RECORD and header.signal == code:
                items += header.items
                next_sequence = header.sequence + header.items
            position = next_record(data, position + 32 + header.length)
        return items, next_sequence

    # Who reads what --------------------------------------------------------------------------------------

    def tracks(self) -> list[Track]:
        """One for each destination of the process, and the taps' of log records that nobody else reads."""
        signals = [destination.get("signal") for destination in self.description.destinations]
        for index, signal in enumerate(signals):
            if signal in ALL_SIGNALS:
                self.track(signal, index)
        if self.description.taps and "logs" not in signals:
            self.track("logs", TAP_TRACK)  # so that what is lost before a tap has seen it is counted
        return list(self._tracks.values())

    def track(self, signal: Signal, destination: int) -> Track:
        """One of them, or another reader's: from now on segments are kept for it too."""
        with self._lock:
            found = self._tracks.get((signal, destination))
            if found is None:
                found = self._tracks[signal, destination] = Track(self, signal, destination, self._clock)
            return found

    def viewer_track(self, signal: Signal, viewer: str) -> Track:
        """What a viewer sees of a signal. The last segments are kept until it has seen them.

        It counts nowhere: not in the ledger, not in what is drained, not in what is lost.
        """
        with self._lock:
            found = self._viewed.get((signal, viewer))
            if found is None:
                found = Track(self, signal, VIEWER_TRACK, self._clock, viewer)
                self._viewed[signal, viewer] = found
            return found

    def forget_viewer(self, viewer: str, *, erases: bool = False) -> None:
        """Keep nothing for this viewer any more; with `erases`, neither how far it had come."""
        with self._lock:
            for signal, _ in [key for key in self._viewed if key[1] == viewer]:
                del self._viewed[signal, viewer]
                if erases:
                    with contextlib.suppress(OSError):
                        _unlink(self.path / f"{signal}-{viewer}.ack")
        with contextlib.suppress(OSError):
            self.remove_read_segments()

    @property
    def is_drained(self) -> bool:
        """Whether every track has settled everything; for good, when the process is dead."""
        return all(track.is_drained for track in self.tracks())

    def ledger(self) -> dict[Signal, Ledger]:
        """What became of the items of each signal; where there are several destinations, at the slowest."""
        page, ledgers = self.page(), dict[Signal, Ledger]()
        for code, signal in enumerate(SIGNALS):
            mine = [
                track.ledger()
                for track in self.tracks()
                if track.signal == signal and track.destination >= 0  # a tap settles for itself alone
            ]
            if mine:
                ledgers[signal] = max(mine, key=lambda ledger: ledger.in_spool)
            else:
                counts = page.counts[code]
                dropped = by_reason(counts.drops)
                unwanted = counts.ended - counts.passed
                if unwanted > 0:
                    dropped[Reason.FILTERED] = dropped.get(Reason.FILTERED, 0) + unwanted
                ledgers[signal] = Ledger(counts.ended, counts.handed, 0, dropped)
        return ledgers

    def read_acknowledgement(self, name: str) -> Acknowledgement:
        """The newest whole one; a damaged file is put aside."""
        path = self.path / name
        try:
            data = path.read_bytes()
        except OSError:
            return Acknowledgement()
        found = parse_acknowledgement(data)
        if found is None and data.strip(b"\0"):
            self._quarantine(path)
        return found or Acknowledgement()

    def write_acknowledgement(self, name: str, ack: Acknowledgement) -> None:
        """Write one of the two slots; the other one stays. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.path / name, flags, 0o600)
        try:
            os.pwrite(fd, ack.pack(), ack.place)
            if self.description.fsync == "interval":
                os.fdatasync(fd)
        finally:
            os.close(fd)

    def tell_losses(self, signal: Signal, dropped: Mapping[Reason, int]) -> None:
        """Leave word for the process, which tells its user."""
        if not any(dropped.values()) or self._is_dead:
            return
        with self._lock, contextlib.suppress(OSError):
            fd = os.open(self.path / PAGE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                for reason, count in dropped.items():
                    word = WORD_AGENT_DROPS + CODE_OF_SIGNAL[signal] * REASON_ROOM + REASONS.index(reason)
                    (before,) = _QUAD.unpack(os.pread(fd, _QUAD.size, word * _QUAD.size))
                    os.pwrite(fd, _QUAD.pack(before + count), word * _QUAD.size)
            finally:
                os.close(fd)

    # Letting go ------------------------------------------------------------------------------------------

    def remove_read_segments(self) -> list[int]:
        """Unlink the segments that every track has passed; their numbers."""
        with self._lock:
            tracks = self.tracks()
            if not tracks:
                return []
            needed = self._held_for_viewers(min(track.oldest_segment for track in tracks))
            passed = [number for number in self.segments() if number < needed]
            if passed:
                self._keep_open_spans(passed)
            for number in passed:
                self._discard(number)
            return passed

    def _held_for_viewers(self, needed: int) -> int:
        if not self._viewed:
            return needed
        oldest = min(track.oldest_segment for track in self._viewed.values())
        return min(needed, max(oldest, self.page().segment - _MOST_HELD))

    def _discard(self, number: int) -> None:
        path = self.segment_path(number)
        if number in self._damaged:
            self._quarantine(path)
        else:
            _unlink(path)

    def drop_segment(self, number: int, reason: Reason = Reason.DISK_BOUND) -> dict[Signal, int]:
        """Lose the oldest segment; how many items of each signal that costs, at the slowest destination.

        For the one who has claimed the folder.
        """
        with self._lock:
            lost: dict[Signal, int] = {}
            for track in self.tracks():
                lost[track.signal] = max(lost.get(track.signal, 0), track.drop_segment(number, reason))
            self._keep_open_spans([number])
            self._discard(number)
            return lost

    def remove(self) -> None:
        """Remove the folder, which nobody needs any more; files that are not ours go to quarantine."""
        for path in self._foreign():
            self._quarantine(path)
        for number in self.segments():
            self._note_bad_header(number)
            if number in self._damaged:
                self._quarantine(self.segment_path(number))
        gone = self.path.with_name(self.path.name + GONE)
        with contextlib.suppress(OSError):
            self.path.rename(gone)  # half a folder must not look like a whole one
            shutil.rmtree(gone, ignore_errors=True)
        self.release()

    def _foreign(self) -> list[Path]:
        try:
            names = sorted(self.path.iterdir())
        except OSError:
            return []
        return [
            path for path in names if path.name not in _KNOWN_NAMES and path.suffix not in _KNOWN_SUFFIXES
        ]

    def sync(self) -> None:
        """Write the segments through to the disk, so that they survive the death of the machine too."""
        for number in self.segments():
            with contextlib.suppress(OSError):
                fd = os.open(self.segment_path(number), _READ)
                try:
                    os.fdatasync(fd)
                finally:
                    os.close(fd)

    # Spans that never ended ------------------------------------------------------------------------------

    def abandoned(self) -> list[tuple[StreamKey, bytes]]:
        """The pending spans of a process that died without a word; empty for all others."""
        if self.is_alive(fresh=True) or self.has_exited_cleanly:
            return []
        spans = self._open_spans(self.segments())
        return [(self.streams[stream], record) for stream, record in spans.values() if stream in self.streams]

    def _open_spans(self, numbers: list[int]) -> dict[bytes, tuple[int, bytes]]:
        """Pending and not settled, after these segments."""
        kept = b""
        with contextlib.suppress(OSError):
            kept = (self.path / OPEN_SPANS).read_bytes()
        spans: dict[bytes, tuple[int, bytes]] = {}
        for data in (kept, *map(self._whole, numbers)):
            self._learn(data)
            for kind, stream, _, payload in segment.walk(data, 0, (KIND_PENDING, KIND_SETTLED)):
                span_id = payload[:SPAN_ID_BYTES]
                if kind == KIND_PENDING:
                    spans[span_id] = (stream, payload[SPAN_ID_BYTES:])
                else:
                    spans.pop(span_id, None)
        return spans

    def _keep_open_spans(self, numbers: list[int]) -> None:
        """Remember what is pending in segments that go away."""
        if not self.page().pending:
            return
        spans = self._open_spans(numbers)
        streams = {stream for stream, _ in spans.values() if stream in self.streams}
        data = b"".join(
            pack_record(pack_stream_key(self.streams[stream]), kind=KIND_DEFINITION, stream=stream)
            for stream in sorted(streams)
        ) + b"".join(
            pack_record(span_id + record, kind=KIND_PENDING, stream=stream)
            for span_id, (stream, record) in spans.items()
        )
        with contextlib.suppress(OSError):
            write_file(self.path / OPEN_SPANS, data)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of this file; no when there is none."""
    fd = _locked(path, create=False)
    if fd >= 0:
        os.close(fd)
    return fd == _HELD


_HELD: Final = -1
_ABSENT: Final = -2


def _locked(path: Path, *, create: bool = True) -> int:
    """A descriptor that holds the lock; negative when somebody else does, or the file cannot be opened."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except OSError:
        return _ABSENT
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return _HELD
    return fd


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
