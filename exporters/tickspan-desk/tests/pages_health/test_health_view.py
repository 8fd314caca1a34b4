"""Telemetry health: what is counted, what is seen in traces, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from tickspan_desk.store.reading import Series, StoreStatistics
from tickspan_desk.views.health import (
    BAD,
    EVENTS,
    OK,
    UNKNOWN,
    WARN,
    Breaker,
    Exported,
    Fault,
    Health,
    Ledger,
    Loss,
    MetricSize,
    Orphan,
    Sample,
    Skew,
    Spool,
    health_of,
    sample_of,
)
from tickspan_spool.agent import semconv as agent

from tickspan.semconv import alerts
from tickspan.semconv.common import HOST_NAME, SERVICE_NAME

from .conftest import Make

STORE = StoreStatistics(
    spans=1,
    logs=1,
    points=1,
    traces=1,
    series=1,
    bytes=1,
    max_bytes=2,
    max_age_s=3.0,
    oldest_ns=4,
    evicted={},
    version=1,
)
NOTHING = Sample(0, 0, (), 0, (), (), 0)


def told(
    make: Make,
    series: Mapping[str, Sequence[Series]] | None = None,
    *,
    sample: Sample = NOTHING,
    sizes: Sequence[MetricSize] = (),
    services: Sequence[str] = ("bot",),
    store: StoreStatistics = STORE,
) -> Health:
    return health_of(series or {}, [], sample, sizes, services, store, make.window())


def state(health: Health, title: str) -> str:
    return next(check.state for check in health.checks if check.title == title)


def of_agent(make: Make, value: float, name: str = "", **attributes: str) -> Series:
    keys = {"signal": agent.SIGNAL, "outcome": agent.OUTCOME, "reason": agent.DROP_REASON}
    keys |= {"to": agent.DESTINATION, "by": agent.COMPONENT_NAME, "error": agent.ERROR_TYPE}
    return make.series(
        [make.value(10, 1), make.value(20, value)],
        name=name,
        kind="sum",
        attributes={keys[key]: text for key, text in attributes.items()},
        resource=make.resource("tickspan-agent", "agent-1", **{HOST_NAME: "vm"}),
    )


def test_the_ledger_adds_up(make: Make) -> None:
    health = told(
        make,
        {
            agent.LEDGER_RECORDS: [
                of_agent(make, 100, signal="traces", outcome="ended"),
                of_agent(make, 80, signal="traces", outcome="delivered"),
                of_agent(make, 5, signal="traces", outcome="dropped", reason="disk_bound"),
            ]
        },
    )
    assert health.ledgers == (Ledger("vm", "agent-1", "traces", 100, 80, (("disk_bound", 5),), 15),)
    (check,) = [check for check in health.checks if check.state == BAD]
    assert check.told == "5 records were dropped: 5 disk_bound."
    assert check.advice


def test_nothing_dropped_is_well_and_no_report_is_not_known(make: Make) -> None:
    ended = {agent.LEDGER_RECORDS: [of_agent(make, 7, signal="logs", outcome="ended")]}
    assert state(told(make, ended), "Nothing was dropped") == OK
    assert state(told(make), "Nothing was dropped") == UNKNOWN


@pytest.mark.parametrize(
    ("size", "age_s", "expected"), [(1 << 20, 2.0, OK), (1 << 20, 90.0, WARN), (400 << 20, 2.0, BAD)]
)
def test_a_spool_that_fills_or_waits_is_told(make: Make, size: int, age_s: float, expected: str) -> None:
    health = told(
        make,
        {
            agent.SPOOL_SIZE: [of_agent(make, size)],
            agent.SPOOL_OLDEST_AGE: [of_agent(make, age_s)],
        },
    )
    assert health.spools == (Spool("vm", "agent-1", size, age_s, make.at(20)),)
    assert state(health, "The spool is drained") == expected


def test_an_open_breaker_names_its_destination(make: Make) -> None:
    breakers = [
        of_agent(make, 0, signal="logs", to="http://a"),
        of_agent(make, 3, signal="traces", to="http://b"),
    ]
    health = told(make, {agent.BREAKER_STATE: breakers})
    assert health.breakers == (
        Breaker("vm", "traces", "http://b", 3, "open: probes only"),
        Breaker("vm", "logs", "http://a", 0, "closed"),
    )
    assert state(health, "Destinations take everything") == BAD


def test_exporters_are_told_by_outcome(make: Make) -> None:
    name = agent.EXPORTED["traces"]
    series = {name: [of_agent(make, 9, name, by="otlp"), of_agent(make, 2, name, by="otlp", error="refused")]}
    assert told(make, series).exports == (Exported("otlp", "delivered", 9), Exported("otlp", "refused", 2))


def test_counted_faults_are_of_the_range(make: Make) -> None:
    points = [make.value(10, 4, start_s=-9), make.value(20, 6, start_s=-9)]
    failures = make.series(points, kind="sum", attributes={alerts.ALERT_NAME: "Slow"})
    health = told(make, {alerts.ALERT_RULE_FAILURES: [failures]})
    assert health.faults == (
        Fault("bot", "evaluations of alert rules that failed", f"{alerts.ALERT_NAME}=Slow", 2),
    )
    assert state(health, "Instrumentation has no faults") == WARN


def test_a_death_is_told_with_the_service_that_died(make: Make) -> None:
    entry = make.event(1, agent.PROCESS_DIED, 5, {agent.SERVICE: "bot"}, "process 7 died")
    health = health_of({}, [entry], NOTHING, [], ["bot"], STORE, make.window())
    assert health.losses == (Loss(make.at(5), agent.PROCESS_DIED, "bot", "process 7 died"),)
    assert health.checks[0].title == "Processes end cleanly"
    assert set(EVENTS) == {agent.PROCESS_DIED, agent.LOSS}


def test_a_span_whose_parent_never_came_is_an_orphan_after_a_while(make: Make) -> None:
    spans = [make.span(1, 0, 10, name="root"), make.span(2, 0, 5, name="call", parent=9)]
    assert sample_of([spans], make.at(29)).orphan_count == 0
    sample = sample_of([spans], make.at(31))
    assert sample == Sample(
        traces=1,
        spans=2,
        orphans=(Orphan(make.trace, f"{2:016x}", f"{9:016x}", "call", "bot", make.at(0)),),
        orphan_count=1,
        skews=(),
        redactions=(),
        nameless=0,
    )
    assert state(told(make, sample=sample), "Every parent came") == WARN


def test_a_child_before_its_parent_is_a_sign_of_two_clocks(make: Make) -> None:
    spans = [
        make.span(1, 10, 10, service="gateway"),
        make.span(2, 9.5, 5, parent=1, service="bot"),
        make.span(3, 9, 5, parent=1, service="bot"),
        make.span(4, 9.9995, 5, parent=1, service="bot"),
    ]
    sample = sample_of([spans], make.at(0))
    assert sample.skews == (Skew("gateway", "bot", 2, 1_000_000_000, make.trace),)
    check = next(one for one in told(make, sample=sample).checks if one.title == "Clocks agree")
    assert check.told == "A span of bot begins 1 s before its parent in gateway."


def test_values_that_were_held_back_are_counted_by_attribute(make: Make) -> None:
    spans = [make.span(1, 0, 1, {"url.full": "https://venue/?key=[redacted]", "plain": "x"})]
    assert sample_of([spans], 0).redactions == (("url.full", 1),)


@pytest.mark.parametrize("name", ["", "unknown_service:python"])
def test_a_process_without_a_name_is_told(make: Make, name: str) -> None:
    sample = sample_of([[make.span(1, 0, 1, service=name)]], 0)
    health = told(make, sample=sample, services=("bot", name))
    assert sample.nameless == 1
    assert state(health, "Every process has a service name") == WARN


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (MetricSize("m", 999, has_overflow=False), OK),
        (MetricSize("m", 1000, has_overflow=False), WARN),
        (MetricSize("m", 2000, has_overflow=True), BAD),
    ],
)
def test_a_metric_of_many_series_is_told(make: Make, size: MetricSize, expected: str) -> None:
    small = MetricSize("a", 3, has_overflow=False)
    health = told(make, sizes=[small, size])
    assert health.metrics == (size, small)
    assert state(health, "Metrics have few series") == expected


def test_what_the_desk_evicted_by_size_is_told(make: Make) -> None:
    assert state(told(make, store=replace(STORE, evicted={"age": 5})), "The desk keeps everything") == OK
    assert state(told(make, store=replace(STORE, evicted={"size": 5})), "The desk keeps everything") == WARN


def test_the_worst_checks_come_first_and_each_says_what_to_do(make: Make) -> None:
    store = replace(STORE, evicted={"size": 5})
    series = {agent.BREAKER_STATE: [of_agent(make, 3, signal="traces", to="x")]}
    checks = told(make, series, store=store).checks
    states = [check.state for check in checks]
    assert states == sorted(states, key=(BAD, WARN, UNKNOWN, OK).index)
    assert all(check.advice for check in checks if check.state != OK)


def test_points_of_no_number_count_nothing(make: Make) -> None:
    broken = make.series(
        [make.value(10, float("nan"))], attributes={agent.SIGNAL: "traces"}, resource={SERVICE_NAME: "x"}
    )
    health = told(make, {agent.LEDGER_RECORDS: [broken], agent.BREAKER_STATE: [broken]})
    assert health.breakers[0].level == 0
    assert health.ledgers[0].ended == 0
