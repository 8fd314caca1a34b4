"""The value: what the expression of a rule is for one group."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.groups import Amount, Group, Part, Span
from tickspan.analysis.rules.histograms import Histogram
from tickspan.analysis.rules.model import Absent, Burn, Change, Event, Forecast, Ratio, Rule, Stat, Threshold
from tickspan.analysis.trend import line_through

__all__ = ["Measure", "changes_with_time", "measure_of"]

Measure: TypeAlias = Callable[[Group, Span], float | None]
"""Gives the value of a group; None where nothing tells it."""


def measure_of(rule: Rule, calendar: Calendar | None = None) -> Measure:
    """How the groups of a rule are measured. A group of a `change` rule remembers its value when it is."""
    expression = rule.expression
    match expression:
        case Threshold():
            measure: Measure = _statistic(expression.stat)
        case Ratio():
            measure = partial(_ratio, expression)
        case Absent():
            measure = partial(_absence, rule.window_s)
        case Event():
            measure = _occurrences
        case Change():
            measure = partial(_change, rule, expression, calendar)
        case Forecast():
            measure = partial(_forecast, expression)
        case Burn():
            measure = partial(_burn, rule, expression)
    return measure


def changes_with_time(rule: Rule) -> bool:
    """Whether the value changes with time also when nothing comes and nothing leaves a window."""
    return isinstance(rule.expression, Change | Forecast | Burn)


def _statistic(stat: Stat) -> Measure:
    return lambda group, span: group.parts[0].reduced(stat, span)


def _occurrences(group: Group, span: Span) -> float:
    return group.parts[0].count(span)


def _absence(window_s: float, group: Group, span: Span) -> float | None:
    return 1.0 if max(group.seen_s, span.opened_s) <= span.now_s - window_s else None


def _forecast(forecast: Forecast, group: Group, span: Span) -> float | None:
    line = line_through(group.parts[0].points(forecast.stat, span), span.now_s)
    return None if line is None else line.at(forecast.horizon_s)


def _ratio(ratio: Ratio, group: Group, span: Span) -> float | None:
    """A counter that never was is zero; of a gauge that never was nothing is known."""
    above, below = group.parts
    denominator = below.summed(ratio.stat, span)
    if not denominator:
        return None
    numerator = above.summed(ratio.stat, span)
    if numerator is None:
        return None if below.levels else 0.0
    return numerator / denominator


def _change(rule: Rule, change: Change, calendar: Calendar | None, group: Group, span: Span) -> float | None:
    assert group.history is not None
    now = group.parts[0].reduced(change.stat, span)
    if now is None:
        return None
    if calendar is None:
        then_s: float | None = span.wall_s - change.baseline_s
    else:
        then_s = calendar.same_time_before(span.wall_s, change.baseline_s)
    within_s = max(2 * group.history.apart_s, rule.window_s)
    before = None if then_s is None else group.history.at(then_s, within_s)
    group.history.add(now, span.wall_s)
    if before is None or (before == 0 and now == 0):
        return None
    return now / before if before else math.copysign(math.inf, now)


def _burn(rule: Rule, burn: Burn, group: Group, span: Span) -> float | None:
    budget = 1.0 - burn.objective
    values: list[float] = []
    for pair in burn.windows:
        long, short = (_errors(burn, group, span.now_s, length) for length in (pair.long_s, pair.short_s))
        if long is None or short is None or short.total < rule.min_count:
            continue
        values.append(
            min(long.ratio, short.ratio) / budget / pair.factor if budget > 0 else _endless(long, short)
        )
    return max(values, default=None)


class _Errors(NamedTuple):
    bad: float
    total: float

    @property
    def ratio(self) -> float:
        return self.bad / self.total


def _endless(long: _Errors, short: _Errors) -> float:
    """How fast a budget of nothing burns."""
    return math.inf if long.bad and short.bad else 0.0


def _errors(burn: Burn, group: Group, now_s: float, window_s: float) -> _Errors | None:
    """What was bad in a window, and how much there was; None when nothing was."""
    *judged, all_of_them = (_increase(part, now_s, window_s) for part in group.parts)
    total = _number(all_of_them)
    if not total:
        return None
    if burn.errors is not None:
        bad = _number(judged[0])
    elif burn.good is not None:
        bad = total - _number(judged[0])
    else:
        assert isinstance(all_of_them, Histogram)
        assert burn.slower_than is not None
        bad = all_of_them.above(burn.slower_than)
    return _Errors(min(max(bad, 0.0), total), total)


def _increase(part: Part, now_s: float, window_s: float) -> Amount:
    for window in part.windows:
        if window.window_s == window_s:
            return window.total(now_s - window_s)
    return 0.0


def _number(amount: Amount) -> float:
    return amount.count if isinstance(amount, Histogram) else amount
