"""The notice: what people are told of an alert, by whoever evaluates its rule."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tickspan.alerts.templates import render
from tickspan.analysis.rules.alert import Alert, AlertState, Reason
from tickspan.analysis.rules.labels import ALERT_NAME, SEVERITY
from tickspan.analysis.rules.model import Labels, Rule
from tickspan.analysis.rules.tiers import Tier, evaluators_of, owner_of

__all__ = ["Notice", "NoticeState", "fingerprint_of", "notice_of", "speaker_of"]

_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_UINT64: Final = 0xFFFF_FFFF_FFFF_FFFF
_SEPARATOR: Final = b"\xff"


class NoticeState(enum.StrEnum):
    """What is told; pending alerts are nobody's business yet."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert that began or ended. Times are seconds since 1970.

    Attributes:
        rule: name of it.
        labels: the identity of the alert.
        state: firing or resolved.
        starts_at_s: when it began to fire.
        ends_at_s: when it ended; None while it fires.
        value: of the last evaluation in which the condition held; NaN where missing data is the breach.
        threshold: that was crossed; NaN where it is not known.
        unit: of the value, UCUM.
        annotations: rendered.
        reason: why it ended, where that is not its value: `gone`, `removed`, `expired`.
        trace_id: of the worst measurement, hexadecimal; "" where none is known.
        span_id: the same.
        evaluator: who says so.
        owner: whose word ends the alert for an Alertmanager; None when that is not known.
        speaker: whose word ends it for notifiers that do not fold equal alerts.
        notify: names of notifiers; empty is all.
        process: that the evaluator is, where it is one; "" else.
    """

    rule: str
    labels: Labels
    state: NoticeState
    starts_at_s: float
    ends_at_s: float | None = None
    value: float = math.nan
    threshold: float = math.nan
    unit: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str = ""
    trace_id: str = ""
    span_id: str = ""
    evaluator: Tier = Tier.PROCESS
    owner: Tier | None = None
    speaker: Tier | None = None
    notify: tuple[str, ...] = ()
    process: str = ""

    @property
    def fingerprint(self) -> str:
        """The alert in 16 hexadecimal digits, as Alertmanager has it."""
        return fingerprint_of(self.labels)

    @property
    def severity(self) -> str:
        """As its label says."""
        return dict(self.labels).get(SEVERITY, "")

    @property
    def is_resolved(self) -> bool:
        """Whether the alert has ended."""
        return self.state is NoticeState.RESOLVED

    @property
    def is_owners(self) -> bool:
        """Whether this ends the alert for an Alertmanager, where it says so."""
        return self.owner is None or self.evaluator is self.owner

    @property
    def is_speakers(self) -> bool:
        """Whether this ends the alert for other notifiers, where it says so."""
        return self.speaker is None or self.evaluator is self.speaker

    @property
    def is_for_folding_only(self) -> bool:
        """Whether another program tells people who have no Alertmanager."""
        return self.speaker is Tier.GATEWAY and self.evaluator is not Tier.GATEWAY

    def resolved(self, at_s: float, reason: str) -> Notice:
        """The end of this alert."""
        return replace(self, state=NoticeState.RESOLVED, ends_at_s=at_s, reason=reason)

    def with_link(self, template: str) -> Notice:
        """With a link to its trace among the annotations, if there is a trace and a template for links."""
        if not (template and self.trace_id):
            return self
        return replace(self, annotations={**self.annotations, "trace_url": render(template, self.words)})

    @property
    def words(self) -> Mapping[str, str]:
        """What templates may name."""
        return words_of(self.labels, self.value, self.threshold, self.unit, self.trace_id, self.span_id)

    def to_json(self) -> str:
        """For a file."""
        return json.dumps(
            {
                "rule": self.rule,
                "labels": dict(self.labels),
                "state": self.state,
                "starts_at_s": self.starts_at_s,
                "ends_at_s": self.ends_at_s,
                "value": None if math.isnan(self.value) else self.value,
                "threshold": None if math.isnan(self.threshold) else self.threshold,
                "unit": self.unit,
                "annotations": dict(self.annotations),
                "reason": self.reason,
                "trace_id": self.trace_id,
                "span_id": self.span_id,
                "evaluator": self.evaluator,
                "owner": self.owner,
                "speaker": self.speaker,
                "notify": list(self.notify),
                "process": self.process,
            }
        )

    @staticmethod
    def from_json(text: str) -> Notice:
        """The inverse of `to_json`. Raises ValueError for what is none."""
        try:
            given: dict[str, Any] = json.loads(text)
            value, threshold, owner, speaker = (
                given[name] for name in ("value", "threshold", "owner", "speaker")
            )
            return Notice(
                rule=given["rule"],
                labels=tuple(sorted(given["labels"].items())),
                state=NoticeState(given["state"]),
                starts_at_s=float(given["starts_at_s"]),
                ends_at_s=given["ends_at_s"],
                value=math.nan if value is None else float(value),
                threshold=math.nan if threshold is None else float(threshold),
                unit=given["unit"],
                annotations=given["annotations"],
                reason=given["reason"],
                trace_id=given["trace_id"],
                span_id=given["span_id"],
                evaluator=Tier(given["evaluator"]),
                owner=None if owner is None else Tier(owner),
                speaker=None if speaker is None else Tier(speaker),
                notify=tuple(given["notify"]),
                process=given["process"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected a notice, got one without {error}") from None


def notice_of(  # the arguments are what an evaluator has at hand
    rule: Rule,
    alert: Alert,
    *,
    wall_s: float,
    now_s: float,
    evaluator: Tier,
    configured: AbstractSet[Tier],
    reason: Reason = Reason.VALUE,
) -> Notice | None:
    """What is told of an alert as it is now; None while it is pending, and when it never fired.

    Args:
        rule: of the alert.
        alert: its times are by the evaluator's clock.
        wall_s: since 1970, at the moment `now_s` of that clock.
        now_s: see `wall_s`.
        evaluator: who saw it.
        configured: the tiers that there are.
        reason: why it ended, if it did.
    """
    if alert.fired_at_s is None or alert.state is AlertState.PENDING:
        return None
    is_resolved = alert.state is AlertState.INACTIVE
    ended_s = alert.resolved_at_s if is_resolved else None
    worst = alert.worst
    words = words_of(
        alert.labels,
        alert.value,
        rule.threshold,
        rule.unit,
        worst.trace_id if worst else "",
        worst.span_id if worst else "",
    )
    return Notice(
        rule=rule.name,
        labels=alert.labels,
        state=NoticeState.RESOLVED if is_resolved else NoticeState.FIRING,
        starts_at_s=wall_s - (now_s - alert.fired_at_s),
        ends_at_s=None if ended_s is None else wall_s - (now_s - ended_s),
        value=alert.value,
        threshold=rule.threshold,
        unit=rule.unit,
        annotations={name: render(text, words) for name, text in rule.annotations.items()},
        reason=reason.value,
        trace_id=worst.trace_id if worst else "",
        span_id=worst.span_id if worst else "",
        evaluator=evaluator,
        owner=owner_of(rule, configured),
        speaker=speaker_of(rule, configured),
        notify=rule.notify,
    )


def speaker_of(rule: Rule, configured: AbstractSet[Tier]) -> Tier | None:
    """Whose state is told where equal alerts are not folded: the owner's, or the slowest of our own."""
    owner = owner_of(rule, configured)
    if owner is not Tier.PROMETHEUS:
        return owner
    return next((tier for tier in evaluators_of(rule, configured) if tier is not Tier.PROMETHEUS), None)


def fingerprint_of(labels: Labels) -> str:
    """The alert in 16 hexadecimal digits: FNV-1a over sorted names and values, as Alertmanager has it.

    Source: `LabelSet.Fingerprint` and `labelSetToFingerprint` of prometheus/common, `model/signature.go`.
    """
    total = _FNV_OFFSET
    for name, value in sorted(labels):
        for byte in name.encode() + _SEPARATOR + value.encode() + _SEPARATOR:
            total = (total ^ byte) * _FNV_PRIME & _UINT64
    return f"{total:016x}"


def words_of(
    labels: Labels, value: float, threshold: float, unit: str, trace_id: str, span_id: str
) -> Mapping[str, str]:
    """What templates may name, each as people read it."""
    return {
        **{f"labels.{name}": text for name, text in labels},
        "alert": dict(labels).get(ALERT_NAME, ""),
        "value": told_number(value, unit),
        "threshold": told_number(threshold, unit),
        "trace_id": trace_id,
        "span_id": span_id,
    }


def told_number(value: float, unit: str) -> str:
    """A number for people: `134 ms`, `93.2 %`, `1.5 GiB`; `no data` for NaN."""
    if math.isnan(value):
        return "no data"
    if unit == "s":
        return _scaled(value, _TIMES)
    if unit == "By":
        return _scaled(value, _SIZES)
    if unit == "1":
        return f"{value * 100:.4g} %" if abs(value) <= _MOST_A_FRACTION_IS else f"{value:.4g}"
    suffix = f" {unit}" if unit and not unit.startswith("{") else ""
    return f"{value:.6g}{suffix}"


_MOST_A_FRACTION_IS: Final = 1.5
_TIMES: Final = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES: Final = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    for size, name in units:
        if abs(value) >= size:
            return f"{value / size:.4g} {name}"
    size, name = units[-1]
    return f"{value / size:.4g} {name}"
