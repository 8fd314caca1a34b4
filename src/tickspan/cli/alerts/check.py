"""`tickspan alerts check`: what is wrong in rule files, and who would evaluate each rule."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.alerts.rule_files import named_rules, rules_of
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.layout import table

if TYPE_CHECKING:
    from tickspan.analysis.rules.model import Rule
    from tickspan.analysis.rules.problems import RuleProblem
    from tickspan.analysis.rules.tiers import Tier

__all__ = ["NAME", "SUMMARY", "Checked", "add_options", "delay_s", "run"]

NAME: Final = "check"
SUMMARY: Final = "what is wrong in rule files; who evaluates each rule, and how soon it pages"
_TIERS: Final = "process,agent"

_EXPORT_S: Final = 10.0
"""Between two exports of metrics, unless the application has another interval."""
_SPOOL_S: Final = 0.1
_EVALUATION_S: Final = 1.0
_LAG_S: Final = 2.0
"""How long a gateway waits for points that are late."""
_PROMETHEUS_S: Final = 60.0 + 30.0
"""Its evaluation interval, and the `group_wait` of an Alertmanager, both by default."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One rule.

    Attributes:
        rule: name of it.
        file: that it is in.
        severity: of its alerts.
        scope: of it.
        tiers: that evaluate it, slowest first.
        owner: the one that ends its alerts; "" when no tier evaluates it.
        delay_s: from a breach to the page, at most; None when nobody evaluates it.
    """

    rule: str
    file: str
    severity: str
    scope: str
    tiers: tuple[str, ...]
    owner: str
    delay_s: float | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="F", help="rule files; 'default' is the pack of tickspan")
    parser.add_argument("--tiers", default=_TIERS, help=f"evaluators that there are ({_TIERS})")
    parser.add_argument("--json", action="store_true", help="the answer as data")


def run(options: argparse.Namespace) -> int:
    """Print it; exit status 1 when a file has a problem, or a rule is evaluated by nobody."""
    tiers = _tiers(options.tiers)
    problems: list[RuleProblem] = []
    checked: list[Checked] = []
    for file in named_rules(options.files):
        rules, wrong = rules_of(file)
        problems += wrong
        checked += [_checked(rule, file, tiers) for rule in rules.rules]
    print(_json(checked, problems) if options.json else _text(checked, problems))
    return int(bool(problems) or any(not one.owner for one in checked))


def delay_s(rule: Rule, tier: Tier) -> float:
    """From a breach to the page when a tier sees it, at most; without the time that fills a window."""
    from tickspan.analysis.rules.model import Absent, Event
    from tickspan.analysis.rules.tiers import Tier

    silence_s = rule.window_s if isinstance(rule.expression, Absent) else 0.0
    evaluation_s = 0.0 if isinstance(rule.expression, Event) else _EVALUATION_S
    export_s = _SPOOL_S if isinstance(rule.expression, Event) else _EXPORT_S
    match tier:
        case Tier.PROCESS:
            seen_s = evaluation_s + _SPOOL_S
        case Tier.AGENT:
            seen_s = export_s + _EVALUATION_S
        case Tier.GATEWAY:
            seen_s = export_s + _LAG_S + _EVALUATION_S
        case Tier.PROMETHEUS:
            seen_s = _EXPORT_S + _PROMETHEUS_S
    return silence_s + rule.for_s + seen_s


def _tiers(text: str) -> frozenset[Tier]:
    from tickspan.analysis.rules.tiers import Tier

    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in set(Tier)]
    if unknown:
        raise CommandError(f"--tiers: expected some of {', '.join(Tier)}, got '{unknown[0]}'")
    return frozenset(Tier(name) for name in names)


def _checked(rule: Rule, file: str, tiers: frozenset[Tier]) -> Checked:
    from tickspan.analysis.rules.tiers import evaluators_of, owner_of

    evaluators = evaluators_of(rule, tiers)
    owner = owner_of(rule, tiers)
    return Checked(
        rule.name,
        file,
        str(rule.severity),
        rule.scope.value,
        tuple(tier.value for tier in evaluators),
        owner.value if owner else "",
        min((delay_s(rule, tier) for tier in evaluators), default=None),
    )


def _json(checked: Sequence[Checked], problems: Sequence[RuleProblem]) -> str:
    told: dict[str, Any] = {
        "problems": [{**asdict(problem), "text": str(problem)} for problem in problems],
        "rules": [asdict(one) for one in checked],
    }
    return json.dumps(told, indent=2)


def _text(checked: Sequence[Checked], problems: Sequence[RuleProblem]) -> str:
    rows = [
        (
            "nobody" if one.delay_s is None else f"{one.delay_s:.4g} s",
            one.severity,
            one.scope,
            one.owner or "-",
            ", ".join(one.tiers) or "-",
            one.rule,
        )
        for one in checked
    ]
    lines = table(("pages after", "severity", "scope", "owner", "evaluated by", "rule"), rows) if rows else []
    told = [str(problem) for problem in problems]
    return "\n".join([*lines, *told, _sum(checked, problems)])


def _sum(checked: Sequence[Checked], problems: Sequence[RuleProblem]) -> str:
    def counted(number: int, word: str) -> str:
        return f"{number or 'no'} {word}{'' if number == 1 else 's'}"

    return f"{counted(len(checked), 'rule')}, {counted(len(problems), 'problem')}"
