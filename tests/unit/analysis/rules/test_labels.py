"""Which labels a group and its alert have."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.labels import group_of, labels_of, text_of
from tickspan.analysis.rules.model import (
    Condition,
    Labels,
    Rule,
    Scope,
    Selector,
    Severity,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.readings import Sender, Value

SENDER = Sender.of(
    {
        "service.name": "bot",
        "service.namespace": "desk",
        "service.instance.id": "4711",
        "host.name": "trade1",
        "deployment.environment.name": "live",
    }
)


def rule(scope: Scope = Scope.PROCESS, by: tuple[str, ...] = (), labels: Labels = ()) -> Rule:
    return Rule(
        "SlowTradeExecution",
        Threshold(Selector("trading.order.duration"), Stat(StatName.AVG)),
        Condition.GT,
        0.1,
        scope=scope,
        by=by,
        labels=labels,
        severity=Severity.CRITICAL,
    )


@pytest.mark.parametrize(
    ("scope", "group"),
    [
        (Scope.PROCESS, (("instance", "4711"), ("job", "desk/bot"))),
        (Scope.HOST, (("host_name", "trade1"),)),
        (Scope.SERVICE, (("job", "desk/bot"),)),
        (Scope.FLEET, ()),
    ],
)
def test_the_scope_says_which_labels_name_the_sender(scope: Scope, group: Labels) -> None:
    assert group_of(rule(scope), SENDER, {}) == group


def test_an_attribute_of_by_is_the_points_else_the_resources_else_no_label() -> None:
    by = ("trading.venue.name", "host.name", "deployment.environment.name", "trading.symbol")
    attributes: dict[str, Value] = {"trading.venue.name": "XNAS", "host.name": "other", "ignored": True}
    assert group_of(rule(Scope.FLEET, by), SENDER, attributes) == (
        ("deployment_environment_name", "live"),
        ("host_name", "other"),
        ("trading_venue_name", "XNAS"),
    )


def test_an_alert_has_the_groups_labels_and_the_rules() -> None:
    given_rule = rule(labels=(("team", "eq"),))
    assert labels_of(given_rule, (("instance", "4711"), ("job", "desk/bot"))) == (
        ("alertname", "SlowTradeExecution"),
        ("instance", "4711"),
        ("job", "desk/bot"),
        ("scope", "process"),
        ("severity", "critical"),
        ("team", "eq"),
    )


def test_a_rules_label_wins_over_the_groups_but_never_over_the_name() -> None:
    given_rule = rule(Scope.FLEET, labels=(("alertname", "x"), ("severity", "page"), ("venue", "")))
    assert labels_of(given_rule, (("venue", "XNAS"),)) == (
        ("alertname", "SlowTradeExecution"),
        ("scope", "fleet"),
        ("severity", "page"),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (0.25, "0.25"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        ("text", "text"),
    ],
)
def test_values_are_spelled_as_the_collector_spells_them(value: Value, text: str) -> None:
    assert text_of(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_from_its_text(value: float) -> None:
    assert float(text_of(value)) == value


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.text(max_size=3), max_size=4),
    st.randoms(use_true_random=False),
)
def test_labels_are_sorted_whatever_the_order_of_by_and_attributes_is(
    attributes: dict[str, str], random: Random
) -> None:
    names = sorted(attributes)
    shuffled = random.sample(names, len(names))
    mixed = {name: attributes[name] for name in random.sample(names, len(names))}
    group = group_of(rule(by=tuple(shuffled)), SENDER, mixed)
    assert group == group_of(rule(by=tuple(names)), SENDER, attributes)
    assert list(group) == sorted(group)
