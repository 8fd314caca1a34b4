"""OpenSLO documents become objectives, and these become rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tickspan.alerts.file import catalogue_facts
from tickspan.alerts.text import read_yaml
from tickspan.analysis.rules.budgets import Objective, Pace, windows_of
from tickspan.analysis.rules.model import Burn, BurnWindow, Matcher, Selector
from tickspan.analysis.rules.openslo import alerts, objectives
from tickspan.analysis.rules.problems import Problems

RATIO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: order-accepts, displayName: Accepted orders}
spec:
  service: oms
  description: Orders are accepted.
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  indicator:
    metadata: {name: order-accepts}
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: tickspan
            spec: {metric: trading.order.rejects, where: {trading.order.reject.origin: venue}}
        total: {metricSource: {type: tickspan, spec: {metric: trading.order.operations}}}
  objectives: [{displayName: accepted, targetPercent: 99.9}]
"""
LATENCY = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: queries}
spec:
  thresholdMetric: {metricSource: {type: tickspan, spec: {metric: db.client.operation.duration}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: queries}
spec:
  service: oms
  indicatorRef: queries
  objectives: [{target: 0.99, op: lte, value: 50ms}]
"""
REJECTS = Selector("trading.order.rejects", (Matcher("trading.order.reject.origin", ("venue",)),))
TOTAL = Selector("trading.order.operations")


def read_objectives(text: str) -> tuple[dict[str, Objective], list[str]]:
    problems = Problems()
    documents = [document.value for document in read_yaml(text)]
    found = objectives(documents, catalogue_facts(), ("slos",), problems)
    return dict(found), [f"{problem.path}: {problem.message}" for problem in problems.found]


def test_a_ratio_of_bad_and_total_is_read() -> None:
    burn = Burn("order-accepts", "oms", TOTAL, 0.999, (), errors=REJECTS, period_s=28 * 86_400.0)
    assert read_objectives(RATIO) == ({"order-accepts": Objective(burn, "Orders are accepted.")}, [])


def test_a_ratio_of_good_and_total_is_read() -> None:
    found, told = read_objectives(RATIO.replace("bad:", "good:"))
    assert told == []
    assert (found["order-accepts"].burn.good, found["order-accepts"].burn.errors) == (REJECTS, None)


def test_a_threshold_metric_is_read_by_reference() -> None:
    burn = Burn("queries", "oms", Selector("db.client.operation.duration"), 0.99, (), slower_than=0.05)
    assert read_objectives(LATENCY) == ({"queries": Objective(burn)}, [])


def test_an_objective_gives_a_page_and_a_ticket() -> None:
    found, _ = read_objectives(LATENCY)
    page, ticket = alerts(found["queries"])
    assert [(rule.name, str(rule.severity), rule.scope.value) for rule in (page, ticket)] == [
        ("QueriesPage", "critical", "service"),
        ("QueriesTicket", "warning", "service"),
    ]
    assert page.expression == replace(
        found["queries"].burn,
        windows=(BurnWindow(14.4, 3600.0, 300.0), BurnWindow(6.0, 21_600.0, 1800.0)),
    )
    assert ticket.expression == replace(
        found["queries"].burn,
        windows=(BurnWindow(3.0, 86_400.0, 7200.0), BurnWindow(1.0, 259_200.0, 21_600.0)),
    )


def test_factors_are_scaled_with_the_period_and_never_below_one() -> None:
    day_s = 86_400.0
    assert [window.factor for window in windows_of(Pace.PAGE, 28 * day_s)] == [13.44, 5.6]
    assert [window.factor for window in windows_of(Pace.TICKET, 28 * day_s)] == [2.8, 1.0]
    assert [window.factor for window in windows_of(Pace.PAGE, 90 * day_s)] == [43.2, 18.0]
    assert [window.factor for window in windows_of(Pace.TICKET, 7 * day_s)] == [1.0, 1.0]
    assert windows_of(Pace.TICKET, 3600.0) == ()


CASES = [
    block.strip().split("\n")
    for block in (Path(__file__).parent / "data/openslo_problems.txt").read_text().split("\n\n")[1:]
]


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_what_cannot_be_an_objective_is_told_with_its_place(change: str, expected: str) -> None:
    before, _, after = change.partition(" -> ")
    text = LATENCY if before in LATENCY and before not in RATIO else RATIO
    assert before in text
    found, told = read_objectives(text.replace(before, after))
    assert told == [expected.removeprefix("=> ")]
    assert found == {}


def test_two_documents_of_one_name_are_told() -> None:
    found, told = read_objectives(f"{RATIO}---\n{RATIO}")
    assert list(found) == ["order-accepts"]
    assert told == ["slos[1].metadata.name: expected a name of its own, got 'order-accepts'"]


def test_other_kinds_are_passed_over() -> None:
    text = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: oms}\n"
    assert read_objectives(f"{text}---\n{RATIO}")[1] == []
