"""The event of a change: flat attributes, one sentence, and the notice for who tells people."""

from __future__ import annotations

import math

import pytest

from tickspan.alerts.engine import EngineTransition
from tickspan.alerts.notice import notice_of
from tickspan.alerts.telling import AlertEvent, event_of, notice_in
from tickspan.analysis.findings import Severity
from tickspan.analysis.rules.alert import Alert, AlertState, Reason, Transition
from tickspan.analysis.rules.model import Condition, Rule, Selector, Stat, StatName, Threshold
from tickspan.analysis.rules.readings import Worst
from tickspan.analysis.rules.tiers import Tier
from tickspan.semconv import alerts as names

RULE = Rule(
    "SlowVenue",
    Threshold(Selector("desk.duration"), Stat(StatName.QUANTILE, 0.95)),
    Condition.GT,
    0.1,
    severity=Severity.CRITICAL,
    unit="s",
)
WORST = Worst(0.4, f"{0xABC:032x}", f"{0x12:016x}")
ALERT = Alert(
    (("alertname", "SlowVenue"),), AlertState.FIRING, 0.134, active_since_s=1.0, fired_at_s=2.0, worst=WORST
)
ENDED = Alert((("alertname", "SlowVenue"),), AlertState.INACTIVE, 0.134, 1.0, 2.0, resolved_at_s=3.0)


def told(
    alert: Alert, previous: AlertState, reason: Reason = Reason.VALUE, rule: Rule = RULE
) -> tuple[AlertEvent, EngineTransition]:
    change = EngineTransition(rule, Transition(alert, previous, 3.0, reason))
    notice = notice_of(
        rule,
        alert,
        wall_s=1_003.0,
        now_s=3.0,
        evaluator=Tier.PROCESS,
        configured=frozenset({Tier.PROCESS}),
        reason=reason,
    )
    return event_of(change, notice, Tier.PROCESS), change


def test_an_alert_that_fires_is_told_at_its_severity_in_the_trace_of_its_worst_measurement() -> None:
    event, _ = told(ALERT, AlertState.PENDING)
    notice = notice_in(event.attributes)
    assert notice is not None
    assert (notice.rule, notice.state, notice.starts_at_s, notice.value) == (
        "SlowVenue",
        "firing",
        1_002.0,
        0.134,
    )
    flat = {key: value for key, value in event.attributes.items() if key != names.ALERT_NOTICE}
    assert (event.severity, event.severity_text, event.body, event.trace_id, event.span_id) == (
        21,
        "FATAL",
        "SlowVenue fires: 134 ms > 100 ms",
        0xABC,
        0x12,
    )
    assert flat == {
        names.ALERT_NAME: "SlowVenue",
        names.ALERT_STATE: "firing",
        names.ALERT_PREVIOUS_STATE: "pending",
        names.ALERT_VALUE: 0.134,
        names.ALERT_THRESHOLD: 0.1,
        names.ALERT_SCOPE: "process",
        names.ALERT_SEVERITY: "critical",
        names.ALERT_EVALUATOR: "process",
        names.ALERT_FINGERPRINT: notice.fingerprint,
    }


@pytest.mark.parametrize(
    ("severity", "number"),
    [(Severity.INFO, 9), (Severity.WARNING, 13), (Severity.ERROR, 17), (Severity.CRITICAL, 21)],
)
def test_severities_have_opentelemetrys_numbers(severity: Severity, number: int) -> None:
    rule = Rule("rule", RULE.expression, Condition.GT, 0.1, severity=severity)
    assert told(ALERT, AlertState.PENDING, rule=rule)[0].severity == number


@pytest.mark.parametrize(
    ("alert", "previous", "reason", "body"),
    [
        (ENDED, AlertState.FIRING, Reason.VALUE, "SlowVenue has ended"),
        (ENDED, AlertState.FIRING, Reason.GONE, "SlowVenue has ended: gone"),
        (
            Alert(ALERT.labels, AlertState.PENDING, math.nan, 1.0),
            AlertState.INACTIVE,
            Reason.VALUE,
            "SlowVenue is pending: no data > 100 ms",
        ),
    ],
)
def test_what_does_not_fire_is_information(
    alert: Alert, previous: AlertState, reason: Reason, body: str
) -> None:
    event, _ = told(alert, previous, reason)
    assert (event.severity, event.severity_text, event.body) == (9, "INFO", body)


def test_a_pending_alert_is_nobodys_business_yet_and_no_data_is_no_value() -> None:
    event, _ = told(Alert(ALERT.labels, AlertState.PENDING, math.nan, 1.0), AlertState.INACTIVE)
    assert {names.ALERT_NOTICE, names.ALERT_VALUE}.isdisjoint(event.attributes)


def test_a_summary_takes_the_place_of_the_number() -> None:
    rule = Rule(
        "SlowVenue", RULE.expression, Condition.GT, 0.1, unit="s", annotations={"summary": "p95 {{ value }}"}
    )
    assert told(ALERT, AlertState.PENDING, rule=rule)[0].body == "SlowVenue fires: p95 134 ms"


@pytest.mark.parametrize("kept", [None, 7, "", "{}", '{"rule": 1}'])
def test_what_is_no_notice_is_none(kept: object) -> None:
    assert notice_in({names.ALERT_NOTICE: kept}) is None
