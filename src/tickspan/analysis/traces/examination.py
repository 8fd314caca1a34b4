"""An examination: all rules on the traces of one process, in the order in which the traces end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tickspan.analysis.traces.call import Calls
from tickspan.analysis.traces.connections import Connections
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.rules import connect_storm
from tickspan.analysis.traces.rules.registry import CHECKS
from tickspan.analysis.traces.shape import shape_of
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.span import SeenSpan
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.analysis.traces.window import Window

__all__ = ["Examination", "FaultyRule"]


@dataclass(frozen=True, slots=True)
class FaultyRule:
    """A rule that raised, and is not asked again."""

    rule: str
    error: str


@dataclass(slots=True)
class Examination:
    """Of one process; for one thread. A rule that raises is left out from then on, see `faulty`.

    Attributes:
        limits: from where on something is too much.
        ignored: rules that are not asked.
        calls: makes calls of spans; may be shared by several processes.
        window: traces that are not over.
        habits: what the process did.
        faulty: rules that raised, once each.
    """

    limits: Thresholds = field(default_factory=Thresholds)
    ignored: frozenset[str] = frozenset()
    calls: Calls = field(default_factory=Calls)
    window: Window = field(default_factory=Window)
    habits: Habits = field(default_factory=Habits)
    faulty: list[FaultyRule] = field(default_factory=list[FaultyRule])

    def add(self, span: SeenSpan, now_s: float) -> Trace | None:
        """A finished span; the trace that is over with it. `now_s` is monotonic."""
        over = self.window.add(span, now_s)
        return Trace(over, self.calls) if over is not None else None

    def due(self, now_s: float) -> Iterator[Trace]:
        """Traces of which nothing more is waited for."""
        for spans in self.window.due(now_s):
            yield Trace(spans, self.calls)

    def judge(self, trace: Trace) -> Sequence[Sighting]:
        """What the rules say of a trace, before it is one of the process's habits."""
        shape = shape_of(trace)
        if not shape:
            return ()
        found: list[Sighting] = []
        for needs, rule, check in CHECKS:
            if needs & shape and rule.id not in self.ignored:
                try:
                    found.extend(check(trace, self.habits, self.limits))
                except Exception as error:  # noqa: BLE001 - a rule of any kind: its fault switches it off, no more
                    self._leave_out(rule.id, error)
        self.habits.take(trace)
        return found

    def judge_pools(self, pools: Iterable[Connections]) -> Sequence[Sighting]:
        """What the rules say of pools."""
        if connect_storm.RULE.id in self.ignored:
            return ()
        return [sighting for pool in pools for sighting in connect_storm.check_pool(pool)]

    def _leave_out(self, rule: str, error: Exception) -> None:
        self.ignored |= {rule}
        self.faulty.append(FaultyRule(rule, type(error).__name__))
