"""The snapshot: a rule's alerts, series and windows as JSON, with ages instead of times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from tickspan.analysis.rules.alert import Alert, AlertState, RuleState
from tickspan.analysis.rules.groups import Group, Series
from tickspan.analysis.rules.model import Labels, Rule
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    PointKind,
    Reading,
    Sender,
    Worst,
)

__all__ = [
    "FOR_GRACE_S",
    "alerts_to_json",
    "group_to_json",
    "restore_group",
    "series_from_json",
    "series_to_json",
    "state_from_json",
]

FOR_GRACE_S: Final = 600.0
"""Between a restart and the first time that a pending alert fires; `forGracePeriod` of Prometheus."""


def alerts_to_json(state: RuleState, now_s: float) -> list[Any]:
    """The alerts, for `state_from_json`."""
    return [
        {
            "labels": [list(label) for label in alert.labels],
            "state": alert.state.value,
            "value": _number(alert.value),
            "active": now_s - alert.active_since_s,
            "fired": _age(alert.fired_at_s, now_s),
            "keep": _age(alert.keep_since_s, now_s),
            "resolved": _age(alert.resolved_at_s, now_s),
            "worst": None if alert.worst is None else list(alert.worst),
        }
        for alert in state.alerts.values()
    ]


def state_from_json(
    kept: Iterable[Mapping[str, Any]], rule: Rule, now_s: float, outage_s: float
) -> RuleState:
    """The alerts after an outage, as `RestoreForState` of Prometheus has them; what fired goes on firing."""
    down_s = now_s - outage_s
    alerts: dict[Labels, Alert] = {}
    for entry in kept:
        labels: Labels = tuple((name, value) for name, value in entry["labels"])
        alert = Alert(
            labels,
            AlertState(entry["state"]),
            float(entry["value"]),
            down_s - entry["active"],
            _time(entry["fired"], down_s),
            _time(entry["keep"], down_s),
            _time(entry["resolved"], down_s),
            None if entry["worst"] is None else Worst(*entry["worst"]),
        )
        if alert.state is AlertState.PENDING:
            if rule.for_s < FOR_GRACE_S:
                continue
            alert = replace(alert, active_since_s=_active_since(rule, alert, down_s, now_s))
        alerts[labels] = alert
    return RuleState(alerts)


def _active_since(rule: Rule, alert: Alert, down_s: float, now_s: float) -> float:
    """Moved by the outage, and so that the alert does not fire before the grace is over."""
    remaining_s = rule.for_s - (down_s - alert.active_since_s)
    if remaining_s < FOR_GRACE_S:
        return now_s + FOR_GRACE_S - rule.for_s
    return alert.active_since_s + now_s - down_s


def series_to_json(series: Iterable[Series], now_s: float) -> dict[str, Any]:
    """The series with their last values, for `series_from_json`. Each sender is written once."""
    numbers: dict[int, int] = {}
    senders: list[Any] = []
    entries: list[Any] = []
    for one in series:
        if id(one.sender) not in numbers:
            numbers[id(one.sender)] = len(senders)
            senders.append(dict(one.sender.attributes))
        entries.append(
            {
                "sender": numbers[id(one.sender)],
                "metric": one.metric,
                "attributes": dict(one.attributes),
                "kind": one.kind.value,
                "value": _point(one.value) if isinstance(one.value, HistogramPoint) else _number(one.value),
                "start": one.start_s,
                "seen": now_s - one.seen_s,
                "level": next((part.levels[one].to_json(now_s) for part in one.parts if part.levels), []),
            }
        )
    return {"senders": senders, "entries": entries}


def series_from_json(kept: Mapping[str, Any]) -> Iterator[tuple[Reading, float, list[Any]]]:
    """The last reading of each series, its age at the time of the snapshot, and the slots of its window."""
    senders = [Sender.of(attributes) for attributes in kept["senders"]]
    for entry in kept["entries"]:
        value = entry["value"]
        reading = Reading(
            senders[entry["sender"]],
            entry["metric"],
            PointKind(entry["kind"]),
            entry["attributes"],
            _point_from(value) if isinstance(value, dict) else float(value),
            entry["start"],
        )
        yield reading, entry["seen"], entry["level"]


def group_to_json(group: Group, now_s: float) -> dict[str, Any]:
    """A group's windows, for `restore_group`."""
    return {
        "labels": [list(label) for label in group.labels],
        "seen": now_s - group.seen_s,
        "parts": [
            {
                "established": part.is_established,
                "windows": [window.to_json(now_s) for window in part.windows],
            }
            for part in group.parts
        ],
        "history": None if group.history is None else group.history.to_json(),
    }


def restore_group(group: Group, kept: Mapping[str, Any], now_s: float, outage_s: float) -> None:
    """Fills the windows of a group whose series are there again.

    Nobody looked during the outage, so that it does not make a group one without data.
    """
    group.seen_s = now_s - kept["seen"]
    for part, entry in zip(group.parts, kept["parts"], strict=True):
        part.is_established = bool(entry["established"])
        for window, slots in zip(part.windows, entry["windows"], strict=True):
            window.restore(slots, now_s - outage_s)
    if group.history is not None:
        group.history.restore(kept["history"])


def _point(point: HistogramPoint) -> dict[str, Any]:
    buckets = point.buckets
    kept: dict[str, Any] = {"count": point.count, "sum": _number(point.sum)}
    if isinstance(buckets, ExplicitBuckets):
        return kept | {"bounds": list(buckets.bounds), "counts": list(buckets.counts)}
    return kept | {
        "scale": buckets.scale,
        "zero": buckets.zero,
        "positive": sorted(buckets.positive.items()),
        "negative": sorted(buckets.negative.items()),
    }


def _point_from(kept: Mapping[str, Any]) -> HistogramPoint:
    buckets: ExplicitBuckets | ExponentialBuckets
    if "bounds" in kept:
        buckets = ExplicitBuckets(tuple(kept["bounds"]), tuple(kept["counts"]))
    else:
        positive, negative = (
            {int(at): int(count) for at, count in kept[side]} for side in ("positive", "negative")
        )
        buckets = ExponentialBuckets(kept["scale"], kept["zero"], positive, negative)
    return HistogramPoint(kept["count"], float(kept["sum"]), buckets)


def _number(value: float) -> float | str:
    """JSON has no infinity and no NaN; `float` reads both ways of writing."""
    return value if math.isfinite(value) else repr(value)


def _age(at_s: float | None, now_s: float) -> float | None:
    return None if at_s is None else now_s - at_s


def _time(age_s: float | None, down_s: float) -> float | None:
    return None if age_s is None else down_s - age_s
