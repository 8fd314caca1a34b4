"""The identity of an alert: whether a rule's labels are apart, and its texts name labels that it has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tickspan.analysis.rules.labels import ALERT_NAME, HOST, INSTANCE, JOB, SCOPE, SEVERITY
from tickspan.analysis.rules.model import Rule, Scope
from tickspan.analysis.rules.naming import prometheus_label
from tickspan.analysis.rules.problems import Place, Problems, hint, shown

__all__ = ["check_labels", "label_names"]

_OF_SCOPE: Final[Mapping[Scope, tuple[str, ...]]] = {
    Scope.PROCESS: (JOB, INSTANCE),
    Scope.HOST: (HOST,),
    Scope.SERVICE: (JOB,),
    Scope.FLEET: (),
}
_OF_RULE: Final = (ALERT_NAME, SEVERITY, SCOPE)
_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_WORDS: Final = ("alert", "value", "threshold", "trace_id", "span_id")


def label_names(rule: Rule) -> frozenset[str]:
    """Of all labels that the rule's alerts may have."""
    return frozenset(
        (
            *_OF_RULE,
            *_OF_SCOPE[rule.scope],
            *(prometheus_label(attribute) for attribute in rule.by),
            *(name for name, _ in rule.labels),
        )
    )


def check_labels(rule: Rule, place: Place, problems: Problems) -> None:
    """Report labels that take each other's place, and templates that name what is not there."""
    before = problems.count
    taken: dict[str, str] = dict.fromkeys(_OF_RULE, "every alert has")
    taken |= dict.fromkeys(_OF_SCOPE[rule.scope], f"scope '{rule.scope}' gives")
    for attribute in rule.by:
        try:
            label = prometheus_label(attribute)
        except ValueError as error:
            problems.add((*place, "by"), str(error))
            continue
        if label in taken:
            problems.add((*place, "by"), f"expected no '{attribute}': its label '{label}' {taken[label]}")
        taken[label] = f"is that of '{attribute}' in 'by'"
    for label, _ in rule.labels:
        if label in taken or label.startswith("__"):
            why = taken.get(label, "is kept for Prometheus itself")
            problems.add((*place, "labels", label), f"expected another label: '{label}' {why}")
    if problems.count == before:
        _check_templates(rule, place, problems)


def _check_templates(rule: Rule, place: Place, problems: Problems) -> None:
    names = label_names(rule)
    for annotation, text in rule.annotations.items():
        for inner in _TEMPLATE.findall(text):
            word = inner.strip().removeprefix("$")
            is_label, label = word.startswith("labels."), word.removeprefix("labels.")
            if word in _WORDS or (is_label and label in names):
                continue
            near = hint(label, names) if is_label else ""
            problems.add(
                (*place, "annotations", annotation),
                f"expected {{{{ value }}}} or {{{{ labels.NAME }}}} of a label that the alert has,"
                f" got {shown('{{ ' + word + ' }}')}{near}",
            )
