"""The engine: all rules of one evaluator, fed with readings and occurrences, evaluated at its interval.

It belongs to one thread. A rule that fails is counted and told, and is off after ten failures; its neighbours
go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tickspan.alerts.pace import Pace
from tickspan.analysis.rules.alert import Alert, AlertState, Reason, RuleState, Transition
from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.evaluation import Evaluation
from tickspan.analysis.rules.model import Event, Expression, Rule, Signal
from tickspan.analysis.rules.readings import Occurrence, Reading, Sender
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.step import ended
from tickspan.analysis.rules.tiers import Tier, evaluates
from tickspan.recording import Guard

__all__ = ["ActiveAlert", "Engine", "EngineStatistics", "EngineTransition"]


class EngineTransition(NamedTuple):
    """A change of an alert's state, and the rule that it is of."""

    rule: Rule
    transition: Transition


class ActiveAlert(NamedTuple):
    """An alert that is pending or firing."""

    rule: Rule
    alert: Alert


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """What an engine has done.

    Attributes:
        rules: that it evaluates.
        disabled: of them, switched off after failures.
        pending: alerts.
        firing: alerts.
        evaluations: rounds over all rules.
        duration_s: of the last round over all rules.
        failures: of evaluations, by the rule's name; rules without any are not there.
    """

    rules: int
    disabled: int
    pending: int
    firing: int
    evaluations: int
    duration_s: float
    failures: Mapping[str, int]


class _Entry:
    """One rule at work."""

    __slots__ = ("calendar", "errors", "evaluation", "guard", "rule")

    def __init__(self, rule: Rule, calendar: Calendar | None) -> None:
        self.rule = rule
        self.calendar = calendar
        self.evaluation = Evaluation(rule, calendar)
        self.guard = Guard("alert rule", rule.name)
        self.errors = 0

    @property
    def failures(self) -> int:
        """Of its evaluation, expected and unexpected ones."""
        return self.evaluation.failures + self.guard.statistics().errors


_NONE: Final[tuple[_Entry, ...]] = ()


class Engine:
    """Evaluates those rules of a set that its tier evaluates."""

    def __init__(
        self,
        rules: RuleSet,
        tier: Tier,
        tiers: AbstractSet[Tier],
        *,
        pace: Pace | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin without any state.

        Args:
            rules: all rules, also those of other tiers.
            tier: who evaluates.
            tiers: that are configured.
            pace: pauses for other threads; None where there are none.
            timer: seconds, for durations.
        """
        self.tier = tier
        self.tiers = frozenset(tiers)
        self._pace = pace
        self._timer = timer
        self._entries: dict[str, _Entry] = {}
        self._by_metric: dict[str, tuple[_Entry, ...]] = {}
        self._by_event: dict[Signal, dict[str, tuple[_Entry, ...]]] = {}
        self._of_any_name: dict[Signal, tuple[_Entry, ...]] = {}
        self._evaluations = 0
        self._duration_s = 0.0
        self._take(rules)

    def __repr__(self) -> str:
        told = self.statistics()
        return f"<Engine {self.tier} {told.rules} rules, {told.firing} firing, {told.pending} pending>"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those that are evaluated."""
        return tuple(entry.rule for entry in self._entries.values())

    @property
    def metrics(self) -> frozenset[str]:
        """Names of the metrics that are read."""
        return frozenset(self._by_metric)

    def wanted(self, signal: Signal) -> Mapping[str, Any] | None:
        """Names of spans or log events that some rule counts, as keys; None when every name may be one."""
        return None if self._of_any_name.get(signal) else self._by_event.get(signal, {})

    def observe(self, readings: Iterable[Reading], now_s: float) -> None:
        """Take readings; those of metrics that no rule names cost one look-up."""
        for reading in readings:
            for entry in self._by_metric.get(reading.metric, _NONE):
                entry.guard.own(entry.evaluation.observe, reading, now_s, default=None)
                if self._pace is not None:
                    self._pace.breathe()

    def happened(self, occurrence: Occurrence, now_s: float) -> bool:
        """Take an occurrence; whether a rule may count it. No match costs one look-up."""
        entries = self._by_event[occurrence.signal].get(occurrence.name, _NONE)
        anything = self._of_any_name.get(occurrence.signal, _NONE)
        for entry in entries + anything if anything else entries:
            entry.guard.own(entry.evaluation.happened, occurrence, now_s, default=None)
        return bool(entries or anything)

    def evaluate(
        self, now_s: float, wall_s: float, *, only_events: bool = False
    ) -> Iterator[EngineTransition]:
        """Evaluate every rule, or event rules only, as the iterator is consumed.

        Args:
            now_s: by the monotonic clock of the caller, which readings were taken at too.
            wall_s: the same moment since 1970, for calendars.
            only_events: the other rules are left to their interval.
        """
        began_s, paused_s = self._timer(), 0.0
        for entry in list(self._entries.values()):
            if only_events and not isinstance(entry.rule.expression, Event):
                continue
            for transition in entry.guard.own(entry.evaluation.evaluate, now_s, wall_s, default=()):
                paused_at = self._timer()
                yield EngineTransition(entry.rule, transition)
                paused_s += self._timer() - paused_at
            if self._pace is not None:
                self._pace.breathe()
        if not only_events:
            self._evaluations += 1
            self._duration_s = self._timer() - began_s - paused_s

    def gone(self, sender: Sender, now_s: float) -> tuple[EngineTransition, ...]:
        """A process has ended: its alerts end."""
        return tuple(
            EngineTransition(entry.rule, transition)
            for entry in self._entries.values()
            for transition in entry.guard.own(entry.evaluation.gone, sender, now_s, default=())
        )

    def replace(self, rules: RuleSet, now_s: float) -> tuple[EngineTransition, ...]:
        """Evaluate another rule set. Returns the ends of alerts whose rule is no more.

        A rule that is as it was keeps its state. One that changed keeps it too, as far as its alerts have
        the same labels and its windows hold the same.
        """
        before = self._entries
        self._take(rules)
        told: list[EngineTransition] = []
        for name, old in before.items():
            new = self._entries.get(name)
            if new is old:
                continue
            if new is not None and _is_the_same_alert(old.rule, new.rule):
                _hand_over(old, new)
                continue
            _, transitions = ended(
                old.evaluation.state, frozenset(old.evaluation.state.alerts), Reason.REMOVED, now_s
            )
            told += [EngineTransition(old.rule, transition) for transition in transitions]
        return tuple(told)

    def active(self) -> tuple[ActiveAlert, ...]:
        """Alerts that are pending or firing now."""
        return tuple(
            ActiveAlert(entry.rule, alert)
            for entry in self._entries.values()
            for alert in entry.evaluation.state.alerts.values()
            if alert.state is not AlertState.INACTIVE
        )

    def problems(self) -> Mapping[str, str]:
        """Why the last evaluation of a rule failed, by its name."""
        return {
            name: entry.evaluation.state.problem
            for name, entry in self._entries.items()
            if entry.evaluation.state.problem
        }

    def statistics(self) -> EngineStatistics:
        """What was done so far."""
        states = [active.alert.state for active in self.active()]
        failures = {name: entry.failures for name, entry in self._entries.items()}
        return EngineStatistics(
            rules=len(self._entries),
            disabled=sum(entry.guard.is_disabled for entry in self._entries.values()),
            pending=states.count(AlertState.PENDING),
            firing=states.count(AlertState.FIRING),
            evaluations=self._evaluations,
            duration_s=self._duration_s,
            failures={name: number for name, number in failures.items() if number},
        )

    def snapshot(self) -> dict[str, Any]:
        """The state of all rules, for JSON."""
        return {
            name: entry.guard.own(entry.evaluation.snapshot, default=None)
            for name, entry in self._entries.items()
        }

    def restore(self, snapshot: Mapping[str, Any], now_s: float, outage_s: float) -> None:
        """The state that an engine had `outage_s` ago; rules that it did not have begin anew."""
        for name, entry in self._entries.items():
            kept = snapshot.get(name)
            if kept is not None:
                entry.guard.own(entry.evaluation.restore, kept, now_s, outage_s, default=None)

    def _new(self, rule: Rule, calendar: Calendar | None) -> _Entry:
        entry = _Entry(rule, calendar)
        if self._pace is not None:
            entry.evaluation.pause = self._pace.breathe
        return entry

    def _take(self, rules: RuleSet) -> None:
        entries: dict[str, _Entry] = {}
        for rule in rules.rules:
            if evaluates(rule, self.tier, self.tiers):
                calendar = rules.calendars.get(rule.session) if rule.session is not None else None
                known = self._entries.get(rule.name)
                is_known = known is not None and known.rule == rule and known.calendar == calendar
                entries[rule.name] = known if known is not None and is_known else self._new(rule, calendar)
        self._entries = entries
        self._by_metric = _routes(
            (metric, entry)
            for entry in entries.values()
            for metric in dict.fromkeys(selector.metric for selector in entry.rule.selectors)
        )
        events = [(entry, entry.rule.expression) for entry in entries.values()]
        self._by_event = {signal: _routes(_named(events, signal)) for signal in Signal}
        self._of_any_name = {
            signal: tuple(
                entry
                for entry, event in events
                if isinstance(event, Event) and event.signal is signal and event.name is None
            )
            for signal in Signal
        }


def _named(events: Iterable[tuple[_Entry, Expression]], signal: Signal) -> Iterator[tuple[str, _Entry]]:
    for entry, event in events:
        if isinstance(event, Event) and event.signal is signal and event.name is not None:
            yield event.name, entry


def _routes(pairs: Iterable[tuple[str, _Entry]]) -> dict[str, tuple[_Entry, ...]]:
    routes: dict[str, tuple[_Entry, ...]] = {}
    for name, entry in pairs:
        routes[name] = (*routes.get(name, ()), entry)
    return routes


def _is_the_same_alert(old: Rule, new: Rule) -> bool:
    """Whether alerts of both have equal labels for equal groups."""
    return (old.labels, old.severity, old.scope, old.by) == (new.labels, new.severity, new.scope, new.by)


def _hand_over(old: _Entry, new: _Entry) -> None:
    """Alerts, and where the same is looked at in the same window, what was seen."""
    if _looks_at_the_same(old, new):
        new.evaluation = old.evaluation
        new.evaluation.rule = new.rule
    # With a problem the next evaluation looks at every group, whether it has changed or not.
    new.evaluation.state = RuleState(old.evaluation.state.alerts, "the rule has changed")


def _looks_at_the_same(old: _Entry, new: _Entry) -> bool:
    one, other = old.rule, new.rule
    return (one.expression, one.window_s, one.session, one.min_count, old.calendar) == (
        other.expression,
        other.window_s,
        other.session,
        other.min_count,
        new.calendar,
    )
