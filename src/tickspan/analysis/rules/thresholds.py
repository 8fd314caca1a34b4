"""Other thresholds: rules that somebody else wrote, with numbers of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tickspan.analysis.rules.forms import POSITIVE
from tickspan.analysis.rules.model import Absent, Burn, Event, Rule
from tickspan.analysis.rules.problems import Misread, Place, Problems, RuleProblem, hint, shown
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.units import quantity

__all__ = ["override", "with_thresholds"]


def with_thresholds(
    rules: RuleSet, thresholds: Mapping[str, Any], place: Place = ("alerts", "thresholds")
) -> tuple[RuleSet, tuple[RuleProblem, ...]]:
    """The rules with other thresholds, and what is wrong with these. A wrong one changes nothing.

    Args:
        rules: as they are.
        thresholds: by name of the rule; written as in rule files: `95%`, `250ms`, `3`. An event rule's is its
            count.
        place: of the mapping in the settings, for problems.
    """
    problems = Problems()
    changed = override({rule.name: rule for rule in rules.rules}, thresholds, place, problems)
    return replace(rules, rules=tuple(changed.values())), tuple(problems.found)


def override(
    rules: Mapping[str, Rule], thresholds: Mapping[str, Any], place: Place, problems: Problems
) -> Mapping[str, Rule]:
    """As `with_thresholds`, for rules by name."""
    changed = dict(rules)
    for name, raw in thresholds.items():
        rule = changed.get(name)
        if rule is None:
            problems.add(
                (*place, name), f"expected the name of a rule as key, got {shown(name)}{hint(name, rules)}"
            )
            continue
        try:
            changed[name] = _changed(rule, raw)
        except Misread as misread:
            problems.add((*place, name), str(misread))
    return changed


def _changed(rule: Rule, raw: object) -> Rule:
    if isinstance(rule.expression, Absent | Burn):
        raise Misread("expected a rule with a threshold; this one has none")
    if isinstance(rule.expression, Event):
        return replace(rule, threshold=float(POSITIVE.read(raw)))
    threshold = quantity(raw, rule.unit)
    if rule.clear is None:
        return replace(rule, threshold=threshold)
    # The distance between the two is a decision of the rule's; it stays what it was in proportion.
    clear = float(f"{rule.clear * threshold / rule.threshold:.15g}") if rule.threshold else threshold
    is_right = clear <= threshold if rule.condition.looks_up else clear >= threshold
    return replace(rule, threshold=threshold, clear=clear if is_right else threshold)
