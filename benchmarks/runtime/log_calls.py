"""What a log record costs its caller and its process: ours beside the standard library's and the peers'."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs
from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.track import TAP_TRACK

from benchmarks.pipeline.figures import percentile, ratios, spread_of
from benchmarks.pipeline.ground import ROOT, in_turns
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.runtime.log_caller import CAPTURED, CATEGORY, DIRECT, EMPTY, MAKERS, NULL, PRICE, STOCK, VENUE
from benchmarks.runtime.place import Place
from benchmarks.sidebyside.costs import Spread
from benchmarks.sidebyside.lines import Child, ChildError, Launch

__all__ = ["called", "wrong_records"]

OURS: Final = (CAPTURED, CATEGORY, DIRECT)
_CALLS_A_BATCH: Final = 250
_MOST_CALLS: Final = 4_000
_WHOLE: Final = 0.3
_DIRECT: Final = 0.1
_NS_PER_US: Final = 1_000.0
_INFO: Final = 9


@dataclass(slots=True)
class Costs:
    """Of a contender, by round: nanoseconds of a record, its loop included."""

    caller: dict[int, float] = field(default_factory=dict[int, float])
    total: dict[int, float] = field(default_factory=dict[int, float])
    disabled: dict[int, float] = field(default_factory=dict[int, float])
    tails: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])
    made: int = 0

    def note(self, number: int, found: Mapping[str, Any]) -> None:
        """One turn."""
        self.caller[number] = percentile(found["caller"], 0.1)
        self.total[number] = found["total"]
        self.disabled[number] = percentile(found["disabled"], 0.1)
        self.tails.append({name: found[name] for name in ("p50", "p99", "p999")})
        self.made = found["made"]


def called(place: Place, progress: Progress) -> Section:
    """Everybody in turns, each in a process of its own; what ours wrote is read back."""
    rounds, calls = place.scale.rounds, min(place.scale.calls, _MOST_CALLS)
    question = {"batches": calls // _CALLS_A_BATCH, "calls": calls}
    costs: dict[str, Costs] = {}
    libraries: dict[str, str] = {}
    missing: dict[str, str] = {}
    folders = {name: Path(tempfile.mkdtemp(prefix="log-calls-", dir=place.folder)) for name in MAKERS}
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        for name, folder in folders.items():
            try:
                child = stack.enter_context(_child(place, name, folder))
                libraries[name] = child.hello()["library"]
                children[name] = child
            except ChildError as error:
                missing[name] = str(error)
        for number, name in in_turns(children, rounds):
            progress(f"round {number + 1} of {rounds}: {name}")
            costs.setdefault(name, Costs()).note(number, children[name].ask(question))
    faults = [f"log-calls, {name}: {missing[name]}" for name in (STOCK, *OURS) if name in missing]
    for name in OURS:
        if name in costs:
            progress(f"reading back: {name}")
            faults += wrong_records(name, costs[name].made, _records(folders[name]))
    return Section(
        "log-calls",
        (_table(costs, libraries, missing),),
        tuple(_targets(costs)),
        tuple(faults),
        {
            "libraries": libraries,
            "missing": missing,
            "caller_ns": {name: one.caller for name, one in costs.items()},
            "total_ns": {name: one.total for name, one in costs.items()},
        },
    )


def wrong_records(name: str, made: int, records: Iterator[LogRecord]) -> list[str]:
    """What is not as it was logged: each number once, with its message, level and fields."""
    seen: set[int] = set()
    count = wrong = 0
    for record in records:
        count += 1
        given = {pair.key: _value(pair.value) for pair in record.attributes}
        number = given.get("sequence")
        text = "order filled" if name == DIRECT else f"order {number} filled on {VENUE}"
        is_right = (
            record.body.string_value == text
            and record.severity_number == _INFO
            and given.get("price") == PRICE
            and given.get("tickspan.log.category") == (None if name == CAPTURED else "trading")
            and ("code.line.number" in given) == (name != DIRECT)
        )
        wrong += not is_right
        seen.add(number if isinstance(number, int) else -1)
    faults: list[str] = []
    if count != made or seen != set(range(made)):
        faults.append(f"log-calls, {name}: {made:,} records were made, {count:,} are in the spool")
    if wrong:
        faults.append(f"log-calls, {name}: {wrong:,} records are not as they were made")
    return faults


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def _records(spool: Path) -> Iterator[LogRecord]:
    """All log records of a spool, whose processes have ended."""
    directory = SpoolDirectory(spool)
    for folder in directory.folders():
        track = folder.track("logs", TAP_TRACK)
        while entries := track.read():
            for entry in entries:
                yield from ScopeLogs.FromString(bytes(entry.body)).log_records
            track.acknowledge(entries, sum(entry.items for entry in entries), {})


def _child(place: Place, name: str, folder: Path) -> Child:
    """In our interpreter, which finds the peers' packages behind its own."""
    packages = next((place.peers.home / "lib").glob("python*/site-packages"))
    settings = {"PYTHONHASHSEED": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": place.ground.server.endpoint}
    errors = folder / "stderr"
    launch = Launch(path=(ROOT, packages), settings=settings, errors=errors)
    return Child("benchmarks.runtime.log_caller", name, str(folder), launch=launch)


def _over(costs: Mapping[str, Costs], own: str, peer: str, less: str) -> Spread | None:
    """The caller's CPU time of a record as a multiple of a peer's, both less that of `less`, by round."""
    if own not in costs or peer not in costs or less not in costs:
        return None
    return spread_of(ratios(costs[own].caller, costs[peer].caller, costs[less].caller))


def _table(costs: Mapping[str, Costs], libraries: Mapping[str, str], missing: Mapping[str, str]) -> Table:
    rows = tuple(
        (
            name,
            _us(one.caller.values()),
            "1" if name == STOCK else multiple(_over(costs, name, STOCK, EMPTY)),
            *(_us(tail[share] for tail in one.tails) for share in ("p50", "p99", "p999")),
            _us(one.total.values()),
            f"{median(one.disabled.values()):,.0f}",
            libraries[name],
        )
        for name, one in costs.items()
    )
    note = (
        "µs of a record with two arguments and two fields. caller: CPU time of the thread that logs, the"
        " tenth percentile of batches; x: of OpenTelemetry's handler in the same round, the whole call, both"
        " without the empty loop. p50 to p99.9: single calls on the wall clock, the clock's own included."
        " total: CPU time of the process with its other threads until all is done: OpenTelemetry's is sent"
        " from there;"
        " ours is on the disk, and the agent sends it. off, ns: a call below every level. Loggers of fields"
        " (structlog, get_direct_logger) form no message."
    )
    return Table(
        "A log record's cost",
        ("logger", "caller, µs", "x", "p50, µs", "p99, µs", "p99.9, µs", "total, µs", "off, ns", "library"),
        rows,
        " ".join((note, *(f"{name} is missing: {reason}." for name, reason in missing.items()))),
    )


def _us(values: Any) -> str:
    found = list(values)
    return f"{median(found) / _NS_PER_US:,.2f}" if found else "-"


def _targets(costs: Mapping[str, Costs]) -> list[Target]:
    off = {name: one.disabled for name, one in costs.items()}

    def disabled(name: str) -> Spread | None:
        return spread_of(ratios(off[name], off[NULL])) if name in off and NULL in off else None

    return [
        at_most(
            "a captured record, the whole call, of a call with OpenTelemetry's handler",
            CAPTURED,
            _over(costs, CAPTURED, STOCK, EMPTY),
            _WHOLE,
        ),
        at_most(
            "what capture adds to a call, of what OpenTelemetry's handler adds",
            CAPTURED,
            _over(costs, CAPTURED, STOCK, NULL),
            _WHOLE,
        ),
        at_most(
            "a direct record, of a call with OpenTelemetry's handler",
            DIRECT,
            _over(costs, DIRECT, STOCK, EMPTY),
            _DIRECT,
        ),
        at_most("a call below every level, of the standard library's", CATEGORY, disabled(CATEGORY), 1.0),
        at_most("a call below every level, of the standard library's", DIRECT, disabled(DIRECT), 1.0),
    ]
