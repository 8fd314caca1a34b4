"""Search: lines of log files that meet a query.

In steps, each of which leaves less for the next: times and names in the index, its Bloom filter, bytes that a
line must hold, and only then the line itself.
"""

from __future__ import annotations

import datetime as dt
import heapq
import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tickspan.config import read_settings
from tickspan.logs.archive import Frame, frames_without_index, read_index
from tickspan.logs.capture import CAPTURE
from tickspan.logs.codec import FrameError, of_suffix
from tickspan.logs.literals import is_free_of_place
from tickspan.logs.names import LogFileName, files_in
from tickspan.logs.query import Probe, Query, QueryError
from tickspan.logs.times import time_text

__all__ = ["Hit", "SearchResult", "configured_directory", "moment", "search"]

_AGO: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NS_PER_S: Final = 10**9
_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?=[,}\]])")
_TIME_HEAD: Final = b'{"time":"'
_TIME_LENGTH: Final = len("2026-11-26T12:00:00.000000Z")


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that meets a query.

    Attributes:
        line: as it was parsed.
        file: where it stands.
    """

    line: Mapping[str, Any]
    file: Path

    @property
    def time(self) -> str:
        """UTC, to the microsecond."""
        return str(self.line.get("time", ""))

    @property
    def level(self) -> str:
        """As OpenTelemetry calls it."""
        return str(self.line.get("level", ""))

    @property
    def message(self) -> Any:
        """The record's body: a text, or what was logged instead of one."""
        return self.line.get("message")

    @property
    def fields(self) -> Mapping[str, Any]:
        """What the application gave."""
        return self.line.get("fields", {})


@dataclass(slots=True)
class SearchResult:
    """Hits, in the order in which each writer wrote them, and what the search looked at.

    Attributes:
        hits: found.
        files: looked at.
        frames: decompressed.
        skipped: frames that the index told to hold none.
        damaged: frames that cannot be read; what is in others is found.
        lines: that were parsed.
        is_cut: whether there are more hits than were asked for.
    """

    hits: list[Hit] = field(default_factory=list[Hit])
    files: int = 0
    frames: int = 0
    skipped: int = 0
    damaged: int = 0
    lines: int = 0
    is_cut: bool = False

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


def search(
    query: str | Query = "",
    *,
    directory: str | Path | None = None,
    prefix: str | None = None,
    since: str = "",
    until: str = "",
    trace: str = "",
    order: str = "",
    grep: str = "",
    limit: int = 1_000,
) -> SearchResult:
    """Find lines.

    Args:
        query: such as `level>=WARNING symbol=AAPL "rejected by"`.
        directory: of the files; None for `logs.directory`.
        prefix: of their names; None for all.
        since: a time such as `2026-11-26T15:00`, or how long ago: `2d`, `90m`.
        until: the same.
        trace: id of a trace.
        order: a value that some field has, such as the id of an order.
        grep: a regular expression for the line.
        limit: hits at most; 0 is all.

    Raises:
        QueryError: something of it cannot be understood.
        FileNotFoundError: no folder of log files is given or configured, or there is none.
    """
    if isinstance(query, str):
        query = Query.of(query, since=moment(since), until=moment(until), trace=trace, order=order, grep=grep)
    folder = Path(directory) if directory is not None else configured_directory()
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of log files at {folder}")
    result = SearchResult()
    for hit in _merged(files_in(folder, prefix), query, result):
        if limit and len(result.hits) >= limit:
            result.is_cut = True
            break
        result.hits.append(hit)
    return result


def _merged(files: Iterable[LogFileName], query: Query, result: SearchResult) -> Iterator[Hit]:
    """Hits of all writers by time; those of each stay in the order in which they were written."""
    writers: dict[tuple[str, bool], list[LogFileName]] = {}
    for name in files:
        writers.setdefault((name.prefix, name.is_audit), []).append(name)
    streams = [_hits_of(names, query, result) for names in writers.values()]
    return heapq.merge(*streams, key=lambda hit: hit.time)


def _hits_of(files: Iterable[LogFileName], query: Query, result: SearchResult) -> Iterator[Hit]:
    for name in files:
        result.files += 1
        yield from _hits(name, query, result)


def configured_directory() -> Path:
    """`logs.directory` of this process, or of its environment. Raises `FileNotFoundError`."""
    given = CAPTURE.settings.directory or read_settings(None, environ=os.environ).settings.logs.directory
    if not given:
        raise FileNotFoundError("no folder of log files: logs.directory (TICKSPAN_LOGS_DIRECTORY) is not set")
    return Path(given).expanduser()


def moment(text: str, now: dt.datetime | None = None) -> str:
    """A time, or how long ago, as lines have it; empty for empty.

    Raises:
        QueryError: it is neither.
    """
    if not text:
        return ""
    now = now or dt.datetime.now(dt.UTC)
    match = _AGO.fullmatch(text)
    if match is not None:
        at = now - dt.timedelta(seconds=float(match["number"]) * _SECONDS[match["unit"]])
    else:
        try:
            at = dt.datetime.fromisoformat(text)
        except ValueError:
            raise QueryError(
                f"expected a time such as 2026-11-26T15:00, or 2d, 90m, 30s ago; got {text!r}"
            ) from None
        at = at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at
    return time_text(round(at.timestamp() * _NS_PER_S))


def _hits(name: LogFileName, query: Query, result: SearchResult) -> Iterator[Hit]:
    try:
        with name.path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                for lines in _blocks(name, data, query, result):
                    yield from _matching(lines, query, name.path, result)
    except (OSError, FrameError):  # gone meanwhile, not ours to read, or of a compression that is not there
        result.damaged += 1


def _blocks(name: LogFileName, data: Any, query: Query, result: SearchResult) -> Iterator[Any]:
    """Bytes with whole lines in which there may be hits."""
    if not name.suffix:
        yield data
        return
    index = read_index(name.path)
    if index is None:
        for _, lines in frames_without_index(data[:], name.suffix):
            result.frames += 1
            if lines is None:
                result.damaged += 1
            else:
                yield lines
        return
    codec = of_suffix(name.suffix)
    for frame in index:
        if not query.may_be_in(frame):
            result.skipped += 1
            continue
        result.frames += 1
        lines = _decompressed(codec, data, frame)
        if lines is None:
            result.damaged += 1
        else:
            yield lines


def _decompressed(codec: Any, data: Any, frame: Frame) -> bytes | None:
    try:
        return codec.decompress(data[frame.offset : frame.offset + frame.size], frame.raw_size)
    except FrameError:
        return None


def _matching(data: Any, query: Query, path: Path, result: SearchResult) -> Iterator[Hit]:
    for text in _candidates(data, query):
        result.lines += 1
        try:
            line = json.loads(text)
        except ValueError:  # cut off by a crash, or somebody wrote into the file
            continue
        if isinstance(line, dict) and query.holds(line, text):
            yield Hit(line, path)


def _candidates(data: Any, query: Query) -> Iterator[str]:
    """Lines that hold all bytes which they must, and may meet the rest."""
    pattern = query.grep
    if not query.rare and query.probe is None and pattern is not None and is_free_of_place(pattern.pattern):
        yield from _found_by(pattern, bytes(data).decode(errors="replace"))
        return
    others = [needle for needle in query.needles if needle != query.rare]
    places = _places(data, query.rare) if query.rare else _probed(data, query.probe)
    for start, end in places:
        time = data[start + len(_TIME_HEAD) : start + len(_TIME_HEAD) + _TIME_LENGTH]
        if data[start : start + len(_TIME_HEAD)] == _TIME_HEAD and not _is_within(time, query):
            continue
        if others and not all(data.find(needle, start, end) >= 0 for needle in others):
            continue
        text = bytes(data[start:end]).decode(errors="replace")
        if pattern is None or pattern.search(text):
            yield text


def _is_within(time: bytes, query: Query) -> bool:
    """By the text of a time, which sorts as times do."""
    return (not query.since or time >= query.since.encode()) and (
        not query.until or time < query.until.encode()
    )


def _probed(data: Any, probe: Probe | None) -> Iterator[tuple[int, int]]:
    """Begin and end of each line whose number may be the one; all lines without a probe."""
    if probe is None:
        yield from _places(data, b"")
        return
    needle, holds = probe.needle, probe.holds
    find, number_at, length = data.find, _NUMBER.match, len(needle)
    at = find(needle)
    while at >= 0:
        match = number_at(data, at + length)
        if match is None or holds(_number(match[0])):
            start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
            end = len(data) if end < 0 else end
            yield start, end
            at = end
        at = find(needle, at + 1)


def _number(text: bytes) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _found_by(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Lines in which an expression finds something, that is asked of all of them at once."""
    at, size = 0, len(text)
    while at < size:
        match = pattern.search(text, at)
        if match is None:
            return
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.start())
        end = size if end < 0 else end
        line = text[max(start, at) : end]
        if line:
            yield line
        at = end + 1


def _places(data: Any, needle: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each line that holds the needle, or of each line."""
    size = len(data)
    at = 0
    while at < size:
        found = data.find(needle, at) if needle else at
        if found < 0:
            return
        start = data.rfind(b"\n", at, found) + 1 or at
        end = data.find(b"\n", found)
        end = size if end < 0 else end
        if end > start:
            yield start, end
        at = end + 1
