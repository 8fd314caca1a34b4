"""The alert: one group of a rule that is, or was, beyond its threshold; and its changes of state."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from tickspan.analysis.rules.model import Labels
from tickspan.analysis.rules.readings import Worst

__all__ = ["Alert", "AlertState", "Reason", "RuleState", "Transition"]


class AlertState(enum.StrEnum):
    """As Prometheus has them; a resolved alert is inactive and still known."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Reason(enum.StrEnum):
    """Why an alert ended, where that is not its value."""

    VALUE = ""
    GONE = "gone"
    """The process that it was about has ended."""
    REMOVED = "removed"
    """Its rule is no more."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Times are seconds by the clock that the evaluation is given.

    Attributes:
        labels: all of them; see `tickspan.analysis.rules.labels`.
        state: now.
        value: of the last evaluation in which the condition held.
        active_since_s: of the first evaluation in a row in which it held.
        fired_at_s: when it began to fire; None before.
        keep_since_s: first evaluation without the condition, while it still fires; None otherwise.
        resolved_at_s: when it ended; None before.
        worst: measurement, with its trace, if one is known.
    """

    labels: Labels
    state: AlertState
    value: float
    active_since_s: float
    fired_at_s: float | None = None
    keep_since_s: float | None = None
    resolved_at_s: float | None = None
    worst: Worst | None = None


@dataclass(frozen=True, slots=True)
class RuleState:
    """The alerts of one rule, and whether its last evaluation failed.

    Attributes:
        alerts: by labels; resolved ones stay for 15 minutes.
        problem: why the last evaluation failed; "" when it did not.
    """

    alerts: Mapping[Labels, Alert] = field(default_factory=dict[Labels, Alert])
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert that changed its state.

    Attributes:
        alert: as it is now.
        previous: state before.
        at_s: of the evaluation.
        reason: see `Reason`.
    """

    alert: Alert
    previous: AlertState
    at_s: float
    reason: Reason = Reason.VALUE
