"""How fast lines of a full log file are found: an order's id, a level, a text, an expression, a number.

Beside it, of the same lines: what `zstdgrep` does (decompress all, look for bytes), what a script does
(decompress and parse all), and the time in which gzip only decompresses. All must find the same lines.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.pipeline.figures import ratios, spread_of
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_least, multiple
from benchmarks.runtime.place import Place
from benchmarks.sidebyside.costs import Spread
from tickspan.logs import search
from tickspan.logs.archive import compress, read_index
from tickspan.logs.codec import of_suffix

OURS: Final = "tickspan"
_GREP: Final = "decompress, look for bytes"
_PARSE: Final = "decompress, parse all"
_GZIP: Final = "gzip decompresses, no more"
_EMPTY: Final = "an empty folder"
_SYMBOLS: Final = ("AAPL", "MSFT", "TSLA")
_BYTES_PER_GB: Final = 1e9
_FASTER_THAN_GZIP: Final = 3.0
_TEXT_GB_S: Final = 1.0

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked for, in the words of each contender.

    Attributes:
        name: for people.
        options: of `search`.
        holds: whether a parsed line is one.
        needle: bytes that the line holds; None where no bytes tell.
    """

    name: str
    options: Mapping[str, Any]
    holds: Callable[[Line], bool]
    needle: bytes | None = None


@dataclass(slots=True)
class Timed:
    """CPU seconds of a contender by look and round, and what it found."""

    seconds: dict[tuple[str, str], dict[int, float]] = field(
        default_factory=dict[tuple[str, str], dict[int, float]]
    )
    found: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])

    def take(self, contender: str, look: str, number: int, run: Callable[[], list[str]]) -> None:
        """Let it run once."""
        started_s = time.process_time()
        uids = run()
        self.seconds.setdefault((contender, look), {})[number] = time.process_time() - started_s
        self.found[contender, look] = uids

    def times(self, contender: str, look: str, reference: tuple[str, str]) -> Spread | None:
        """How many times as fast as another, round by round."""
        return spread_of(ratios(self.seconds[reference], self.seconds[contender, look]))


def searched(place: Place, progress: Progress) -> Section:
    """One file of `raw_bytes`, and all looks at it in each round."""
    folder, empty = place.folder / "searched", place.folder / "nothing"
    folder.mkdir()
    empty.mkdir()
    progress("writing and compressing")
    path = folder / "oms-20261126T120000Z-000001.jsonl"
    lines = _write(path, place.scale.raw_bytes)
    raw = path.read_bytes()
    zipped = gzip.compress(raw, 6)
    started_s = time.process_time()
    full = compress(path)
    compressing_s = time.process_time() - started_s
    (folder / "oms-20261126T130000Z-000002.jsonl").touch()
    looks = _looks(lines)
    timed = Timed()
    for number in range(place.scale.rounds):
        progress(f"round {number + 1} of {place.scale.rounds}")
        timed.take(_GZIP, "", number, lambda: [str(len(zlib.decompress(zipped, 31)))])
        timed.take(_EMPTY, "", number, lambda: _ours(empty, {"order": "o-1"}))
        for look in looks:
            timed.take(OURS, look.name, number, lambda look=look: _ours(folder, look.options))
            if look.needle is not None:
                timed.take(_GREP, look.name, number, lambda look=look: _grepped(full, look))
        timed.take(_PARSE, "", number, lambda: _parsed(full, looks))
    faults = _faults(timed, looks, full)
    size_gb = len(raw) / _BYTES_PER_GB
    return Section(
        "log-search",
        (_table(timed, looks, size_gb, len(raw) / full.stat().st_size, size_gb / compressing_s),),
        _targets(timed, looks, size_gb),
        faults,
        {"seconds": {" / ".join(key): list(value.values()) for key, value in timed.seconds.items()}},
    )


def _looks(lines: int) -> Sequence[Look]:
    middle = f"o-{lines // 2}"
    wanted = re.compile(rf"order o-{lines // 2}\d? (?:filled|rejected) at \d+")
    return (
        Look(
            "an order's id",
            {"order": middle},
            lambda line: line["fields"]["order_id"] == middle,
            f'"{middle}"'.encode(),
        ),
        Look(
            "a level",
            {"query": "level>=ERROR"},
            lambda line: line["severity"] >= 17,
            b'"level":"ERROR"',
        ),
        Look(
            "a text",
            {"query": '"venue rejected"'},
            lambda line: "venue rejected" in line["message"],
            b"venue rejected",
        ),
        Look(
            "a regular expression",
            {"grep": wanted.pattern},
            lambda line: wanted.search(line["message"]) is not None,
        ),
        Look(
            "a comparison of numbers",
            {"query": "quantity>998"},
            lambda line: line["fields"]["quantity"] > 998,
        ),
    )


def _ours(folder: Path, options: Mapping[str, Any]) -> list[str]:
    return [hit.line["uid"] for hit in search(directory=folder, limit=0, **options)]


def _frames(full: Path) -> Iterator[bytes]:
    codec, data = of_suffix(full.suffix), full.read_bytes()
    for frame in read_index(full) or ():
        yield codec.decompress(data[frame.offset : frame.offset + frame.size], frame.raw_size)


def _grepped(full: Path, look: Look) -> list[str]:
    """Each line that holds the bytes, parsed to see whether it is one."""
    assert look.needle is not None
    found: list[str] = []
    needle = look.needle
    for block in _frames(full):
        at = block.find(needle)
        while at >= 0:
            end = block.find(b"\n", at)
            line = json.loads(block[block.rfind(b"\n", 0, at) + 1 : end])
            if look.holds(line):
                found.append(line["uid"])
            at = block.find(needle, end)
    return found


def _parsed(full: Path, looks: Sequence[Look]) -> list[str]:
    """All lines; what each look finds among them."""
    return [
        f"{look.name}: {line['uid']}"
        for block in _frames(full)
        for line in map(json.loads, block.splitlines())
        for look in looks
        if look.holds(line)
    ]


def _faults(timed: Timed, looks: Sequence[Look], full: Path) -> tuple[str, ...]:
    parsed = timed.found[_PARSE, ""]
    faults: list[str] = []
    for look in looks:
        head = f"{look.name}: "
        expected = [told.removeprefix(head) for told in parsed if told.startswith(head)]
        if not expected:
            faults.append(f"log-search: {look.name}: {full.name} has no such line")
        for contender in (OURS, _GREP):
            found = timed.found.get((contender, look.name), expected)
            if found != expected:
                faults.append(
                    f"log-search: {look.name}: {contender} found {len(found)} lines, of {len(expected)}"
                )
    return tuple(faults)


def _table(timed: Timed, looks: Sequence[Look], size_gb: float, ratio: float, compressing: float) -> Table:
    gzip_key, rows = (_GZIP, ""), list[tuple[str, ...]]()
    keys = [(contender, look.name) for look in looks for contender in (OURS, _GREP)]
    for key in [*(key for key in keys if key in timed.seconds), (_PARSE, ""), gzip_key]:
        speed = size_gb / median(timed.seconds[key].values())
        times = "1" if key == gzip_key else multiple(timed.times(*key, gzip_key))
        rows.append((key[1] or "anything", key[0], f"{speed:,.2f}", times))
    empty_us = median(timed.seconds[_EMPTY, ""].values()) * 1e6
    note = (
        f"One full file of {size_gb * 1e3:,.0f} MB of lines; zstd makes it {ratio:.1f} times smaller, at"
        f" {compressing:.2f} GB/s with its index. GB of raw lines in a second of CPU time. A search of"
        f" {_EMPTY} takes {empty_us:,.0f} µs. An order's id leaves one frame or two whatever the size."
    )
    return Table(
        "Lines that are found", ("looked for", "by", "GB/s", "times gzip's speed"), tuple(rows), note
    )


def _targets(timed: Timed, looks: Sequence[Look], size_gb: float) -> tuple[Target, ...]:
    order, _, text, _, number = (look.name for look in looks)
    text_speed = size_gb / median(timed.seconds[OURS, text].values())
    return (
        at_least(
            "an order's id is found, times the speed at which gzip decompresses",
            OURS,
            timed.times(OURS, order, (_GZIP, "")),
            _FASTER_THAN_GZIP,
        ),
        Target(
            "a text is found, GB of lines a second",
            OURS,
            f"≥ {_TEXT_GB_S:g}",
            f"{text_speed:.2f}",
            text_speed >= _TEXT_GB_S,
        ),
        at_least(
            "a text is found, times the speed of a look at all bytes",
            OURS,
            timed.times(OURS, text, (_GREP, text)),
            0.9,
        ),
        at_least(
            "a comparison of numbers, times the speed of parsing all",
            OURS,
            timed.times(OURS, number, (_PARSE, "")),
            1.0,
        ),
    )


def _write(path: Path, size: int) -> int:
    """Lines of at least so many bytes together; how many."""
    draw = random.Random(7)  # noqa: S311 - made-up orders
    number = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            text = json.dumps(_line(number, draw), separators=(",", ":")) + "\n"
            written += file.write(text)
            number += 1
    return number


def _line(number: int, draw: random.Random) -> Line:
    minute, second = number // 60_000, number // 1_000
    is_bad = number % 20_011 == 5_000
    level, severity = ("ERROR", 17) if is_bad else ("WARN", 13) if number % 4 == 0 else ("INFO", 9)
    told = "venue rejected" if is_bad else f"filled at {draw.random() * 1e5:.2f} on NYSE"
    return {
        "time": f"2026-11-26T12:{minute % 60:02d}:{second % 60:02d}.{number % 1_000:03d}000Z",
        "level": level,
        "severity": severity,
        "category": "trading",
        "logger": "oms.gateway",
        "message": f"order o-{number} {told}",
        "trace_id": f"{draw.getrandbits(128):032x}",
        "span_id": f"{draw.getrandbits(64):016x}",
        "template": "order %s filled at %s on %s",
        "code": {"file": "/srv/bot/oms/gateway.py", "line": 120 + number % 50, "function": "on_fill"},
        "fields": {"order_id": f"o-{number}", "symbol": draw.choice(_SYMBOLS), "quantity": number % 1_000},
        "uid": f"1421-6238612-d71cbb99-{number}",
    }
