"""What a change of an alert looks like as a log event: the one record that every evaluator writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tickspan.alerts.engine import EngineTransition
from tickspan.alerts.notice import Notice, fingerprint_of, told_number
from tickspan.analysis.findings import Severity
from tickspan.analysis.rules.alert import AlertState
from tickspan.analysis.rules.tiers import Tier
from tickspan.semconv import alerts as names

__all__ = ["SEVERITY_NUMBERS", "AlertEvent", "event_of", "notice_in"]

SEVERITY_NUMBERS: Final[Mapping[Severity, int]] = {
    Severity.INFO: 9,
    Severity.WARNING: 13,
    Severity.ERROR: 17,
    Severity.CRITICAL: 21,
}
"""OpenTelemetry's, by severity. A critical alert is told as FATAL."""
_TEXTS: Final = {9: "INFO", 13: "WARN", 17: "ERROR", 21: "FATAL"}
_INFO: Final = SEVERITY_NUMBERS[Severity.INFO]
_WORDS: Final = {
    AlertState.FIRING: "fires",
    AlertState.PENDING: "is pending",
    AlertState.INACTIVE: "has ended",
}


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A log record of the event `tickspan.alert.state_change`.

    Attributes:
        severity: the rule's while the alert fires, else 9.
        severity_text: OpenTelemetry's short name of it.
        body: one sentence.
        attributes: flat.
        trace_id: of the worst measurement; 0 where none is known.
        span_id: the same.
    """

    severity: int
    severity_text: str
    body: str
    attributes: Mapping[str, str | float] = field(default_factory=dict[str, "str | float"])
    trace_id: int = 0
    span_id: int = 0


def event_of(change: EngineTransition, notice: Notice | None, evaluator: Tier) -> AlertEvent:
    """The event that tells a change.

    Args:
        change: what changed.
        notice: what notifiers are told of it; None when that is nothing.
        evaluator: who saw it.
    """
    rule, transition = change
    alert = transition.alert
    is_firing = alert.state is AlertState.FIRING
    severity = SEVERITY_NUMBERS[rule.severity] if is_firing else _INFO
    attributes: dict[str, str | float] = {
        names.ALERT_NAME: rule.name,
        names.ALERT_STATE: alert.state.value,
        names.ALERT_PREVIOUS_STATE: transition.previous.value,
        names.ALERT_THRESHOLD: rule.threshold,
        names.ALERT_SCOPE: rule.scope.value,
        names.ALERT_SEVERITY: str(rule.severity),
        names.ALERT_EVALUATOR: evaluator.value,
        names.ALERT_FINGERPRINT: fingerprint_of(alert.labels),
    }
    if not math.isnan(alert.value):
        attributes[names.ALERT_VALUE] = alert.value
    if notice is not None:
        attributes[names.ALERT_NOTICE] = notice.to_json()
    worst = alert.worst
    return AlertEvent(
        severity,
        _TEXTS[severity],
        _sentence(change, notice),
        attributes,
        int(worst.trace_id, 16) if worst is not None and worst.trace_id else 0,
        int(worst.span_id, 16) if worst is not None and worst.span_id else 0,
    )


def notice_in(attributes: Mapping[str, object]) -> Notice | None:
    """What notifiers are told, out of an event's attributes; None when that is nothing, or cannot be read."""
    kept = attributes.get(names.ALERT_NOTICE)
    if not isinstance(kept, str):
        return None
    try:
        return Notice.from_json(kept)
    except ValueError:
        return None


def _sentence(change: EngineTransition, notice: Notice | None) -> str:
    rule, transition = change
    alert = transition.alert
    begin = f"{rule.name} {_WORDS[alert.state]}"
    if transition.reason.value:
        return f"{begin}: {transition.reason.value}"
    summary = notice.annotations.get("summary") if notice is not None else None
    value, limit = (told_number(number, rule.unit) for number in (alert.value, rule.threshold))
    if alert.state is AlertState.INACTIVE:
        return begin
    return f"{begin}: {summary or f'{value} {rule.condition.sign} {limit}'}"
