"""Alerts: what fired and why, and the targets with their state."""

from __future__ import annotations

from functools import cache
from typing import Final

from tickspan.alerts.file import DEFAULT_PACK, read_rules
from tickspan.analysis.rules.model import Rule
from tickspan.semconv import alerts as names
from tickspan.semconv.common import SERVICE_INSTANCE_ID
from tickspan_desk.store.reading import LogEntry, Reading, Window
from tickspan_desk.views.alerts import (
    TARGETS,
    Alerts,
    AlertView,
    Target,
    alert_view,
    alerts_of,
    metrics_of,
    reach_s,
    target_of,
)
from tickspan_desk.web.page import Asked, NotFound, Page

__all__ = ["PAGES"]

_EVENTS: Final = 5_000
_BEFORE_NS: Final = 7 * 86_400_000_000_000
"""How far back the state at the beginning of a range is looked for."""
_HEARD_NS: Final = 3_600_000_000_000
_SERIES: Final = 2_000


def _alerts(reading: Reading, asked: Asked) -> Alerts:
    window = asked.window()
    entries = _changes(reading, window)
    rules, problem = _pack()
    targets = tuple(_target(reading, rules[name], window.until_ns) for name in TARGETS if name in rules)
    return alerts_of(
        entries,
        window,
        targets,
        heard=_heard(reading, window),
        problem=problem,
        is_cut=len(entries) >= _EVENTS,
    )


def _alert(reading: Reading, asked: Asked) -> AlertView:
    name, window = asked.path["name"], asked.window()
    changes, heard = _changes(reading, window), _heard(reading, window)
    found = alert_view(name, changes, window, _pack()[0].get(name), heard)
    if found is None:
        raise NotFound(f"Rule {name!r} has told nothing. /alerts lists those that have.")
    return found


def _target(reading: Reading, rule: Rule, until_ns: int) -> Target:
    back = Window(until_ns - int(reach_s(rule) * 1e9), until_ns)
    series = [one for name in metrics_of(rule) for one in reading.series(name, back, limit=_SERIES)]
    return target_of(rule, series, until_ns)


def _changes(reading: Reading, window: Window) -> list[LogEntry]:
    back = Window(window.since_ns - _BEFORE_NS, window.until_ns)
    return reading.latest((names.EVENT_STATE_CHANGE,), back, limit=_EVENTS)


def _heard(reading: Reading, window: Window) -> dict[str, int]:
    """When each process last told which of its alerts are active; at most an hour before the end."""
    heard: dict[str, int] = {}
    back = Window(window.until_ns - _HEARD_NS, window.until_ns)
    for one in reading.series(names.ALERT_ACTIVE, back, limit=_SERIES):
        instance = str(one.resource.get(SERVICE_INSTANCE_ID, ""))
        last_ns = one.points[-1].time_ns if one.points else back.since_ns
        heard[instance] = max(heard.get(instance, 0), last_ns)
    return heard


@cache
def _pack() -> tuple[dict[str, Rule], str]:
    """The rules of the default pack by name, and why there are none."""
    rules, problems = read_rules(DEFAULT_PACK)
    return {rule.name: rule for rule in rules.rules}, "; ".join(problem.message for problem in problems)


PAGES: tuple[Page, ...] = (
    Page("/alerts", "Alerts", "alerts.html", _alerts, key="a"),
    Page("/alerts/{name:path}", "", "alert.html", _alert),
)
