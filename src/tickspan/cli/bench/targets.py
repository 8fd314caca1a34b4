"""The targets that no single measurement can meet: rules of the default pack, proven by its unit tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tickspan.cli.alerts.rule_files import DEFAULT_TESTS, unit_tests_of
from tickspan.cli.bench.report import Figure

if TYPE_CHECKING:
    from tickspan.analysis.rules.model import Rule
    from tickspan.analysis.rules.ruleset import RuleSet
    from tickspan.analysis.rules.unit_tests import UnitTests

__all__ = ["TARGETS", "Target", "judged"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a trading system is held to while it runs.

    Attributes:
        what: it is about.
        rule: of the default pack.
        wanted: the target, for people.
    """

    what: str
    rule: str
    wanted: str


TARGETS: Final[Mapping[str, Target]] = {
    "api": Target("response time of an API", "ApiLatencyTarget", "p95 below 100 ms"),
    "query": Target("time of complex queries", "QueryLatencyTarget", "p95 below 50 ms"),
    "process-memory": Target("memory of a process", "ProcessMemoryTarget", "below 2 GiB"),
    "cache-hits": Target("cache hits", "CacheHitTarget", "above 80 %"),
    "cpu": Target("CPUs of a host", "CpuTarget", "below 70 %"),
}


def judged(target: Target) -> Figure:
    """The rule, and whether it tells beyond its threshold and is silent before: by the pack's own tests.

    Raises:
        CommandError: rule files cannot be read, since `tickspan[alerts]` is not installed.
    """
    tests, rules, _ = unit_tests_of(DEFAULT_TESTS)
    rule = next(rule for rule in rules.rules if rule.name == target.rule)
    fires, is_silent, is_true = _proof(rule, tests, rules)
    return Figure(
        target.what,
        target.wanted,
        f"rule {rule.name}",
        f"{_told(rule)} for {rule.for_s:g} s, {rule.severity.name.lower()}; its {fires + is_silent} tests,"
        f" of which {fires} want it to fire, {'all come true' if is_true else 'do NOT come true'}",
        "how a program stands to it shows while it runs: `tickspan alerts status`, or the desk; another"
        f" threshold: alerts.thresholds = {rule.name}=…",
        is_true and fires > 0 and is_silent > 0,
    )


def _proof(rule: Rule, tests: UnitTests, rules: RuleSet) -> tuple[int, int, bool]:
    """How often the tests want the rule to fire, how often to be silent, and whether it all comes true."""
    from tickspan.analysis.rules.trial import run_unit_tests

    own = [
        replace(test, alerts=alerts, samples=())
        for test in tests.tests
        if (alerts := tuple(one for one in test.alerts if one.rule == rule.name))
    ]
    wanted = [bool(one.alerts) for test in own for one in test.alerts]
    failures = run_unit_tests(replace(tests, tests=tuple(own)), replace(rules, rules=(rule,)))
    return wanted.count(True), wanted.count(False), not failures


def _told(rule: Rule) -> str:
    from tickspan.alerts.notice import told_number
    from tickspan.analysis.rules.model import Threshold

    statistic = f"{rule.expression.stat} of " if isinstance(rule.expression, Threshold) else "share of "
    by = f" by {', '.join(rule.by)}" if rule.by else ""
    return (
        f"{statistic}{rule.selectors[0].metric}{by} over {rule.window_s:g} s"
        f" {rule.condition.sign} {told_number(rule.threshold, rule.unit)}"
    )
