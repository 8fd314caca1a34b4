"""The performance report: what ran, what waited, what to do, and what the profiler itself cost."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tickspan.analysis.bottlenecks import Finding, Grown, bottlenecks
from tickspan.analysis.complexity import Complexity
from tickspan.analysis.profiles import NS_PER_S, Profile, weights
from tickspan.profiler.capture import REFUSALS
from tickspan.profiler.encoding.flamegraph import flame_html
from tickspan.profiler.functions import FunctionStatistics

__all__ = ["HotFunction", "OwnCost", "PerformanceReport", "report_of"]

_MOST_HOT: Final = 30
_BUSY: Final = ("cpu", "gc", "gil", "runqueue", "lock", "io")


@dataclass(frozen=True, slots=True)
class HotFunction:
    """A function in the samples of threads that had something to do.

    Attributes:
        function: with its file and first line.
        own_share: of the samples in which it was innermost, from 0 to 1.
        total_share: of those in which it was anywhere on the stack.
    """

    function: str
    own_share: float
    total_share: float


@dataclass(frozen=True, slots=True)
class OwnCost:
    """What sampling cost.

    Attributes:
        cpu_s: CPU time of the sampler.
        share: of one processor while it ran.
        lost: samples that found no room.
        short: traces that were slow or failed, but shorter than two periods of the sampler.
        unseen: those of which no sample is known to be theirs.
        often: those that were beyond the number of a minute.
    """

    cpu_s: float
    share: float
    lost: int
    short: int = 0
    unseen: int = 0
    often: int = 0


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """What `get_performance_report` gives.

    Attributes:
        profile: that it is of.
        functions: that are measured each time they run, the one with most time first.
        hot: functions by samples, largest own share first.
        states: share of the samples by state.
        findings: what holds the program up.
        complexity: of measured functions, by name.
        own_cost: of the profiler.
    """

    profile: Profile
    functions: Sequence[FunctionStatistics]
    hot: Sequence[HotFunction]
    states: Mapping[str, float]
    findings: Sequence[Finding]
    complexity: Mapping[str, Complexity]
    own_cost: OwnCost

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """For a terminal."""
        return "\n".join(self._lines()) + "\n"

    def data(self) -> dict[str, Any]:
        """As plain data, without the profile's samples."""
        return {
            "service": self.profile.service,
            "pid": self.profile.pid,
            "started_unix_ns": self.profile.started_unix_ns,
            "duration_s": self.profile.duration_ns / NS_PER_S,
            "samples": sum(one.count for one in self.profile.samples),
            "functions": [asdict(one) for one in self.functions],
            "hot": [asdict(one) for one in self.hot],
            "states": dict(self.states),
            "findings": [{**asdict(one), "evidence": dict(one.evidence)} for one in self.findings],
            "complexity": {name: asdict(one) for name, one in self.complexity.items()},
            "own_cost": asdict(self.own_cost),
        }

    def html(self) -> str:
        """One page: this report's text above the flame graph."""
        page = flame_html(self.profile)
        told = f"<pre>{html.escape(self.text())}</pre>"
        return page.replace("<p><input", f"{told}<p><input", 1)

    def _lines(self) -> Iterator[str]:
        profile = self.profile
        count = sum(one.count for one in profile.samples)
        yield (
            f"{profile.service or 'pid ' + str(profile.pid)}: {count:,} samples in"
            f" {profile.duration_ns / NS_PER_S:.1f} s; sampling took {self.own_cost.share:.2%} of a processor"
        )
        if profile.lost:
            yield f"{profile.lost:,} samples found no room"
        for count, why in (
            (self.own_cost.short, "were too short to have samples"),
            (self.own_cost.unseen, "have no sample that is surely theirs"),
            (self.own_cost.often, "were not kept: there were more than six in a minute"),
        ):
            if count:
                yield f"{count:,} slow or failed traces {why}"
        yield from _section("states", [f"{share:7.1%}  {state}" for state, share in self.states.items()])
        hot = [f"{one.own_share:7.1%} {one.total_share:7.1%}  {one.function}" for one in self.hot]
        yield from _section("own and total share of busy samples", hot)
        yield from _section("measured functions", [_measured(one) for one in self.functions])
        found = [f"{one.kind} {one.share:.1%} at {one.where}: {one.advice}" for one in self.findings]
        yield from _section("findings", found)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _measured(one: FunctionStatistics) -> str:
    errors = f", {one.errors:,} errors" if one.errors else ""
    order = f", grows as {one.complexity.order}" if one.complexity is not None else ""
    mean_us = one.running_s / one.calls * 1e6
    return (
        f"{one.name}: {one.calls:,} calls{errors}, {one.running_s:.3f} s running, {one.suspended_s:.3f} s"
        f" suspended, {mean_us:,.1f} us a call, longest {one.longest_s * 1e3:,.2f} ms{order}"
    )


def report_of(
    profile: Profile, functions: Sequence[FunctionStatistics] = (), refused: Mapping[str, int] | None = None
) -> PerformanceReport:
    """The report of a profile, of measured functions, and of how many traces were not kept, by reason."""
    missed = refused or {}
    busy = weights(profile, _BUSY)
    states: Counter[str] = Counter()
    for sample in profile.samples:
        states[sample.state] += sample.count
    grown = {one.name: one.complexity for one in functions if one.complexity is not None}
    share = profile.own_cpu_ns / profile.duration_ns if profile.duration_ns else 0.0
    return PerformanceReport(
        profile,
        tuple(functions),
        tuple(
            HotFunction(name, count / busy.all, busy.total[name] / busy.all)
            for name, count in busy.own.most_common(_MOST_HOT)
        ),
        {state: count / states.total() for state, count in states.most_common()},
        tuple(bottlenecks(profile, (Grown(name, one) for name, one in grown.items()))),
        grown,
        OwnCost(
            profile.own_cpu_ns / NS_PER_S, share, profile.lost, *(missed.get(why, 0) for why in REFUSALS)
        ),
    )
