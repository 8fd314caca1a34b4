"""Other thresholds for rules that somebody else wrote."""

from __future__ import annotations

from tickspan.analysis.rules.model import (
    Absent,
    Condition,
    Event,
    Rule,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.thresholds import with_thresholds

LATENCY = Rule(
    "Slow",
    Threshold(Selector("trading.wire_to_ack"), Stat(StatName.QUANTILE, 0.95)),
    Condition.GT,
    0.1,
    clear=0.08,
    unit="s",
)
EVENT = Rule("Retry", Event(Signal.LOG, "x"), Condition.GE, 1.0, unit="{event}")
ABSENT = Rule("Gone", Absent(Selector("trading.feed.messages")), Condition.GT, 0.0)
RULES = RuleSet((LATENCY, EVENT, ABSENT))


def test_a_threshold_is_replaced_and_its_clear_stays_in_proportion() -> None:
    changed, problems = with_thresholds(RULES, {"Slow": "250ms", "Retry": "3"})
    assert problems == ()
    assert [(rule.name, rule.threshold, rule.clear) for rule in changed.rules] == [
        ("Slow", 0.25, 0.2),
        ("Retry", 3.0, None),
        ("Gone", 0.0, None),
    ]


def test_a_clear_never_comes_to_stand_on_the_wrong_side() -> None:
    changed, _ = with_thresholds(RULES, {"Slow": "-1s"})
    assert (changed.rules[0].threshold, changed.rules[0].clear) == (-1.0, -1.0)


def test_what_is_wrong_changes_nothing_and_is_told() -> None:
    changed, problems = with_thresholds(
        RULES, {"Slaw": "1s", "Slow": "1MiB", "Retry": "0", "Gone": "3"}, ("alerts", "thresholds")
    )
    assert changed == RULES
    assert [str(problem) for problem in problems] == [
        "alerts.thresholds.Slaw: expected the name of a rule as key, got 'Slaw'; did you mean 'Slow'?",
        "alerts.thresholds.Slow: expected a number like '100ms' (unit s), got '1MiB'",
        "alerts.thresholds.Retry: expected a whole number from 1 on, got '0'",
        "alerts.thresholds.Gone: expected a rule with a threshold; this one has none",
    ]
