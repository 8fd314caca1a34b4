"""Event rules as conditions of the collector. That it takes them is tested with the real one."""

import pytest

from tickspan.analysis.rules.compile.lossy import Lossy
from tickspan.analysis.rules.compile.ottl import compile_filter, compile_policy, condition_of
from tickspan.analysis.rules.model import (
    Condition,
    Event,
    EventStatus,
    Matcher,
    Rule,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.ruleset import RuleSet

LEVEL = Rule("Cpu", Threshold(Selector("cpu"), Stat(StatName.LAST)), Condition.GT, 0.9)
SLOW = Rule("Slow", Event(Signal.SPAN, "order", min_duration_s=0.5), Condition.GE, 1.0)
MANY = Rule("Many", Event(Signal.SPAN, status=EventStatus.ERROR), Condition.GE, 3.0)
RETRY = Rule("Retry", Event(Signal.LOG, "order.retry"), Condition.GE, 1.0)
RULES = RuleSet((LEVEL, SLOW, MANY, RETRY))
IS_SLOW = 'name == "order" and end_time_unix_nano - start_time_unix_nano >= 500000000'
IS_ERROR = "status.code == STATUS_CODE_ERROR"


@pytest.mark.parametrize(
    ("event", "condition"),
    [
        (Event(Signal.SPAN), "true"),
        (Event(Signal.SPAN, "order", min_duration_s=0.5), IS_SLOW),
        (Event(Signal.SPAN, status=EventStatus.ERROR), IS_ERROR),
        (Event(Signal.LOG, 'say "x"'), 'event_name == "say \\"x\\""'),
        (
            Event(Signal.SPAN, where=(Matcher("venue", ("a", "b")),)),
            (
                '((String(attributes["venue"]) == "a" or String(attributes["venue"]) == "b")'
                ' or (attributes["venue"] == nil and (String(resource.attributes["venue"]) == "a"'
                ' or String(resource.attributes["venue"]) == "b")))'
            ),
        ),
        (
            Event(Signal.SPAN, where=(Matcher("id", ("",), is_negated=True),)),
            (
                'not ((attributes["id"] == nil or attributes["id"] == "") or (attributes["id"] == nil'
                ' and (resource.attributes["id"] == nil or resource.attributes["id"] == "")))'
            ),
        ),
    ],
)
def test_an_event_is_a_condition_on_a_span_or_a_log_record(event: Event, condition: str):
    assert condition_of(event) == condition


def test_the_filter_drops_what_no_event_rule_asks_for():
    compiled = compile_filter(RULES)
    assert compiled.document == {
        "processors": {
            "filter/alerts": {
                "error_mode": "ignore",
                "traces": {"span": [f"not (({IS_SLOW}) or ({IS_ERROR}))"]},
                "logs": {"log_record": ['not ((event_name == "order.retry"))']},
            }
        }
    }
    assert (compiled.lossy, compiled.elsewhere) == ((), ("Cpu",))


def test_without_event_rules_the_filter_drops_everything():
    processor = compile_filter(RuleSet((LEVEL,))).document["processors"]["filter/alerts"]
    assert (processor["traces"], processor["logs"]) == ({"span": ["true"]}, {"log_record": ["true"]})


def test_the_policy_samples_traces_with_a_span_that_is_an_alert_by_itself():
    compiled = compile_policy(RULES)
    assert compiled.document == {
        "name": "alerts",
        "type": "ottl_condition",
        "ottl_condition": {"error_mode": "ignore", "span": [IS_SLOW]},
    }
    assert compiled.lossy == (
        Lossy("Many", "OTTL cannot count: one span is no alert yet", is_left_out=True),
        Lossy("Retry", "sampling decides on spans: log events are no part", is_left_out=True),
    )
