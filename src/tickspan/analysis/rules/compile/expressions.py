"""The expression: one series for each group of a rule that is beyond its threshold, in PromQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tickspan.analysis.rules.compile.burn import burning
from tickspan.analysis.rules.compile.promql import (
    Series,
    any_of,
    duration,
    exact,
    group_labels,
    label_matcher,
    metric_name,
    number,
    quoted,
    series_of,
)
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    Change,
    Condition,
    Event,
    Forecast,
    NoData,
    Ratio,
    Rule,
    Selector,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.naming import prometheus_label
from tickspan.analysis.rules.readings import PointKind
from tickspan.semconv.sessions import SESSION_NAME, SESSION_OPEN

__all__ = [
    "KNOWN_FOR_S",
    "alert_expression",
    "in_session",
    "session_metric",
    "value_expression",
    "without_data",
]

KNOWN_FOR_S: Final = 3600.0
"""How long a series that was seen is missed."""
_POINTS_OF_A_LINE: Final = 60


def alert_expression(rule: Rule, metrics: Mapping[str, MetricFact]) -> str:
    """Groups whose alert is active, with all that the rule asks for; no event rule has such an expression.

    Raises:
        KeyError: a metric that nothing is known of.
    """
    breach = _breach(rule, metrics, rule.threshold)
    if rule.clear is not None:
        firing = f'ALERTS{{alertname={quoted(rule.name)}, alertstate="firing"}}'
        lasting = _breach(rule, metrics, rule.clear)
        breach = f"({breach})\nor\n(({lasting}) and on ({_by(rule)}) {firing})"
    if rule.no_data is NoData.FIRE:
        breach = f"({breach})\nor\n{without_data(rule, metrics)}"
    return in_session(rule, metrics, breach)


def value_expression(rule: Rule, metrics: Mapping[str, MetricFact]) -> str:
    """The value of each group that has one."""
    expression = rule.expression
    match expression:
        case Threshold():
            series = _series(expression.selector, metrics, rule)
            return _counted(rule, series, series.statistic(expression.stat, rule.window_s))
        case Ratio():
            return _ratio(rule, expression, metrics)
        case Change():
            series = _series(expression.selector, metrics, rule)
            before = _series(expression.selector, metrics, rule, expression.baseline_s)
            now, then = (one.statistic(expression.stat, rule.window_s) for one in (series, before))
            return _counted(rule, series, f"({now}) / ({then})")
        case Forecast():
            series = _series(expression.selector, metrics, rule)
            return _counted(rule, series, _forecast(rule, expression, series))
        case Absent():
            return _absent(rule, expression, metrics)
        case Burn() | Event():
            raise ValueError(f"{rule.name}: expected a rule with one value, got {type(expression).__name__}")


def without_data(rule: Rule, metrics: Mapping[str, MetricFact]) -> str:
    """1 for each group that was seen in the last hour, and gave nothing, or too little, in the window."""
    series = [_series(selector, metrics, rule) for selector in rule.selectors]
    reach_s = max(KNOWN_FOR_S, rule.window_s)
    known, present = (
        any_of(dict.fromkeys(one.present(length) for one in series)) for length in (reach_s, rule.window_s)
    )
    if rule.min_count:
        return f"(({known}) unless ({series[-1].count(rule.window_s)} >= {rule.min_count}))"
    return f"(({known}) unless ({present}))"


def in_session(rule: Rule, metrics: Mapping[str, MetricFact], expression: str) -> str:
    """The expression while the session is open and warm; always, while nobody tells whether it is."""
    if rule.session is None:
        return expression
    calendar = label_matcher(prometheus_label(SESSION_NAME), (rule.session,))
    is_open = f"{session_metric(metrics)}{{{calendar}}}"
    if rule.warmup_s:
        is_open = f"min_over_time({is_open}[{exact(rule.warmup_s)}])"
    return f"({expression})\nunless on () ({is_open} == 0)"


def session_metric(metrics: Mapping[str, MetricFact]) -> str:
    """The name of the gauge that tells whether a session is open."""
    return metric_name(metrics.get(SESSION_OPEN) or MetricFact(SESSION_OPEN, MetricKind.GAUGE))


def _breach(rule: Rule, metrics: Mapping[str, MetricFact], threshold: float) -> str:
    expression = rule.expression
    if isinstance(expression, Absent):
        return _absent(rule, expression, metrics)
    if isinstance(expression, Burn):
        return burning(rule, expression, metrics, threshold, is_recorded=True)
    value = value_expression(rule, metrics)
    if rule.condition is Condition.NE:  # NaN is unequal to everything, and no value
        return f"({value}) < {number(threshold)} or ({value}) > {number(threshold)}"
    return f"({value}) {rule.condition.sign} {number(threshold)}"


def _counted(rule: Rule, series: Series, value: str) -> str:
    """The value of groups that have enough measurements."""
    if not rule.min_count:
        return value
    return f"({value})\nand\n({series.count(rule.window_s)} >= {rule.min_count})"


def _ratio(rule: Rule, ratio: Ratio, metrics: Mapping[str, MetricFact]) -> str:
    """A numerator that never was is zero, unless it is a gauge; a denominator of zero gives nothing."""
    above, below = (_series(one, metrics, rule) for one in (ratio.numerator, ratio.denominator))
    numerator, denominator = (one.total(ratio.stat, rule.window_s) for one in (above, below))
    if below.kind is not PointKind.GAUGE:
        numerator = f"({numerator} or {denominator} * 0)"
    return _counted(rule, below, f"{numerator} / ({denominator} != 0)")


def _forecast(rule: Rule, forecast: Forecast, series: Series) -> str:
    """The line through a gauge's points; through the statistic of sixty parts of the window for all else."""
    horizon = number(forecast.horizon_s)
    stat = forecast.stat
    if series.kind is PointKind.GAUGE and stat.name in {StatName.LAST, StatName.AVG}:
        joined = "sum" if stat.name is StatName.LAST else "avg"
        line = f"predict_linear({series.over(duration(rule.window_s))}, {horizon})"
        return f"{joined} by ({series.group}) ({line})"
    part_s = rule.window_s / _POINTS_OF_A_LINE
    statistic = series.statistic(stat, max(part_s, _LEAST_PART_S))
    return f"predict_linear(({statistic})[{duration(rule.window_s)}:{duration(part_s)}], {horizon})"


_LEAST_PART_S: Final = 60.0
"""Points may be half a minute apart; fewer than two of them have no rate."""


def _absent(rule: Rule, absent: Absent, metrics: Mapping[str, MetricFact]) -> str:
    """1 for each group that was seen, or is expected, and is not there."""
    series = _series(absent.selector, metrics, rule)
    once = series.present(max(absent.known_for_s, rule.window_s))
    missed = [f"({once} unless {series.present(rule.window_s)})"]
    labels = [prometheus_label(attribute) for attribute in rule.by]
    by = ", ".join(labels)
    for values in absent.expect:
        named = [label_matcher(label, (value,)) for label, value in zip(labels, values, strict=True)]
        window = duration(rule.window_s)
        gone = f"absent_over_time({series.over(window, '', named)})"
        if series.kind is PointKind.HISTOGRAM:
            gone += f" and absent_over_time({series.over(window, '_count', named)})"
        missed.append(f"(group by ({by}) ({gone}) unless on ({by}) {once})")
    return any_of(missed)


def _series(
    selector: Selector, metrics: Mapping[str, MetricFact], rule: Rule, offset_s: float = 0.0
) -> Series:
    return series_of(selector, metrics[selector.metric], rule, offset_s)


def _by(rule: Rule) -> str:
    return ", ".join(group_labels(rule))
