"""The recent past of a process: what is kept, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from opentelemetry.metrics import CallbackOptions, Observation

from tickspan.distro import summary as facade
from tickspan.providers import MeterProvider
from tickspan.providers.history import History
from tickspan.providers.summary import MetricSummary, PerformanceSummary, summarised
from tickspan.testing.sink import MemorySink


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def provider() -> MeterProvider:
    return MeterProvider(sink=MemorySink(), shutdown_on_exit=False)


def test_each_kind_of_metric_is_summarised_as_it_asks_for(provider: MeterProvider) -> None:
    meter, clock = provider.get_meter("desk"), Clock()
    trades = meter.create_counter("trades", "{trade}")
    load = meter.create_gauge("load", "1")
    latency = meter.create_histogram("latency", "s", explicit_bucket_boundaries_advisory=[0.1, 0.2, 0.4])
    history = History(provider, 100, 10.0, clock, lambda: None)
    for number in range(11):
        clock.now_s = 10.0 * number
        trades.add(20, {"book": "eq"})
        load.set(number / 10)
        for value in (0.05, 0.15, 0.15, 0.3):
            latency.record(value)
        history.collect()
    found = {one.metric: one for one in summarised(history.pasts(0.0))}
    trade, level, time = found["trades"], found["load"], found["latency"]
    assert (trade.kind, trade.name, trade.last, trade.rate) == ("counter", "trades{book=eq}", 220, 2.0)
    assert (level.kind, level.last, level.p50, level.p95, level.p99) == (
        "gauge",
        1.0,
        0.5,
        pytest.approx(0.95),
        pytest.approx(0.99),
    )
    assert level.trend is not None
    assert (level.trend.per_hour, level.trend.is_significant) == (pytest.approx(36.0), True)
    assert (time.kind, time.rate, time.last) == ("histogram", 0.4, pytest.approx(0.1625))
    assert (time.p50, time.p99) == (pytest.approx(0.15), pytest.approx(0.392))


def test_only_the_window_counts(provider: MeterProvider) -> None:
    trades, clock = provider.get_meter("desk").create_counter("trades"), Clock()
    history = History(provider, 100, 10.0, clock, lambda: None)
    for clock.now_s, amount in ((0.0, 1), (10.0, 100), (20.0, 10), (30.0, 10)):
        trades.add(amount)
        history.collect()
    assert [one.rate for one in summarised(history.pasts(10.0))] == [1.0]


def test_the_past_is_bounded(provider: MeterProvider) -> None:
    load, clock = provider.get_meter("desk").create_gauge("load"), Clock()
    history = History(provider, 3, 10.0, clock, lambda: None)
    for number in range(10):
        clock.now_s = float(number)
        load.set(number)
        history.collect()
    assert [moment.value for moment in history.pasts(0.0)[0].moments] == [7, 8, 9]


def test_what_is_observed_is_known_as_of_the_last_collection(provider: MeterProvider) -> None:
    seen = iter([5, 9])

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(next(seen))]

    provider.get_meter("desk").create_observable_counter("bytes", [observe], "By")
    clock = Clock()
    history = History(provider, 10, 10.0, clock, lambda: None)
    for clock.now_s in (0.0, 10.0):
        provider.collect()
        history.collect()
    assert [(one.metric, one.last, one.rate) for one in summarised(history.pasts(0.0))] == [("bytes", 9, 0.4)]


def test_reading_the_past_takes_nothing_from_the_collection(provider: MeterProvider) -> None:
    sink = MemorySink()
    provider = MeterProvider(sink=sink, shutdown_on_exit=False)
    trades = provider.get_meter("desk").create_counter("trades")
    history = History(provider, 10, 10.0)
    trades.add(3)
    history.collect()
    provider.collect()
    assert [point.value for metric in sink.telemetry().metrics for point in metric.points] == [3]


def test_a_summary_is_a_table_for_people() -> None:
    summary = PerformanceSummary(
        300.0,
        120.0,
        (
            MetricSummary("desk.latency", "s", "histogram", {}, 0.02, 5.0, 0.01, 0.03, 0.04),
            MetricSummary("desk.trades", "{trade}", "counter", {"book": "eq"}, 12.0, 1.5),
        ),
        left_out=2,
    )
    assert str(summary) == (
        "2 series, 120 of the last 300 s, 2 left out\n"
        "                       last   rate    p50    p95    p99  trend\n"
        "desk.latency          20 ms    5/s  10 ms  30 ms  40 ms\n"
        "desk.trades{book=eq}     12  1.5/s"
    )


def test_a_program_without_telemetry_gets_an_empty_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facade, "_histories", [])
    assert facade.performance_summary("30s") == PerformanceSummary(30.0, 0.0, ())


def test_the_series_of_one_metric_are_found_by_its_name(
    provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facade, "_histories", [History(provider, 10, 3600.0)])
    gauge = provider.get_meter("desk").create_gauge("load")
    gauge.set(1, {"book": "eq"})
    gauge.set(2, {"book": "fx"})
    found = facade.performance_summary(60)
    assert [(one.name, one.last) for one in found["load"]] == [("load{book=eq}", 1), ("load{book=fx}", 2)]
    assert found["none"] == ()


@pytest.mark.parametrize("window", ["5", "five minutes", "-5m", 0, -1.0, float("inf")])
def test_a_window_that_is_no_duration_is_refused(window: str | float) -> None:
    with pytest.raises(ValueError, match="window: expected a duration like '5m', got"):
        facade.performance_summary(window)
