"""Rules as a Prometheus rule file says them. That Prometheus means the same is tested with promtool."""

from dataclasses import replace
from typing import Any

import promql_parser
import pytest

from tickspan.alerts.file import load_rules
from tickspan.analysis.findings import Severity
from tickspan.analysis.rules.compile.lossy import Lossy
from tickspan.analysis.rules.compile.prometheus import compile_rules
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Condition,
    Event,
    Forecast,
    Matcher,
    NoData,
    Owner,
    Ratio,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.ruleset import RuleSet

KEYS_OF_2_42 = {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
FACTS = {
    fact.name: fact
    for fact in (
        MetricFact("orders", MetricKind.COUNTER, "{order}"),
        MetricFact("rejects", MetricKind.COUNTER, "{order}"),
        MetricFact("cpu.utilization", MetricKind.GAUGE, "1"),
        MetricFact("latency", MetricKind.HISTOGRAM, "s", bounds=(0.05, 1.0, 2.0)),
    )
}
LEVEL = Rule(
    "Cpu",
    Threshold(Selector("cpu.utilization"), Stat(StatName.MAX)),
    Condition.GT,
    0.9,
    scope=Scope.HOST,
)
BURN = Rule(
    "Burn",
    Burn("acks", "bot", Selector("latency"), 0.99, (BurnWindow(14.4, 3600, 300),), slower_than=1.0),
    Condition.GT,
    1.0,
    scope=Scope.SERVICE,
    min_count=10,
)


def alert(rule: Rule) -> dict[str, Any]:
    """The one alert that a rule becomes."""
    compiled = compile_rules(RuleSet((rule,), metrics=FACTS))
    assert compiled.lossy == ()
    (made,) = (one for group in compiled.document["groups"] for one in group["rules"] if "alert" in one)
    return made


def lossy(rule: Rule) -> tuple[Lossy, ...]:
    return compile_rules(RuleSet((rule,), metrics=FACTS)).lossy


def test_a_rule_becomes_an_alert_with_the_labels_of_all_evaluators():
    rule = replace(
        LEVEL,
        for_s=90.0,
        keep_firing_for_s=30.0,
        severity=Severity.CRITICAL,
        labels=(("team", "desk"),),
        annotations={
            "summary": "{{ alert }}: {{ value }} of {{threshold}} at {{ labels.host_name }}{{trace_id}}"
        },
        unit="1",
    )
    assert alert(rule) == {
        "alert": "Cpu",
        "expr": "(max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))) > 0.9",
        "for": "1m30s",
        "keep_firing_for": "30s",
        "labels": {"severity": "critical", "scope": "host", "team": "desk"},
        "annotations": {
            "summary": "Cpu: {{ $value | humanizePercentage }} of 90 % at {{ $labels.host_name }}"
        },
    }


def test_once_it_fires_an_alert_lasts_while_it_is_beyond_the_clear_threshold():
    assert alert(replace(LEVEL, clear=0.8))["expr"] == (
        "((max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))) > 0.9)\n"
        "or\n"
        "(((max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))) > 0.8)"
        ' and on (host_name) ALERTS{alertname="Cpu", alertstate="firing"})'
    )


def test_missing_data_fires_where_the_rule_says_so():
    assert alert(replace(LEVEL, no_data=NoData.FIRE))["expr"] == (
        "((max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))) > 0.9)\n"
        "or\n"
        "((group by (host_name) (present_over_time(cpu_utilization_ratio[1h])))"
        " unless (group by (host_name) (present_over_time(cpu_utilization_ratio[1m]))))"
    )


def test_outside_of_its_session_a_rule_gives_nothing():
    assert alert(replace(LEVEL, session="us", warmup_s=300.0))["expr"] == (
        "((max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))) > 0.9)\n"
        "unless on () ("
        'min_over_time(tickspan_session_open{tickspan_session_name="us"}[5m1ms]) == 0)'
    )


def test_too_few_measurements_are_no_value():
    rule = replace(LEVEL, expression=Threshold(Selector("orders"), Stat(StatName.RATE)), min_count=5)
    rate = "round(sum by (host_name) (rate(orders_total[1m1ms])) * 60, 1e-06)"
    assert alert(rule)["expr"] == f"(({rate} / 60)\nand\n({rate} >= 5)) > 0.9"


def test_a_ratio_without_a_numerator_is_zero_and_without_a_denominator_nothing():
    where = (Matcher("trading.order.side", ("buy", "sell")),)
    rule = replace(LEVEL, expression=Ratio(Selector("rejects", where), Selector("orders")), scope=Scope.FLEET)
    rejects = 'round(sum by () (rate(rejects_total{trading_order_side=~"buy|sell"}[1m1ms])) * 60, 1e-06)'
    orders = "round(sum by () (rate(orders_total[1m1ms])) * 60, 1e-06)"
    assert alert(rule)["expr"] == f"(({rejects} or {orders} * 0) / ({orders} != 0)) > 0.9"


def test_what_is_absent_was_there_or_is_expected():
    expression = Absent(Selector("orders"), 7200.0, expect=(("kraken",),))
    rule = replace(LEVEL, expression=expression, scope=Scope.FLEET, by=("trading.venue.name",))
    once = "group by (trading_venue_name) (present_over_time(orders_total[2h]))"
    assert alert(rule)["expr"] == (
        f"({once} unless group by (trading_venue_name) (present_over_time(orders_total[1m])))"
        " or (group by (trading_venue_name)"
        ' (absent_over_time(orders_total{trading_venue_name="kraken"}[1m]))'
        f" unless on (trading_venue_name) {once})"
    )


def test_an_unequal_value_is_never_nan():
    value = "max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))"
    assert alert(replace(LEVEL, condition=Condition.NE))["expr"] == f"({value}) < 0.9 or ({value}) > 0.9"


def test_an_objective_becomes_the_records_of_sloth_and_an_alert_on_them():
    document = compile_rules(RuleSet((BURN,), metrics=FACTS)).document
    ids = {"sloth_id": "bot-acks", "sloth_service": "bot", "sloth_slo": "acks"}
    records = {
        rule["record"]: rule["labels"]
        for group in document["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    assert records == {
        "slo:sli_error:ratio_rate5m": {**ids, "sloth_window": "5m"},
        "slo:sli_error:ratio_rate1h": {**ids, "sloth_window": "1h"},
        "slo:sli_error:ratio_rate30d": {**ids, "sloth_window": "30d"},
        "slo:objective:ratio": ids,
        "slo:error_budget:ratio": ids,
        "slo:time_period:days": ids,
        "slo:current_burn_rate:ratio": ids,
        "slo:period_burn_rate:ratio": ids,
        "slo:period_error_budget_remaining:ratio": ids,
        "sloth_slo_info": {**ids, "sloth_mode": "tickspan", "sloth_objective": "99"},
    }
    selector = '{sloth_id="bot-acks", sloth_service="bot", sloth_slo="acks"}'
    counted = (
        "round((histogram_count(sum by (job) (rate(latency_seconds[5m1ms])))"
        " or sum by (job) (rate(latency_seconds_count[5m1ms]))) * 300, 1e-06)"
    )
    assert alert(BURN)["expr"] == (
        f"(\n  max by (job) (slo:sli_error:ratio_rate1h{selector}) > 0.144\n  and\n"
        f"  max by (job) (slo:sli_error:ratio_rate5m{selector}) > 0.144\n  and\n  {counted} >= 10\n)"
    )


def test_a_bound_is_looked_for_in_both_spellings():
    document = compile_rules(RuleSet((BURN,), metrics=FACTS)).document
    assert document["groups"][0]["rules"][0]["expr"] == (
        "1 - (histogram_fraction(-Inf, 1, sum by (job) (rate(latency_seconds[5m1ms])))"
        ' or sum by (job) (rate(latency_seconds_bucket{le=~"1|1\\\\.0"}[5m1ms]))'
        " / (sum by (job) (rate(latency_seconds_count[5m1ms])) > 0))"
    )


def test_rules_with_other_limits_stand_in_other_groups():
    rules = (LEVEL, replace(LEVEL, name="Few", limit=5), replace(LEVEL, name="More"))
    document = compile_rules(RuleSet(rules, metrics=FACTS)).document
    assert [(group["limit"], [rule["alert"] for rule in group["rules"]]) for group in document["groups"]] == [
        (5, ["Few"]),
        (100, ["Cpu", "More"]),
    ]


def test_rules_of_other_owners_and_over_events_are_left_to_them():
    event = replace(LEVEL, name="Event", expression=Event(Signal.SPAN, "order"))
    rules = (LEVEL, event, replace(LEVEL, name="Theirs", owner=Owner.GATEWAY))
    compiled = compile_rules(RuleSet(rules, metrics=FACTS))
    assert compiled.alerts == {"Cpu"}
    assert (compiled.elsewhere, compiled.lossy) == (("Event", "Theirs"), ())


@pytest.mark.parametrize(
    ("rule", "message", "is_left_out"),
    [
        (
            replace(LEVEL, no_data=NoData.KEEP),
            "no_data: keep has no counterpart, so the rule is left to the gateway",
            True,
        ),
        (
            replace(LEVEL, by=("service.name",)),
            "by: service.name is no label: job and instance are; use scope",
            False,
        ),
        (
            replace(LEVEL, expression=Threshold(Selector("mystery"), Stat(StatName.LAST))),
            "the unit of mystery is not known",
            True,
        ),
        (
            replace(LEVEL, expression=Forecast(Selector("orders"), Stat(StatName.RATE))),
            "the line is drawn through a rate of a minute each",
            False,
        ),
        (
            replace(BURN, expression=Burn("a", "b", Selector("latency"), 0.9, (), slower_than=0.1)),
            "0.1 is no bound of latency: near ones are 0.05 and 1",
            True,
        ),
    ],
)
def test_what_prometheus_cannot_say_is_told(rule: Rule, message: str, is_left_out: bool):
    assert lossy(rule) == (Lossy(rule.name, message, is_left_out),)


def test_every_expression_of_the_default_pack_parses_and_has_keys_that_old_servers_know():
    compiled = compile_rules(load_rules("default"))
    rules = [rule for group in compiled.document["groups"] for rule in group["rules"]]
    assert len(rules) > 20
    assert {key for rule in rules for key in rule} <= KEYS_OF_2_42
    assert {key for group in compiled.document["groups"] for key in group} <= {"name", "limit", "rules"}
    for rule in rules:
        promql_parser.parse(rule["expr"])
