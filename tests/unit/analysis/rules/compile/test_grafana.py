"""Rules as Grafana's file provisioning has them."""

from dataclasses import replace
from typing import Any

import promql_parser
import pytest

from tickspan.alerts.file import load_rules
from tickspan.analysis.rules.compile.grafana import compile_rules, uid_of
from tickspan.analysis.rules.compile.lossy import Lossy
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Condition,
    NoData,
    Rule,
    Scope,
    Selector,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.ruleset import RuleSet

FACTS = {
    fact.name: fact
    for fact in (
        MetricFact("cpu.utilization", MetricKind.GAUGE, "1"),
        MetricFact("orders", MetricKind.COUNTER, "{order}"),
    )
}
LEVEL = Rule(
    "Cpu",
    Threshold(Selector("cpu.utilization"), Stat(StatName.MAX)),
    Condition.GT,
    0.9,
    clear=0.8,
    scope=Scope.HOST,
    for_s=10.0,
    keep_firing_for_s=30.0,
    annotations={"summary": "{{ value }} at {{ labels.host_name }}"},
)
VALUE = "max by (host_name) (max_over_time(cpu_utilization_ratio[1m]))"


def compiled(rule: Rule) -> dict[str, Any]:
    document = compile_rules(RuleSet((rule,), metrics=FACTS), "prom").document
    (made,) = document["groups"][0]["rules"]
    return made


def expression(rule: Rule) -> str:
    return compiled(rule)["data"][0]["model"]["expr"]


def test_a_rule_is_a_query_and_a_threshold_with_another_that_ends_the_alert():
    assert compiled(LEVEL) == {
        "uid": "802ba1f65058dd19",
        "title": "Cpu",
        "condition": "B",
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": "prom",
                "model": {"refId": "A", "expr": VALUE, "instant": True, "range": False},
            },
            {
                "refId": "B",
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "B",
                    "type": "threshold",
                    "expression": "A",
                    "conditions": [
                        {
                            "evaluator": {"type": "gt", "params": [0.9]},
                            "unloadEvaluator": {"type": "lte", "params": [0.8]},
                        }
                    ],
                },
            },
        ],
        "noDataState": "OK",
        "execErrState": "KeepLast",
        "for": "10s",
        "keepFiringFor": "30s",
        "missing_series_evals_to_resolve": 1,
        "labels": {"severity": "warning", "scope": "host"},
        "annotations": {"summary": "{{ $values.A.Value | humanize }} at {{ $labels.host_name }}"},
    }


def test_the_same_name_is_the_same_rule_whatever_else_changes():
    assert uid_of(replace(LEVEL, threshold=0.5)) == uid_of(LEVEL) != uid_of(replace(LEVEL, name="Gpu"))


@pytest.mark.parametrize(
    ("condition", "breaching"), [(Condition.GT, "+Inf"), (Condition.LE, "-Inf"), (Condition.EQ, "0.9")]
)
def test_a_group_without_data_has_a_value_that_breaches_where_missing_data_fires(
    condition: Condition, breaching: str
):
    rule = replace(LEVEL, no_data=NoData.FIRE, condition=condition)
    known, present = (
        f"(group by (host_name) (present_over_time(cpu_utilization_ratio[{window}])))"
        for window in ("1h", "1m")
    )
    assert expression(rule) == f"({VALUE})\nor\n({known} unless {present}) * {breaching}"
    assert compiled(rule)["noDataState"] == "Alerting"


def test_what_is_true_or_not_is_compared_with_zero():
    rule = replace(LEVEL, expression=Absent(Selector("orders")), clear=None)
    conditions = compiled(rule)["data"][1]["model"]["conditions"]
    assert conditions == [{"evaluator": {"type": "gt", "params": [0]}}]


def test_a_burn_rate_needs_no_recording_rules():
    windows = (BurnWindow(2.0, 600.0, 60.0),)
    burn = Burn("slo", "bot", Selector("orders"), 0.9, windows, errors=Selector("orders"))
    rule = replace(LEVEL, expression=burn, clear=None)
    made = expression(rule)
    assert "slo:" not in made
    assert made.startswith("group by (host_name) (\n(\n  (clamp((round(sum by (host_name)")
    promql_parser.parse(made)


def test_keeping_an_alert_without_data_is_only_half_possible():
    document = compile_rules(RuleSet((replace(LEVEL, no_data=NoData.KEEP),), metrics=FACTS))
    message = "no_data: keep holds when nothing comes; one group without data ends"
    assert document.lossy == (Lossy("Cpu", message),)


def test_the_default_pack_compiles_without_a_loss_and_parses():
    made = compile_rules(load_rules("default"))
    expressions = [rule["data"][0]["model"]["expr"] for rule in made.document["groups"][0]["rules"]]
    assert made.lossy == ()
    assert len(expressions) > 20
    for one in expressions:
        promql_parser.parse(one)
