"""The expressions: for each kind of rule, what its keys say becomes a value, a condition and a threshold."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tickspan.analysis.rules import units
from tickspan.analysis.rules.budgets import Objective, Pace, windows_of
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.forms import TEXTS
from tickspan.analysis.rules.keys import Entry, read_keys
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Change,
    Condition,
    Event,
    Expression,
    Forecast,
    Matcher,
    Ratio,
    Rule,
    Scope,
    Selector,
    Severity,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.problems import Misread, Place, Problems, hint, shown
from tickspan.analysis.rules.schema import BURN_WINDOW, SELECTOR
from tickspan.analysis.rules.spellings import unknown_metric
from tickspan.semconv.trading import EVENTS

__all__ = ["EXPRESSIONS", "Surroundings", "metric_of", "slo_rule"]

_LEVEL: Final = (StatName.LAST, StatName.AVG, StatName.MIN, StatName.MAX)
_STATS: Final[Mapping[MetricKind, tuple[StatName, ...]]] = {
    MetricKind.COUNTER: (StatName.RATE, StatName.INCREASE),
    MetricKind.UPDOWNCOUNTER: _LEVEL,
    MetricKind.GAUGE: _LEVEL,
    MetricKind.HISTOGRAM: (StatName.AVG, StatName.RATE, StatName.COUNT, StatName.QUANTILE),
}
_USUAL: Final[Mapping[MetricKind, Stat]] = {
    MetricKind.COUNTER: Stat(StatName.RATE),
    MetricKind.UPDOWNCOUNTER: Stat(StatName.LAST),
    MetricKind.GAUGE: Stat(StatName.LAST),
    MetricKind.HISTOGRAM: Stat(StatName.QUANTILE, 0.95),
}
_COUNTED: Final = "{measurement}"
_ANY: Final = "*"
_CLOSE: Final = 0.85
_RESOURCE: Final = (
    "service.",
    "host.",
    "process.",
    "deployment.",
    "telemetry.",
    "k8s.",
    "container.",
    "os.",
    "cloud.",
)
_WINDOW_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules may refer to.

    Attributes:
        metrics: by name.
        objectives: by name.
    """

    metrics: Mapping[str, MetricFact]
    objectives: Mapping[str, Objective]


Build: TypeAlias = Callable[[Entry, Surroundings, Problems], Rule | None]


# --- what the kinds share


def metric_of(
    name: str, place: Place, around: Mapping[str, MetricFact], problems: Problems, threshold: object = None
) -> MetricFact | None:
    """The metric of a name; None, and a problem that names the one that is meant, where it is not known."""
    fact = around.get(name)
    if fact is None:
        problems.add(place, unknown_metric(name, around, threshold))
    return fact


def _fact(entry: Entry, around: Surroundings, problems: Problems) -> MetricFact | None:
    name = entry.values.get("metric")
    if name is None:
        return None
    fact = metric_of(name, (*entry.place, "metric"), around.metrics, problems, entry.raw.get("threshold"))
    if fact is not None:
        matchers: tuple[Matcher, ...] = entry.values.get("where", ())
        for matcher in matchers:
            _check_attribute(matcher.attribute, fact, (*entry.place, "where", matcher.attribute), problems)
    return fact


def _check_by(entry: Entry, facts: Sequence[MetricFact], problems: Problems) -> None:
    by: tuple[str, ...] = entry.values.get("by", ())
    for attribute in by:
        for fact in facts[:1]:
            _check_attribute(attribute, fact, (*entry.place, "by"), problems)
    if len(set(by)) != len(by):
        problems.add((*entry.place, "by"), "expected each attribute once")


def _check_attribute(attribute: str, fact: MetricFact, place: Place, problems: Problems) -> None:
    """Report what looks like a slip of the pen; resources may have any attribute."""
    if not fact.attributes or attribute in fact.attributes or attribute.startswith(_RESOURCE):
        return
    nearest = difflib.get_close_matches(attribute, fact.attributes, n=1, cutoff=_CLOSE)
    if nearest:
        problems.add(
            place, f"'{fact.name}' has no attribute {shown(attribute)}; did you mean '{nearest[0]}'?"
        )


def _stat(entry: Entry, fact: MetricFact, problems: Problems) -> Stat:
    stat: Stat | None = entry.values.get("stat")
    if stat is None:
        return _USUAL[fact.kind]
    allowed = _STATS[fact.kind]
    if stat.name not in allowed:
        words = ["a quantile like p95" if name is StatName.QUANTILE else name.value for name in allowed]
        problems.add(
            (*entry.place, "stat"),
            f"expected {', '.join(words[:-1])} or {words[-1]} for the {fact.kind} '{fact.name}',"
            f" got '{stat}'",
        )
    return stat


def _unit(fact: MetricFact, stat: Stat) -> str:
    match stat.name:
        case StatName.RATE:
            base = _COUNTED if fact.kind is MetricKind.HISTOGRAM else fact.unit
            return f"{base or _COUNTED}/s"
        case StatName.COUNT:
            return _COUNTED
        case _:
            return fact.unit


def _compared(entry: Entry, expression: Expression, unit: str, problems: Problems) -> Rule:
    """A rule whose condition and threshold are the file's."""
    condition: Condition = entry.values.get("condition", Condition.GT)
    threshold = _quantity(entry, "threshold", unit, problems)
    clear = _quantity(entry, "clear", unit, problems)
    if threshold is not None and clear is not None:
        _check_clear(entry, condition, threshold, clear, problems)
    window_s = _window(entry, problems, _HOUR_S if isinstance(expression, Forecast) else _WINDOW_S)
    return Rule(
        "",
        expression,
        condition,
        0.0 if threshold is None else threshold,
        clear,
        window_s=window_s,
        min_count=entry.values.get("min_count", 0),
        unit=unit,
    )


def _quantity(entry: Entry, name: str, unit: str, problems: Problems) -> float | None:
    if name not in entry.values:
        return None
    try:
        return units.quantity(entry.values[name], unit)
    except Misread as misread:
        problems.add((*entry.place, name), str(misread))
        return None


def _check_clear(
    entry: Entry, condition: Condition, threshold: float, clear: float, problems: Problems
) -> None:
    place = (*entry.place, "clear")
    given = f"got {shown(entry.raw['clear'])} with threshold {shown(entry.raw['threshold'])}"
    match condition:
        case Condition.EQ | Condition.NE:
            problems.add(place, f"expected none with condition '{condition}'")
        case Condition.GT | Condition.GE if clear > threshold:
            problems.add(place, f"expected the threshold or less with condition '{condition}', {given}")
        case Condition.LT | Condition.LE if clear < threshold:
            problems.add(place, f"expected the threshold or more with condition '{condition}', {given}")
        case _:
            pass


def _window(entry: Entry, problems: Problems, usual_s: float = _WINDOW_S) -> float:
    return _above_zero(entry, "window", usual_s, problems)


def _above_zero(entry: Entry, name: str, usual_s: float, problems: Problems) -> float:
    seconds: float = entry.values.get(name, usual_s)
    if seconds <= 0:
        problems.add((*entry.place, name), f"expected a duration above zero, got {shown(entry.raw[name])}")
    return seconds


def _check_counts(entry: Entry, fact: MetricFact, problems: Problems) -> None:
    if entry.values.get("min_count") and fact.kind is not MetricKind.HISTOGRAM:
        problems.add(
            (*entry.place, "min_count"),
            f"expected a histogram: the {fact.kind} '{fact.name}' counts no measurements",
        )


def _measured(
    entry: Entry, around: Surroundings, problems: Problems
) -> tuple[MetricFact, Selector, Stat] | None:
    """What `threshold`, `change` and `forecast` share: metric, selector, statistic."""
    fact = _fact(entry, around, problems)
    if fact is None:
        return None
    stat = _stat(entry, fact, problems)
    _check_by(entry, (fact,), problems)
    _check_counts(entry, fact, problems)
    return fact, Selector(fact.name, entry.values.get("where", ())), stat


# --- the kinds


def _threshold(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    measured = _measured(entry, around, problems)
    if measured is None:
        return None
    fact, selector, stat = measured
    return _compared(entry, Threshold(selector, stat), _unit(fact, stat), problems)


def _forecast(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    measured = _measured(entry, around, problems)
    if measured is None:
        return None
    fact, selector, stat = measured
    horizon_s = _above_zero(entry, "horizon", _HOUR_S, problems)
    return _compared(entry, Forecast(selector, stat, horizon_s), _unit(fact, stat), problems)


def _change(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    measured = _measured(entry, around, problems)
    if measured is None:
        return None
    _, selector, stat = measured
    baseline_s = _above_zero(entry, "baseline", _DAY_S, problems)
    rule = _compared(entry, Change(selector, stat, baseline_s), units.ONE, problems)
    if baseline_s < rule.window_s:
        problems.add(
            (*entry.place, "baseline" if "baseline" in entry.raw else "window"),
            f"expected a baseline of the window ({units.told_duration(rule.window_s)}) or more,"
            f" got '{units.told_duration(baseline_s)}'",
        )
    return rule


def _ratio(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    sides = [_side(entry, name, around, problems) for name in ("numerator", "denominator")]
    first, second = sides
    if first is None or second is None:
        return None
    (above, numerator), (below, denominator) = first, second
    if above.kind.is_level is not below.kind.is_level:
        problems.add(
            (*entry.place, "denominator"),
            f"expected a {'gauge' if above.kind.is_level else 'counter or histogram'} as the numerator is,"
            f" got the {below.kind} '{below.name}'",
        )
        return None
    stat: Stat = entry.values.get("stat", Stat(StatName.LAST if above.kind.is_level else StatName.INCREASE))
    allowed = _LEVEL if above.kind.is_level else (StatName.INCREASE,)
    if stat.name not in allowed:
        words = [name.value for name in allowed]
        problems.add((*entry.place, "stat"), f"expected {', '.join(words)} for these metrics, got '{stat}'")
    if entry.values.get("min_count") and below.kind.is_level:
        problems.add(
            (*entry.place, "min_count"), f"expected a counter or histogram: '{below.name}' counts nothing"
        )
    _check_by(entry, (below,), problems)
    return _compared(entry, Ratio(numerator, denominator, stat), units.ONE, problems)


def _side(
    entry: Entry, name: str, around: Surroundings, problems: Problems
) -> tuple[MetricFact, Selector] | None:
    if name not in entry.values:
        return None
    side = read_keys(entry.values[name], SELECTOR, (*entry.place, name), problems)
    fact = _fact(side, around, problems)
    return None if fact is None else (fact, Selector(fact.name, side.values.get("where", ())))


def _absent(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    fact = _fact(entry, around, problems)
    if fact is None:
        return None
    _check_by(entry, (fact,), problems)
    window_s = _window(entry, problems)
    known_for_s: float = entry.values.get("known_for", _HOUR_S)
    if known_for_s < window_s:
        problems.add(
            (*entry.place, "known_for" if "known_for" in entry.raw else "window"),
            f"expected a known_for of the window ({units.told_duration(window_s)}) or more,"
            f" got '{units.told_duration(known_for_s)}'",
        )
    expect = _expected(entry, problems)
    expression = Absent(Selector(fact.name, entry.values.get("where", ())), known_for_s, expect)
    return Rule("", expression, Condition.GT, 0.0, window_s=window_s)


def _expected(entry: Entry, problems: Problems) -> tuple[tuple[str, ...], ...]:
    raw = entry.values.get("expect", ())
    place = (*entry.place, "expect")
    size = len(entry.values.get("by", ()))
    if not isinstance(raw, list | tuple):
        problems.add(place, f"expected a list of values of 'by', got {shown(raw)}")
        return ()
    found: list[tuple[str, ...]] = []
    for number, one in enumerate(raw):
        try:
            group = TEXTS.read(one)
        except Misread as misread:
            problems.add((*place, number), str(misread))
            continue
        if len(group) != size:
            problems.add(
                (*place, number), f"expected {size} values, one for each attribute of 'by', got {len(group)}"
            )
            continue
        found.append(group)
    return tuple(found)


def _event(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    del around
    values = entry.values
    if ("event" in entry.raw) is ("span" in entry.raw):
        problems.add(entry.place, "expected either 'event' or 'span'")
        return None
    signal = Signal.SPAN if "span" in entry.raw else Signal.LOG
    for name in ("status", "min_duration"):
        if signal is Signal.LOG and name in entry.raw:
            problems.add((*entry.place, name), "expected only with 'span': a log event has none")
    name: str | None = values.get(signal.value if signal is Signal.SPAN else "event")
    if signal is Signal.LOG and name is not None:
        _check_event(name, (*entry.place, "event"), problems)
    expression = Event(
        signal,
        None if name == _ANY else name,
        values.get("where", ()),
        values.get("status"),
        values.get("min_duration"),
    )
    _check_by(entry, (), problems)
    count: int = values.get("count", 1)
    return Rule(
        "",
        expression,
        Condition.GE,
        float(count),
        window_s=_window(entry, problems),
        unit=f"{{{'span' if signal is Signal.SPAN else 'event'}}}",
    )


def _check_event(name: str, place: Place, problems: Problems) -> None:
    """Report what looks like a slip of the pen: such a rule would never fire."""
    nearest = difflib.get_close_matches(name, EVENTS, n=1, cutoff=_CLOSE)
    if nearest and name not in EVENTS:
        problems.add(place, f"unknown event {shown(name)}; did you mean '{nearest[0]}'?")


def _slo(entry: Entry, around: Surroundings, problems: Problems) -> Rule | None:
    name = entry.values.get("slo")
    if name is None:
        return None
    objective = around.objectives.get(name)
    if objective is None:
        known = hint(name, around.objectives)
        problems.add(
            (*entry.place, "slo"), f"expected the name of an OpenSLO document, got {shown(name)}{known}"
        )
        return None
    if "windows" in entry.raw and "burn" in entry.raw:
        problems.add((*entry.place, "windows"), "expected either 'windows' or 'burn'")
    pace: Pace = entry.values.get("burn", Pace.PAGE)
    windows = _windows(entry, problems) or windows_of(pace, objective.burn.period_s)
    if not windows:
        problems.add((*entry.place, "burn"), f"expected 'windows': the period is too short for a '{pace}'")
        return None
    rule = slo_rule("", objective, windows, pace)
    return Rule(
        "",
        rule.expression,
        rule.condition,
        rule.threshold,
        scope=rule.scope,
        window_s=rule.window_s,
        min_count=entry.values.get("min_count", 0),
        severity=rule.severity,
        unit=rule.unit,
    )


def _windows(entry: Entry, problems: Problems) -> tuple[BurnWindow, ...]:
    raw = entry.values.get("windows")
    if raw is None:
        return ()
    place = (*entry.place, "windows")
    if not isinstance(raw, list | tuple) or not raw:
        problems.add(place, f"expected a list of factor, long and short, got {shown(raw)}")
        return ()
    found: list[BurnWindow] = []
    for number, one in enumerate(raw):
        window = read_keys(one, BURN_WINDOW, (*place, number), problems)
        factor = _quantity(window, "factor", units.ONE, problems)
        if window.has_failed or factor is None:
            continue
        long_s, short_s = window.values["long"], window.values["short"]
        if factor <= 0 or not 0 < short_s <= long_s:
            problems.add(window.place, "expected a factor above zero, and short not above long")
            continue
        found.append(BurnWindow(factor, long_s, short_s))
    return tuple(found)


def slo_rule(name: str, objective: Objective, windows: tuple[BurnWindow, ...], pace: Pace) -> Rule:
    """The rule of an objective that burns too fast: any pair of windows is enough."""
    burn: Burn = objective.burn
    expression = Burn(
        burn.slo,
        burn.service,
        burn.total,
        burn.objective,
        windows,
        burn.errors,
        burn.good,
        burn.slower_than,
        burn.period_s,
    )
    return Rule(
        name,
        expression,
        Condition.GT,
        1.0,
        scope=Scope.SERVICE,
        window_s=max(window.long_s for window in windows),
        severity=Severity.CRITICAL if pace is Pace.PAGE else Severity.WARNING,
        unit=units.ONE,
    )


EXPRESSIONS: Final[Mapping[str, Build]] = {
    "threshold": _threshold,
    "ratio": _ratio,
    "absent": _absent,
    "event": _event,
    "change": _change,
    "forecast": _forecast,
    "slo": _slo,
}
"""By kind. A builder gives None where what it needs is not there; the problem is then noted."""
