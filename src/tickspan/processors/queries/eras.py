"""Eras: the times in which a statement had one plan, and how long its calls took in each."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from tickspan.analysis.traces import DatabaseCall, Latencies
from tickspan.processors.queries.store import Era, QueryKey

if TYPE_CHECKING:
    from tickspan.analysis.findings import Finding
    from tickspan.analysis.plans import Plan

__all__ = ["Eras", "Example", "Need", "Reign"]

_SAMPLES: Final = 30
"""Calls that are looked at together, and that a judgement needs on either side."""
_JUDGED: Final = 1_000
"""Calls of an era after which it is no more compared with the one before: later changes have other causes."""
_TIMES: Final = 2.0
_SHARE: Final = 0.95
_MAX_KNOWN: Final = 5_000


class Need(enum.Enum):
    """Why a plan is needed."""

    ROUTINE = enum.auto()
    """None is known, or it may be an old one: once a day is enough."""
    SHIFTED = enum.auto()
    """The last calls took more than twice as long as those under the known plan."""


class Example(NamedTuple):
    """A call, whose it was, and whether an order was placed in its trace."""

    process: str
    call: DatabaseCall
    is_on_order_path: bool


@dataclass(slots=True)
class Reign:
    """What is known of one statement.

    Attributes:
        eras: the present one last, at most two.
        fresh: calls of which nobody knows yet whether the plan is still the same.
        plan: the present one, once it was seen since the agent began.
        slowest: of the calls of the present era, where there was an era before.
        is_told: whether a judgement about the present era was told.
    """

    eras: list[Era] = field(default_factory=list[Era])
    fresh: Latencies = field(default_factory=Latencies)
    plan: Plan | None = None
    slowest: Example | None = None
    is_told: bool = False

    def regression(self) -> Finding | None:
        """What the rule `plan_regression` says of both eras; only of what is due."""
        from tickspan.analysis.plans.context import PlanContext, PlanLatency  # sqlglot, half a second
        from tickspan.analysis.plans.rules import plan_regression

        if self.plan is None or self.slowest is None:
            return None
        history = tuple(
            PlanLatency(era.hash, era.latencies.count, era.latencies.quantile(_SHARE)) for era in self.eras
        )
        context = PlanContext(self.plan, self.slowest.call.statement, history=history)
        return next(plan_regression.check(context), None)

    @property
    def is_due(self) -> bool:
        """Whether there are calls enough to compare both eras, and nothing was told of them."""
        if not len(self.eras) > 1 or self.plan is None or self.slowest is None or self.is_told:
            return False
        before, present = self.eras
        return before.latencies.count >= _SAMPLES and _SAMPLES <= present.latencies.count <= _JUDGED

    @property
    def time_lost_s(self) -> float:
        """What the calls of the present era took longer than those before, by their medians."""
        before, present = self.eras
        longer_s = present.latencies.quantile(0.5) - before.latencies.quantile(0.5)
        return max(0.0, longer_s) * present.latencies.count


class Eras:
    """Of all statements whose plans are asked for; bounded, for one thread.

    Calls are counted for an era thirty at a time: only once they turn out as fast as before, or the plan
    turns out the same. So neither side of a comparison holds calls of the other.
    """

    def __init__(self, known: Mapping[QueryKey, Sequence[Era]] | None = None) -> None:
        """`known` are those of earlier runs."""
        self._reigns = {key: Reign(list(eras)) for key, eras in (known or {}).items()}
        self._changed: set[QueryKey] = set()
        self._settled: set[QueryKey] = set()

    def __repr__(self) -> str:
        return f"<Eras of {len(self._reigns)} statements>"

    def note(self, process: str, key: QueryKey, call: DatabaseCall, *, is_on_order_path: bool) -> Need | None:
        """A call that did not fail; why its statement's plan is needed now, if it is."""
        reign = self._reign(key)
        reign.fresh.add(call.duration_ns)
        slowest = reign.slowest
        if len(reign.eras) > 1 and (slowest is None or call.duration_ns > slowest.call.duration_ns):
            reign.slowest = Example(process, call, is_on_order_path)
        if reign.fresh.count % _SAMPLES:
            return None
        if not reign.eras:
            return Need.ROUTINE
        present = reign.eras[-1].latencies
        if present.count >= _SAMPLES and reign.fresh.quantile(_SHARE) > _TIMES * present.quantile(_SHARE):
            return Need.SHIFTED
        self._settle(key, reign)
        return Need.ROUTINE

    def explained(self, key: QueryKey, plan: Plan, now_ns: int) -> bool:
        """A statement's plan, as the database has just told it; whether it is another one than before."""
        reign = self._reign(key)
        reign.plan = plan
        if reign.eras and reign.eras[-1].hash == plan.hash:
            self._settle(key, reign)
            return False
        since_ns = max([now_ns, *(era.since_ns + 1 for era in reign.eras)])  # clocks are put back at times
        reign.eras = [*reign.eras[-1:], Era(plan.hash, since_ns)]
        reign.fresh, reign.slowest, reign.is_told = Latencies(), None, False
        self._changed.add(key)
        return True

    def due(self) -> list[Reign]:
        """Statements that can be judged now and could not when this was asked before."""
        found = [self._reigns[key] for key in self._settled if key in self._reigns]
        self._settled.clear()
        return [reign for reign in found if reign.is_due]

    def changed(self) -> Mapping[QueryKey, Sequence[Era]]:
        """What is not the same as when this was asked before."""
        found = {key: self._reigns[key].eras for key in self._changed if key in self._reigns}
        self._changed.clear()
        return found

    def _reign(self, key: QueryKey) -> Reign:
        reign = self._reigns.get(key)
        if reign is None:
            if len(self._reigns) >= _MAX_KNOWN:
                del self._reigns[next(iter(self._reigns))]
            reign = self._reigns[key] = Reign()
        return reign

    def _settle(self, key: QueryKey, reign: Reign) -> None:
        if reign.fresh.count:
            reign.eras[-1].latencies.merge(reign.fresh)
            reign.fresh = Latencies()
            self._changed.add(key)
            self._settled.add(key)
