"""Rows read lazily: what each way costs, deep pages, what prefetching gains, how memory grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.data.place import FULL, Place
from benchmarks.data.walker import OFFSET, ORM, OURS, RAW, WAYS
from benchmarks.pipeline.figures import ratios, spread_of
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.sidebyside.lines import Child

_ROWS: Final = 1_000_000
_FEWER_ROWS: Final = 100_000
_MIB: Final = 1024 * 1024
_PREFETCH_BYTES: Final = 8 * _MIB
_CHUNK_BYTES: Final = _PREFETCH_BYTES // 2
_FIRST, _LAST = 0.001, 0.9
_PAGES: Final = 65
_GAIN: Final = 1.6
_ROUNDS_OF_THE_SLOW: Final = 1

Walks = Mapping[str, Mapping[int, Mapping[str, float]]]
"""By way and round."""


def walks(place: Place, progress: Progress) -> Section:
    """All ways through the same trades, in turns; pages near the beginning and near the end; overlapping."""
    count = _ROWS if place.scale == FULL else _FEWER_ROWS
    path = place.folder / "trades.db"
    filled(path, count)
    walked: dict[str, dict[int, Mapping[str, float]]] = {}
    with Child("benchmarks.data.walker", str(path), launch=launch()) as child:
        said = child.hello()
        for number, way in in_turns(WAYS, place.scale.rounds):
            if way in {ORM, OFFSET} and number >= _ROUNDS_OF_THE_SLOW:
                continue
            progress(f"round {number + 1} of {place.scale.rounds}: {way}")
            walked.setdefault(way, {})[number] = child.ask({"way": way})
        depths = {depth: child.ask({"depth": round(depth * count)}) for depth in (_FIRST, _LAST)}
        overlapped = {
            prefetch: [child.ask({"pages": _PAGES, "prefetch": prefetch})["wall_s"] for _ in range(3)]
            for prefetch in (0, 2)
        }
    return Section(
        "lazy",
        (_ways(walked, count, said["library"]), _pages(depths, count), _overlaps(overlapped)),
        tuple(targets(walked, depths, overlapped)),
        tuple(_faults(walked, count)),
        {"walked": walked, "depths": depths, "overlapped": overlapped},
    )


def filled(path: Path, count: int) -> None:
    """A file of trades, twenty a second."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE trades (id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, symbol TEXT NOT NULL, "
        "price REAL NOT NULL, quantity INTEGER NOT NULL)"
    )
    connection.execute(
        "INSERT INTO trades WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) "
        "SELECT i, i / 20, 'S' || (i % 500), 100 + (i % 977) * 0.01, 1 + i % 900 FROM n",
        (count,),
    )
    connection.commit()
    connection.close()


def cpu(walked: Walks, way: str) -> dict[int, float]:
    """CPU seconds by round."""
    return {number: walk["cpu_s"] for number, walk in walked[way].items()}


def targets(
    walked: Walks, depths: Mapping[float, Mapping[str, float]], overlapped: Mapping[int, Sequence[float]]
) -> list[Target]:
    """The figures to reach."""
    grown = max(walk["grown"] for walk in walked[OURS].values())
    bound = _PREFETCH_BYTES + 2 * _CHUNK_BYTES
    depth = depths[_LAST]["keyset_s"] / depths[_FIRST]["keyset_s"]
    gain = median(overlapped[0]) / median(overlapped[2])
    return [
        at_most(
            "CPU of all rows, of the driver's fetchmany",
            OURS,
            spread_of(ratios(cpu(walked, OURS), cpu(walked, RAW))),
            1.3,
        ),
        Target("a page at 90 % of the rows, of one at 0.1 %", OURS, "≤ 1.5x", f"{depth:.2f}x", depth <= 1.5),
        Target(
            "memory grown by, whatever the number of rows",
            OURS,
            f"≤ {bound / _MIB:.0f} MiB",
            f"{grown / _MIB:.1f} MiB",
            grown <= bound,
        ),
        Target(
            "10 ms of I/O and 8 ms of work, overlapped", OURS, f"≥ {_GAIN}x", f"{gain:.2f}x", gain >= _GAIN
        ),
    ]


def _ways(walked: Walks, count: int, library: str) -> Table:
    raw = cpu(walked, RAW)
    rows = [
        (
            way,
            f"{median(cpu(walked, way).values()):.2f} s",
            f"{median(walk['wall_s'] for walk in walked[way].values()):.2f} s",
            multiple(spread_of(ratios(cpu(walked, way), raw))),
            f"{max(walk['grown'] for walk in walked[way].values()) / _MIB:.1f} MiB",
        )
        for way in WAYS
    ]
    note = f"{count:,} trades of five columns by `id`, {library}; ids compared."
    return Table(
        "Through all rows", ("way", "CPU", "wall", "CPU, of fetchmany", "memory grew by"), tuple(rows), note
    )


def _pages(depths: Mapping[float, Mapping[str, float]], count: int) -> Table:
    rows = [
        (f"{round(depth * count):,}", f"{took['keyset_s'] * 1e3:.2f} ms", f"{took['offset_s'] * 1e3:.2f} ms")
        for depth, took in depths.items()
    ]
    return Table("A page of 1,000 rows", ("after rows", "by key", "by OFFSET"), tuple(rows))


def _overlaps(overlapped: Mapping[int, Sequence[float]]) -> Table:
    rows = [(str(prefetch), f"{median(walls):.2f} s") for prefetch, walls in overlapped.items()]
    note = f"{_PAGES} pages that take 10 ms to come and 8 ms to be worked on."
    return Table("Prefetching", ("chunks ahead", "wall"), tuple(rows), note)


def _faults(walked: Walks, count: int) -> list[str]:
    """Every way must give every row."""
    digest: Any = walked[RAW][0]["digest"]
    return [
        f"lazy: {way}: {walk['rows']:,.0f} rows of {count:,}, or others"
        for way, rounds in walked.items()
        for walk in rounds.values()
        if walk["rows"] != count or walk["digest"] != digest
    ]
