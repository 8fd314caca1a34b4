"""Leaks: how many planted ones are found and named, and how often healthy programs are called leaking.

Samples are of real programs, whose time is simulated; each seed adds noise that its own past holds on to. A
few programs run in real time too, with short buckets, an agent and a receiver.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tickspan_spool import agent as agents

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.runtime import series
from benchmarks.runtime.growing import STEPS
from benchmarks.runtime.place import Place
from benchmarks.sidebyside.lines import ChildError
from tickspan.analysis.growth import BUCKETS, GrowthState
from tickspan.analysis.leaks import ANONYMOUS, BLOCKS, LIVE_BLOCKS, MAPPED, Layer, LeakReport, MemoryGrowth
from tickspan.semconv import memory as names
from tickspan.semconv.common import SERVICE_NAME
from tickspan.testing.otlp import OtlpServer

LEAKS: Final[Mapping[str, tuple[Layer, str | None]]] = {
    "list": (Layer.PYTHON, "__main__.trades"),
    "attribute": (Layer.PYTHON, "__main__.book.orders"),
    "closure": (Layer.PYTHON, "__main__.subscribe.handlers"),
    "cache": (Layer.PYTHON, "__main__.priced"),
    "native": (Layer.NATIVE, None),
}
"""Planted: the layer, and the container that a census should name."""
HEALTHY: Final = ("churn", "saw-tooth", "warm-up", "mmap")
_BUCKETS_IN_ALL: Final = 4 * BUCKETS + 1
_BUCKET_S: Final = 60.0
_LIMIT_BYTES: Final = 1 << 30
_PERSISTENCES: Final = (0.0, 0.5, 0.9)
"""Of noise: the share of its level that it keeps from one bucket to the next."""
_SIGNAL: Final = 0.3
"""What a planted leak adds in a bucket, in standard deviations of what noise adds."""
_HEALTHY_NOISE: Final = 0.004
"""Of the level."""
_FOUND: Final = 0.8
_FALSE: Final = 0.02
_NAMED: Final = 0.95
_LIVE_BUCKET_S: Final = 0.1
_FEW_SEEDS: Final = 10
_SEEDS_OF_SERIES: Final = 10
"""As many of a series alone, which costs little, for each of a recording."""
_DELIVERED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Recording:
    """What a program was seen to have."""

    kind: str
    samples: Sequence[tuple[int, int, int, int]]
    owner: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed."""

    kind: str
    report: LeakReport

    @property
    def is_leak(self) -> bool:
        """Whether it is called one."""
        return self.report.state is GrowthState.LEAKING


def detected(place: Place, progress: Progress) -> Section:
    """Record, judge with noise of many seeds, then watch programs in real time."""
    is_quick = place.scale.seeds < _FEW_SEEDS
    recordings = _recorded(1 if is_quick else 2, progress)
    outcomes = [
        judged(recordings[kind][seed % len(recordings[kind])], seed)
        for kind in (*LEAKS, *HEALTHY)
        for seed in range(place.scale.seeds)
    ]
    progress("series alone")
    alone = series.judged(_SEEDS_OF_SERIES * place.scale.seeds)
    progress("programs in real time")
    kinds = ("list", "churn") if is_quick else ("list", "closure", "cache", "native", "churn", "warm-up")
    told = watched(place.folder / "leaks", kinds)
    return Section(
        "detection",
        (_simulated(outcomes, recordings), _alone(alone, place.scale.seeds), _real(told)),
        (*_targets_alone(alone), *_targets(outcomes, recordings, told)),
        (),
        {
            "outcomes": [
                {"kind": one.kind, "state": one.report.state, "layer": one.report.layer} for one in outcomes
            ],
            "owners": {kind: [one.owner for one in found] for kind, found in recordings.items()},
            "series": {name: shares._asdict() for name, shares in alone.items()},
            "real time": told,
        },
    )


def judged(recording: Recording, seed: int) -> Outcome:
    """The verdict over a recording with noise of a seed, at the first window that is called a leak."""
    draws = random.Random(f"{recording.kind} {seed}")  # noqa: S311 - a simulation
    growth = MemoryGrowth(_LIMIT_BYTES, _BUCKET_S)
    noises = [
        list(_noise(draws, _PERSISTENCES[seed % len(_PERSISTENCES)], deviation))
        for deviation in _deviations(recording)
    ]
    live = 0
    for step, (anonymous, mapped, blocks, live_blocks) in enumerate(recording.samples):
        bucket = step // STEPS
        values = {
            ANONYMOUS: anonymous + noises[0][bucket],
            MAPPED: float(mapped),
            BLOCKS: blocks + noises[1][bucket],
        }
        if live_blocks != live:
            live = live_blocks
            values[LIVE_BLOCKS] = float(live)
        if growth.add(step * _BUCKET_S / STEPS, values):
            report = growth.report()
            if report.state is GrowthState.LEAKING:
                return Outcome(recording.kind, report)
    return Outcome(recording.kind, growth.report())


def _deviations(recording: Recording) -> tuple[float, float]:
    """Of what noise adds to anonymous memory and to blocks in each bucket."""
    first, last = recording.samples[len(recording.samples) // 4], recording.samples[-1]
    if recording.kind not in LEAKS:
        return _HEALTHY_NOISE * first[0], _HEALTHY_NOISE * first[2]
    buckets = _BUCKETS_IN_ALL * 3 / 4
    grown = [(last[place] - first[place]) / buckets for place in (0, 2)]
    least = 0.0 if LEAKS[recording.kind][0] is Layer.PYTHON else _HEALTHY_NOISE * first[2]
    return grown[0] / _SIGNAL, max(least, grown[1] / _SIGNAL)


def _noise(draws: random.Random, persistence: float, deviation: float) -> Iterator[float]:
    level = 0.0
    for _ in range(_BUCKETS_IN_ALL):
        level = persistence * level + draws.gauss(0, deviation)
        yield level


def _recorded(number: int, progress: Progress) -> Mapping[str, Sequence[Recording]]:
    """So many of each kind, two programs at a time."""
    wanted = [(kind, seed) for kind in (*LEAKS, *HEALTHY) for seed in range(number)]
    found: dict[str, list[Recording]] = {}
    with ThreadPoolExecutor(2) as pool:
        for (kind, seed), recording in zip(wanted, pool.map(_record, wanted), strict=True):
            progress(f"recorded {kind} {seed + 1} of {number}")
            found.setdefault(kind, []).append(recording)
    return found


def _record(wanted: tuple[str, int]) -> Recording:
    kind, seed = wanted
    command = (sys.executable, "-m", "benchmarks.runtime.growing", kind, str(seed), str(_BUCKETS_IN_ALL))
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if ended.returncode:
        raise ChildError(f"{kind}: {ended.stderr.strip().rpartition(chr(10))[2]}")
    said: dict[str, Any] = json.loads(ended.stdout)
    numbers = iter(said["samples"])
    return Recording(kind, list(zip(numbers, numbers, numbers, numbers, strict=True)), said["owner"])


def watched(
    folder: Path, kinds: Sequence[str], bucket_s: float = _LIVE_BUCKET_S
) -> dict[str, dict[str, str]]:
    """What a receiver is told of programs that run side by side: the last verdict of each, by its kind."""
    seconds = bucket_s * (3 * BUCKETS + 1) * 2 + 2
    packages = _tap_in(folder)
    with ExitStack() as stack:
        server = stack.enter_context(OtlpServer())
        spool = folder / "spool"
        stack.callback(agents.stop, spool)
        environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("OTEL_", "TICKSPAN_"))
            },
            "PYTHONPATH": str(packages),
            "TICKSPAN_SPOOL_DIR": str(spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": str(round(bucket_s * 500)),
            "TICKSPAN_MEMORY_LEAK_BUCKET_S": str(bucket_s),
        }
        programs = {
            kind: subprocess.Popen(
                (sys.executable, "-m", "benchmarks.runtime.growing", kind, "1", "-", str(seconds)),
                env={**environ, "OTEL_SERVICE_NAME": kind},
            )
            for kind in kinds
        }
        for kind, program in programs.items():
            if program.wait(timeout=seconds + 60):
                raise ChildError(f"{kind} ended with {program.returncode}")
        agents.drain(spool, _DELIVERED_S)
        told = {kind: {"state": "", "layer": "", "owner": ""} for kind in kinds}
        for log in server.logs():
            if log.event_name == names.EVENT_MEMORY_LEAK:
                told[str(log.resource[SERVICE_NAME])] = {
                    "state": str(log.attributes[names.MEMORY_VERDICT]),
                    "layer": str(log.attributes[names.MEMORY_LAYER]),
                    "owner": str(log.attributes.get(names.MEMORY_OWNER, "")),
                }
    return told


def _tap_in(folder: Path) -> Path:
    """As an installed distribution that has the agent's tap."""
    packages = folder / "packages"
    distribution = packages / "memory_tap-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Name: memory-tap\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text("[tickspan_tap]\nmemory = tickspan.memory.tap:MemoryTap\n")
    return packages


def _simulated(outcomes: Sequence[Outcome], recordings: Mapping[str, Sequence[Recording]]) -> Table:
    rows = [
        (
            kind,
            "leak" if kind in LEAKS else "none",
            f"{_share(outcomes, kind):.0%}",
            f"{_layered(outcomes, kind):.0%}" if kind in LEAKS else "",
            _named(recordings[kind]) if kind in LEAKS and LEAKS[kind][1] is not None else "",
        )
        for kind in (*LEAKS, *HEALTHY)
    ]
    return Table(
        "Planted leaks and healthy programs",
        ("program", "planted", "called a leak", "layer right", "container named"),
        tuple(rows),
        f"{len(outcomes) // len(rows)} seeds each, {_BUCKETS_IN_ALL} buckets of a minute; a leak adds"
        f" {_SIGNAL:g} standard deviations of noise in each; noise keeps none, a half or nine tenths of its"
        " level.",
    )


def _alone(alone: Mapping[str, series.Shares], seeds: int) -> Table:
    rows = tuple(
        (name, f"{shares.called_leak:.1%}", f"{shares.called_trend:.1%}") for name, shares in alone.items()
    )
    return Table(
        "Series alone",
        ("series", "called a leak", "called a trend by one test"),
        rows,
        f"{_SEEDS_OF_SERIES * seeds} seeds each, {series.BUCKETS_IN_ALL} buckets; noise has deviation 1.",
    )


def _targets_alone(alone: Mapping[str, series.Shares]) -> tuple[Target, ...]:
    found = sum(alone[name].called_leak for name in series.LEAKS) / len(series.LEAKS)
    false = sum(alone[name].called_leak for name in series.NONE) / len(series.NONE)
    return (
        Target("leaking series found", "tickspan", f"≥ {_FOUND:.0%}", f"{found:.1%}", found >= _FOUND),
        Target(
            "autocorrelated and saw-tooth series called a leak",
            "tickspan",
            f"≤ {_FALSE:.0%}",
            f"{false:.1%}",
            false <= _FALSE,
        ),
    )


def _real(told: Mapping[str, Mapping[str, str]]) -> Table:
    rows = tuple(
        (kind, one["state"] or "nothing told", one["layer"], one["owner"]) for kind, one in told.items()
    )
    return Table(
        "In real time, with short buckets and an agent", ("program", "verdict", "layer", "owner"), rows
    )


def _targets(
    outcomes: Sequence[Outcome],
    recordings: Mapping[str, Sequence[Recording]],
    told: Mapping[str, Mapping[str, str]],
) -> tuple[Target, ...]:
    leaks = [one for one in outcomes if one.kind in LEAKS]
    found = [one for one in leaks if one.is_leak]
    false = [one for one in outcomes if one.kind not in LEAKS and one.is_leak]
    healthy = len(outcomes) - len(leaks)
    right = [one for one in found if one.report.layer is LEAKS[one.kind][0]]
    owned = [one for kind, (_, name) in LEAKS.items() if name is not None for one in recordings[kind]]
    named = [one for one in owned if _is_named(one)]
    live = [kind for kind, one in told.items() if _is_right(kind, one)]
    ours = "tickspan"
    return (
        _at_least("planted leaks found", len(found), len(leaks), _FOUND),
        Target(
            "healthy programs called a leak",
            ours,
            f"≤ {_FALSE:.0%}",
            _count(len(false), healthy),
            len(false) <= _FALSE * healthy,
        ),
        _at_least("layer of found leaks right", len(right), len(found), _NAMED),
        _at_least("container named by a census", len(named), len(owned), 1.0),
        _at_least("verdict, layer and owner right in real time", len(live), len(told), 1.0),
    )


def _at_least(what: str, number: int, of: int, wanted: float) -> Target:
    return Target(
        what, "tickspan", f"≥ {wanted:.0%}", _count(number, of), None if not of else number >= wanted * of
    )


def _count(number: int, of: int) -> str:
    return f"{number} of {of}" + (f" ({number / of:.1%})" if of else "")


def _share(outcomes: Sequence[Outcome], kind: str) -> float:
    mine = [one for one in outcomes if one.kind == kind]
    return sum(one.is_leak for one in mine) / len(mine)


def _layered(outcomes: Sequence[Outcome], kind: str) -> float:
    mine = [one for one in outcomes if one.kind == kind and one.is_leak]
    return sum(one.report.layer is LEAKS[kind][0] for one in mine) / len(mine) if mine else 0.0


def _named(recordings: Sequence[Recording]) -> str:
    return _count(sum(map(_is_named, recordings)), len(recordings))


def _is_named(recording: Recording) -> bool:
    wanted = LEAKS[recording.kind][1]
    return recording.owner is not None and recording.owner.partition(":")[0] == wanted


def _is_right(kind: str, told: Mapping[str, str]) -> bool:
    if kind not in LEAKS:
        return told["state"] != GrowthState.LEAKING
    layer, name = LEAKS[kind]
    is_named = name is None or told["owner"].partition(":")[0] == name
    return told["state"] == GrowthState.LEAKING and told["layer"] == layer and is_named
