"""Where the time of a tick and of an order goes, of those parts that are ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table
from benchmarks.trading.place import Place

_SHOWN: Final = 15
_PATHS: Final = {"ticks": ("a ticker frame", 5_000), "orders": ("an order's life", 400)}


def where_time_goes(place: Place, progress: Progress) -> Section:
    """Each path once, under a profiler."""
    frames = place.nursery.turn("frames:record")
    found: dict[str, Any] = {}
    for name, (_, count) in _PATHS.items():
        progress(name)
        with place.spool() as settings:
            found[name] = place.nursery.turn(f"profiling:{name}", settings, frames=frames, count=count)
    faults = tuple(
        f"profile, {name}: nothing of ours was entered" for name in found if not found[name]["calls"]
    )
    tables = tuple(table for name in found for table in _tables(name, found[name]))
    return Section("profile", tables, (), faults, found)


def _tables(name: str, found: Mapping[str, Any]) -> Iterator[Table]:
    title, count = _PATHS[name]
    functions = found["functions"]
    note = (
        f"{count:,} under cProfile, built-in functions as their callers' own time, in the caller's thread. "
        f"{found['calls']:.0f} Python functions of tickspan and OpenTelemetry are entered for each; "
        f"{found['share']:.1%} of all own time is theirs, and the shares are of that. The profiler makes "
        "short functions look dear."
    )
    yield Table(f"Where the time of {title} goes, by module", _COLUMNS, _rows(by_module(functions)), note)
    yield Table(f"Where the time of {title} goes, by function", _COLUMNS, _rows(functions))


_COLUMNS: Final = ("what is ours", "calls", "share")


def by_module(functions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same by file, the dearest first."""
    calls: defaultdict[str, float] = defaultdict(float)
    share: defaultdict[str, float] = defaultdict(float)
    for entry in functions:
        module = entry["function"].partition(": ")[0]
        calls[module] += entry["calls"]
        share[module] += entry["share"]
    rows = [{"function": name, "calls": calls[name], "share": share[name]} for name in share]
    return sorted(rows, key=lambda row: -row["share"])


def _rows(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], ...]:
    rows = [
        (f"`{entry['function']}`", f"{entry['calls']:.1f}", f"{entry['share']:.1%}")
        for entry in entries[:_SHOWN]
    ]
    rest = entries[_SHOWN:]
    if rest:
        calls, share = (sum(entry[key] for entry in rest) for key in ("calls", "share"))
        rows.append((f"{len(rest)} others", f"{calls:.1f}", f"{share:.1%}"))
    return tuple(rows)
