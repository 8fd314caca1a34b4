"""Unit tests of rules, run in our engine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tickspan.analysis.rules.alert import Alert
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Condition,
    Event,
    EventStatus,
    Matcher,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.trial import Failure, run_unit_tests
from tickspan.analysis.rules.unit_tests import read_unit_tests

FACTS = {
    fact.name: fact
    for fact in (
        MetricFact("lag", MetricKind.GAUGE, "s"),
        MetricFact("order.duration", MetricKind.HISTOGRAM, "s"),
    )
}
LAG = Rule(
    "Lag",
    Threshold(Selector("lag", (Matcher("service.name", ("bot",)),)), Stat(StatName.LAST)),
    Condition.GT,
    1.0,
    by=("trading.venue.name",),
    scope=Scope.SERVICE,
    for_s=10.0,
)
SLOW = Rule(
    "Slow",
    Threshold(Selector("order.duration"), Stat(StatName.QUANTILE, 0.5)),
    Condition.GT,
    0.1,
    scope=Scope.FLEET,
)
CUSTOM = "schema:-53 custom_values:[0.1 0.5]"
BOT = 'lag_seconds{job="desk/bot", trading_venue_name="kraken"}'


def failures(
    rule: Rule, test: Mapping[str, Any], annotate: Any = None, interval: str = "10s"
) -> tuple[Failure, ...]:
    document = {"evaluation_interval": interval, "tests": [{"name": "t", "interval": "10s", **test}]}
    tests, problems = read_unit_tests(document)
    assert problems == ()
    return run_unit_tests(tests, RuleSet((rule,), metrics=FACTS), annotate)


def firing(rule: str, at: str, *alerts: Mapping[str, str]) -> dict[str, Any]:
    labels = [{"exp_labels": {"severity": "warning", **one}} for one in alerts]
    return {"eval_time": at, "alertname": rule, "exp_alerts": labels}


def test_labels_become_attributes_and_the_sender_again():
    test = {
        "input_series": [
            {"series": BOT, "values": "0 2 2 0"},
            {"series": BOT.replace("bot", "other"), "values": "9x9"},
        ],
        "alert_rule_test": [
            firing("Lag", "10s"),
            firing("Lag", "29s", {"job": "desk/bot", "scope": "service", "trading_venue_name": "kraken"}),
            firing("Lag", "30s"),
        ],
    }
    assert failures(LAG, test) == ()


def test_pending_alerts_are_asked_for_by_their_series():
    labels = (
        'alertname="Lag", job="desk/bot", scope="service", severity="warning", trading_venue_name="kraken"'
    )
    sample = {"labels": f'ALERTS{{alertstate="pending", {labels}}}', "value": 1}
    test = {
        "input_series": [{"series": BOT, "values": "2x9"}],
        "promql_expr_test": [
            {"expr": 'ALERTS{alertname=~"L.*"}', "eval_time": "5s", "exp_samples": [sample]},
            {"expr": 'ALERTS{alertstate="pending"}', "eval_time": "10s"},
            {"expr": "vector(7)", "eval_time": "10s", "exp_samples": [{"labels": "{}", "value": 8}]},
        ],
    }
    assert failures(LAG, test) == ()


def test_a_failure_tells_what_was_expected_and_what_came():
    wanted = {"job": "desk/bot", "scope": "service", "trading_venue_name": "binance"}
    test = {
        "input_series": [{"series": BOT, "values": "2x9"}],
        "alert_rule_test": [firing("Lag", "1m", wanted), firing("Leg", "1m")],
        "promql_expr_test": [{"expr": "ALERTS", "eval_time": "0s"}],
    }
    expected = '{job="desk/bot", scope="service", severity="warning", trading_venue_name="binance"}'
    got = '{job="desk/bot", scope="service", severity="warning", trading_venue_name="kraken"}'
    found = failures(LAG, test)
    assert found == (
        Failure("t", 60.0, "Lag", (expected,), (got,)),
        Failure("t", 60.0, "Leg", ("a rule of this name",), ()),
        Failure("t", 0.0, "ALERTS", (), (got.replace("{", '{alertstate="pending", ') + " 1",)),
    )
    assert str(found[0]) == f"t\n  Lag at 60 s\n  expected {expected}\n  got      {got}"


def test_annotations_are_compared_where_they_are_given():
    def annotate(rule: Rule, alert: Alert) -> Mapping[str, str]:
        return {"summary": f"{rule.name} {alert.value:g}"}

    alert = {"job": "desk/bot", "scope": "service", "trading_venue_name": "kraken"}
    right, wrong = (firing("Lag", "1m", alert) for _ in range(2))
    right["exp_alerts"][0]["exp_annotations"] = {"summary": "Lag 2"}
    wrong["exp_alerts"][0]["exp_annotations"] = {"summary": "Lag 3"}
    test = {"input_series": [{"series": BOT, "values": "2x9"}], "alert_rule_test": [right, wrong]}
    assert [failure.expected[0][-21:] for failure in failures(LAG, test, annotate)] == [
        " {'summary': 'Lag 3'}"
    ]
    assert failures(LAG, test) == ()


@pytest.mark.parametrize(
    "series",
    [
        [("_bucket", 'le="0.1"', "1x9"), ("_bucket", 'le="0.5"', "1+1x9"), ("_bucket", 'le="+Inf"', "1+1x9")],
        [
            ("_bucket", 'le="0.1"', "1x9"),
            ("_bucket", 'le="0.5"', "1+1x9"),
            ("_count", "", "1+1x9"),
            ("_sum", "", "1x9"),
        ],
        [("", "", "{{schema:0 count:1 sum:1 buckets:[1]}}+{{schema:0 count:1 buckets:[1]}}x9")],
        [("", "", f"{{{{{CUSTOM} count:1 buckets:[1]}}}}+{{{{{CUSTOM} count:1 buckets:[0 1]}}}}x9")],
    ],
)
def test_histograms_of_every_spelling_are_histograms(series: list[tuple[str, str, str]]):
    test = {
        "input_series": [
            {
                "series": f'order_duration_seconds{part}{{job="bot"{f", {le}" if le else ""}}}',
                "values": values,
            }
            for part, le, values in series
        ],
        "alert_rule_test": [firing("Slow", "0s"), firing("Slow", "1m", {"scope": "fleet"})],
    }
    assert failures(SLOW, test) == ()


@pytest.mark.parametrize(
    ("series", "values", "told"),
    [
        ("order_duration_seconds", "1", "expected histograms as values of order.duration, got a number"),
        ("order_duration_seconds_count", "0.5", "expected whole counts in buckets, got 0.5"),
        ("order_duration_seconds", "{{count:0.5}}", "expected whole counts in a histogram, got 0.5"),
    ],
)
def test_a_value_that_no_series_of_the_metric_can_have_is_told(series: str, values: str, told: str):
    test = {"input_series": [{"series": series, "values": values}], "alert_rule_test": [firing("Slow", "0s")]}
    with pytest.raises(Misread, match=told):
        failures(SLOW, test)


def test_a_session_is_open_as_its_gauge_tells():
    rule = replace(LAG, for_s=0.0, session="us", by=())
    alert = {"job": "bot", "scope": "service"}
    test = {
        "input_series": [
            {"series": 'lag_seconds{job="bot"}', "values": "2x9"},
            {"series": 'tickspan_session_open{tickspan_session_name="us"}', "values": "0 0 1 1 0 0 1"},
        ],
        "alert_rule_test": [
            firing("Lag", "10s"),
            firing("Lag", "20s", alert),
            firing("Lag", "30s", alert),
            firing("Lag", "40s"),
            firing("Lag", "1m", alert),
        ],
    }
    assert failures(rule, test) == ()


def test_events_make_alerts_too():
    event = Event(Signal.SPAN, "order", (Matcher("venue", ("kraken",)),), EventStatus.ERROR, 1.0)
    rule = Rule("Failed", event, Condition.GE, 1.0, scope=Scope.SERVICE, window_s=30.0)
    given = {
        "time": "10s",
        "name": "order",
        "status": "error",
        "duration": "2s",
        "attributes": {"venue": "kraken"},
        "resource": {"service.name": "bot"},
    }
    test = {
        "events": [given, {**given, "time": "50s", "status": "ok"}],
        "alert_rule_test": [
            firing("Failed", "0s"),
            firing("Failed", "10s", {"job": "bot", "scope": "service"}),
            firing("Failed", "40s"),
            firing("Failed", "1m"),
        ],
    }
    assert failures(rule, test) == ()
