"""Rules of every kind over readings and occurrences."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.alert import AlertState, Reason
from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.evaluation import MAX_SERIES, Evaluation
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Change,
    Condition,
    Event,
    EventStatus,
    Expression,
    Forecast,
    Matcher,
    NoData,
    Ratio,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    Occurrence,
    PointKind,
    Reading,
    Sender,
    Value,
    Worst,
)

T0 = 1000.0
"""On the clock of the evaluation, when the wall clock shows `WALL`."""
WALL = 1_750_000_000.0

GAUGE, COUNTER, HISTOGRAM = PointKind.GAUGE, PointKind.COUNTER, PointKind.HISTOGRAM
LAST, AVG, MIN, MAX = (Stat(name) for name in (StatName.LAST, StatName.AVG, StatName.MIN, StatName.MAX))
RATE, INCREASE, COUNT = (Stat(name) for name in (StatName.RATE, StatName.INCREASE, StatName.COUNT))
P95 = Stat(StatName.QUANTILE, 0.95)

BOT = Sender.of({"service.name": "bot", "service.instance.id": "1", "host.name": "trade1", "region": "eu"})
TWIN = Sender.of({"service.name": "bot", "service.instance.id": "2", "host.name": "trade1"})


def rule(expression: Expression, threshold: float = 0.0, condition: Condition = Condition.GT) -> Rule:
    return Rule("R", expression, condition, threshold, by=("venue",), scope=Scope.FLEET)


def always(expression: Expression) -> Rule:
    """A rule that is true whatever the value is, so that the alert shows it."""
    return rule(expression, -math.inf, Condition.GE)


def reading(
    value: float | HistogramPoint,
    attributes: Mapping[str, Value] | None = None,
    *,
    metric: str = "m",
    kind: PointKind = GAUGE,
    sender: Sender = BOT,
    start_s: float = 0.0,
    worst: Worst | None = None,
) -> Reading:
    return Reading(
        sender, metric, kind, {"venue": "A"} if attributes is None else attributes, value, start_s, worst
    )


class Bench:
    """An evaluation with a clock; times are seconds since `T0`."""

    def __init__(self, given: Rule, calendar: Calendar | None = None) -> None:
        self.evaluation = Evaluation(given, calendar)
        self.told: list[tuple[float, str, str]] = []

    def see(self, at_s: float, *readings: Reading) -> None:
        for one in readings:
            self.evaluation.observe(one, T0 + at_s)

    def happen(self, at_s: float, *occurrences: Occurrence) -> None:
        for one in occurrences:
            self.evaluation.happened(one, T0 + at_s)

    def look(self, at_s: float) -> dict[str, float]:
        """Evaluates; gives values of the active alerts by venue."""
        for one in self.evaluation.evaluate(T0 + at_s, WALL + at_s):
            venue = dict(one.alert.labels).get("venue", "")
            self.told.append((at_s, venue, one.alert.state.value))
        return {
            dict(alert.labels).get("venue", ""): alert.value
            for alert in self.evaluation.state.alerts.values()
            if alert.state is not AlertState.INACTIVE
        }


def buckets(*counts: int, bounds: tuple[float, ...] = (0.1, 0.2)) -> HistogramPoint:
    return HistogramPoint(sum(counts), float(sum(counts)), ExplicitBuckets(bounds, counts))


# Gauges


@pytest.mark.parametrize(("stat", "value"), [(LAST, 5.0), (AVG, 3.0), (MIN, 1.0), (MAX, 5.0)])
def test_a_gauge_is_reduced_to_the_statistic_of_its_window(stat: Stat, value: float) -> None:
    bench = Bench(always(Threshold(Selector("m"), stat)))
    for at_s, level in ((0.0, 100.0), (61.0, 1.0), (62.0, 3.0), (63.0, 5.0)):
        bench.see(at_s, reading(level))
    assert bench.look(64.0) == {"A": value}


@pytest.mark.parametrize(("stat", "value"), [(LAST, 9.0), (AVG, 4.25), (MIN, 2.0), (MAX, 6.0)])
def test_gauges_of_one_group_are_added_up_averaged_or_the_extreme(stat: Stat, value: float) -> None:
    bench = Bench(always(Threshold(Selector("m"), stat)))
    first, second = {"venue": "A", "core": 0}, {"venue": "A", "core": 1}
    bench.see(0.0, reading(2.0, first), reading(6.0, second))
    bench.see(1.0, reading(3.0, first))
    assert bench.look(1.0) == {"A": value}


def test_a_value_that_leaves_the_window_changes_the_statistic_though_nothing_new_came() -> None:
    bench = Bench(always(Threshold(Selector("m"), MAX)))
    bench.see(0.0, reading(9.0))
    bench.see(30.0, reading(2.0))
    assert [bench.look(at_s) for at_s in (30.0, 59.9, 60.0, 89.9, 90.0)] == [
        {"A": 9.0},
        {"A": 9.0},
        {"A": 2.0},
        {"A": 2.0},
        {},
    ]


def test_readings_that_change_nothing_keep_a_group_alive() -> None:
    bench = Bench(always(Threshold(Selector("m"), AVG)))
    for second in range(200):
        bench.see(float(second), reading(2.0))
        assert bench.look(float(second)) == {"A": 2.0}
    assert bench.told == [(0.0, "A", "firing")]


def test_the_average_follows_a_value_that_repeats() -> None:
    bench = Bench(always(Threshold(Selector("m"), AVG)))
    for at_s, level in ((0.0, 1.0), (1.0, 4.0), (2.0, 4.0), (3.0, 3.25), (4.0, 4.0)):
        bench.see(at_s, reading(level))
        bench.look(at_s)
    assert bench.look(4.0) == {"A": 3.25}


def test_what_is_not_a_number_is_refused() -> None:
    bench = Bench(always(Threshold(Selector("m"), AVG)))
    bench.see(0.0, reading(2.0), reading(math.nan))
    assert bench.look(0.0) == {"A": 2.0}
    assert bench.evaluation.refused == 1


# Counters


def test_the_increase_of_a_counter_is_the_exact_difference() -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    for second in range(0, 121, 10):
        bench.see(float(second), reading(1000.0 + second * second, kind=COUNTER))
    assert bench.look(120.0) == {"A": 120.0**2 - 60.0**2}


def test_a_rate_is_the_increase_by_the_window() -> None:
    bench = Bench(always(Threshold(Selector("m"), RATE)))
    for second in range(0, 121, 10):
        bench.see(float(second), reading(3.0 * second, kind=COUNTER))
    assert bench.look(120.0) == {"A": 3.0}


def test_counters_of_one_group_are_added_up_each_with_its_own_resets() -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    bench.see(0.0, reading(100.0, kind=COUNTER), reading(7.0, kind=COUNTER, sender=TWIN))
    bench.see(10.0, reading(104.0, kind=COUNTER), reading(2.0, kind=COUNTER, sender=TWIN))
    assert bench.look(10.0) == {"A": 6.0}


def test_a_later_start_is_a_reset_even_if_the_value_is_greater() -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    bench.see(0.0, reading(5.0, kind=COUNTER, start_s=WALL - 5000))
    bench.see(10.0, reading(8.0, kind=COUNTER, start_s=WALL + 5))
    assert bench.look(10.0) == {"A": 8.0}


@pytest.mark.parametrize(
    ("start_s", "values"),
    [(WALL - 30.0, {"A": 42.0}), (WALL - 3000.0, {}), (0.0, {})],
    ids=["began in the window", "began before it", "nobody knows"],
)
def test_the_first_reading_of_a_counter_counts_if_it_began_in_the_window(
    start_s: float, values: dict[str, float]
) -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    bench.see(0.0, reading(42.0, kind=COUNTER, start_s=start_s))
    assert bench.look(0.0) == values
    bench.see(1.0, reading(42.0, kind=COUNTER, start_s=start_s))
    assert bench.look(1.0) == {"A": values.get("A", 0.0)}


def test_what_came_while_a_series_was_away_for_longer_than_the_window_does_not_count() -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    bench.see(0.0, reading(1.0, kind=COUNTER))
    bench.see(10.0, reading(2.0, kind=COUNTER))
    bench.see(100.0, reading(500.0, kind=COUNTER))
    bench.see(101.0, reading(503.0, kind=COUNTER))
    assert bench.look(101.0) == {"A": 3.0}


# Histograms


def test_histograms_have_count_rate_average_and_quantile_of_what_was_measured_in_the_window() -> None:
    values: dict[str, dict[str, float]] = {}
    for stat in (COUNT, RATE, AVG, Stat(StatName.QUANTILE, 0.5)):
        bench = Bench(always(Threshold(Selector("m"), stat)))
        bench.see(0.0, reading(buckets(1000, 0, 0), kind=HISTOGRAM))
        bench.see(10.0, reading(buckets(1000, 30, 0), kind=HISTOGRAM))
        values[str(stat)] = bench.look(10.0)
    assert values == {
        "count": {"A": 30.0},
        "rate": {"A": 0.5},
        "avg": {"A": 1.0},
        "p50": {"A": pytest.approx(0.15)},
    }


def test_exponential_histograms_of_different_scales_make_one_quantile() -> None:
    bench = Bench(always(Threshold(Selector("m"), Stat(StatName.QUANTILE, 0.5))))
    fine = HistogramPoint(2, 6.0, ExponentialBuckets(1, 0, {2: 1, 3: 1}, {}))
    coarse = HistogramPoint(2, 6.0, ExponentialBuckets(0, 0, {1: 2}, {}))
    bench.see(0.0, reading(fine, kind=HISTOGRAM, start_s=WALL - 1))
    bench.see(0.0, reading(coarse, kind=HISTOGRAM, sender=TWIN, start_s=WALL - 1))
    assert bench.look(0.0) == {"A": pytest.approx(2 * math.sqrt(2))}


def test_without_measurements_there_is_no_quantile() -> None:
    bench = Bench(always(Threshold(Selector("m"), P95)))
    bench.see(0.0, reading(buckets(5, 0, 0), kind=HISTOGRAM, start_s=WALL - 1))
    assert bench.look(0.0) == {"A": pytest.approx(0.095)}
    bench.see(70.0, reading(buckets(5, 0, 0), kind=HISTOGRAM, start_s=WALL - 1))
    assert bench.look(70.0) == {}


def test_a_kind_of_point_that_has_not_the_statistic_is_refused() -> None:
    bench = Bench(always(Threshold(Selector("m"), P95)))
    bench.see(0.0, reading(1.0), reading(1.0, kind=COUNTER))
    assert bench.look(0.0) == {}
    assert bench.evaluation.refused == 2


# What a rule reads


def test_a_rule_reads_its_metric_where_the_attributes_match_those_of_the_resource_too() -> None:
    where = (
        Matcher("venue", ("A", "B")),
        Matcher("region", ("eu",)),
        Matcher("dark", ("true",), is_negated=True),
    )
    bench = Bench(always(Threshold(Selector("m", where), LAST)))
    bench.see(
        0.0,
        reading(1.0),
        reading(2.0, {"venue": "B"}),
        reading(3.0, {"venue": "C"}),
        reading(4.0, {"venue": "A", "dark": True}),
        reading(5.0, metric="other"),
        reading(6.0, sender=TWIN),
    )
    assert bench.look(0.0) == {"A": 1.0, "B": 2.0}
    assert bench.evaluation.refused == 0


def test_the_same_series_is_known_by_equal_attributes_in_other_objects() -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    for second in range(5):
        again = Sender.of(dict(BOT.attributes))
        bench.see(float(second), reading(float(second), {"venue": "A"}, kind=COUNTER, sender=again))
    assert bench.look(4.0) == {"A": 4.0}
    assert len(bench.evaluation._aliases) == 1


def test_senders_that_share_one_attributes_object_are_two_series() -> None:
    shared: dict[str, Value] = {"venue": "A"}
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    for second in range(3):
        bench.see(float(second), reading(10.0 * second, shared, kind=COUNTER))
        bench.see(float(second), reading(1.0 * second, shared, kind=COUNTER, sender=TWIN))
    assert bench.look(2.0) == {"A": 22.0}


def test_more_series_than_the_bound_are_left_out_until_others_are_gone() -> None:
    bench = Bench(replace(always(Threshold(Selector("m"), LAST)), limit=0))
    bench.see(0.0, *(reading(1.0, {"venue": str(number)}) for number in range(MAX_SERIES + 1)))
    assert len(bench.look(0.0)) == MAX_SERIES
    assert bench.evaluation.refused == 1
    bench.look(3600.0)
    bench.see(3600.0, reading(1.0, {"venue": "late"}))
    assert bench.look(3600.0) == {"late": 1.0}


def test_what_a_rule_leaves_out_is_remembered_within_bounds_too() -> None:
    bench = Bench(always(Threshold(Selector("m", (Matcher("venue", ("A",)),)), LAST)))
    for number in range(3 * MAX_SERIES):
        bench.see(0.0, reading(1.0, {"venue": str(number)}))
    assert len(bench.evaluation._ignored) == MAX_SERIES
    assert len(bench.evaluation._aliases) <= MAX_SERIES
    bench.look(0.0)
    assert (len(bench.evaluation._ignored), len(bench.evaluation._aliases)) == (0, 0)


# Missing data


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (NoData.OK, [(0.0, "A", "firing"), (60.0, "A", "inactive")]),
        (NoData.KEEP, [(0.0, "A", "firing"), (3600.0, "A", "inactive")]),
        (
            NoData.FIRE,
            [
                (0.0, "A", "firing"),
                (60.0, "B", "firing"),
                (3600.0, "A", "inactive"),
                (3600.0, "B", "inactive"),
            ],
        ),
    ],
)
def test_a_series_without_data_for_the_window_is_missed_for_an_hour_by_the_policy(
    policy: NoData, told: list[tuple[float, str, str]]
) -> None:
    bench = Bench(replace(rule(Threshold(Selector("m"), LAST), 1.0), no_data=policy))
    bench.see(0.0, reading(5.0), reading(0.0, {"venue": "B"}))
    for at_s in (0.0, 59.9, 60.0, 3599.9, 3600.0):
        bench.look(at_s)
    assert bench.told == told
    assert repr(bench.evaluation) == "<Evaluation 'R', 0 groups, 0 alerts>"


@pytest.mark.parametrize(
    ("policy", "values"), [(NoData.OK, {}), (NoData.FIRE, {"A": pytest.approx(math.nan, nan_ok=True)})]
)
def test_fewer_measurements_than_min_count_are_no_data(policy: NoData, values: dict[str, float]) -> None:
    bench = Bench(replace(always(Threshold(Selector("m"), P95)), min_count=20, no_data=policy))
    bench.see(0.0, reading(buckets(0, 19, 0), kind=HISTOGRAM, start_s=WALL - 1))
    assert bench.look(0.0) == values
    bench.see(1.0, reading(buckets(0, 20, 0), kind=HISTOGRAM, start_s=WALL - 1))
    assert bench.look(1.0) == {"A": pytest.approx(0.195)}


# Ratio


def ratio_of_orders() -> Ratio:
    return Ratio(Selector("m", (Matcher("outcome", ("rejected",)),)), Selector("m"))


def test_a_ratio_divides_increases_and_is_zero_while_nothing_is_counted_above() -> None:
    bench = Bench(always(ratio_of_orders()))
    good, bad = {"venue": "A", "outcome": "ok"}, {"venue": "A", "outcome": "rejected"}
    bench.see(0.0, reading(0.0, good, kind=COUNTER, start_s=WALL))
    bench.see(1.0, reading(30.0, good, kind=COUNTER, start_s=WALL))
    assert bench.look(1.0) == {"A": 0.0}
    bench.see(2.0, reading(10.0, bad, kind=COUNTER, start_s=WALL + 1.5))
    assert bench.look(2.0) == {"A": 0.25}


def test_a_ratio_by_nothing_has_no_value() -> None:
    bench = Bench(always(ratio_of_orders()))
    good = {"venue": "A", "outcome": "ok"}
    bench.see(0.0, reading(3.0, good, kind=COUNTER, start_s=WALL - 900))
    bench.see(1.0, reading(3.0, good, kind=COUNTER, start_s=WALL - 900))
    assert bench.look(1.0) == {}


def test_min_count_of_a_ratio_is_of_the_denominator() -> None:
    bench = Bench(replace(always(ratio_of_orders()), min_count=10))
    bad = {"venue": "A", "outcome": "rejected"}
    bench.see(0.0, reading(9.0, bad, kind=COUNTER, start_s=WALL))
    assert bench.look(0.0) == {}
    bench.see(1.0, reading(10.0, bad, kind=COUNTER, start_s=WALL))
    assert bench.look(1.0) == {"A": 1.0}


@pytest.mark.parametrize(("stat", "sizes"), [(LAST, 140.0), (AVG, 110.0), (MIN, 80.0), (MAX, 140.0)])
def test_a_ratio_of_gauges_divides_their_sums(stat: Stat, sizes: float) -> None:
    bench = Bench(always(Ratio(Selector("size"), Selector("capacity"), stat)))
    for at_s, size in ((0.0, 30.0), (1.0, 60.0)):
        bench.see(
            at_s,
            reading(size, metric="size"),
            reading(20.0 + size, metric="size", sender=TWIN),
            reading(100.0, metric="capacity"),
            reading(180.0, metric="capacity", sender=TWIN),
        )
    assert bench.look(1.0) == {"A": sizes / 280.0}


# Absence


def test_a_series_that_gave_nothing_for_the_window_is_absent_until_it_comes_or_is_forgotten() -> None:
    bench = Bench(replace(rule(Absent(Selector("m"), known_for_s=300.0)), window_s=5.0))
    bench.see(0.0, reading(1.0), reading(1.0, {"venue": "B"}))
    seen = [bench.look(at_s) for at_s in (0.0, 4.9, 5.0)]
    bench.see(100.0, reading(1.0))
    seen += [bench.look(at_s) for at_s in (100.0, 299.9, 300.0)]
    assert seen == [{}, {}, {"A": 1.0, "B": 1.0}, {"B": 1.0}, {"A": 1.0, "B": 1.0}, {"A": 1.0}]


def test_an_expected_group_is_absent_if_it_never_came_and_has_no_labels_of_a_sender() -> None:
    given = replace(rule(Absent(Selector("m"), expect=(("A",), ("B",)))), window_s=5.0, scope=Scope.PROCESS)
    bench = Bench(given)
    bench.look(0.0)
    bench.see(1.0, reading(1.0))
    seen = [bench.look(at_s) for at_s in (4.9, 5.0)]
    (alert,) = bench.evaluation.state.alerts.values()
    bench.see(6.0, reading(1.0, {"venue": "B"}))
    seen += [bench.look(at_s) for at_s in (6.0, 11.0)]
    assert seen == [{}, {"B": 1.0}, {"A": 1.0}, {"A": 1.0, "B": 1.0}]
    assert alert.labels == (("alertname", "R"), ("scope", "process"), ("severity", "warning"), ("venue", "B"))


# Events


ORDER_FAILED = Event(
    Signal.SPAN, "submit", (Matcher("venue", ("A", "B")),), status=EventStatus.ERROR, min_duration_s=0.5
)


def span(
    venue: str = "A",
    name: str = "submit",
    status: str = "error",
    duration_s: float = 1.0,
    sender: Sender = BOT,
) -> Occurrence:
    return Occurrence(sender, Signal.SPAN, name, {"venue": venue}, status, duration_s, "cafe", "beef")


def test_an_event_rule_counts_what_matches_in_the_window() -> None:
    bench = Bench(rule(ORDER_FAILED, 2.0, Condition.GE))
    bench.happen(0.0, span(), span(venue="C"), span(name="cancel"), span(status="ok"), span(duration_s=0.4))
    assert bench.look(0.0) == {}
    bench.happen(30.0, span(), span(venue="B"))
    assert [bench.look(at_s) for at_s in (30.0, 59.9, 60.0)] == [{"A": 2.0}, {"A": 2.0}, {}]
    bench.look(90.0)
    assert repr(bench.evaluation) == "<Evaluation 'R', 0 groups, 0 alerts>"


def test_an_event_rule_of_one_fires_at_the_first_and_keeps_the_slowest_as_the_worst() -> None:
    bench = Bench(rule(Event(Signal.SPAN), 1.0, Condition.GE))
    bench.happen(0.0, span(duration_s=0.3), span(duration_s=2.0), span(duration_s=1.0))
    assert bench.look(0.0) == {"A": 3.0}
    (alert,) = bench.evaluation.state.alerts.values()
    assert alert.worst == Worst(2.0, "cafe", "beef")


def test_a_log_event_is_no_span() -> None:
    bench = Bench(rule(Event(Signal.LOG, "finding"), 1.0, Condition.GE))
    bench.happen(0.0, span(name="finding"), Occurrence(BOT, Signal.LOG, "finding", {"venue": "A"}))
    assert bench.look(0.0) == {"A": 1.0}


def test_more_groups_of_events_than_the_bound_are_left_out() -> None:
    bench = Bench(replace(rule(Event(Signal.SPAN), 1.0, Condition.GE), limit=0))
    bench.happen(0.0, *(span(venue=str(number)) for number in range(MAX_SERIES + 5)))
    assert (len(bench.look(0.0)), bench.evaluation.refused) == (MAX_SERIES, 5)


# Change and forecast


def test_a_change_is_the_statistic_by_the_one_a_baseline_ago() -> None:
    bench = Bench(always(Change(Selector("m"), LAST, baseline_s=3600.0)))
    seen: list[dict[str, float]] = []
    for minute in range(63):
        bench.see(minute * 60.0, reading(10.0 + minute))
        seen.append(bench.look(minute * 60.0))
    assert seen[:60] == [{}] * 60
    assert seen[60:] == [{"A": 70 / 10}, {"A": 71 / 11}, {"A": 72 / 12}]


@pytest.mark.parametrize(
    ("before", "after", "values"), [(0.0, 5.0, {"A": math.inf}), (0.0, 0.0, {}), (4.0, 0.0, {"A": 0.0})]
)
def test_a_change_from_nothing_is_endless_and_from_nothing_to_nothing_is_none(
    before: float, after: float, values: dict[str, float]
) -> None:
    bench = Bench(always(Change(Selector("m"), LAST, baseline_s=60.0)))
    bench.see(0.0, reading(before))
    bench.look(0.0)
    bench.see(60.0, reading(after))
    assert bench.look(60.0) == values


def test_with_a_session_the_baseline_is_at_the_same_time_of_the_session_before() -> None:
    day = 86_400.0
    friday, monday = WALL, WALL + 3 * day
    calendar = Calendar("us", (friday, monday), (friday + 600.0, monday + 600.0))
    bench = Bench(replace(always(Change(Selector("m"), LAST, baseline_s=day)), session="us"), calendar)
    for at_s in range(0, 600, 30):
        bench.see(float(at_s), reading(100.0 + at_s))
        bench.look(float(at_s))
    bench.see(3 * day + 90.0, reading(380.0))
    assert bench.look(3 * day + 90.0) == {"A": 2.0}


@pytest.mark.parametrize(("kind", "stat", "value"), [(GAUGE, LAST, 550.0), (COUNTER, RATE, 5.0)])
def test_a_forecast_follows_the_straight_line_through_the_window(
    kind: PointKind, stat: Stat, value: float
) -> None:
    bench = Bench(always(Forecast(Selector("m"), stat, horizon_s=100.0)))
    for second in range(0, 10, 2):
        bench.see(float(second), reading(10.0 + 5.0 * second, kind=kind))
    assert bench.look(8.0) == {"A": value}


def test_a_forecast_needs_two_points() -> None:
    bench = Bench(always(Forecast(Selector("m"), LAST)))
    bench.see(0.0, reading(10.0))
    assert bench.look(0.0) == {}
    bench.see(1.0, reading(10.0))
    assert bench.look(1.0) == {"A": 10.0}


# Burn rate


PAGE = (BurnWindow(14.4, 3600.0, 300.0), BurnWindow(6.0, 21_600.0, 1800.0))


def burn(
    bad: Selector | None = None, *, good: Selector | None = None, slower_than: float | None = None
) -> Rule:
    return replace(
        always(Burn("orders", "bot", Selector("m"), 0.99, PAGE, bad, good, slower_than)),
        scope=Scope.SERVICE,
        by=(),
    )


def burn_values(given: Rule, readings: Iterable[tuple[float, list[Reading]]], *at_s: float) -> list[float]:
    bench = Bench(given)
    for time_s, them in readings:
        bench.see(time_s, *them)
        bench.look(time_s)
    return [bench.look(one).get("", math.nan) for one in at_s]


def test_a_budget_burns_as_fast_as_the_slower_of_both_windows_by_the_factor() -> None:
    bad = Selector("m", (Matcher("outcome", ("bad",)),))

    def counted(minute: int) -> list[Reading]:
        errors = 0.0 if minute <= 90 else 30.0 * (minute - 90)
        return [
            reading(100.0 * minute, {"outcome": "ok"}, kind=COUNTER, start_s=WALL),
            reading(errors, {"outcome": "bad"}, kind=COUNTER, start_s=WALL),
        ]

    (value,) = burn_values(burn(bad), ((minute * 60.0, counted(minute)) for minute in range(97)), 96 * 60.0)
    short = 150 / 650 / 0.01
    long = 180 / 6180 / 0.01
    half_hour, since_start = 180 / 3180 / 0.01, 180 / 9780 / 0.01
    assert value == pytest.approx(max(min(short, long) / 14.4, min(half_hour, since_start) / 6.0), rel=0.05)


def test_what_is_good_and_what_is_slow_tell_the_same() -> None:
    slow = [(0.0, [reading(buckets(0, 0, 0), {}, kind=HISTOGRAM, start_s=WALL)])]
    slow += [(60.0, [reading(buckets(70, 20, 10), {}, kind=HISTOGRAM, start_s=WALL)])]
    good = [
        (at_s, [
            reading(total, {}, kind=COUNTER, start_s=WALL),
            reading(total * 0.9, {}, metric="good", kind=COUNTER, start_s=WALL),
        ])
        for at_s, total in ((0.0, 0.0), (60.0, 100.0))
    ]  # fmt: skip
    expected = [pytest.approx(0.1 / 0.01 / 6.0)]
    assert burn_values(burn(slower_than=0.2), slow, 60.0) == expected
    assert burn_values(burn(good=Selector("good")), good, 60.0) == expected


def test_a_budget_does_not_burn_at_low_traffic() -> None:
    bad = Selector("m", (Matcher("outcome", ("bad",)),))
    given = [(0.0, [reading(5.0, {"outcome": "bad"}, kind=COUNTER, start_s=WALL)])]
    assert burn_values(burn(bad), given, 0.0) == [pytest.approx(1 / 0.01 / 6.0)]
    (value,) = burn_values(replace(burn(bad), min_count=6), given, 0.0)
    assert math.isnan(value)


def test_a_budget_does_not_burn_while_the_venue_is_closed() -> None:
    bad = Selector("m", (Matcher("outcome", ("bad",)),))
    calendar = Calendar("us", (WALL - 100.0, WALL + 200.0), (WALL + 100.0, WALL + 900.0))
    bench = Bench(replace(burn(bad), session="us"), calendar)
    for at_s in range(0, 230, 10):
        errors = 1.0 * at_s if 100 < at_s <= 200 else 0.0 if at_s <= 100 else 200.0
        bench.see(float(at_s), reading(errors, {"outcome": "bad"}, kind=COUNTER, start_s=WALL - 100))
        bench.see(float(at_s), reading(10.0 * at_s, {"outcome": "ok"}, kind=COUNTER, start_s=WALL - 100))
        bench.look(float(at_s))
    assert bench.look(220.0) == {"": 0.0}


# Sessions


def session(opens_s: float, closes_s: float) -> Calendar:
    return Calendar("us", (WALL + opens_s,), (WALL + closes_s,))


def test_outside_of_the_session_nothing_is_true() -> None:
    given = replace(rule(Threshold(Selector("m"), LAST), 1.0), session="us", for_s=10.0)
    bench = Bench(given, session(10.0, 40.0))
    for second in range(60):
        bench.see(float(second), reading(5.0))
        bench.look(float(second))
    assert bench.told == [(11.0, "A", "pending"), (21.0, "A", "firing"), (40.0, "A", "inactive")]


def test_a_window_does_not_reach_back_over_the_opening() -> None:
    given = replace(always(Threshold(Selector("m"), MAX)), session="us")
    bench = Bench(given, session(10.0, 400.0))
    for second in range(16):
        bench.see(float(second), reading(100.0 - second))
    assert bench.look(15.0) == {"A": 89.0}
    rate = Bench(replace(always(Threshold(Selector("m"), RATE)), session="us"), session(10.0, 400.0))
    for second in range(31):
        rate.see(float(second), reading(1000.0 * min(second, 10) + 2.0 * second, kind=COUNTER))
    assert rate.look(30.0) == {"A": 2.0}


def test_a_rule_waits_for_its_warm_up() -> None:
    given = replace(rule(Threshold(Selector("m"), LAST), 1.0), session="us", warmup_s=5.0)
    bench = Bench(given, session(10.0, 40.0))
    for second in range(8, 18):
        bench.see(float(second), reading(5.0))
        bench.look(float(second))
    assert bench.told == [(15.0, "A", "firing")]


def test_after_the_opening_a_series_has_a_whole_window_to_come() -> None:
    absent = Bench(replace(rule(Absent(Selector("m"))), window_s=5.0, session="us"), session(100.0, 400.0))
    fired = Bench(
        replace(rule(Threshold(Selector("m"), LAST), 9.0), window_s=5.0, session="us", no_data=NoData.FIRE),
        session(100.0, 400.0),
    )
    for bench in (absent, fired):
        bench.see(98.0, reading(1.0))
        for at_s in (99.0, 101.0, 102.9):
            assert bench.look(at_s) == {}
    assert absent.look(105.0) == {"A": 1.0}


# What may go wrong


def test_two_groups_that_breach_under_the_same_labels_fail_the_evaluation() -> None:
    bench = Bench(replace(rule(Threshold(Selector("m"), LAST), 1.0), labels=(("venue", "all"),)))
    bench.see(0.0, reading(5.0), reading(0.0, {"venue": "B"}))
    assert bench.look(0.0) == {"all": 5.0}
    bench.see(1.0, reading(6.0, {"venue": "B"}))
    assert bench.look(1.0) == {"all": 5.0}
    assert bench.evaluation.state.problem == (
        "two groups have the same labels: alertname=R, scope=fleet, severity=warning, venue=all"
    )
    assert bench.evaluation.failures == 1
    bench.see(2.0, reading(0.0))
    assert bench.look(2.0) == {"all": 6.0}
    assert (bench.evaluation.state.problem, bench.evaluation.failures) == ("", 1)


def test_more_alerts_than_the_limit_are_a_failure_each_time() -> None:
    bench = Bench(replace(rule(Threshold(Selector("m"), LAST), 1.0), limit=1))
    bench.see(0.0, reading(5.0), reading(5.0, {"venue": "B"}))
    bench.look(0.0)
    bench.look(1.0)
    assert bench.evaluation.failures == 2
    assert bench.evaluation.state.problem == "expected at most 1 alerts (limit), got 2"


def test_the_worst_measurement_of_the_window_goes_with_the_alert() -> None:
    bench = Bench(rule(Threshold(Selector("m"), MAX), 1.0))
    for at_s, value in ((0.0, 7.0), (1.0, 9.0), (2.0, 8.0)):
        bench.see(at_s, reading(value, worst=Worst(value, f"trace{value:g}", "span")))
        bench.look(at_s)
    (alert,) = bench.evaluation.state.alerts.values()
    assert alert.worst == Worst(9.0, "trace9", "span")


# A process that is gone


def test_a_process_that_is_gone_ends_the_alerts_that_were_about_it_alone() -> None:
    given = replace(rule(Threshold(Selector("m"), LAST), 1.0), scope=Scope.PROCESS, keep_firing_for_s=600.0)
    bench = Bench(given)
    bench.see(0.0, reading(5.0), reading(5.0, sender=TWIN))
    bench.look(0.0)
    transitions = bench.evaluation.gone(Sender.of(dict(BOT.attributes)), T0 + 1)
    assert [(dict(one.alert.labels)["instance"], one.reason, one.at_s) for one in transitions] == [
        ("1", Reason.GONE, T0 + 1)
    ]
    assert bench.look(2.0) == {"A": 5.0}
    assert bench.evaluation.gone(BOT, T0 + 3) == ()


def test_a_group_that_others_are_in_lives_on_without_the_one_that_is_gone() -> None:
    bench = Bench(rule(Threshold(Selector("m"), LAST), 1.0))
    bench.see(0.0, reading(5.0), reading(7.0, sender=TWIN))
    assert bench.look(0.0) == {"A": 12.0}
    assert bench.evaluation.gone(BOT, T0 + 1) == ()
    assert bench.look(1.0) == {"A": 7.0}


def test_a_process_that_is_gone_is_not_absent() -> None:
    bench = Bench(replace(rule(Absent(Selector("m"))), window_s=5.0))
    bench.see(0.0, reading(1.0))
    assert bench.look(5.0) == {"A": 1.0}
    (transition,) = bench.evaluation.gone(BOT, T0 + 6)
    assert (transition.reason, bench.look(7.0)) == (Reason.GONE, {})


def test_events_of_a_process_that_is_gone_end_with_it() -> None:
    bench = Bench(rule(Event(Signal.SPAN), 1.0, Condition.GE))
    bench.happen(0.0, span(), span(venue="B", sender=TWIN))
    bench.look(0.0)
    (transition,) = bench.evaluation.gone(BOT, T0 + 1)
    assert dict(transition.alert.labels)["venue"] == "A"
    assert bench.look(1.0) == {"B": 1.0}


def test_a_snapshot_is_json() -> None:
    bench = Bench(rule(Threshold(Selector("m"), LAST), 1.0))
    bench.see(0.0, reading(5.0))
    bench.look(0.0)
    snapshot = bench.evaluation.snapshot()
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot


# Against all that was ever read


level = st.integers(0, 4)
moments = st.lists(st.tuples(st.booleans(), level, st.booleans(), level), min_size=1, max_size=150)


def joined(stat: Stat, series: list[list[float]]) -> float:
    """The statistic over some series, by the words of the documentation."""
    of_each: dict[Stat, list[float]] = {
        LAST: [values[-1] for values in series],
        AVG: [sum(values) / len(values) for values in series],
        MIN: [min(values) for values in series],
        MAX: [max(values) for values in series],
    }
    over_all = {LAST: sum, AVG: mean, MIN: min, MAX: max}[stat]
    return float(over_all(of_each[stat]))


@pytest.mark.parametrize("stat", [LAST, AVG, MIN, MAX], ids=str)
@given(given_moments=moments)
def test_levels_are_what_a_look_at_all_readings_says(
    stat: Stat, given_moments: list[tuple[bool, int, bool, int]]
) -> None:
    bench = Bench(always(Threshold(Selector("m"), stat)))
    read: list[tuple[int, str, float]] = []
    for second, (has_first, first, has_second, second_level) in enumerate(given_moments):
        for is_there, sender, value in ((has_first, BOT, first), (has_second, TWIN, second_level)):
            if is_there:
                bench.see(float(second), reading(float(value), sender=sender))
                read.append((second, sender.instance, float(value)))
        inside = [[v for at_s, who, v in read if who == one and at_s > second - 60] for one in ("1", "2")]
        present = [values for values in inside if values]
        assert bench.look(float(second)) == ({"A": pytest.approx(joined(stat, present))} if present else {})


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3), st.booleans()), min_size=2, max_size=60))
def test_increases_are_what_a_look_at_all_readings_says(steps: list[tuple[int, int, bool]]) -> None:
    bench = Bench(always(Threshold(Selector("m"), INCREASE)))
    increases: list[tuple[int, int]] = []
    now_s, value = 0, 100
    bench.see(0.0, reading(100.0, kind=COUNTER))
    bench.look(0.0)
    for number, (apart_s, grown, is_reset) in enumerate(steps):
        for idle_s in range(now_s + 1, now_s + apart_s):
            expected = sum(amount for at_s, amount in increases if at_s > idle_s - 60)
            assert bench.look(float(idle_s)) == ({"A": float(expected)} if number else {})
        now_s += apart_s
        value = grown if is_reset and grown < value else value + grown
        increases.append((now_s, grown))
        bench.see(float(now_s), reading(float(value), kind=COUNTER))
        expected = sum(amount for at_s, amount in increases if at_s > now_s - 60)
        assert bench.look(float(now_s)) == {"A": float(expected)}


def test_whoever_shares_an_interpreter_is_let_in_between_two_groups() -> None:
    bench = Bench(always(Threshold(Selector("m"), LAST)))
    pauses: list[None] = []
    bench.evaluation.pause = lambda: pauses.append(None)
    bench.see(0.0, *(reading(1.0, {"venue": name}) for name in "ABC"))
    bench.look(0.0)
    bench.look(1.0)
    assert len(pauses) == 3
