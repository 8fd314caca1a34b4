"""The rule: one condition over metrics, spans or log events, as every evaluator and compiler reads it.

All times are seconds. Attribute and metric names are OpenTelemetry's.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from tickspan.analysis.findings import Severity

__all__ = [
    "Absent",
    "Burn",
    "BurnWindow",
    "Change",
    "Condition",
    "Event",
    "EventStatus",
    "Expression",
    "Forecast",
    "Labels",
    "Matcher",
    "NoData",
    "Owner",
    "Ratio",
    "Rule",
    "Scope",
    "Selector",
    "Severity",
    "Signal",
    "Stat",
    "StatName",
    "Threshold",
]

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in Prometheus spelling, sorted by name: the identity of a series or an alert."""


class Scope(enum.StrEnum):
    """Over what a rule adds up; it decides which labels name the sender, and who can evaluate the rule."""

    PROCESS = "process"
    """Labels `job` and `instance`."""
    HOST = "host"
    """Label `host_name`."""
    SERVICE = "service"
    """Label `job`."""
    FLEET = "fleet"
    """No label."""


class Owner(enum.StrEnum):
    """Who resolves an alert. `auto` is the slowest configured tier that evaluates the rule."""

    AUTO = "auto"
    PROCESS = "process"
    AGENT = "agent"
    GATEWAY = "gateway"
    PROMETHEUS = "prometheus"


class NoData(enum.StrEnum):
    """What a known series without data, or with too little, means."""

    OK = "ok"
    """The condition is false."""
    FIRE = "fire"
    """The condition is true."""
    KEEP = "keep"
    """The alert stays as it is."""


class Condition(enum.StrEnum):
    """How a value is compared with the threshold."""

    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"

    def holds(self, value: float, threshold: float) -> bool:
        """Whether the value is beyond the threshold; NaN never is, but for `ne`."""
        return _COMPARED[self](value, threshold)

    @property
    def comparison(self) -> Callable[[float, float], bool]:
        """The same as a plain function, for loops over many values."""
        return _COMPARED[self]

    @property
    def sign(self) -> str:
        """As PromQL writes it."""
        return _SIGNS[self]

    @property
    def looks_up(self) -> bool:
        """Whether greater values are worse."""
        return self in {Condition.GT, Condition.GE}


_COMPARED: Final[Mapping[Condition, Callable[[float, float], bool]]] = {
    Condition.GT: operator.gt,
    Condition.GE: operator.ge,
    Condition.LT: operator.lt,
    Condition.LE: operator.le,
    Condition.EQ: operator.eq,
    Condition.NE: operator.ne,
}
_SIGNS: Final[Mapping[Condition, str]] = {
    Condition.GT: ">",
    Condition.GE: ">=",
    Condition.LT: "<",
    Condition.LE: "<=",
    Condition.EQ: "==",
    Condition.NE: "!=",
}


class StatName(enum.StrEnum):
    """What a window of a series is reduced to."""

    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    RATE = "rate"
    INCREASE = "increase"
    COUNT = "count"
    QUANTILE = "quantile"


class Stat(NamedTuple):
    """A reduction.

    Gauges have last, avg, min, max; counters rate (per second), increase; histograms avg, rate (of
    measurements), count, quantile.

    Attributes:
        name: of the reduction.
        quantile: 0 to 1, for `quantile`; else None.
    """

    name: StatName
    quantile: float | None = None

    def __str__(self) -> str:
        """As rule files write it: `avg`, `p95`, `p99.9`."""
        return self.name.value if self.quantile is None else f"p{self.quantile * 100:.10g}"


_INCREASE: Final = Stat(StatName.INCREASE)


class Matcher(NamedTuple):
    """A condition on one attribute. A missing attribute counts as "".

    Attributes:
        attribute: its OpenTelemetry name.
        values: as text (`true`, `3`); one of them must be the attribute's.
        is_negated: the attribute's must be none of them.
    """

    attribute: str
    values: tuple[str, ...]
    is_negated: bool = False

    def accepts(self, value: str) -> bool:
        """Whether an attribute of this value matches."""
        return (value in self.values) is not self.is_negated


class Selector(NamedTuple):
    """Series of one metric. Matchers are joined by "and"; they may name resource attributes too."""

    metric: str
    where: tuple[Matcher, ...] = ()


class Signal(enum.StrEnum):
    """What an event rule looks at."""

    SPAN = "span"
    LOG = "log"


class EventStatus(enum.StrEnum):
    """Of a span."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The statistic of a window. Value: in the metric's unit (`rate`: per second)."""

    selector: Selector
    stat: Stat


@dataclass(frozen=True, slots=True)
class Ratio:
    """The numerator by the denominator, each added up over a group first. Value: 0 to 1, mostly.

    `min_count` is of the denominator's increase. A denominator of zero gives no value.

    Attributes:
        numerator: of the fraction.
        denominator: of it.
        stat: of both in the window: `increase` for counters and for the counts of histograms; `last`, `avg`,
            `min` or `max` for gauges, such as what is used of a limit.
    """

    numerator: Selector
    denominator: Selector
    stat: Stat = _INCREASE


@dataclass(frozen=True, slots=True)
class Absent:
    """Series that gave nothing for the window. Value: 1, only where something is absent.

    Attributes:
        selector: of the series.
        known_for_s: how long a series that was seen is missed.
        expect: groups that must be there, even if they never were: values of the rule's `by`, in its order.
    """

    selector: Selector
    known_for_s: float = 3600.0
    expect: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Spans that end, or log events, in the window. Value: how many.

    Attributes:
        signal: spans or log events.
        name: of the span, or the event name; None is any.
        where: on attributes, resource attributes included.
        status: of a span; None is any.
        min_duration_s: of a span; None is any.
    """

    signal: Signal
    name: str | None = None
    where: tuple[Matcher, ...] = ()
    status: EventStatus | None = None
    min_duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The statistic now by the one a baseline ago. Value: a ratio; 1 is no change."""

    selector: Selector
    stat: Stat
    baseline_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The straight line through the window's values, `horizon_s` from now. Value: in the metric's unit."""

    selector: Selector
    stat: Stat
    horizon_s: float = 3600.0


class BurnWindow(NamedTuple):
    """Both windows must burn the budget faster than `factor` times the sustainable rate."""

    factor: float
    long_s: float
    short_s: float


@dataclass(frozen=True, slots=True)
class Burn:
    """An error budget that burns too fast (SRE Workbook, chapter 5: multiple windows, multiple rates).

    Value: the largest of `min(burn over long, burn over short) / factor` over the windows, so that the rule's
    condition is `gt 1`. Burn: the error ratio by `1 - objective`.

    Attributes:
        slo: name of the objective.
        service: that it is promised for.
        errors: what counts as bad: an increase. None with `slower_than_s` or `good`.
        good: what counts as good, where that is what is known.
        total: all events.
        slower_than: for a histogram `total`: measurements above this bound are bad, in the metric's unit.
        objective: 0 to 1, such as 0.999.
        windows: pairs, any of which is enough.
        period_s: that the objective is about, mostly 30 days.
    """

    slo: str
    service: str
    total: Selector
    objective: float
    windows: tuple[BurnWindow, ...]
    errors: Selector | None = None
    good: Selector | None = None
    slower_than: float | None = None
    period_s: float = 2_592_000.0


Expression: TypeAlias = Threshold | Ratio | Absent | Event | Change | Forecast | Burn


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule.

    Attributes:
        name: of the alert, unique in a rule set.
        expression: what gives a value for each group.
        condition: that makes the alert, on the value.
        threshold: in the unit of the value.
        clear: once firing, the alert lasts while the condition holds for this one; None is the threshold.
        by: attributes that groups are made by; all else is added up, or joined, as the statistic needs.
        scope: see `Scope`.
        window_s: that the statistic is of; for events the time in which they count.
        for_s: how long the condition must hold.
        keep_firing_for_s: how long the alert lasts after the condition does not hold any more.
        min_count: measurements in the window below which there is no value.
        no_data: see `NoData`.
        session: name of a calendar; outside of it the rule is not evaluated. None is always.
        warmup_s: after the opening, in which it is not evaluated either.
        severity: of the alert.
        owner: see `Owner`.
        limit: of alerts; more of them fail the evaluation.
        notify: names of notifiers; empty is all that are configured.
        labels: that are added, Prometheus spelling.
        annotations: templates: `{{ value }}`, `{{ labels.trading_venue_name }}`.
        unit: of the value, UCUM; for people.
    """

    name: str
    expression: Expression
    condition: Condition
    threshold: float
    clear: float | None = None
    by: tuple[str, ...] = ()
    scope: Scope = Scope.PROCESS
    window_s: float = 60.0
    for_s: float = 0.0
    keep_firing_for_s: float = 0.0
    min_count: int = 0
    no_data: NoData = NoData.OK
    session: str | None = None
    warmup_s: float = 0.0
    severity: Severity = Severity.WARNING
    owner: Owner = Owner.AUTO
    limit: int = 100
    notify: tuple[str, ...] = ()
    labels: Labels = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    unit: str = ""

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Of the metrics that the rule reads; none for an event rule."""
        expression = self.expression
        match expression:
            case Threshold() | Absent() | Change() | Forecast():
                return (expression.selector,)
            case Ratio():
                return (expression.numerator, expression.denominator)
            case Burn():
                given = (expression.errors, expression.good, expression.total)
                return tuple(one for one in given if one is not None)
            case Event():
                return ()

    def is_breached(self, value: float, *, is_firing: bool) -> bool:
        """Whether the value makes, or while the alert fires keeps, the alert."""
        if is_firing and self.clear is not None:
            return self.condition.holds(value, self.clear)
        return self.condition.holds(value, self.threshold)
