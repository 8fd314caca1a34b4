"""Records: samples on their way through the spool, a few dozen bytes each, and what the agent makes of them.

A record is a length (4 bytes, little endian), a head of JSON, and rows of a fixed size. Rows name stacks and
threads by number. What the numbers mean stands in the heads: once in each minute of a continuous profile, and
in every captured trace, which is one record and needs no other. A reader that comes late, or misses a record,
knows all again with the next minute; rows that it cannot name until then are counted.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tickspan.analysis.profiles import Frame, Link, Profile, Sample
from tickspan.profiler.states import State

if TYPE_CHECKING:
    from tickspan.profiler.rows import Rows
    from tickspan.profiler.sampler import Seen
    from tickspan.profiler.tables import Tables

__all__ = ["About", "Captured", "Chunk", "Minute", "Recorder", "captured_record", "parse", "profile_of"]

_FORMAT: Final = 1
_LENGTH: Final = struct.Struct("<I")
_ROW: Final = struct.Struct("<IHBIQ16s8s")
"""Stack, thread, state, samples, nanoseconds of wall time, trace, span."""
_STATES: Final = tuple(State)
_CODES: Final = {state: code for code, state in enumerate(_STATES)}
_NO_LINK: Final = (bytes(16), bytes(8))
_NS_PER_S: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _NS_PER_S
_EVERY_NS: Final = _NS_PER_S
_MOST_THREADS: Final = 0xFFFF
_MOST_STACKS: Final = 1_000
_MOST_ROWS: Final = 5_000
"""In one record: it is written early when there are more."""
_MOST_ITEMS: Final = 0xFFFF
_MOST_COUNT: Final = 0xFFFF_FFFF


class About(NamedTuple):
    """What all records of a process say.

    Attributes:
        service: `service.name`.
        version: `service.version`, if any.
        is_exported: whether profiles are to be sent as OTLP, beside the files.
    """

    service: str = ""
    version: str = ""
    is_exported: bool = False


@dataclass(frozen=True, slots=True)
class Captured:
    """Why a trace was kept, and which.

    Attributes:
        profile_id: 32 hex digits: `tickspan.profile.id` of the span and of the event.
        reason: `slow` or `error`.
        span_name: of the local root span.
        link: to it.
        omitted: samples of the trace that found no room in the record.
    """

    profile_id: str
    reason: str
    span_name: str
    link: Link
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One record as it is read.

    Attributes:
        about: the process's service, and what is wanted.
        pid: of the process.
        started_unix_ns: when its minute, or its trace, began. Records of one minute have the same.
        until_unix_ns: the last sample, or the end of the trace.
        period_ns: between two passes of the sampler, as intended.
        frames: new ones, by number.
        stacks: new ones, by number: numbers of frames, leaf first.
        threads: names of new ones, by number.
        rows: stack, thread, state, link, count, nanoseconds.
        captured: None for a part of a continuous profile.
    """

    about: About
    pid: int
    started_unix_ns: int
    until_unix_ns: int
    period_ns: int
    frames: Mapping[int, Frame]
    stacks: Mapping[int, tuple[int, ...]]
    threads: Mapping[int, str]
    rows: tuple[tuple[int, int, State, Link | None, int, int], ...]
    captured: Captured | None


class _Told:
    """What readers know by now, and what the next record has to tell them."""

    def __init__(self) -> None:
        self._frames: set[int] = set()
        self._stacks: set[int] = set()
        self._threads: dict[str, int] = {}
        self.stacks: dict[int, tuple[int, ...]] = {}
        self.frames: dict[int, Frame] = {}
        self.threads: dict[int, str] = {}

    def see(self, stack: int, tables: Tables) -> None:
        """A sample is of this stack."""
        if stack in self._stacks:
            return
        self._stacks.add(stack)
        frames = self.stacks[stack] = tables.stacks.get(stack, ())
        known = tables.frames
        for frame in set(frames).difference(self._frames):
            self._frames.add(frame)
            if frame in known:
                self.frames[frame] = known[frame]

    def thread(self, name: str) -> int:
        """Its number; of those beyond the bound that of the first."""
        number = self._threads.get(name)
        if number is None:
            number = len(self._threads)
            if number >= _MOST_THREADS:
                return 0
            self._threads[name] = number
            self.threads[number] = name
        return number

    def told(self) -> None:
        """Everything so far is written."""
        self.stacks, self.frames, self.threads = {}, {}, {}


class Recorder:
    """Writes the samples of a continuous profile: sums of a second, in one record. For one thread."""

    def __init__(
        self,
        about: About,
        append: Callable[[bytes, int], object],
        tables: Callable[[], Tables],
        period_ns: Callable[[], int],
    ) -> None:
        """Prepare.

        Args:
            about: for every record.
            append: takes a record and how many samples it holds.
            tables: those that the numbers of samples are of; after a fork others.
            period_ns: between two passes.
        """
        self._about = about
        self._append = append
        self._tables_now = tables
        self._period_ns = period_ns
        self._tables: Tables | None = None
        self._begin(0)

    def __repr__(self) -> str:
        return f"<Recorder with {len(self._rows)} rows to write>"

    def add(self, seen: Seen) -> None:
        """One sample more; what is a second old is written."""
        at_ns = seen.at_unix_ns
        tables = self._tables_now()
        if tables is not self._tables:
            self._tables = tables
            self._begin(at_ns)
        elif at_ns - self._started_ns >= _MINUTE_NS or at_ns < self._started_ns:
            self.flush()
            self._begin(at_ns)
        elif at_ns - self._since_ns >= _EVERY_NS or self._is_large:
            self.flush()
            self._since_ns = at_ns
        self._told.see(seen.stack, tables)
        _count(self._rows, seen)
        self._until_ns = at_ns

    def flush(self) -> None:
        """Write what is there."""
        if self._rows:
            rows, self._rows = self._rows, {}
            times = (self._started_ns, self._until_ns, self._period_ns())
            self._append(_packed(self._about, self._told, rows, times, None), _counted(rows))
            self._told.told()

    @property
    def _is_large(self) -> bool:
        return len(self._rows) >= _MOST_ROWS or len(self._told.stacks) >= _MOST_STACKS

    def _begin(self, at_ns: int) -> None:
        self._started_ns = self._since_ns = self._until_ns = at_ns
        self._told = _Told()
        self._rows: Rows = {}


def captured_record(
    about: About,
    samples: Iterable[Seen],
    tables: Tables,
    times: tuple[int, int, int],
    captured: Captured,
) -> bytes:
    """The samples of a trace as one record.

    Args:
        about: the process.
        samples: of it.
        tables: that the numbers of their stacks are of.
        times: start and end of its local root span, and the period of the sampler.
        captured: why and which.
    """
    told = _Told()
    rows: Rows = {}
    for seen in samples:
        told.see(seen.stack, tables)
        _count(rows, seen)
    return _packed(about, told, rows, times, captured)


def _count(rows: Rows, seen: Seen) -> None:
    row = seen[1:5]
    sums = rows.get(row)
    if sums is None:
        rows[row] = [1, seen.wall_ns]
    else:
        sums[0] += 1
        sums[1] += seen.wall_ns


def _counted(rows: Rows) -> int:
    """Items of a record, as many as its frame can say."""
    return min(_MOST_ITEMS, sum(row[0] for row in rows.values()))


def _packed(
    about: About, told: _Told, rows: Rows, times: tuple[int, int, int], captured: Captured | None
) -> bytes:
    data = [
        _ROW.pack(
            stack,
            told.thread(thread),
            _CODES[state],
            min(count, _MOST_COUNT),
            max(0, wall_ns),
            *(_NO_LINK if link is None else (link.trace_id.to_bytes(16), link.span_id.to_bytes(8))),
        )
        for (stack, thread, state, link), (count, wall_ns) in rows.items()
    ]
    head: dict[str, Any] = {
        "format": _FORMAT,
        "about": about,
        "pid": os.getpid(),
        "times": times,
        "frames": told.frames,
        "stacks": told.stacks,
        "threads": told.threads,
    }
    if captured is not None:
        link = captured.link
        head["captured"] = [
            captured.profile_id,
            captured.reason,
            captured.span_name,
            f"{link.trace_id:x}",
            f"{link.span_id:x}",
            captured.omitted,
        ]
    text = json.dumps(head, separators=(",", ":")).encode(errors="replace")
    return b"".join((_LENGTH.pack(len(text)), text, *data))


def parse(record: bytes) -> Chunk:
    """A record as it is in the spool.

    Raises:
        ValueError: it is none, or of another version.
    """
    try:
        (size,) = _LENGTH.unpack_from(record)
        start = _LENGTH.size + size
        head: Any = json.loads(record[_LENGTH.size : start])
        _check_format(head["format"])
        started_ns, until_ns, period_ns = map(int, head["times"])
        service, version, is_exported = head["about"]
        return Chunk(
            About(str(service), str(version), is_exported is True),
            int(head["pid"]),
            started_ns,
            until_ns,
            period_ns,
            {int(number): _frame(*one) for number, one in head["frames"].items()},
            {int(number): tuple(map(int, one)) for number, one in head["stacks"].items()},
            {int(number): str(one) for number, one in head["threads"].items()},
            tuple(map(_row, _ROW.iter_unpack(record[start:]))),
            _captured(head.get("captured")),
        )
    except (
        struct.error,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        RecursionError,
        ValueError,
    ) as error:
        raise ValueError(f"expected a record of samples: {error}") from None


def _check_format(number: object) -> None:
    if number != _FORMAT:
        raise ValueError(f"it is not of format {_FORMAT}")


def _frame(name: object, file: object, line: Any, first_line: Any) -> Frame:
    return Frame(str(name), str(file), max(0, int(line)), max(0, int(first_line)))


def _row(packed: Any) -> tuple[int, int, State, Link | None, int, int]:
    stack, thread, state, count, wall_ns, trace_id, span_id = packed
    link = Link(int.from_bytes(trace_id), int.from_bytes(span_id)) if any(span_id) else None
    return stack, thread, _STATES[state], link, count, wall_ns


def _captured(given: Any) -> Captured | None:
    if given is None:
        return None
    profile_id, reason, span_name, trace_id, span_id, omitted = given
    if len(bytes.fromhex(profile_id)) != 16:  # noqa: PLR2004 - bytes of an id
        raise ValueError("its profile has no id of 16 bytes")
    link = Link(int(trace_id, 16), int(span_id, 16))
    return Captured(profile_id, str(reason), str(span_name), link, int(omitted))


@dataclass(slots=True)
class Minute:
    """One minute of a continuous profile, put together. For one thread."""

    about: About
    pid: int
    started_unix_ns: int
    period_ns: int
    until_unix_ns: int = 0
    lost: int = 0
    """Samples whose stack is not known here: the record that names it was missed."""
    frames: dict[int, Frame] = field(default_factory=dict[int, Frame])
    stacks: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    threads: dict[int, str] = field(default_factory=dict[int, str])
    rows: Rows = field(default_factory=dict[Any, list[int]])
    named: set[int] = field(default_factory=set[int])
    """Stacks of which it is known that all frames have names."""

    @staticmethod
    def of(chunk: Chunk) -> Minute:
        """The minute that a record belongs to, without it."""
        return Minute(chunk.about, chunk.pid, chunk.started_unix_ns, chunk.period_ns)

    def add(self, chunk: Chunk) -> None:
        """One record more."""
        self.frames.update(chunk.frames)
        self.stacks.update(chunk.stacks)
        self.threads.update(chunk.threads)
        self.until_unix_ns = max(self.until_unix_ns, chunk.until_unix_ns)
        for stack, thread, state, link, count, wall_ns in chunk.rows:
            if thread not in self.threads or not self._knows(stack):
                self.lost += count
                continue
            row = self.rows.setdefault((stack, self.threads[thread], state, link), [0, 0])
            row[0] += count
            row[1] += wall_ns

    def _knows(self, stack: int) -> bool:
        """Whether all of its frames have names here."""
        if stack not in self.named:
            frames = self.stacks.get(stack)
            if frames is None or not self.frames.keys() >= set(frames):
                return False
            self.named.add(stack)
        return True

    def profile(self) -> Profile:
        """What is there by now."""
        frames: dict[Frame, int] = {}
        stacks: dict[tuple[int, ...], int] = {(): 0}
        sums: Rows = {}
        for (stack, thread, state, link), (count, wall_ns) in self.rows.items():
            names = (self.frames[number] for number in self.stacks[stack])
            key = tuple(frames.setdefault(frame, len(frames)) for frame in names)
            row = sums.setdefault((stacks.setdefault(key, len(stacks)), thread, state, link), [0, 0])
            row[0] += count
            row[1] += wall_ns
        return Profile(
            service=self.about.service,
            version=self.about.version,
            pid=self.pid,
            started_unix_ns=self.started_unix_ns,
            duration_ns=max(0, self.until_unix_ns - self.started_unix_ns),
            period_ns=self.period_ns,
            frames=tuple(frames),
            stacks=tuple(stacks),
            samples=tuple(
                Sample(stack, thread, state.value, link, count, wall_ns)
                for (stack, thread, state, link), (count, wall_ns) in sums.items()
            ),
            lost=self.lost,
        )


def profile_of(chunk: Chunk) -> Profile:
    """The profile of a captured trace."""
    whole = Minute.of(chunk)
    whole.add(chunk)
    if chunk.captured is not None:
        whole.lost += chunk.captured.omitted
    return whole.profile()
