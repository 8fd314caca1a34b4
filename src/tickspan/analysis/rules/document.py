"""The rule document: what a rule file says, read and checked.

Pure: a document is mappings, lists and scalars, wherever they came from. A rule that is wrong is left out,
each fault of it is a problem, and its neighbours stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from tickspan.analysis.rules import openslo
from tickspan.analysis.rules.budgets import Objective
from tickspan.analysis.rules.expressions import EXPRESSIONS, Surroundings
from tickspan.analysis.rules.facts import MetricFact
from tickspan.analysis.rules.forms import NAMES, TEXTS, Twice, items_of
from tickspan.analysis.rules.identity import check_labels
from tickspan.analysis.rules.keys import Entry, read_keys
from tickspan.analysis.rules.model import Burn, NoData, Owner, Rule
from tickspan.analysis.rules.problems import Misread, Place, Problems, RuleProblem, hint, shown
from tickspan.analysis.rules.ruleset import NotifierSettings, RuleSet
from tickspan.analysis.rules.schema import (
    CALENDAR,
    COMMON,
    KINDS,
    METRIC,
    NOTIFIERS,
    TOP,
    VERSION,
    Key,
)
from tickspan.analysis.rules.sessions import Exchange, MakeCalendar, SessionPlan, hours_of, no_exchange
from tickspan.analysis.rules.thresholds import override

__all__ = ["Basis", "includes_of", "read"]

_MAX_RULES: Final = 5000
_MAX_NESTED: Final = 200
_DEFAULT_KIND: Final = "threshold"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a document stands on: what its includes gave.

    Attributes:
        rules: with their calendars, notifiers and metrics.
        objectives: of OpenSLO documents, by name.
    """

    rules: RuleSet = field(default_factory=RuleSet)
    objectives: Mapping[str, Objective] = field(default_factory=dict[str, Objective])


class Content(NamedTuple):
    """What a document gives.

    Attributes:
        rules: of it and of what it stands on.
        objectives: the same.
        problems: in the order of the sections.
    """

    rules: RuleSet
    objectives: Mapping[str, Objective]
    problems: tuple[RuleProblem, ...]


def includes_of(document: object) -> tuple[str, ...]:
    """What a document includes; nothing where that cannot be read, which `read` reports."""
    if not isinstance(document, Mapping):
        return ()
    try:
        return TEXTS.read(document["include"]) if "include" in document else ()
    except Misread:
        return ()


def read(
    document: object,
    facts: Mapping[str, MetricFact],
    file: str = "",
    lines: Mapping[Place, int] | None = None,
    *,
    basis: Basis | None = None,
    calendar: MakeCalendar = no_exchange,
) -> tuple[RuleSet, tuple[RuleProblem, ...]]:
    """The rules of a document, and everything that is wrong with it. Never raises.

    Args:
        document: mappings, lists and scalars; scalars may all be text.
        facts: of the metrics that are known, by name.
        file: for problems.
        lines: of values, by their place; for problems.
        basis: what the includes gave. A rule of the document replaces an included one of the same name.
        calendar: makes a calendar out of what the document says about it.
    """
    content = read_content(document, facts, file, lines, basis=basis, calendar=calendar)
    return content.rules, content.problems


def read_content(
    document: object,
    facts: Mapping[str, MetricFact],
    file: str = "",
    lines: Mapping[Place, int] | None = None,
    *,
    basis: Basis | None = None,
    calendar: MakeCalendar = no_exchange,
) -> Content:
    """As `read`, with the objectives, for a document that includes this one."""
    problems = Problems(file, lines or {})
    basis = basis or Basis()
    if not isinstance(document, Mapping) or not document:
        problems.add((), f"expected a mapping with 'rules', got {shown(document)}")
        return Content(basis.rules, basis.objectives, tuple(problems.found))
    top = read_keys(document, TOP, (), problems)
    _check_version(top, problems)
    metrics = _metrics(top, facts, problems)
    known = {**facts, **basis.rules.metrics, **metrics}
    calendars = {**basis.rules.calendars, **_calendars(top, calendar, problems)}
    notifiers = {**basis.rules.notifiers, **_notifiers(top, problems)}
    promised = openslo.objectives(_listed(top, "slos", problems), known, ("slos",), problems)
    around = Surroundings(known, {**basis.objectives, **promised})
    included = _included(top, basis.rules, problems)
    own = _rules(top, around, frozenset(calendars), frozenset(notifiers), problems)
    own = (*own, *_implied(promised, (*included.values(), *own)))
    rules = (*_kept(included, own), *own)
    told = {selector.metric for rule in rules for selector in rule.selectors} | metrics.keys()
    told |= basis.rules.metrics.keys()
    facts_told = {name: known[name] for name in sorted(told) if name in known}
    return Content(RuleSet(rules, calendars, notifiers, facts_told), around.objectives, tuple(problems.found))


def _check_version(top: Entry, problems: Problems) -> None:
    version = top.values.get("version", VERSION)
    if version != VERSION:
        problems.add(("version",), f"expected {VERSION}, got {shown(version)}")


def _listed(top: Entry, name: str, problems: Problems) -> Sequence[object]:
    raw = top.values.get(name)
    if raw is None:
        return ()
    if not isinstance(raw, list | tuple):
        problems.add((name,), f"expected a list, got {shown(raw)}")
        return ()
    if len(raw) > _MAX_RULES:
        problems.add((name,), f"expected at most {_MAX_RULES} entries, got {len(raw)}")
    return list(raw)[:_MAX_RULES]


def _named(top: Entry, name: str, expected: str, problems: Problems) -> Mapping[str, Any]:
    """The entries of a section; those that are given twice are problems."""
    raw = top.values.get(name)
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        problems.add((name,), f"expected {expected}, got {shown(raw)}")
        return {}
    found: dict[str, Any] = {}
    for key, value in list(raw.items())[:_MAX_RULES]:
        try:
            found.update(items_of({key: value}, expected))
        except Misread as misread:
            problems.add((name, str(key)), str(misread))
    return found


# --- sections


def _metrics(top: Entry, facts: Mapping[str, MetricFact], problems: Problems) -> Mapping[str, MetricFact]:
    found: dict[str, MetricFact] = {}
    for name, raw in _named(top, "metrics", "a mapping of names to metrics", problems).items():
        place = ("metrics", name)
        entry = read_keys(raw, METRIC, place, problems)
        if entry.has_failed:
            continue
        values = entry.values
        bounds = _bounds(values.get("bounds"), (*place, "bounds"), problems)
        fact = MetricFact(
            name, values["kind"], values.get("unit", ""), values.get("attributes", ()), bounds or None
        )
        known = facts.get(name)
        if known is not None and (known.kind, known.unit) != (fact.kind, fact.unit):
            problems.add(
                place,
                f"expected what the catalogue has, {known.kind} with unit {shown(known.unit)},"
                f" got {fact.kind} with unit {shown(fact.unit)}",
            )
            continue
        found[name] = fact
    return found


def _bounds(raw: object, place: Place, problems: Problems) -> tuple[float, ...]:
    if raw is None:
        return ()
    try:
        texts = TEXTS.read(raw)
        bounds = tuple(float(text) for text in texts)
    except ValueError:
        problems.add(place, f"expected a list of numbers, got {shown(raw)}")
        return ()
    if sorted(set(bounds)) != list(bounds) or not all(abs(bound) < float("inf") for bound in bounds):
        problems.add(place, "expected finite numbers, each above the last")
        return ()
    return bounds


def _calendars(top: Entry, make: MakeCalendar, problems: Problems) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, raw in _named(top, "calendars", "a mapping of names to calendars", problems).items():
        place = ("calendars", name)
        entry = read_keys(raw, CALENDAR, place, problems)
        if entry.has_failed:
            continue
        try:
            found[name] = make(name, _plan(entry.values))
        except Misread as misread:
            problems.add(place, str(misread))
    return found


def _plan(values: Mapping[str, Any]) -> SessionPlan:
    if "mic" in values:
        if len(values) > 1:
            raise Misread(f"expected 'mic' alone, got {', '.join(sorted(set(values) - {'mic'}))} beside it")
        return Exchange(values["mic"])
    missing = [name for name in ("open", "close") if name not in values]
    if missing:
        raise Misread(f"expected 'mic', or 'open' and 'close'; '{missing[0]}' is missing")
    return hours_of(values)


_TYPE: Final = (Key("type", TEXTS, "Of the notifier.", is_required=True),)


def _notifiers(top: Entry, problems: Problems) -> Mapping[str, NotifierSettings]:
    found: dict[str, NotifierSettings] = {}
    for name, raw in _named(top, "notifiers", "a mapping of names to notifiers", problems).items():
        place = ("notifiers", name)
        if not isinstance(raw, Mapping):
            problems.add(place, f"expected a mapping with 'type', got {shown(raw)}")
            continue
        kind = raw.get("type")
        if not isinstance(kind, str) or kind not in NOTIFIERS:
            nearest = hint(kind, NOTIFIERS) if isinstance(kind, str) else ""
            problems.add(
                (*place, "type"),
                f"expected {', '.join(NOTIFIERS)}, got {shown(kind)}{nearest if 'mean' in nearest else ''}",
            )
            continue
        entry = read_keys(
            {key: value for key, value in raw.items() if key != "type"}, NOTIFIERS[kind], place, problems
        )
        if not entry.has_failed:
            found[name] = NotifierSettings(name, kind, entry.values)
    return found


def _included(top: Entry, included: RuleSet, problems: Problems) -> Mapping[str, Rule]:
    """Included rules by name, without those that are not wanted, with other thresholds."""
    rules = {rule.name: rule for rule in included.rules}
    for name in _unwanted(top, problems):
        if rules.pop(name, None) is None:
            known = hint(name, [rule.name for rule in included.rules])
            problems.add(("without",), f"expected the name of an included rule, got {shown(name)}{known}")
    changes = _named(top, "thresholds", "a mapping of rules to numbers", problems)
    return override(rules, changes, ("thresholds",), problems)


def _unwanted(top: Entry, problems: Problems) -> tuple[str, ...]:
    try:
        return NAMES.read(top.values["without"]) if "without" in top.values else ()
    except Misread as misread:
        problems.add(("without",), str(misread))
        return ()


# --- rules


def _rules(
    top: Entry,
    around: Surroundings,
    calendars: frozenset[str],
    notifiers: frozenset[str],
    problems: Problems,
) -> tuple[Rule, ...]:
    found: dict[str, tuple[int, Rule]] = {}
    for number, raw in enumerate(_listed(top, "rules", problems)):
        place = ("rules", number)
        rule = _rule(raw, place, around, problems)
        if rule is None:
            continue
        if not _refers_rightly(rule, place, calendars, notifiers, problems):
            continue
        if rule.name in found:
            problems.add(
                (*place, "name"),
                f"expected a name of its own, got '{rule.name}', which rules[{found[rule.name][0]}] has",
            )
            continue
        found[rule.name] = (number, rule)
    return tuple(rule for _, rule in found.values())


def _rule(raw: object, place: Place, around: Surroundings, problems: Problems) -> Rule | None:
    before = problems.count
    if not isinstance(raw, Mapping):
        problems.add(place, f"expected a mapping with 'name', got {shown(raw)}")
        return None
    kind = raw.get("kind", _DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in KINDS:
        if not isinstance(kind, Twice):
            nearest = hint(kind, KINDS) if isinstance(kind, str) else ""
            problems.add(
                (*place, "kind"),
                f"expected {', '.join(KINDS)}, got {shown(kind)}{nearest if 'mean' in nearest else ''}",
            )
        every = {key.name: key for other in KINDS.values() for key in other.keys}
        read_keys(raw, (*COMMON, *every.values()), place, problems, needs_all=False)
        return None
    entry = read_keys(raw, (*COMMON, *KINDS[kind].keys), place, problems)
    made = EXPRESSIONS[kind](entry, around, problems)
    if made is None or problems.count != before:
        return None
    rule = _assembled(entry.values, made)
    check_labels(rule, place, problems)
    _check_times(entry, rule, problems)
    return rule if problems.count == before else None


def _assembled(values: Mapping[str, Any], made: Rule) -> Rule:
    """The rule of an expression, with what all rules have."""
    return replace(
        made,
        name=values["name"],
        by=values.get("by", ()),
        scope=values.get("scope", made.scope),
        for_s=values.get("for", 0.0),
        keep_firing_for_s=values.get("keep_firing_for", 0.0),
        session=values.get("session"),
        warmup_s=values.get("warmup", 0.0),
        severity=values.get("severity", made.severity),
        owner=values.get("owner", Owner.AUTO),
        limit=values.get("limit", made.limit),
        notify=values.get("notify", ()),
        labels=tuple(sorted(values.get("labels", {}).items())),
        annotations=values.get("annotations", {}),
        no_data=values.get("no_data", NoData.OK),
    )


def _check_times(entry: Entry, rule: Rule, problems: Problems) -> None:
    if rule.warmup_s and rule.session is None:
        problems.add(
            (*entry.place, "warmup"), "expected 'session' beside it: there is no opening without one"
        )


def _refers_rightly(
    rule: Rule,
    place: Place,
    calendars: frozenset[str],
    notifiers: frozenset[str],
    problems: Problems,
) -> bool:
    before = problems.count
    if rule.session is not None and rule.session not in calendars:
        problems.add(
            (*place, "session"),
            f"expected a name under 'calendars', got '{rule.session}'{hint(rule.session, calendars)}",
        )
    for name in rule.notify:
        if name not in notifiers:
            problems.add(
                (*place, "notify"), f"expected a name under 'notifiers', got '{name}'{hint(name, notifiers)}"
            )
    return problems.count == before


def _kept(included: Mapping[str, Rule], own: Sequence[Rule]) -> tuple[Rule, ...]:
    """Included rules that no own rule replaces: by its name, or by naming the same objective."""
    names = {rule.name for rule in own}
    promised = {rule.expression.slo for rule in own if isinstance(rule.expression, Burn)}
    return tuple(
        rule
        for name, rule in included.items()
        if name not in names and not (isinstance(rule.expression, Burn) and rule.expression.slo in promised)
    )


def _implied(promised: Mapping[str, Objective], rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """A page and a ticket for each objective that no rule names."""
    used = {rule.expression.slo for rule in rules if isinstance(rule.expression, Burn)}
    return tuple(
        rule for name, objective in promised.items() if name not in used for rule in openslo.alerts(objective)
    )
