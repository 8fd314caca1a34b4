"""What a rule document says, and what is told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tickspan.alerts.file import catalogue_facts
from tickspan.alerts.text import read_yaml
from tickspan.analysis.rules.document import Basis, read
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Change,
    Condition,
    Event,
    EventStatus,
    Forecast,
    Matcher,
    NoData,
    Owner,
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
from tickspan.analysis.rules.problems import RuleProblem
from tickspan.analysis.rules.ruleset import NotifierSettings, RuleSet
from tickspan.analysis.rules.schema import KINDS

SLO = """
slos:
  - apiVersion: openslo/v1
    kind: SLO
    metadata: {name: order-acks}
    spec:
      service: oms
      indicator:
        metadata: {name: order-acks}
        spec:
          thresholdMetric: {metricSource: {type: tickspan, spec: {metric: trading.wire_to_ack}}}
      objectives: [{target: 0.99, op: lte, value: 200ms}]
"""


def read_text(text: str, **others: Any) -> tuple[RuleSet, tuple[RuleProblem, ...]]:
    document = read_yaml(text)[0]
    return read(document.value, catalogue_facts(), "alerts.yaml", document.lines, **others)


def read_rule(text: str, before: str = "") -> Rule:
    indented = "\n".join(f"    {line}" for line in text.strip().splitlines())
    rules, problems = read_text(f"{before}\nrules:\n  - {indented.lstrip()}\n")
    assert problems == ()
    return rules.rules[0]


def messages(text: str, before: str = "") -> list[str]:
    """Of a rule in flow style, without file and line."""
    _, problems = read_text(f"{before}\nrules:\n  - {text}\n")
    return [f"{problem.path}: {problem.message}" for problem in problems]


def test_a_threshold_rule_is_read_with_all_its_keys() -> None:
    rule = read_rule(
        """
        name: SlowTradeExecution
        kind: threshold
        metric: trading.order.duration
        where: {trading.order.type: [market, stop], trading.venue.environment: {not: paper}}
        by: [trading.venue.name]
        scope: fleet
        stat: p99.9
        window: 1m30s
        condition: ge
        threshold: 100ms
        clear: 80ms
        for: 10s
        keep_firing_for: 30s
        min_count: 20
        no_data: keep
        session: desk
        warmup: 5m
        severity: critical
        owner: gateway
        limit: 7
        notify: pager
        labels: {team: execution}
        annotations: {summary: "{{ value }} at {{ labels.trading_venue_name }}, {{ labels.team }}"}
        """.replace("\n        ", "\n"),
        "calendars: {desk: {open: 08:00, close: 22:00}}\nnotifiers: {pager: {type: callback}}",
    )
    where = (
        Matcher("trading.order.type", ("market", "stop")),
        Matcher("trading.venue.environment", ("paper",), is_negated=True),
    )
    assert rule == Rule(
        "SlowTradeExecution",
        Threshold(Selector("trading.order.duration", where), Stat(StatName.QUANTILE, 0.999)),
        Condition.GE,
        0.1,
        clear=0.08,
        by=("trading.venue.name",),
        scope=Scope.FLEET,
        window_s=90.0,
        for_s=10.0,
        keep_firing_for_s=30.0,
        min_count=20,
        no_data=NoData.KEEP,
        session="desk",
        warmup_s=300.0,
        severity=Severity.CRITICAL,
        owner=Owner.GATEWAY,
        limit=7,
        notify=("pager",),
        labels=(("team", "execution"),),
        annotations={"summary": "{{ value }} at {{ labels.trading_venue_name }}, {{ labels.team }}"},
        unit="s",
    )


@pytest.mark.parametrize(
    ("text", "expression", "condition", "threshold", "unit"),
    [
        (
            (
                "kind: ratio\nthreshold: 5%\nnumerator: {metric: trading.order.rejects}\n"
                "denominator: {metric: trading.order.operations}"
            ),
            Ratio(Selector("trading.order.rejects"), Selector("trading.order.operations")),
            Condition.GT,
            0.05,
            "1",
        ),
        (
            (
                "kind: ratio\nnumerator: {metric: trading.rate_limit.used}\n"
                "denominator: {metric: trading.rate_limit.limit}\nthreshold: 0.8"
            ),
            Ratio(
                Selector("trading.rate_limit.used"),
                Selector("trading.rate_limit.limit"),
                Stat(StatName.LAST),
            ),
            Condition.GT,
            0.8,
            "1",
        ),
        (
            (
                "kind: absent\nmetric: trading.feed.messages\nby: [trading.venue.name]\nknown_for: 2h\n"
                "expect: [binance, [kraken]]"
            ),
            Absent(Selector("trading.feed.messages"), 7200.0, (("binance",), ("kraken",))),
            Condition.GT,
            0.0,
            "",
        ),
        (
            "kind: event\nspan: '*'\nstatus: error\nmin_duration: 250ms\ncount: 3",
            Event(Signal.SPAN, None, (), EventStatus.ERROR, 0.25),
            Condition.GE,
            3.0,
            "{span}",
        ),
        (
            "kind: event\nevent: trading.order.unsafe_retry",
            Event(Signal.LOG, "trading.order.unsafe_retry"),
            Condition.GE,
            1.0,
            "{event}",
        ),
        (
            "kind: change\nmetric: trading.feed.messages\nbaseline: 7d\ncondition: lt\nthreshold: 50%",
            Change(Selector("trading.feed.messages"), Stat(StatName.RATE), 604_800.0),
            Condition.LT,
            0.5,
            "1",
        ),
        (
            "kind: forecast\nmetric: process.memory.usage\nhorizon: 2h\nthreshold: 2GiB",
            Forecast(Selector("process.memory.usage"), Stat(StatName.LAST), 7200.0),
            Condition.GT,
            2.0 * 1024**3,
            "By",
        ),
        (
            "metric: trading.order.operations\nthreshold: 90/min",
            Threshold(Selector("trading.order.operations"), Stat(StatName.RATE)),
            Condition.GT,
            1.5,
            "{operation}/s",
        ),
        (
            "metric: trading.wire_to_ack\nthreshold: 1",
            Threshold(Selector("trading.wire_to_ack"), Stat(StatName.QUANTILE, 0.95)),
            Condition.GT,
            1.0,
            "s",
        ),
    ],
)
def test_every_kind_becomes_a_value_a_condition_and_a_threshold(
    text: str, expression: object, condition: Condition, threshold: float, unit: str
) -> None:
    rule = read_rule(f"name: R\n{text}")
    assert (rule.expression, rule.condition, rule.threshold, rule.unit) == (
        expression,
        condition,
        threshold,
        unit,
    )


def test_a_slo_rule_takes_the_place_of_the_two_that_its_objective_implies() -> None:
    rules, problems = read_text(
        SLO + "rules: [{name: Burns, kind: slo, slo: order-acks, burn: ticket, min_count: 20}]"
    )
    assert problems == ()
    assert rules.rules == (
        Rule(
            "Burns",
            Burn(
                "order-acks",
                "oms",
                Selector("trading.wire_to_ack"),
                0.99,
                (BurnWindow(3.0, 86_400.0, 7200.0), BurnWindow(1.0, 259_200.0, 21_600.0)),
                slower_than=0.2,
            ),
            Condition.GT,
            1.0,
            scope=Scope.SERVICE,
            window_s=259_200.0,
            min_count=20,
            unit="1",
        ),
    )


def test_windows_of_a_slo_rule_can_be_its_own() -> None:
    rule = read_rule(
        "name: R\nkind: slo\nslo: order-acks\nwindows: [{factor: 10, long: 2h, short: 10m}]", SLO
    )
    assert isinstance(rule.expression, Burn)
    assert rule.expression.windows == (BurnWindow(10.0, 7200.0, 600.0),)


def test_typed_values_as_code_and_toml_have_them_are_read_too() -> None:
    document = {
        "rules": [
            {
                "name": "R",
                "metric": "trading.feed.staleness",
                "where": {"flag": True, "number": 3},
                "threshold": 5,
                "for": 0,
            }
        ]
    }
    rules, problems = read(document, catalogue_facts())
    assert problems == ()
    selector = Selector("trading.feed.staleness", (Matcher("flag", ("true",)), Matcher("number", ("3",))))
    assert rules.rules == (Rule("R", Threshold(selector, Stat(StatName.LAST)), Condition.GT, 5.0, unit="s"),)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_kind_in_the_reference_is_a_rule(kind: str) -> None:
    assert read_rule(KINDS[kind].example, SLO).name


A = "name: A, metric: trading.feed.staleness, threshold: 5s"
H = "name: H, metric: trading.order.duration, threshold: 100ms"


def cases(name: str) -> list[tuple[str, list[str]]]:
    """Blocks of a data file: a text, and lines that begin with `=>`."""
    blocks = (Path(__file__).parent / "data" / name).read_text(encoding="utf-8").split("\n\n")[1:]
    lines = [block.strip().splitlines() for block in blocks]
    return [
        (
            "\n".join(line for line in block if not line.startswith("=> ")),
            [line.removeprefix("=> ") for line in block if line.startswith("=> ")],
        )
        for block in lines
    ]


@pytest.mark.parametrize(("rule", "expected"), cases("rule_problems.txt"))
def test_a_problem_says_where_it_is_what_was_expected_and_what_came(rule: str, expected: list[str]) -> None:
    before = "notifiers: {pager: {type: callback}}\ncalendars: {desk: {open: 08:00, close: 22:00}}"
    assert messages(rule, f"{before}{SLO}") == expected


def test_a_key_that_is_given_twice_is_told_with_both_lines() -> None:
    assert messages("name: A\n    metric: trading.feed.staleness\n    threshold: 5s\n    name: B") == [
        "rules[0].name: expected once, got on lines 3 and 6"
    ]


@pytest.mark.parametrize(
    ("metric", "threshold", "expected"),
    [
        ("system.cpu.usage_percent", "90", "'system.cpu.utilization', unit 1: write threshold: 90%"),
        ("system_cpu_usage", "0.9", "'system.cpu.utilization', unit 1"),
        ("cpu_usage_percent", "80", "'system.cpu.utilization', unit 1: write threshold: 80%"),
        ("memory_usage_percent", "85", "'system.memory.utilization', unit 1: write threshold: 85%"),
        ("response_time_ms", "5000", "'http.server.request.duration', unit s: write threshold: 5000ms"),
        ("trade_execution_time_ms", "100", "'trading.order.duration', unit s: write threshold: 100ms"),
        ("trading_order_duration_seconds_bucket", "1", "'trading.order.duration', unit s"),
        ("trading.order.operations_total", "1", "'trading.order.operations', unit {operation}"),
        ("process_resident_memory_bytes", "1", "'process.memory.usage', unit By"),
        ("trading.feed.stalenes", "5s", "'trading.feed.staleness', unit s"),
        ("Trading.Feed.Lag", "5s", "'trading.feed.lag', unit s"),
    ],
)
def test_an_unknown_metric_is_told_by_its_opentelemetry_name(
    metric: str, threshold: str, expected: str
) -> None:
    assert messages(f"{{name: A, metric: {metric}, threshold: {threshold}}}") == [
        f"rules[0].metric: unknown metric '{metric}': expected {expected}"
    ]


def test_a_metric_that_is_like_none_may_be_declared() -> None:
    (told,) = messages("{name: A, metric: desk.zebras, threshold: 1}")
    assert told == (
        "rules[0].metric: unknown metric 'desk.zebras'; name it under 'metrics' if a program of yours"
        " records it"
    )
    rules, problems = read_text(
        "metrics: {desk.zebras: {kind: counter, unit: '{zebra}', attributes: [farm]}}\n"
        "rules: [{name: A, metric: desk.zebras, threshold: 1}]"
    )
    assert problems == ()
    assert rules.metrics == {
        "desk.zebras": MetricFact("desk.zebras", MetricKind.COUNTER, "{zebra}", ("farm",))
    }


def test_a_bad_rule_is_left_out_and_its_neighbours_stay() -> None:
    rules, problems = read_text(
        "rules:\n"
        f"  - {{{A}}}\n"
        f"  - {{{A}, window: 5}}\n"
        "  - {name: C, metric: trading.feed.lag, threshold: 1s}\n"
        f"  - {{{A}}}\n"
    )
    assert [rule.name for rule in rules.rules] == ["A", "C"]
    assert [str(problem) for problem in problems] == [
        "alerts.yaml:3 rules[1].window: expected a duration like '5s', got '5'",
        "alerts.yaml:5 rules[3].name: expected a name of its own, got 'A', which rules[0] has",
    ]


@pytest.mark.parametrize(("text", "expected"), cases("section_problems.txt"))
def test_a_section_that_is_wrong_is_told_by_its_path(text: str, expected: list[str]) -> None:
    _, problems = read_text(text)
    told = [f"{problem.path}: {problem.message}" for problem in problems]
    assert [told[0][: len(expected[0])], *told[1:]] == expected


def test_notifiers_keep_their_options_and_show_none() -> None:
    rules, problems = read_text("notifiers: {chat: {type: slack, url_file: /run/secrets/slack}}")
    assert problems == ()
    assert rules.notifiers == {"chat": NotifierSettings("chat", "slack", {"url_file": "/run/secrets/slack"})}
    assert "secrets" not in repr(rules)


def test_a_rule_replaces_an_included_one_of_its_name() -> None:
    included, _ = read_text(f"rules: [{{{A}}}, {{{H}}}]")
    rules, problems = read_text(
        "rules: [{name: A, metric: trading.feed.lag, threshold: 1s}]\nthresholds: {H: 250ms}",
        basis=Basis(included),
    )
    assert problems == ()
    assert [(rule.name, rule.threshold, rule.selectors[0].metric) for rule in rules.rules] == [
        ("H", 0.25, "trading.order.duration"),
        ("A", 1.0, "trading.feed.lag"),
    ]


def test_what_yaml_would_take_for_something_else_is_read_as_it_is_written() -> None:
    rules, problems = read_text(
        "calendars: {on: {open: 08:00, close: 22:00, days: sat}}\n"
        "rules: [{name: NO, metric: trading.feed.staleness, where: {side: NO, on: yes}, threshold: 1e1,"
        " session: on}]"
    )
    assert problems == ()
    assert rules.rules[0].selectors[0].where == (Matcher("side", ("NO",)), Matcher("on", ("yes",)))
    assert rules.calendars["on"].closes[0] - rules.calendars["on"].openings[0] == 14 * 3600


def test_problems_are_bounded() -> None:
    text = yaml.safe_dump({"rules": [{"name": "?"} for _ in range(1000)]})
    _, problems = read_text(text)
    assert len(problems) == 200
