"""OpenSLO: objectives out of documents of `apiVersion: openslo/v1`, kinds SLO and SLI.

https://github.com/OpenSLO/OpenSLO. A metric is named by a source of `type: tickspan` whose `spec` has the
keys of a selector: `metric`, an OpenTelemetry name, and `where`. What cannot be an alert here is a problem:
other sources, time slices, calendar-aligned windows, several objectives in one document.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tickspan.analysis.rules import units
from tickspan.analysis.rules.budgets import Objective, Pace, windows_of
from tickspan.analysis.rules.expressions import metric_of, slo_rule
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.forms import NAME, TEXT, Twice
from tickspan.analysis.rules.keys import read_keys
from tickspan.analysis.rules.model import Burn, Rule, Selector
from tickspan.analysis.rules.problems import Misread, Place, Problems, hint, shown, written
from tickspan.analysis.rules.schema import SELECTOR

__all__ = ["alerts", "is_openslo", "objectives"]

_VERSION: Final = "openslo/v1"
_SOURCE: Final = "tickspan"
_DURATION: Final = re.compile(r"([0-9]{1,4})([mhdwMQY])")
_SECONDS: Final[Mapping[str, float]] = {
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "M": 2_592_000.0,
    "Q": 7_776_000.0,
    "Y": 31_536_000.0,
}
_PERIOD_S: Final = 2_592_000.0
_KINDS: Final = (
    "SLO",
    "SLI",
    "Service",
    "DataSource",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
)
_INDICATORS: Final = ("ratioMetric", "thresholdMetric")


def is_openslo(document: object) -> bool:
    """Whether a document is one of OpenSLO's, of whatever version."""
    version = document.get("apiVersion") if isinstance(document, Mapping) else None
    return isinstance(version, str) and version.startswith("openslo")


def objectives(
    documents: Sequence[object],
    facts: Mapping[str, MetricFact],
    place: Place,
    problems: Problems,
) -> Mapping[str, Objective]:
    """The objectives of documents, by name. A document that is wrong is a problem, and left out.

    Args:
        documents: SLOs and the SLIs that they refer to; other kinds are not looked at.
        facts: of the metrics that are known.
        place: of the list of documents.
        problems: are added to.
    """
    indicators: dict[str, tuple[Place, Any]] = {}
    promises: list[tuple[Place, Mapping[str, Any]]] = []
    for number, document in enumerate(documents):
        here = (*place, number)
        kind = _kind_of(document, here, problems)
        if kind is None or not isinstance(document, Mapping):
            continue
        if kind == "SLI":
            name = _name_of(document, here, problems)
            if name is not None:
                indicators[name] = ((*here, "spec"), document.get("spec"))
        elif kind == "SLO":
            promises.append((here, document))
    found: dict[str, Objective] = {}
    for here, document in promises:
        objective = _objective(document, here, indicators, facts, problems)
        if objective is None:
            continue
        if objective.burn.slo in found:
            problems.add(
                (*here, "metadata", "name"), f"expected a name of its own, got '{objective.burn.slo}'"
            )
            continue
        found[objective.burn.slo] = objective
    return found


def alerts(objective: Objective) -> tuple[Rule, ...]:
    """The page and the ticket of an objective: `OrderAcksPage`, `OrderAcksTicket`."""
    stem = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", objective.burn.slo))
    made = [(pace, windows_of(pace, objective.burn.period_s)) for pace in Pace]
    summary = f"The error budget of {objective.burn.slo} ({objective.burn.service}) burns too fast"
    return tuple(
        replace(
            slo_rule(f"{stem}{pace.value.capitalize()}", objective, windows, pace),
            annotations={"summary": summary},
        )
        for pace, windows in made
        if windows
    )


# --- documents


def _kind_of(document: object, place: Place, problems: Problems) -> str | None:
    if not isinstance(document, Mapping):
        problems.add(place, f"expected an OpenSLO document, got {shown(document)}")
        return None
    version = document.get("apiVersion")
    if version != _VERSION:
        problems.add((*place, "apiVersion"), f"expected {_VERSION}, got {shown(version)}")
        return None
    kind = document.get("kind")
    if kind not in _KINDS:
        near = hint(kind, _KINDS) if isinstance(kind, str) else ""
        problems.add(
            (*place, "kind"), f"expected SLO or SLI, got {shown(kind)}{near if 'mean' in near else ''}"
        )
        return None
    return str(kind)


def _name_of(document: Mapping[str, Any], place: Place, problems: Problems) -> str | None:
    metadata = _part(document, "metadata", place, problems)
    if metadata is None:
        return None
    try:
        return NAME.read(metadata.get("name"))
    except Misread as misread:
        problems.add((*place, "metadata", "name"), str(misread))
        return None


def _part(
    parent: Mapping[str, Any], name: str, place: Place, problems: Problems, *, is_optional: bool = False
) -> Mapping[str, Any] | None:
    """A mapping below another; None where there is none, which is a problem unless it is optional."""
    part = parent.get(name)
    if part is None and is_optional:
        return None
    if isinstance(part, Twice):
        problems.add((*place, name), f"expected once, got on lines {part.first_line} and {part.second_line}")
    elif not isinstance(part, Mapping):
        problems.add((*place, name), f"expected a mapping, got {shown(part)}")
    else:
        return part
    return None


def _objective(
    document: Mapping[str, Any],
    place: Place,
    indicators: Mapping[str, tuple[Place, Any]],
    facts: Mapping[str, MetricFact],
    problems: Problems,
) -> Objective | None:
    before = problems.count
    name = _name_of(document, place, problems)
    spec = _part(document, "spec", place, problems)
    if name is None or spec is None:
        return None
    inside = (*place, "spec")
    service = _text(spec, "service", inside, problems)
    _check_method(spec, inside, problems)
    period_s = _period(spec, inside, problems)
    goal, goal_place = _goal(spec, inside, problems)
    target = None if goal is None else _target(goal, goal_place, problems)
    indicator = _indicator(spec, inside, indicators, problems)
    if indicator is None or target is None or service is None or goal is None:
        return None
    indicator_place, kind, metrics = indicator
    start = Burn(name, service, Selector(""), target, (), period_s=period_s)
    if kind == "ratioMetric":
        burn = _of_ratio(start, metrics, indicator_place, facts, problems)
    else:
        burn = _of_threshold(start, metrics, indicator_place, goal, goal_place, facts, problems)
    description = spec.get("description")
    if burn is None or problems.count != before:
        return None
    return Objective(burn, description if isinstance(description, str) else "")


def _text(parent: Mapping[str, Any], name: str, place: Place, problems: Problems) -> str | None:
    try:
        return TEXT.read(parent.get(name))
    except Misread as misread:
        problems.add((*place, name), str(misread))
        return None


def _check_method(spec: Mapping[str, Any], place: Place, problems: Problems) -> None:
    method = spec.get("budgetingMethod", "Occurrences")
    if method != "Occurrences":
        problems.add((*place, "budgetingMethod"), f"expected Occurrences, got {shown(method)}")


def _period(spec: Mapping[str, Any], place: Place, problems: Problems) -> float:
    windows = spec.get("timeWindow")
    if windows is None:
        return _PERIOD_S
    here = (*place, "timeWindow")
    given: list[Any] = list(windows) if isinstance(windows, list | tuple) else []
    window = given[0] if len(given) == 1 else None
    if not isinstance(window, Mapping):
        problems.add(here, f"expected a list of one window, got {shown(windows)}")
        return _PERIOD_S
    if "calendar" in window or str(window.get("isRolling", "true")).lower() != "true":
        problems.add(
            (*here, 0), "expected a rolling window: a budget that starts anew has no steady burn rate"
        )
    text = written(window.get("duration")) or ""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        problems.add(
            (*here, 0, "duration"), f"expected a duration like '30d', got {shown(window.get('duration'))}"
        )
        return _PERIOD_S
    return int(match[1]) * _SECONDS[match[2]]


def _goal(
    spec: Mapping[str, Any], place: Place, problems: Problems
) -> tuple[Mapping[str, Any] | None, Place]:
    goals = spec.get("objectives")
    here = (*place, "objectives")
    given: list[Any] = list(goals) if isinstance(goals, list | tuple) else []
    if len(given) > 1:
        problems.add(here, f"expected one objective, got {len(given)}: write a document for each")
    elif not given or not isinstance(given[0], Mapping):
        problems.add(here, f"expected a list of one objective, got {shown(goals)}")
    else:
        return given[0], (*here, 0)
    return None, here


def _target(goal: Mapping[str, Any], place: Place, problems: Problems) -> float | None:
    given = [name for name in ("target", "targetPercent") if name in goal]
    if len(given) != 1:
        problems.add(place, "expected either 'target' or 'targetPercent'")
        return None
    name = given[0]
    try:
        number = units.quantity(goal[name], "")
    except Misread as misread:
        problems.add((*place, name), str(misread))
        return None
    target = number / 100 if name == "targetPercent" else number
    if not 0 < target < 1:
        limits = "0 and 100" if name == "targetPercent" else "0 and 1"
        problems.add((*place, name), f"expected a number between {limits}, got {shown(goal[name])}")
        return None
    return float(f"{target:.12g}")


def _indicator(
    spec: Mapping[str, Any],
    place: Place,
    indicators: Mapping[str, tuple[Place, Any]],
    problems: Problems,
) -> tuple[Place, str, Mapping[str, Any]] | None:
    """Where the indicator's metrics stand, which kind of indicator it is, and the metrics."""
    reference = spec.get("indicatorRef")
    if reference is not None:
        name = written(reference) or ""
        if name not in indicators:
            near = hint(name, indicators)
            problems.add(
                (*place, "indicatorRef"), f"expected the name of an SLI, got {shown(reference)}{near}"
            )
            return None
        inside, inner = indicators[name]
    else:
        indicator = _part(spec, "indicator", place, problems)
        if indicator is None:
            return None
        inside, inner = (*place, "indicator", "spec"), indicator.get("spec")
    if not isinstance(inner, Mapping):
        problems.add(inside, f"expected a mapping, got {shown(inner)}")
        return None
    kinds = [kind for kind in _INDICATORS if kind in inner]
    if len(kinds) != 1:
        problems.add(inside, "expected either 'ratioMetric' or 'thresholdMetric'")
        return None
    metrics = _part(inner, kinds[0], inside, problems)
    return None if metrics is None else ((*inside, kinds[0]), kinds[0], metrics)


def _of_ratio(
    start: Burn,
    metrics: Mapping[str, Any],
    place: Place,
    facts: Mapping[str, MetricFact],
    problems: Problems,
) -> Burn | None:
    if "raw" in metrics:
        problems.add((*place, "raw"), "expected 'good' or 'bad', and 'total': a ratio cannot be added up")
        return None
    given = [name for name in ("good", "bad") if name in metrics]
    if len(given) != 1 or "total" not in metrics:
        problems.add(place, "expected 'total', and either 'good' or 'bad'")
        return None
    counted = _source(metrics, given[0], place, facts, problems)
    total = _source(metrics, "total", place, facts, problems)
    if counted is None or total is None:
        return None
    for fact, _, name in ((*counted, given[0]), (*total, "total")):
        if fact.kind.is_level:
            problems.add(
                (*place, name), f"expected a counter or histogram, got the {fact.kind} '{fact.name}'"
            )
    events = counted[1]
    return Burn(
        start.slo,
        start.service,
        total[1],
        start.objective,
        (),
        errors=events if given[0] == "bad" else None,
        good=events if given[0] == "good" else None,
        period_s=start.period_s,
    )


def _of_threshold(
    start: Burn,
    metrics: Mapping[str, Any],
    place: Place,
    goal: Mapping[str, Any],
    goal_place: Place,
    facts: Mapping[str, MetricFact],
    problems: Problems,
) -> Burn | None:
    source = _source({"": metrics}, "", place[:-1], facts, problems, here=place)
    if source is None:
        return None
    fact, selector = source
    if fact.kind is not MetricKind.HISTOGRAM:
        problems.add(place, f"expected a histogram, got the {fact.kind} '{fact.name}'")
        return None
    operator = goal.get("op")
    if operator != "lte":
        problems.add((*goal_place, "op"), f"expected lte, as buckets count, got {shown(operator)}")
    try:
        bound = units.quantity(goal.get("value"), fact.unit)
    except Misread as misread:
        problems.add((*goal_place, "value"), str(misread))
        return None
    _check_bound(bound, fact, (*goal_place, "value"), problems)
    return Burn(
        start.slo, start.service, selector, start.objective, (), slower_than=bound, period_s=start.period_s
    )


def _check_bound(bound: float, fact: MetricFact, place: Place, problems: Problems) -> None:
    """Between two bounds nobody knows how many measurements were good."""
    bounds = fact.bounds
    if not bounds or bound in bounds:
        return
    number = bisect_left(bounds, bound)
    neighbours = " or ".join(f"{near:.10g}" for near in bounds[max(0, number - 1) : number + 1])
    unit = f" ({fact.unit})" if fact.unit else ""
    problems.add(
        place, f"expected a bound of a bucket of '{fact.name}', {neighbours}{unit}, got {bound:.10g}"
    )


def _source(
    parent: Mapping[str, Any],
    name: str,
    place: Place,
    facts: Mapping[str, MetricFact],
    problems: Problems,
    here: Place | None = None,
) -> tuple[MetricFact, Selector] | None:
    inside = (*place, name) if here is None else here
    holder = parent.get(name)
    if not isinstance(holder, Mapping):
        problems.add(inside, f"expected a mapping with 'metricSource', got {shown(holder)}")
        return None
    source = _part(holder, "metricSource", inside, problems)
    if source is None:
        return None
    inside = (*inside, "metricSource")
    kind = source.get("type", _SOURCE)
    if kind != _SOURCE:
        problems.add((*inside, "type"), f"expected {_SOURCE}, got {shown(kind)}")
        return None
    entry = read_keys(source.get("spec"), SELECTOR, (*inside, "spec"), problems)
    if entry.has_failed:
        return None
    fact = metric_of(entry.values["metric"], (*inside, "spec", "metric"), facts, problems)
    return None if fact is None else (fact, Selector(fact.name, entry.values.get("where", ())))
