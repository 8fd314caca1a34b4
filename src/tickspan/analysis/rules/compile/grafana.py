"""The Grafana alerting file: rules for its own evaluator, as file provisioning reads them.

Keys are those of `AlertRuleV1` of Grafana's `services/provisioning/alerting` (camel case, but one),
thresholds those of its `expr/threshold.go`; both from Grafana 11.6 on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from tickspan.analysis.rules.compile.burn import burning
from tickspan.analysis.rules.compile.expressions import in_session, value_expression, without_data
from tickspan.analysis.rules.compile.lossy import Lossy
from tickspan.analysis.rules.compile.prometheus import (
    Compiled,
    annotations_of,
    is_elsewhere,
    losses_of,
    static_labels,
)
from tickspan.analysis.rules.compile.promql import duration, group_labels
from tickspan.analysis.rules.facts import MetricFact
from tickspan.analysis.rules.model import Absent, Burn, Condition, NoData, Rule
from tickspan.analysis.rules.ruleset import RuleSet

__all__ = ["DATA_SOURCE", "compile_rules", "uid_of"]

DATA_SOURCE: Final = "prometheus"
"""The uid of the data source that is asked, unless another is given."""
_FOLDER: Final = "tickspan"
_INTERVAL: Final = "10s"
_RANGE_S: Final = 600
_EXPRESSIONS: Final = "__expr__"
_UID_LENGTH: Final = 16

_EVALUATORS: Final[Mapping[Condition, str]] = {
    Condition.GT: "gt",
    Condition.GE: "gte",
    Condition.LT: "lt",
    Condition.LE: "lte",
    Condition.EQ: "eq",
    Condition.NE: "ne",
}
_OPPOSITES: Final[Mapping[Condition, Condition]] = {
    Condition.GT: Condition.LE,
    Condition.GE: Condition.LT,
    Condition.LT: Condition.GE,
    Condition.LE: Condition.GT,
    Condition.EQ: Condition.NE,
    Condition.NE: Condition.EQ,
}
_NO_DATA_STATES: Final[Mapping[NoData, str]] = {
    NoData.OK: "OK",
    NoData.FIRE: "Alerting",
    NoData.KEEP: "KeepLast",
}


def compile_rules(rules: RuleSet, data_source: str = DATA_SOURCE) -> Compiled:
    """All rules that Grafana can evaluate on a Prometheus; see `prometheus.compile_rules`.

    Grafana adds a label `grafana_folder` to its alerts, so they are others than those of the other
    evaluators, unless its setting `unified_alerting.reserved_labels` disables that label.

    Args:
        rules: to compile.
        data_source: uid of the Prometheus.
    """
    lossy: list[Lossy] = []
    compiled: list[dict[str, Any]] = []
    for rule in rules.rules:
        if is_elsewhere(rule):
            continue
        lost = _losses_of(rule, rules.metrics)
        lossy += lost
        if not any(one.is_left_out for one in lost):
            compiled.append(_rule(rule, rules.metrics, data_source))
    group = {"orgId": 1, "name": _FOLDER, "folder": _FOLDER, "interval": _INTERVAL, "rules": compiled}
    elsewhere = tuple(rule.name for rule in rules.rules if is_elsewhere(rule))
    return Compiled({"apiVersion": 1, "groups": [group]}, tuple(lossy), elsewhere)


def uid_of(rule: Rule) -> str:
    """A rule's identity in Grafana: a hash of its name, so that a new file changes the same rule."""
    return hashlib.sha256(rule.name.encode()).hexdigest()[:_UID_LENGTH]


def _losses_of(rule: Rule, metrics: Mapping[str, MetricFact]) -> list[Lossy]:
    lost = losses_of(rule, metrics)
    if rule.no_data is NoData.KEEP:
        lost.append(Lossy(rule.name, "no_data: keep holds when nothing comes; one group without data ends"))
    if rule.clear is not None and isinstance(rule.expression, Burn):
        lost.append(Lossy(rule.name, "a burn rate has no clear threshold"))
    return lost


def _rule(rule: Rule, metrics: Mapping[str, MetricFact], data_source: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "uid": uid_of(rule),
        "title": rule.name,
        "condition": "B",
        "data": [_query(_expression(rule, metrics), data_source), _condition(rule)],
        "noDataState": _NO_DATA_STATES[rule.no_data],
        "execErrState": "KeepLast",
        "for": duration(rule.for_s) if rule.for_s else "0s",
        "missing_series_evals_to_resolve": 1,
        "labels": static_labels(rule),
    }
    if rule.keep_firing_for_s:
        made["keepFiringFor"] = duration(rule.keep_firing_for_s)
    if rule.annotations:
        made["annotations"] = {
            name: text.replace("$value", "$values.A.Value") for name, text in annotations_of(rule).items()
        }
    return made


def _expression(rule: Rule, metrics: Mapping[str, MetricFact]) -> str:
    """The value of each group; one that breaches where missing data shall."""
    if isinstance(rule.expression, Burn):
        breach = burning(rule, rule.expression, metrics, rule.threshold, is_recorded=False)
        return in_session(rule, metrics, f"group by ({', '.join(group_labels(rule))}) (\n{breach}\n)")
    value = value_expression(rule, metrics)
    if rule.no_data is NoData.FIRE:
        value = f"({value})\nor\n{without_data(rule, metrics)} * {_breaching(rule)}"
    return in_session(rule, metrics, value)


def _breaching(rule: Rule) -> str:
    if rule.condition in {Condition.LT, Condition.LE}:
        return "-Inf"
    return "+Inf" if rule.condition is not Condition.EQ else f"{rule.threshold!r}"


def _query(expression: str, data_source: str) -> dict[str, Any]:
    return {
        "refId": "A",
        "relativeTimeRange": {"from": _RANGE_S, "to": 0},
        "datasourceUid": data_source,
        "model": {"refId": "A", "expr": expression, "instant": True, "range": False},
    }


def _condition(rule: Rule) -> dict[str, Any]:
    """A threshold, with another one that ends the alert where the rule has it."""
    is_yes_or_no = isinstance(rule.expression, Burn | Absent)
    evaluator = (
        {"type": "gt", "params": [0]}
        if is_yes_or_no
        else {"type": _EVALUATORS[rule.condition], "params": [rule.threshold]}
    )
    condition: dict[str, Any] = {"evaluator": evaluator}
    if rule.clear is not None and not is_yes_or_no:
        condition["unloadEvaluator"] = {
            "type": _EVALUATORS[_OPPOSITES[rule.condition]],
            "params": [rule.clear],
        }
    model = {"refId": "B", "type": "threshold", "expression": "A", "conditions": [condition]}
    return {"refId": "B", "datasourceUid": _EXPRESSIONS, "model": model}
