"""The Prometheus rule file: groups of recording and alerting rules, with keys that Prometheus 2.42 knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final, NamedTuple

from tickspan.analysis.rules.compile.burn import record_groups
from tickspan.analysis.rules.compile.expressions import alert_expression
from tickspan.analysis.rules.compile.lossy import Lossy
from tickspan.analysis.rules.compile.promql import duration
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.labels import SCOPE, SEVERITY
from tickspan.analysis.rules.model import Burn, Event, Forecast, NoData, Owner, Rule, StatName
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.semconv.common import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE

__all__ = ["Compiled", "annotations_of", "compile_rules", "is_elsewhere", "losses_of", "static_labels"]

GROUP: Final = "tickspan-alerts"
_NO_KEEP: Final = "no_data: keep has no counterpart, so the rule is left to the gateway"
_PLACEHOLDER: Final = re.compile(r"\{\{\s*\$?([A-Za-z_][\w.]*)\s*\}\}")
_JOB_PARTS: Final = frozenset({SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE_ID})
_VALUE_FORMATS: Final[Mapping[str, str]] = {
    "s": "{{ $value | humanizeDuration }}",
    "By": "{{ $value | humanize1024 }}B",
    "1": "{{ $value | humanizePercentage }}",
}


class Compiled(NamedTuple):
    """What became of a rule set.

    Attributes:
        document: the file, as mappings and lists.
        lossy: what it cannot say.
        elsewhere: names of rules that are not its business: they have another owner; they are about events
            where metrics are compiled, or the other way round.
    """

    document: dict[str, Any]
    lossy: tuple[Lossy, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of a rule file, in its order."""
        return tuple(group["name"] for group in self.document["groups"])

    @property
    def alerts(self) -> frozenset[str]:
        """Names of the alerts in a rule file of Prometheus."""
        groups = self.document["groups"]
        return frozenset(rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule)


def compile_rules(rules: RuleSet) -> Compiled:
    """All rules that Prometheus may own. What they cannot say is among `lossy`; they are compiled without it.

    A rule whose `owner` is another evaluator stays out, since Prometheus would end its alerts; so do rules
    over events, which it does not see.
    """
    lossy: list[Lossy] = []
    groups: dict[str, dict[str, Any]] = {}
    alerts: list[tuple[int, dict[str, Any]]] = []
    for rule in rules.rules:
        if is_elsewhere(rule):
            continue
        lost = losses_of(rule, rules.metrics)
        if rule.no_data is NoData.KEEP:
            lost.append(Lossy(rule.name, _NO_KEEP, is_left_out=True))
        lossy += lost
        if any(one.is_left_out for one in lost):
            continue
        if isinstance(rule.expression, Burn):
            groups |= {group["name"]: group for group in record_groups(rule, rule.expression, rules.metrics)}
        alerts.append((rule.limit, _alert(rule, rules.metrics)))
    by_limit = groupby(sorted(alerts, key=lambda alert: alert[0]), key=lambda alert: alert[0])
    groups |= {
        f"{GROUP}-{limit}": {
            "name": f"{GROUP}-{limit}",
            "limit": limit,
            "rules": [alert for _, alert in same],
        }
        for limit, same in by_limit
    }
    elsewhere = tuple(rule.name for rule in rules.rules if is_elsewhere(rule))
    return Compiled({"groups": list(groups.values())}, tuple(lossy), elsewhere)


def is_elsewhere(rule: Rule) -> bool:
    """Whether another evaluator ends the rule's alerts: its owner, or the gateway, which gets events."""
    return isinstance(rule.expression, Event) or rule.owner not in {Owner.AUTO, Owner.PROMETHEUS}


def losses_of(rule: Rule, metrics: Mapping[str, MetricFact]) -> list[Lossy]:
    """What no PromQL says."""
    unknown = sorted({one.metric for one in rule.selectors if one.metric not in metrics})
    if unknown:
        return [Lossy(rule.name, f"the unit of {', '.join(unknown)} is not known", is_left_out=True)]
    lost: list[Lossy] = []
    parts = sorted(_JOB_PARTS & set(rule.by))
    if parts:
        lost.append(Lossy(rule.name, f"by: {', '.join(parts)} is no label: job and instance are; use scope"))
    if isinstance(rule.expression, Burn):
        lost += _lost_bound(rule, rule.expression, metrics)
    if isinstance(rule.expression, Forecast) and not _is_exact(rule.expression, metrics):
        lost.append(Lossy(rule.name, f"the line is drawn through a {rule.expression.stat} of a minute each"))
    return lost


def _lost_bound(rule: Rule, burn: Burn, metrics: Mapping[str, MetricFact]) -> list[Lossy]:
    """A classic histogram tells nothing of what lies between its bounds."""
    bounds = metrics[burn.total.metric].bounds
    if burn.slower_than is None or bounds is None or burn.slower_than in bounds:
        return []
    below = max((bound for bound in bounds if bound < burn.slower_than), default=None)
    above = min((bound for bound in bounds if bound > burn.slower_than), default=None)
    near = " and ".join(f"{bound:g}" for bound in (below, above) if bound is not None)
    message = f"{burn.slower_than:g} is no bound of {burn.total.metric}: near ones are {near}"
    return [Lossy(rule.name, message, is_left_out=True)]


def _is_exact(forecast: Forecast, metrics: Mapping[str, MetricFact]) -> bool:
    kind = metrics[forecast.selector.metric].kind
    return (
        kind.is_level
        and kind is not MetricKind.HISTOGRAM
        and forecast.stat.name in {StatName.LAST, StatName.AVG}
    )


def _alert(rule: Rule, metrics: Mapping[str, MetricFact]) -> dict[str, Any]:
    alert: dict[str, Any] = {"alert": rule.name, "expr": alert_expression(rule, metrics)}
    if rule.for_s:
        alert["for"] = duration(rule.for_s)
    if rule.keep_firing_for_s:
        alert["keep_firing_for"] = duration(rule.keep_firing_for_s)
    alert["labels"] = static_labels(rule)
    if rule.annotations:
        alert["annotations"] = annotations_of(rule)
    return alert


def static_labels(rule: Rule) -> dict[str, str]:
    """Labels of all alerts of a rule, but its name; the same as `tickspan.analysis.rules.labels` adds."""
    return {SEVERITY: str(rule.severity), SCOPE: rule.scope.value, **dict(rule.labels)}


def annotations_of(rule: Rule) -> dict[str, str]:
    """Annotations with Prometheus's templates. Of a trace it knows nothing: those names become empty."""
    return {name: _translated(text, rule) for name, text in rule.annotations.items()}


def _translated(text: str, rule: Rule) -> str:
    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("labels."):
            return f"{{{{ ${name} }}}}"
        known = {
            "value": _VALUE_FORMATS.get(rule.unit, "{{ $value | humanize }}"),
            "alert": rule.name,
            "threshold": _threshold(rule),
            "trace_id": "",
            "span_id": "",
        }
        return known.get(name, match[0])

    return _PLACEHOLDER.sub(replaced, text)


def _threshold(rule: Rule) -> str:
    if rule.unit == "1":
        return f"{rule.threshold * 100:g} %"
    return f"{rule.threshold:g}{'' if rule.unit.startswith('{') else f' {rule.unit}'.rstrip()}"
