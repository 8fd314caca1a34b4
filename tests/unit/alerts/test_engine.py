"""The engine: routes, contains failures, keeps state over a change of its rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tickspan.alerts.engine import Engine, EngineTransition
from tickspan.alerts.pace import SLICE_S, Pace
from tickspan.analysis.findings import Severity
from tickspan.analysis.rules.evaluation import Evaluation
from tickspan.analysis.rules.model import (
    Condition,
    Event,
    Matcher,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.readings import Occurrence, PointKind, Reading, Sender
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.tiers import Tier
from tickspan.recording import strict

BOT = Sender.of({"service.name": "bot", "service.instance.id": "one"})
LAST = Stat(StatName.LAST)
HIGH = Rule("High", Threshold(Selector("desk.level"), LAST), Condition.GT, 10.0, by=("book",), window_s=10.0)
REJECTED = Rule(
    "Rejected",
    Event(Signal.LOG, "order.rejected", (Matcher("venue", ("a",)),)),
    Condition.GE,
    2.0,
    window_s=10.0,
)
FAILED = Rule("Failed", Event(Signal.SPAN, "order"), Condition.GE, 1.0, window_s=10.0)
TIERS = frozenset({Tier.PROCESS})


def engine_of(*rules: Rule, **options: Any) -> Engine:
    return Engine(RuleSet(rules), Tier.PROCESS, TIERS, **options)


def level(value: float, book: str = "eq", metric: str = "desk.level") -> Reading:
    return Reading(BOT, metric, PointKind.GAUGE, {"book": book}, value)


def rejection(venue: str = "a") -> Occurrence:
    return Occurrence(BOT, Signal.LOG, "order.rejected", {"venue": venue})


def told(changes: Iterable[EngineTransition]) -> list[tuple[str, str, str, str]]:
    """Rule, state, previous state, book."""
    return [
        (
            rule.name,
            transition.alert.state.value,
            transition.previous.value,
            dict(transition.alert.labels).get("book", ""),
        )
        for rule, transition in changes
    ]


def round_of(engine: Engine, now_s: float, *readings: Reading) -> list[tuple[str, str, str, str]]:
    engine.observe(readings, now_s)
    return told(engine.evaluate(now_s, 1e9 + now_s))


def test_a_reading_reaches_the_rules_that_name_its_metric() -> None:
    engine = engine_of(HIGH, replace(HIGH, name="Higher", threshold=15.0), replace(HIGH, name="Other"))
    first = round_of(engine, 0.0, level(12.0), level(99.0, metric="unknown"), level(5.0, "fx"))
    second = round_of(engine, 1.0, level(20.0), level(5.0, "fx"))
    third = round_of(engine, 2.0, level(1.0), level(5.0, "fx"))
    assert (first, second, third) == (
        [("High", "firing", "inactive", "eq"), ("Other", "firing", "inactive", "eq")],
        [("Higher", "firing", "inactive", "eq")],
        [
            ("High", "inactive", "firing", "eq"),
            ("Higher", "inactive", "firing", "eq"),
            ("Other", "inactive", "firing", "eq"),
        ],
    )


def test_an_occurrence_reaches_the_rules_that_name_it() -> None:
    engine = engine_of(REJECTED, FAILED)
    assert [engine.happened(rejection(), 1.0), engine.happened(rejection("b"), 1.0)] == [True, True]
    assert engine.happened(Occurrence(BOT, Signal.SPAN, "order.rejected", {}), 1.0) is False
    assert told(engine.evaluate(1.0, 1e9)) == []
    engine.happened(rejection(), 1.5)
    assert told(engine.evaluate(1.5, 1e9, only_events=True)) == [("Rejected", "firing", "inactive", "")]


def test_an_event_rule_may_be_evaluated_without_the_others() -> None:
    engine = engine_of(HIGH, FAILED)
    engine.observe([level(12.0)], 0.0)
    engine.happened(Occurrence(BOT, Signal.SPAN, "order", {}), 0.0)
    early = told(engine.evaluate(0.0, 1e9, only_events=True))
    assert (early, told(engine.evaluate(1.0, 1e9))) == (
        [("Failed", "firing", "inactive", "")],
        [("High", "firing", "inactive", "eq")],
    )


def test_what_is_wanted_is_known_by_name() -> None:
    engine = engine_of(HIGH, REJECTED, FAILED)
    anything = engine_of(replace(FAILED, expression=Event(Signal.SPAN)))

    def wanted(of: Engine) -> list[list[str] | None]:
        return [None if names is None else list(names) for names in map(of.wanted, Signal)]

    assert (wanted(engine), wanted(anything)) == ([["order"], ["order.rejected"]], [None, []])


def test_rules_of_other_tiers_are_left_to_them() -> None:
    fleet = replace(HIGH, name="Fleet", scope=Scope.FLEET)
    assert [rule.name for rule in engine_of(HIGH, fleet).rules] == ["High"]


class CountingDict(dict[str, Any]):
    """Counts look-ups."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looks += 1
        return super().get(key, default)


def test_an_occurrence_that_none_of_100_rules_names_costs_one_look_up() -> None:
    rules = [replace(FAILED, name=f"Rule{i}", expression=Event(Signal.SPAN, f"span{i}")) for i in range(100)]
    engine = engine_of(*rules)
    counted = CountingDict(engine._by_event[Signal.SPAN])
    engine._by_event[Signal.SPAN] = counted
    assert engine.happened(Occurrence(BOT, Signal.SPAN, "other", {}), 0.0) is False
    assert counted.looks == 1


def test_a_rule_that_fails_is_counted_and_its_neighbours_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, sound = replace(HIGH, name="Broken"), HIGH
    engine = engine_of(broken, sound)
    observe = Evaluation.observe

    def fail(self: Evaluation, reading: Reading, now_s: float) -> None:
        if self.rule.name == "Broken":
            raise ZeroDivisionError
        observe(self, reading, now_s)

    monkeypatch.setattr(Evaluation, "observe", fail)
    with strict(value=False):
        changes = round_of(engine, 0.0, level(12.0))
        for second in range(1, 12):
            engine.observe([level(12.0)], float(second))
    statistics = engine.statistics()
    assert changes == [("High", "firing", "inactive", "eq")]
    assert (statistics.failures, statistics.disabled, statistics.firing) == ({"Broken": 10}, 1, 1)


def test_an_expected_failure_is_a_problem_that_says_why() -> None:
    engine = engine_of(replace(HIGH, limit=1))
    round_of(engine, 0.0, level(12.0, "a"), level(12.0, "b"))
    assert engine.problems() == {"High": "expected at most 1 alerts (limit), got 2"}
    assert engine.statistics().failures == {"High": 1}


def test_a_reload_keeps_the_state_of_rules_that_did_not_change() -> None:
    lasting = replace(HIGH, for_s=5.0)
    engine = engine_of(lasting, replace(HIGH, name="Gone"))
    round_of(engine, 0.0, level(12.0))
    ends = told(engine.replace(RuleSet((lasting, replace(HIGH, name="New"))), 3.0))
    after = round_of(engine, 5.0, level(12.0))
    assert (ends, after) == (
        [("Gone", "inactive", "firing", "eq")],
        [("High", "firing", "pending", "eq"), ("New", "firing", "inactive", "eq")],
    )


def test_the_end_of_a_rule_says_so() -> None:
    engine = engine_of(HIGH)
    round_of(engine, 0.0, level(12.0))
    ((_, transition),) = engine.replace(RuleSet(), 1.0)
    assert (transition.reason, engine.rules) == ("removed", ())


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({"threshold": 11.0}, []),
        ({"threshold": 50.0}, [("High", "inactive", "firing", "eq")]),
        ({"for_s": 60.0}, [("High", "pending", "firing", "eq")]),
        ({"annotations": {"summary": "high"}}, []),
        ({"window_s": 20.0}, []),
    ],
)
def test_a_rule_that_changed_goes_on_with_its_alerts(
    changes: Mapping[str, Any], after: list[tuple[str, str, str, str]]
) -> None:
    engine = engine_of(HIGH)
    round_of(engine, 0.0, level(12.0))
    assert told(engine.replace(RuleSet((dataclasses.replace(HIGH, **changes),)), 1.0)) == []
    assert round_of(engine, 1.0, level(12.0)) == after


def test_a_lower_threshold_counts_at_once_though_nothing_else_has_changed() -> None:
    engine = engine_of(replace(HIGH, threshold=50.0))
    round_of(engine, 0.0, level(12.0))
    round_of(engine, 1.0, level(12.0))
    engine.replace(RuleSet((HIGH,)), 2.0)
    assert round_of(engine, 2.0, level(12.0)) == [("High", "firing", "inactive", "eq")]


def test_a_rule_whose_alerts_have_other_labels_now_is_another_rule() -> None:
    engine = engine_of(HIGH)
    round_of(engine, 0.0, level(12.0))
    ends = told(engine.replace(RuleSet((replace(HIGH, severity=Severity.CRITICAL),)), 1.0))
    assert (ends, round_of(engine, 1.0, level(12.0))) == (
        [("High", "inactive", "firing", "eq")],
        [("High", "firing", "inactive", "eq")],
    )


def test_a_process_that_has_gone_takes_its_alerts_along() -> None:
    engine = Engine(RuleSet((HIGH,)), Tier.AGENT, frozenset({Tier.AGENT}))
    round_of(engine, 0.0, level(12.0))
    ((_, transition),) = engine.gone(BOT, 1.0)
    assert (transition.alert.state, transition.reason, engine.active()) == ("inactive", "gone", ())


def test_a_snapshot_brings_firing_alerts_over_a_restart() -> None:
    before, after = engine_of(HIGH), engine_of(HIGH)
    round_of(before, 0.0, level(12.0))
    after.restore(before.snapshot(), 500.0, 3.0)
    assert [(rule.name, alert.state.value) for rule, alert in after.active()] == [("High", "firing")]
    assert round_of(after, 501.0, level(12.0)) == []


class Clock:
    """Advances by a fixed step at each look."""

    def __init__(self, step_s: float) -> None:
        self.now_s, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self._step_s
        return self.now_s


def test_work_is_done_in_slices() -> None:
    clock, rests = Clock(SLICE_S * 0.26), list[float]()
    pace = Pace(clock, lambda: rests.append(clock.now_s))
    engine = engine_of(HIGH, pace=pace)
    engine.observe([level(1.0, str(number)) for number in range(40)], 0.0)
    assert len(rests) == 10


def test_statistics_tell_what_was_done() -> None:
    engine = engine_of(HIGH, replace(HIGH, name="Pending", for_s=60.0), timer=Clock(0.5))
    round_of(engine, 0.0, level(12.0))
    told = engine.statistics()
    assert (told.rules, told.pending, told.firing, told.evaluations) == (2, 1, 1, 1)
    assert repr(engine) == "<Engine process 2 rules, 1 firing, 1 pending>"
