"""The group: the series of a rule that are judged as one, and what its windows hold of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Final, NamedTuple, TypeAlias

from tickspan.analysis.rules.histograms import Histogram
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    Change,
    Event,
    Forecast,
    Labels,
    Ratio,
    Rule,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.readings import HistogramPoint, PointKind, Sender, Value, Worst
from tickspan.analysis.rules.windows import SLOTS, HistogramWindow, History, LevelWindow, NumberWindow

__all__ = ["Amount", "Group", "Part", "Series", "Span", "reaches_of", "suits"]

Amount: TypeAlias = float | Histogram
"""An increase."""

_STATS: Final[Mapping[PointKind, frozenset[StatName]]] = {
    PointKind.GAUGE: frozenset({StatName.LAST, StatName.AVG, StatName.MIN, StatName.MAX}),
    PointKind.COUNTER: frozenset({StatName.RATE, StatName.INCREASE, StatName.COUNT}),
    PointKind.HISTOGRAM: frozenset(
        {StatName.AVG, StatName.RATE, StatName.COUNT, StatName.INCREASE, StatName.QUANTILE}
    ),
}


class Span(NamedTuple):
    """What an evaluation looks at.

    Attributes:
        since_s: windows begin after it: the window ago, or the opening of the session.
        now_s: by the evaluation's clock.
        wall_s: the same by the wall clock.
        opened_s: when the session was opened; minus infinity for a rule without one.
    """

    since_s: float
    now_s: float
    wall_s: float
    opened_s: float = -math.inf

    @property
    def length_s(self) -> float:
        """Of the window."""
        return self.now_s - self.since_s


def reaches_of(rule: Rule) -> tuple[float, ...]:
    """The lengths of the windows that a rule needs, longest first."""
    if isinstance(rule.expression, Burn):
        lengths = {length for pair in rule.expression.windows for length in (pair.long_s, pair.short_s)}
        return tuple(sorted(lengths, reverse=True))
    return (rule.window_s,)


def suits(rule: Rule, kind: PointKind) -> bool:
    """Whether points of a kind have the statistic that the rule asks for."""
    expression = rule.expression
    match expression:
        case Threshold() | Change() | Forecast() | Ratio():
            return expression.stat.name in _STATS[kind]
        case Burn():
            needs_buckets = expression.slower_than is not None
            return kind is PointKind.HISTOGRAM or (kind is PointKind.COUNTER and not needs_buckets)
        case _:
            return True


class Series:
    """One series, as far as it is remembered.

    Attributes:
        sender: whose it is.
        metric: that it is of.
        attributes: of its points.
        kind: of them.
        parts: of the group that it counts for; the same metric may be both numerator and denominator.
        group: that it is in; None for one that the rule does not read.
        value: of the last reading.
        start_s: when adding up began, by the wall clock of its sender.
        seen_s: when it was last read.
        is_refused: the rule would read it, and cannot.
    """

    __slots__ = (
        "attributes",
        "group",
        "is_refused",
        "kind",
        "metric",
        "parts",
        "seen_s",
        "sender",
        "start_s",
        "value",
    )

    def __init__(self, sender: Sender, metric: str, attributes: Mapping[str, Value], kind: PointKind) -> None:
        self.sender = sender
        self.metric = metric
        self.attributes = attributes
        self.kind = kind
        self.parts: tuple[Part, ...] = ()
        self.group: Group | None = None
        self.value: float | HistogramPoint = 0.0
        self.start_s = 0.0
        self.seen_s = -math.inf
        self.is_refused = False


class Part:
    """What is known of the series of one selector in a group.

    Counters and histograms are added up, in one window for each length that the rule needs. Each gauge has
    its own window.

    Attributes:
        windows: of increases, longest first; empty for gauges.
        levels: windows of gauges.
        is_established: an increase is known, be it zero. A single reading of a counter that began before the
            window tells none.
    """

    __slots__ = ("_is_last", "_keeps_zeros", "is_established", "levels", "windows")

    def __init__(self, rule: Rule) -> None:
        expression = rule.expression
        self._keeps_zeros = isinstance(expression, Forecast)
        self._is_last = isinstance(expression, Threshold | Ratio) and expression.stat.name is StatName.LAST
        self.is_established = False
        self.windows: tuple[NumberWindow, ...] | tuple[HistogramWindow, ...] = ()
        self.levels: dict[Series, LevelWindow] = {}

    def holds(self, rule: Rule, series: Series) -> bool:
        """Makes the windows for a series. Returns whether it goes with those that are there."""
        if isinstance(rule.expression, Absent):
            return True
        if series.kind is PointKind.GAUGE:
            if not self.windows:
                slots = 1 if self._is_last else SLOTS
                self.levels[series] = LevelWindow(rule.window_s, slots)
            return not self.windows
        if self.levels:
            return False
        of_kind = HistogramWindow if series.kind is PointKind.HISTOGRAM else NumberWindow
        if not self.windows:
            self.windows = (
                tuple(HistogramWindow(length) for length in reaches_of(rule))
                if of_kind is HistogramWindow
                else tuple(NumberWindow(length) for length in reaches_of(rule))
            )
        return type(self.windows[0]) is of_kind

    def grow(self, amount: Amount, at_s: float, started_s: float) -> bool:
        """Adds an increase between two readings. Returns whether the part is another after it."""
        was_established = self.is_established
        self.is_established = was_established or self.windows[0].covers(at_s, started_s)
        if not amount and not self._keeps_zeros:
            return self.is_established is not was_established
        is_first = True
        for window in self.windows:
            if isinstance(window, NumberWindow):
                assert not isinstance(amount, Histogram)
                window.add(amount, at_s, started_s)
            else:
                assert isinstance(amount, Histogram)
                window.add(amount if is_first else amount.copy(), at_s, started_s)
            is_first = False
        return True

    def reduced(self, stat: Stat, span: Span) -> float | None:
        """The statistic over all series; None where nothing tells it.

        Of gauges `last` is added up, `avg` is the mean over the series, `min` and `max` are the extremes.
        """
        if self.levels:
            values = self.level_values(stat.name, span)
            return _joined(stat.name, values) if values else None
        return self.increase(stat, span)

    def summed(self, stat: Stat, span: Span) -> float | None:
        """As `reduced`, but gauges are added up whatever the statistic is."""
        if self.levels:
            values = self.level_values(stat.name, span)
            return math.fsum(values) if values else None
        return self.increase(stat, span)

    def level_values(self, stat: StatName, span: Span) -> list[float]:
        """The statistic of each gauge that has values in the window."""
        given = (window.reduced(stat, span.since_s) for window in self.levels.values())
        return [value for value in given if value is not None]

    def increase(self, stat: Stat, span: Span) -> float | None:
        """The statistic of what was added up."""
        if not self.is_established:
            return None
        window = self.windows[0]
        if isinstance(window, NumberWindow):
            total = window.total(span.since_s)
            return total / span.length_s if stat.name is StatName.RATE else total
        return _of_histogram(window.total(span.since_s), stat, span.length_s)

    def count(self, span: Span) -> float:
        """How many measurements are in the window; of a counter, its increase."""
        if self.levels:
            return sum(window.count(span.since_s) for window in self.levels.values())
        if not self.windows:
            return 0
        window = self.windows[0]
        return (
            window.total(span.since_s)
            if isinstance(window, NumberWindow)
            else window.total(span.since_s).count
        )

    def points(self, stat: Stat, span: Span) -> list[tuple[float, float]]:
        """Time and statistic of each slot. Of increases the first is left out: since when is not known."""
        if self.levels:
            return self._level_points(stat.name, span)
        if not self.windows:
            return []
        window = self.windows[0]
        points: list[tuple[float, float]] = []
        before_s = math.nan
        for at_s, amount in window.points(span.since_s):
            length_s = at_s - before_s
            if isinstance(amount, Histogram):
                value = _of_histogram(amount, stat, length_s)
            else:
                value = amount / length_s if stat.name is StatName.RATE else amount
            if value is not None and not math.isnan(length_s):
                points.append((at_s, value))
            before_s = at_s
        return points

    def _level_points(self, stat: StatName, span: Span) -> list[tuple[float, float]]:
        slots: dict[int, list[tuple[float, float]]] = {}
        for window in self.levels.values():
            for at_s, value in window.points(stat, span.since_s):
                slots.setdefault(int(at_s // window.slot_s), []).append((at_s, value))
        return [
            (max(at_s for at_s, _ in given), _joined(stat, [value for _, value in given]))
            for _, given in sorted(slots.items())
        ]

    @property
    def due_s(self) -> float:
        """When the first of what is in the windows leaves it."""
        due_s = math.inf
        for window in self.windows or self.levels.values():
            due_s = min(due_s, window.oldest_s + window.window_s)
        return due_s


class Group:
    """The series that are judged as one.

    Attributes:
        labels: of the scope and `by`.
        alert_labels: of the group's alert.
        parts: one for each selector of the rule; one for an event rule.
        series: of the group.
        senders: whose occurrences it counts, for an event rule.
        seen_s: when one of them was last read, or something last happened.
        is_changed: something that is not time changed the group since it was last judged.
        due_s: when time alone changes its value next.
        value: when it was last judged; None without data.
        is_sampled: it was there to be judged, be it without data.
        is_silent: it had no data when it was last judged.
        history: values of long ago, for a `change` rule.
        worst: worst measurement that is known.
        worst_at_s: when it was read.
    """

    __slots__ = (
        "alert_labels",
        "due_s",
        "history",
        "is_changed",
        "is_sampled",
        "is_silent",
        "labels",
        "parts",
        "seen_s",
        "senders",
        "series",
        "value",
        "worst",
        "worst_at_s",
    )

    def __init__(self, rule: Rule, labels: Labels, alert_labels: Labels) -> None:
        self.labels = labels
        self.alert_labels = alert_labels
        self.parts = tuple(Part(rule) for _ in rule.selectors or (None,))
        if isinstance(rule.expression, Event):
            self.parts[0].windows = (NumberWindow(rule.window_s),)
            self.parts[0].is_established = True
        self.series: set[Series] = set()
        self.senders: set[Hashable] = set()
        self.seen_s = -math.inf
        self.is_changed = True
        self.due_s = -math.inf
        self.value: float | None = None
        self.is_sampled = False
        self.is_silent = True
        self.history = History(rule.expression.baseline_s) if isinstance(rule.expression, Change) else None
        self.worst: Worst | None = None
        self.worst_at_s = -math.inf

    def __repr__(self) -> str:
        return f"<Group {dict(self.labels)}, {len(self.series)} series, value {self.value}>"


def _joined(stat: StatName, values: list[float]) -> float:
    match stat:
        case StatName.MIN:
            return min(values)
        case StatName.MAX:
            return max(values)
        case StatName.AVG:
            return math.fsum(values) / len(values)
        case _:
            return math.fsum(values)


def _of_histogram(histogram: Histogram, stat: Stat, length_s: float) -> float | None:
    match stat.name:
        case StatName.QUANTILE:
            return histogram.quantile(stat.quantile or 0.0)
        case StatName.AVG:
            return histogram.sum / histogram.count if histogram.count else None
        case StatName.RATE:
            return histogram.count / length_s
        case _:
            return float(histogram.count)
