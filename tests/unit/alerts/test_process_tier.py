"""The tier of a process: what it reads, when it looks, what it writes and whom it tells."""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from tickspan.alerts.choices import tiers_of
from tickspan.alerts.notice import Notice
from tickspan.alerts.process import ProcessTier, attention_of
from tickspan.alerts.rulebook import Listener, Rulebook
from tickspan.analysis.findings import Severity
from tickspan.analysis.rules.model import (
    Condition,
    Event,
    EventStatus,
    Matcher,
    Ratio,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.tiers import Tier
from tickspan.providers import TracerProvider
from tickspan.semconv import alerts as names
from tickspan.semconv.host import SYSTEM_MEMORY_LIMIT
from tickspan.testing.sink import MemorySink

SLOW = Rule(
    "Slow",
    Threshold(Selector("desk.duration"), Stat(StatName.QUANTILE, 0.95)),
    Condition.GT,
    0.1,
    window_s=10.0,
    severity=Severity.ERROR,
    by=("venue",),
    unit="s",
)
FAILED = Rule(
    "Failed",
    Event(Signal.SPAN, "order", (Matcher("venue", ("a",)),), EventStatus.ERROR, 0.0),
    Condition.GE,
    1.0,
    window_s=10.0,
)
REJECTED = Rule("Rejected", Event(Signal.LOG, "order.rejected"), Condition.GE, 2.0, window_s=10.0)


def book_of(*rules: Rule) -> Rulebook:
    book = Rulebook()
    for rule in rules:
        book.add(RuleSet((rule,)), None)
    return book


def await_true(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def told() -> Generator[list[str]]:
    """What is said on our own logger."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("tickspan")
    before, logger.handlers = logger.handlers, [handler]
    yield lines
    logger.handlers = before


def test_a_slow_order_fires_at_the_next_look_and_leads_to_its_trace(desk: Any) -> None:
    tier = desk.tier(book_of(SLOW))
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    with desk.wiring.tracer_provider.get_tracer("desk").start_as_current_span("order") as span:
        for seconds in (0.01, 0.4, 0.3):
            duration.record(seconds, {"venue": "a"})
    desk.wait(tier, 1.0)
    (event,) = desk.sink.telemetry().logs
    context = span.get_span_context()
    assert (event.event_name, event.severity_number, event.trace_id) == (
        names.EVENT_STATE_CHANGE,
        17,
        f"{context.trace_id:032x}",
    )
    assert event.attributes[names.ALERT_STATE] == "firing"
    assert [(rule.name, dict(alert.labels)) for rule, alert in tier.active()] == [
        (
            "Slow",
            {
                "alertname": "Slow",
                "instance": "one",
                "job": "bot",
                "scope": "process",
                "severity": "error",
                "venue": "a",
            },
        )
    ]


def test_an_alert_ends_when_its_window_is_over(desk: Any) -> None:
    tier = desk.tier(book_of(SLOW))
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    duration.record(1.0)
    for _ in range(14):
        desk.wait(tier, 1.0)
    assert desk.changes() == [("Slow", "inactive", "firing"), ("Slow", "firing", "inactive")]


def test_collection_is_none_of_the_evaluators_business(desk: Any) -> None:
    tier = desk.tier(book_of(SLOW))
    duration = desk.meter.create_histogram(
        "desk.duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0]
    )
    tier.turn()
    for _ in range(3):
        duration.record(0.05)
        desk.wiring.meter_provider.collect()
        desk.wait(tier, 1.0)
    (metric, *_) = [one for one in desk.sink.telemetry().metrics if one.name == "desk.duration"][-1:]
    assert [point.count for point in metric.points] == [3]
    assert desk.changes() == []


def test_what_is_observed_is_evaluated_too(desk: Any) -> None:
    level = Rule("Level", Threshold(Selector("desk.level"), Stat(StatName.LAST)), Condition.GT, 1.0)

    def observe(options: CallbackOptions) -> list[Observation]:
        del options
        return [Observation(5.0)]

    desk.meter.create_observable_gauge("desk.level", [observe])
    tier = desk.tier(book_of(level))
    attention = desk.wiring.meter_provider._attention
    attention.collect()
    desk.wait(tier, 1.0)
    assert desk.changes() == [("Level", "inactive", "firing")]


def test_what_the_host_does_is_read_where_a_rule_asks(desk: Any) -> None:
    rule = Rule("Host", Threshold(Selector(SYSTEM_MEMORY_LIMIT), Stat(StatName.LAST)), Condition.GT, 1.0)
    desk.wait(desk.tier(book_of(rule)), 1.0)
    assert desk.changes() == [("Host", "inactive", "firing")]


def test_a_span_that_fails_is_counted_between_two_looks(desk: Any) -> None:
    tier = desk.tier(book_of(FAILED))
    tracer = desk.wiring.tracer_provider.get_tracer("desk")
    tier.turn()
    for name, venue, status in (
        ("other", "a", trace.StatusCode.ERROR),
        ("order", "b", trace.StatusCode.ERROR),
        ("order", "a", trace.StatusCode.OK),
        ("order", "a", trace.StatusCode.ERROR),
    ):
        with tracer.start_as_current_span(name, attributes={"venue": venue, "legs": ("x",)}) as span:
            span.set_status(status)
    desk.wait(tier, 0.03)
    (event,) = desk.sink.telemetry().logs
    context = span.get_span_context()
    assert (event.trace_id, event.span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert desk.changes() == [("Failed", "inactive", "firing")]


def test_a_span_that_is_recorded_and_not_sampled_counts_too(make_desk: Callable[..., Any]) -> None:
    class RecordOnly(Sampler):
        def should_sample(self, *arguments: Any, **named: Any) -> SamplingResult:
            del arguments, named
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "records"

    desk = make_desk()
    sink = MemorySink()
    tracers = TracerProvider(RecordOnly(), shutdown_on_exit=False, sink=sink)
    object.__setattr__(desk.wiring, "tracer_provider", tracers)
    tier = desk.tier(book_of(Rule("Seen", Event(Signal.SPAN, "order"), Condition.GE, 1.0, window_s=10.0)))
    tracers.get_tracer("desk").start_span("order").end()
    desk.wait(tier, 0.03)
    assert (desk.changes(), sink.entries) == ([("Seen", "inactive", "firing")], [])


def test_spans_of_the_sdk_count_where_nothing_is_recorded_by_us(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    tracers = TracerProvider(shutdown_on_exit=False)
    object.__setattr__(desk.wiring, "tracer_provider", tracers)
    tier = desk.tier(book_of(Rule("Seen", Event(Signal.SPAN, "order"), Condition.GE, 1.0, window_s=10.0)))
    tracers.get_tracer("desk").start_span("order").end()
    desk.wait(tier, 0.03)
    assert desk.changes() == [("Seen", "inactive", "firing")]


def test_log_events_are_counted_and_the_evaluators_own_are_not(desk: Any) -> None:
    everything = Rule("Everything", Event(Signal.LOG), Condition.GE, 3.0, window_s=10.0)
    tier = desk.tier(book_of(REJECTED, everything))
    logger = desk.wiring.logger_provider.get_logger("desk")
    for _ in range(2):
        logger.emit(event_name="order.rejected", attributes={"venue": "a"})
    logger.emit(body="no event")
    for _ in range(3):
        desk.wait(tier, 0.03)
    assert desk.changes() == [("Rejected", "inactive", "firing")]


def test_a_burst_of_events_is_evaluated_a_few_times(desk: Any) -> None:
    tier = desk.tier(book_of(REJECTED))
    logger = desk.wiring.logger_provider.get_logger("desk")
    tier.turn()
    desk.wait(tier, 0.5)
    logger.emit(event_name="order.rejected")
    assert tier.turn() == pytest.approx(0.5)
    logger.emit(event_name="order.rejected")
    assert tier.turn() == pytest.approx(0.02)
    assert tier.statistics().waiting == 1
    desk.wait(tier, 0.02)
    assert (tier.statistics().waiting, desk.changes()) == (0, [("Rejected", "inactive", "firing")])


def test_hooks_are_gone_with_the_last_rule_that_needs_them(desk: Any) -> None:
    book = book_of(FAILED, REJECTED)
    tier = desk.tier(book)
    tracer = desk.wiring.tracer_provider.get_tracer("desk")
    logger = desk.wiring.logger_provider.get_logger("desk")
    with_rules = (tracer._recorder.hooks is None, logger.noticer is None)
    for name in ("Failed", "Rejected"):
        book.remove(name)
    tier.refresh()
    assert (with_rules, (tracer._recorder.hooks is None, logger.noticer is None)) == (
        (False, False),
        (True, True),
    )


def test_more_events_than_there_is_room_for_are_dropped_and_counted(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan.alerts.process._MAX_WAITING", 3)
    tier = desk.tier(book_of(REJECTED))
    for _ in range(5):
        desk.wiring.logger_provider.get_logger("desk").emit(event_name="order.rejected")
    assert (tier.statistics().waiting, tier.statistics().dropped) == (3, 2)


def test_looks_that_were_missed_are_not_made_up_for(desk: Any) -> None:
    tier = desk.tier(book_of(SLOW))
    tier.turn()
    desk.wait(tier, 7.3)
    assert tier.turn() == pytest.approx(0.7)
    assert tier.statistics().engine.evaluations == 2


# Who is told


def test_a_callback_is_told_of_the_beginning_and_the_end_in_a_thread_of_its_own(desk: Any) -> None:
    heard: list[tuple[str, str, float, str, bool]] = []

    def listen(notice: Notice) -> None:
        is_here = threading.current_thread() is threading.main_thread()
        heard.append((notice.rule, notice.state, notice.threshold, notice.process, is_here))

    book = Rulebook()
    book.add(RuleSet((SLOW,)), Listener("own", listen, None))
    tier = desk.tier(book)
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    duration.record(1.0)
    for _ in range(14):
        desk.wait(tier, 1.0)
    assert await_true(lambda: len(heard) == 2)
    assert heard == [("Slow", "firing", 0.1, "one", False), ("Slow", "resolved", 0.1, "one", False)]


def test_the_listener_of_a_removed_rule_hears_that_its_alert_has_ended(desk: Any) -> None:
    heard: list[tuple[str, str]] = []
    book = Rulebook()
    book.add(
        RuleSet((SLOW,)),
        Listener("own", lambda notice: heard.append((notice.state, notice.reason)), None),
    )
    tier = desk.tier(book)
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    duration.record(1.0)
    desk.wait(tier, 1.0)
    book.remove("Slow")
    tier.refresh()
    assert await_true(lambda: len(heard) == 2)
    assert heard == [("firing", ""), ("resolved", "removed")]


def test_callbacks_that_raise_or_hang_disturb_nobody(desk: Any) -> None:
    heard: list[str] = []
    is_over = threading.Event()

    def fail(notice: Notice) -> None:
        raise ZeroDivisionError(notice.rule)

    def hang(notice: Notice) -> None:
        del notice
        is_over.wait(10)

    def exit_thread(notice: Notice) -> None:
        del notice
        raise KeyError

    book = book_of(SLOW)
    for key, function in (
        ("fails", fail),
        ("hangs", hang),
        ("exits", exit_thread),
        ("hears", lambda notice: heard.append(notice.rule)),
    ):
        book.listen(Listener(key, function, None))
    tier = desk.tier(book)
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    duration.record(1.0)
    began = time.monotonic()
    desk.wait(tier, 1.0)
    assert time.monotonic() - began < 0.5
    assert await_true(lambda: heard == ["Slow"])
    is_over.set()
    assert desk.changes() == [("Slow", "inactive", "firing")]


def test_a_coroutine_function_runs_in_the_loop_that_is_given(desk: Any) -> None:
    heard: list[bool] = []

    async def main() -> None:
        loop, here = asyncio.get_running_loop(), asyncio.Event()

        async def listen(notice: Notice) -> None:
            del notice
            heard.append(asyncio.get_running_loop() is loop)
            here.set()

        book = book_of(SLOW)
        book.listen(Listener("loop", listen, loop))
        tier = desk.tier(book)
        duration = desk.meter.create_histogram("desk.duration", "s")
        tier.turn()
        duration.record(1.0)
        desk.wait(tier, 1.0)
        await asyncio.wait_for(here.wait(), 5)

    asyncio.run(main())
    assert heard == [True]


def test_a_log_processor_that_adds_a_rule_while_it_is_told_is_served(desk: Any) -> None:
    """It comes back to the tier in the tier's own thread."""
    book = book_of(SLOW)
    tier = desk.tier(book)

    class Adds:
        def on_emit(self, log_record: Any) -> None:
            if log_record.log_record.event_name == names.EVENT_STATE_CHANGE:
                book.remove("Slow")
                tier.refresh()

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            del timeout_millis
            return True

    desk.wiring.logger_provider.add_log_record_processor(Adds())
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    duration.record(1.0)
    desk.wait(tier, 1.0)
    assert [rule.name for rule in tier._engine.rules] == []


# The file


def test_a_reload_loses_no_state(make_desk: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    text = """
version = 1
[metrics."desk.duration"]
kind = "histogram"
unit = "s"
[[rules]]
name = "Slow"
metric = "desk.duration"
stat = "count"
condition = "gt"
threshold = 2
window = "60s"
for = "3s"
"""
    file.write_text(text)
    desk = make_desk(file)
    tier = desk.tier(Rulebook(file))
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    for second, version in enumerate(
        (text, text + "\n# same", text + "[[rules", text.replace("60s", "1m")), 1
    ):
        duration.record(0.1)
        file.write_text(version)
        os.utime(file, (second, second))
        desk.wait(tier, 1.0)
    for _ in range(2):
        desk.wait(tier, 1.0)
    assert desk.changes() == [("Slow", "inactive", "pending"), ("Slow", "pending", "firing")]
    assert (tier.statistics().reloads, tier.statistics().invalid) == (4, 0)


# Telemetry of its own


def test_it_tells_what_it_does(desk: Any) -> None:
    tier = desk.tier(book_of(SLOW, FAILED))
    duration = desk.meter.create_histogram("desk.duration", "s")
    tier.turn()
    duration.record(1.0)
    desk.wait(tier, 1.0)
    desk.wiring.meter_provider.collect()
    points = {
        metric.name: [(dict(point.attributes), point.count or point.value) for point in metric.points]
        for metric in desk.sink.telemetry().metrics
        if metric.name.startswith("tickspan.alert.")
    }
    process = {names.ALERT_EVALUATOR: "process"}
    assert points == {
        names.ALERT_ACTIVE: [
            (
                {
                    names.ALERT_NAME: "Slow",
                    names.ALERT_STATE: "firing",
                    names.ALERT_SEVERITY: "error",
                    names.ALERT_SCOPE: "process",
                    **process,
                },
                1,
            )
        ],
        names.ALERT_RULES: [
            ({names.ALERT_RULES_STATE: "valid", **process}, 2),
            ({names.ALERT_RULES_STATE: "invalid", **process}, 0),
        ],
        names.ALERT_EVALUATION_DURATION: [(process, 2)],
    }


def test_a_program_whose_metrics_are_recorded_by_others_is_told_once(
    make_desk: Callable[..., Any], told: list[str]
) -> None:
    desk = make_desk()
    object.__setattr__(
        desk.wiring, "meter_provider", type(desk.wiring.meter_provider)(shutdown_on_exit=False)
    )
    desk.tier(book_of(SLOW))
    assert told == ["alerts: metrics are not recorded here; rules over them see nothing"]


# The thread


def seconds_until_heard(desk: Any) -> tuple[float, float]:
    """From a slow order, and from the second refused one, to the callback."""
    heard: dict[str, float] = {}
    book = book_of(SLOW, REJECTED)
    book.listen(Listener("hears", lambda notice: heard.setdefault(notice.rule, time.monotonic()), None))
    tier = ProcessTier(desk.wiring, book)
    desk.tiers.append(tier)
    tier.refresh()
    tier.start()
    duration = desk.meter.create_histogram("desk.duration", "s")
    assert await_true(lambda: tier.statistics().engine.evaluations > 0)
    slow_at = time.monotonic()
    duration.record(1.0)
    assert await_true(lambda: "Slow" in heard)
    rejected_at = time.monotonic()
    for _ in range(2):
        desk.wiring.logger_provider.get_logger("desk").emit(event_name="order.rejected")
    assert await_true(lambda: "Rejected" in heard)
    return heard["Slow"] - slow_at, heard["Rejected"] - rejected_at


def test_the_thread_fires_within_an_interval_and_100_ms_and_an_event_within_50(
    make_desk: Callable[..., Any],
) -> None:
    tries = (seconds_until_heard(make_desk(interval_s=0.5)) for _ in range(4))  # others use the machine, too
    assert any(slow_s <= 0.6 and rejected_s <= 0.05 for slow_s, rejected_s in tries)


def test_close_looks_a_last_time_and_ends_the_thread(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(interval_s=30.0)
    heard: list[str] = []
    book = book_of(SLOW)
    book.listen(Listener("hears", lambda notice: heard.append(notice.rule), None))
    tier = ProcessTier(desk.wiring, book)
    tier.refresh()
    tier.start()
    assert await_true(lambda: tier.statistics().engine.evaluations == 1)
    desk.meter.create_histogram("desk.duration", "s").record(1.0)
    tier.close()
    assert (heard, desk.changes()) == (["Slow"], [("Slow", "inactive", "firing")])
    assert await_true(lambda: not tier.is_running)
    tier.start()
    assert tier.is_running is False


# What rules need


def test_metrics_are_watched_in_the_direction_that_is_worse() -> None:
    low = Rule("Low", Threshold(Selector("desk.duration"), Stat(StatName.MIN)), Condition.LT, 0.1)
    floor = Rule("Floor", Threshold(Selector("desk.level"), Stat(StatName.MIN)), Condition.LE, 0.1)
    ratio = Ratio(Selector("desk.bad"), Selector("desk.all"))
    fleet = Rule("Fleet", ratio, Condition.GT, 0.1, scope=Scope.FLEET)
    assert attention_of((SLOW, low, floor, FAILED), (SLOW, fleet)) == (
        {"desk.duration": 1, "desk.level": -1},
        {"desk.bad", "desk.all"},
    )


def test_tiers_of_the_settings_always_hold_process_and_agent(told: list[str]) -> None:
    assert tiers_of(("gateway", "prometeus")) == {Tier.PROCESS, Tier.AGENT, Tier.GATEWAY}
    assert told == ["alerts.tiers: expected agent, gateway, process, prometheus, got prometeus"]


def test_without_an_agent_the_process_is_the_slowest_of_its_own_tiers() -> None:
    assert tiers_of((), has_agent=False) == {Tier.PROCESS}
    assert tiers_of(("gateway",), has_agent=False) == {Tier.PROCESS, Tier.GATEWAY}
