"""OTTL: conditions on spans and log records for the collector, out of event rules.

The filter in front of a gateway passes what event rules ask for, and nothing else; counting is the gateway's.
Tail sampling keeps the traces with a span that is an alert all by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tickspan.analysis.rules.compile.lossy import Lossy
from tickspan.analysis.rules.compile.prometheus import Compiled
from tickspan.analysis.rules.model import Event, EventStatus, Matcher, Rule, Signal
from tickspan.analysis.rules.ruleset import RuleSet

__all__ = ["compile_filter", "compile_policy", "condition_of"]

_NAMES: Final = {Signal.SPAN: "name", Signal.LOG: "event_name"}
_STATUS: Final = {
    EventStatus.UNSET: "STATUS_CODE_UNSET",
    EventStatus.OK: "STATUS_CODE_OK",
    EventStatus.ERROR: "STATUS_CODE_ERROR",
}


def compile_filter(rules: RuleSet) -> Compiled:
    """A collector configuration with processor `filter/alerts`, which drops what no event rule asks for."""
    spans = [condition_of(event) for _, event in _events(rules) if event.signal is Signal.SPAN]
    logs = [condition_of(event) for _, event in _events(rules) if event.signal is Signal.LOG]
    processor = {
        "error_mode": "ignore",
        "traces": {"span": [_none_of(spans)]},
        "logs": {"log_record": [_none_of(logs)]},
    }
    return Compiled({"processors": {"filter/alerts": processor}}, (), _no_events(rules))


def compile_policy(rules: RuleSet) -> Compiled:
    """One policy for the list of `tail_sampling`: it samples the traces in which a span makes an alert."""
    alone = [event for rule, event in _events(rules) if event.signal is Signal.SPAN and _is_alone(rule)]
    policy = {
        "name": "alerts",
        "type": "ottl_condition",
        "ottl_condition": {
            "error_mode": "ignore",
            "span": [condition_of(event) for event in alone] or ["false"],
        },
    }
    lossy: list[Lossy] = []
    for rule, event in _events(rules):
        if event.signal is Signal.LOG:
            lossy.append(
                Lossy(rule.name, "sampling decides on spans: log events are no part", is_left_out=True)
            )
        elif not _is_alone(rule):
            lossy.append(Lossy(rule.name, "OTTL cannot count: one span is no alert yet", is_left_out=True))
    return Compiled(policy, tuple(lossy), _no_events(rules))


def condition_of(event: Event) -> str:
    """Whether a span or a log record is one that the rule counts."""
    parts: list[str] = []
    if event.name is not None:
        parts.append(f"{_NAMES[event.signal]} == {_text(event.name)}")
    parts += [_matches(matcher) for matcher in event.where]
    if event.status is not None:
        parts.append(f"status.code == {_STATUS[event.status]}")
    if event.min_duration_s is not None:
        least_ns = round(event.min_duration_s * 1e9)
        parts.append(f"end_time_unix_nano - start_time_unix_nano >= {least_ns}")
    return " and ".join(parts) or "true"


def _events(rules: RuleSet) -> Iterable[tuple[Rule, Event]]:
    return ((rule, rule.expression) for rule in rules.rules if isinstance(rule.expression, Event))


def _no_events(rules: RuleSet) -> tuple[str, ...]:
    """Rules over metrics, which are others' business."""
    return tuple(rule.name for rule in rules.rules if not isinstance(rule.expression, Event))


def _is_alone(rule: Rule) -> bool:
    """Whether one event is enough for an alert."""
    return rule.condition.holds(1.0, rule.threshold) and not rule.for_s


def _matches(matcher: Matcher) -> str:
    """The attribute, or that of the resource where there is none; as text, whatever its type is."""
    own = f"attributes[{_text(matcher.attribute)}]"
    of_resource = f"resource.{own}"
    is_there = " or ".join(_equals(own, value) for value in matcher.values)
    is_there_instead = " or ".join(_equals(of_resource, value) for value in matcher.values)
    either = f"(({is_there}) or ({own} == nil and ({is_there_instead})))"
    return f"not {either}" if matcher.is_negated else either


def _equals(path: str, value: str) -> str:
    """A missing attribute counts as an empty text."""
    if not value:
        return f'{path} == nil or {path} == ""'
    return f"String({path}) == {_text(value)}"


def _none_of(conditions: list[str]) -> str:
    return f"not ({' or '.join(f'({one})' for one in conditions)})" if conditions else "true"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
