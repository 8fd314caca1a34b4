"""How values, labels and statistics are written in PromQL."""

import pytest

from tickspan.analysis.rules.compile.promql import (
    duration,
    group_labels,
    label_matcher,
    le_spellings,
    number,
    quoted,
    series_of,
)
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Condition,
    Matcher,
    Rule,
    Scope,
    Selector,
    Stat,
    StatName,
    Threshold,
)

TICKS = MetricFact("trading.feed.messages", MetricKind.COUNTER, "{message}")
MEMORY = MetricFact("process.memory.usage", MetricKind.UPDOWNCOUNTER, "By")
ACKS = MetricFact("trading.wire_to_ack", MetricKind.HISTOGRAM, "s")


def statistic(fact: MetricFact, stat: Stat, *where: Matcher) -> str:
    selector = Selector(fact.name, where)
    rule = Rule("R", Threshold(selector, stat), Condition.GT, 1.0, scope=Scope.SERVICE)
    return series_of(selector, fact, rule).statistic(stat, 60.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(60.001, "1m1ms"), (5400, "1h30m"), (0.25, "250ms"), (0, "1ms"), (172_800, "2d")]
)
def test_a_duration_is_told_in_whole_units(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(100.0, "100"), (0.1, "0.1"), (1e-7, "1e-07"), (float("inf"), "+Inf"), (-2.5, "-2.5")]
)
def test_a_number_is_as_short_as_it_can_be(value: float, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("bound", "spellings"),
    [
        (1.0, ("1", "1.0")),
        (0.1, ("0.1",)),
        (0.00001, ("0.00001", "1e-05")),
        (2.5e-5, ("0.000025", "2.5e-05")),
        (2_000_000.0, ("2000000", "2e+06")),
        (0.0, ("0", "0.0")),
    ],
)
def test_a_bound_has_the_spellings_of_otlp_and_of_scraping(bound: float, spellings: tuple[str, ...]):
    assert le_spellings(bound) == spellings


def test_a_text_is_a_literal_and_alternatives_are_a_pattern_without_special_letters():
    assert quoted('say "hi"\n\\') == '"say \\"hi\\"\\n\\\\"'
    assert label_matcher("venue", ("a",), is_negated=True) == 'venue!="a"'
    assert label_matcher("venue", ("a.b", "c|d")) == 'venue=~"a\\\\.b|c\\\\|d"'


def test_groups_are_made_by_the_labels_of_the_scope_and_of_by():
    rule = Rule(
        "R",
        Threshold(Selector("m"), Stat(StatName.LAST)),
        Condition.GT,
        1.0,
        by=("trading.venue.name",),
    )
    assert group_labels(rule) == ("instance", "job", "trading_venue_name")


def test_attributes_of_a_sender_are_looked_for_where_prometheus_keeps_them():
    matchers = (
        Matcher("service.name", ("bot",)),
        Matcher("service.namespace", ("desk",), is_negated=True),
        Matcher("service.instance.id", ("a",)),
        Matcher("host.name", ("h",)),
    )
    labels = 'job=~"(?:.*/)?(?:bot)", job!~"(?:desk)/.*", instance="a", host_name="h"'
    assert statistic(MEMORY, Stat(StatName.MAX), *matchers) == (
        f"max by (job) (max_over_time(process_memory_usage_bytes{{{labels}}}[1m]))"
    )


@pytest.mark.parametrize(
    ("fact", "stat", "expression"),
    [
        (MEMORY, Stat(StatName.LAST), "sum by (job) (last_over_time(process_memory_usage_bytes[1m]))"),
        (MEMORY, Stat(StatName.AVG), "avg by (job) (avg_over_time(process_memory_usage_bytes[1m]))"),
        (
            TICKS,
            Stat(StatName.INCREASE),
            "round(sum by (job) (rate(trading_feed_messages_total[1m1ms])) * 60, 1e-06)",
        ),
        (
            TICKS,
            Stat(StatName.RATE),
            "round(sum by (job) (rate(trading_feed_messages_total[1m1ms])) * 60, 1e-06) / 60",
        ),
        (
            ACKS,
            Stat(StatName.QUANTILE, 0.95),
            (
                "histogram_quantile(0.95, sum by (job) (rate(trading_wire_to_ack_seconds[1m1ms])))"
                " or histogram_quantile(0.95, round(sum by (job, le)"
                " (rate(trading_wire_to_ack_seconds_bucket[1m1ms])) * 60, 1e-06))"
            ),
        ),
        (
            ACKS,
            Stat(StatName.AVG),
            (
                "(histogram_sum(sum by (job) (rate(trading_wire_to_ack_seconds[1m1ms])))"
                " or sum by (job) (rate(trading_wire_to_ack_seconds_sum[1m1ms])))"
                " / ((histogram_count(sum by (job) (rate(trading_wire_to_ack_seconds[1m1ms])))"
                " or sum by (job) (rate(trading_wire_to_ack_seconds_count[1m1ms]))) > 0)"
            ),
        ),
    ],
)
def test_a_statistic_is_the_same_for_both_kinds_of_histograms_and_exact_for_counters(
    fact: MetricFact, stat: Stat, expression: str
):
    assert statistic(fact, stat) == expression
