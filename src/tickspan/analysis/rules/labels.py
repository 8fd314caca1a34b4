"""The label set: which sender and which attributes make a group, and what its alert is called.

Every tier takes its labels from here, so that one breach is one alert wherever it is seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tickspan.analysis.rules.model import Labels, Rule, Scope
from tickspan.analysis.rules.naming import prometheus_label
from tickspan.analysis.rules.readings import Sender, Value

__all__ = ["ALERT_NAME", "HOST", "INSTANCE", "JOB", "SCOPE", "SEVERITY", "group_of", "labels_of", "text_of"]

ALERT_NAME: Final = "alertname"
SEVERITY: Final = "severity"
SCOPE: Final = "scope"
JOB: Final = "job"
INSTANCE: Final = "instance"
HOST: Final = "host_name"

_FIRST_WITH_EXPONENT: Final = 1e21
_LAST_WITHOUT_EXPONENT: Final = 1e-6


def group_of(rule: Rule, sender: Sender, attributes: Mapping[str, Value]) -> Labels:
    """The group of a series or an occurrence: labels of the rule's scope, and its `by`.

    An attribute that is not on the point is looked for on the resource. A label without a value is no label,
    as in Prometheus.
    """
    labels = _scope_labels(rule.scope, sender)
    for attribute in rule.by:
        value = attributes.get(attribute)
        if value is None:
            value = sender.attributes.get(attribute)
        labels[prometheus_label(attribute)] = "" if value is None else text_of(value)
    return _sorted(labels)


def labels_of(rule: Rule, group: Labels) -> Labels:
    """All labels of a group's alert. The rule's own win over the group's; `alertname` is always its name."""
    return _sorted(
        {
            **dict(group),
            SEVERITY: str(rule.severity),
            SCOPE: rule.scope.value,
            **dict(rule.labels),
            ALERT_NAME: rule.name,
        }
    )


def text_of(value: Value) -> str:
    """A value as the collector and Prometheus spell it: `true`, `3`, `0.25`, `1e+21`, `1e-7`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number_text(value)
    return str(value)


def _number_text(value: float) -> str:
    """As ECMAScript and Go's `encoding/json` write numbers."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    size = abs(value)
    if size == 0 or _LAST_WITHOUT_EXPONENT <= size < _FIRST_WITH_EXPONENT:
        text = format(Decimal(repr(value)), "f")
        return text.removesuffix(".0")
    digits, exponent = f"{Decimal(repr(value)).normalize():e}".split("e")
    return f"{digits}e{int(exponent):+d}"


def _scope_labels(scope: Scope, sender: Sender) -> dict[str, str]:
    match scope:
        case Scope.PROCESS:
            return {JOB: sender.job, INSTANCE: sender.instance}
        case Scope.HOST:
            return {HOST: sender.host_name}
        case Scope.SERVICE:
            return {JOB: sender.job}
        case Scope.FLEET:
            return {}


def _sorted(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value))
