"""The pages over a store that holds what our own providers and our agent wrote."""

from __future__ import annotations

import gc
import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind, Status, StatusCode
from tickspan_desk.store.reading import Window
from tickspan_spool.agent import semconv as agent
from tickspan_spool.agent.report import Report, Way, metrics
from tickspan_spool.entries import StreamKey
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason

from tickspan.alerts.notice import Notice, NoticeState
from tickspan.providers import LoggerProvider, MeterProvider, TracerProvider
from tickspan.providers.process import measure_process
from tickspan.recording.wire import encode_resource, encode_scope
from tickspan.semconv import alerts, common, db, findings, foreign, memory, profiler
from tickspan.testing.sink import MemorySink

from .conftest import Desk

HOSTILE = "<script>alert('x')</script>?a=b#c%2e\"&\N{RIGHT-TO-LEFT OVERRIDE}"
RESOURCE = Resource({common.SERVICE_NAME: "bot", common.SERVICE_INSTANCE_ID: "one"})
FINGERPRINT = "aaaa000011112222"


class Program:
    """Providers that write into a sink, with a clock for metrics that stands still between collections."""

    def __init__(self, sink: MemorySink, resource: Resource = RESOURCE) -> None:
        self.now_ns = time.time_ns() - 60_000_000_000
        self.meters = MeterProvider(
            resource=resource, sink=sink, clock=lambda: self.now_ns, shutdown_on_exit=False
        )
        self.tracers = TracerProvider(resource=resource, sink=sink, shutdown_on_exit=False)
        self.loggers = LoggerProvider(resource=resource, sink=sink, shutdown_on_exit=False)
        self.meter = self.meters.get_meter("test")
        self.tracer = self.tracers.get_tracer("test")

    def collect(self, after_s: float = 10) -> None:
        self.now_ns += int(after_s * 1e9)
        self.meters.collect()

    def event(self, name: str, attributes: Mapping[str, str | float | bool], body: str = "") -> None:
        self.loggers.get_logger("test").emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.WARN,
            body=body,
            attributes=dict(attributes),
            event_name=name,
        )


@pytest.fixture
def program(sink: MemorySink) -> Iterator[Program]:
    made = Program(sink)
    yield made
    made.meters.shutdown()
    made.tracers.shutdown()
    made.loggers.shutdown()


PAGES = ("/metrics", "/queries", "/alerts", "/runtime", "/health")


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_desk_says_what_to_do(desk: Desk, path: str) -> None:
    page = desk.html(path)
    assert re.search(r'class="empty"|What to do', page)
    assert desk.json(path)


@pytest.mark.parametrize("path", ["/metrics/none", "/queries/none", "/alerts/none"])
def test_what_is_not_there_is_not_found(desk: Desk, path: str) -> None:
    assert "none" in desk.html(path, 404)
    assert "none" in desk.json(path, 404)["error"]


def test_a_counter_is_a_rate_by_attribute(desk: Desk, sink: MemorySink, program: Program) -> None:
    orders = program.meter.create_counter("orders", unit="{order}", description="Orders.")
    for side in ("buy", "sell"):
        orders.add(1, {"side": side})
    program.collect()
    orders.add(20, {"side": "buy"})
    orders.add(5, {"side": "sell"})
    program.collect(after_s=10)
    desk.take(sink)
    assert {"name": "orders", "unit": "{order}", "kind": "sum", "series": 2} in desk.json("/metrics")[
        "entries"
    ]
    told = desk.json("/metrics/orders")
    assert (told["meaning"], told["series"], told["description"]) == ("per second", 2, "Orders.")
    assert [(line["label"], line["points"]) for line in told["lines"]] == [
        ("side=buy", [[program.now_ns, 2.0]]),
        ("side=sell", [[program.now_ns, 0.5]]),
    ]
    assert told["choices"] == {"side": ["buy", "sell"]}
    filtered = desk.json("/metrics/orders?a.side=sell")
    assert [line["points"][0][1] for line in filtered["lines"]] == [0.5]
    grouped = desk.json("/metrics/orders?by=service")
    assert [(line["label"], line["points"][0][1]) for line in grouped["lines"]] == [("bot", 2.5)]
    page = desk.html("/metrics/orders?a.side=sell&by=side")
    assert '<option value="sell" selected>sell</option>' in page
    assert "0.5/s" in page
    assert "<polyline" in page


def test_a_metric_without_points_in_the_range_says_so(desk: Desk, sink: MemorySink, program: Program) -> None:
    program.meter.create_gauge("level").set(3)
    program.collect()
    desk.take(sink)
    assert "Choose a longer time" in desk.html("/metrics/level?range=5")


def test_a_histogram_is_heat_with_quantiles(desk: Desk, sink: MemorySink, program: Program) -> None:
    latency = program.meter.create_histogram(
        "latency", unit="s", explicit_bucket_boundaries_advisory=[0.001, 0.01, 0.1]
    )
    for _ in range(99):
        latency.record(0.005)
    latency.record(0.05)
    program.collect()
    desk.take(sink)
    told = desk.json("/metrics/latency")
    assert [(row["low"], row["high"], sum(row["counts"])) for row in told["heat"]["rows"]] == [
        (0.001, 0.01, 99),
        (0.01, 0.1, 1),
    ]
    (step,) = told["steps"]
    assert step["measured"] == 100
    assert step["p50"] == pytest.approx(0.001 + 0.009 * 50 / 99)
    assert step["p99"] == pytest.approx(0.01)
    page = desk.html("/metrics/latency")
    assert 'fill-opacity="1.0"' in page
    assert "at most one bucket" in page


def test_bounds_of_an_exponential_histogram_hold_what_was_measured(desk: Desk, sink: MemorySink) -> None:
    exponential = View(instrument_name="latency", aggregation=ExponentialBucketHistogramAggregation())
    meters = MeterProvider(resource=RESOURCE, sink=sink, views=[exponential], shutdown_on_exit=False)
    latency = meters.get_meter("test").create_histogram("latency", unit="s")
    for value in (0.003, 0.003, 0.7):
        latency.record(value)
    meters.collect()
    meters.shutdown()
    desk.take(sink)
    told = desk.json("/metrics/latency")
    filled = [row for row in told["heat"]["rows"] if any(row["counts"])]
    assert [sum(row["counts"]) for row in filled] == [2, 1]
    assert all(row["low"] < value <= row["high"] for row, value in zip(filled, (0.003, 0.7), strict=True))
    assert told["steps"][0]["p50"] == pytest.approx(0.003, rel=0.01)


def test_no_more_than_a_hundred_series_are_shown_and_it_says_so(
    desk: Desk, sink: MemorySink, program: Program
) -> None:
    level = program.meter.create_gauge("level")
    for number in range(130):
        level.set(number, {"n": number})
    program.collect()
    desk.take(sink)
    assert len(desk.json("/metrics/level")["lines"]) == 100
    assert "100 of 130 series are shown" in desk.html("/metrics/level")


def query(program: Program, attributes: Mapping[str, str | int], *, failed: bool = False) -> None:
    span = program.tracer.start_span("SELECT orders", kind=SpanKind.CLIENT, attributes=dict(attributes))
    if failed:
        span.set_status(Status(StatusCode.ERROR, "locked"))
    span.end()


SELECT: Mapping[str, str | int] = {
    db.DB_SYSTEM_NAME: "postgresql",
    db.DB_QUERY_TEXT: "SELECT id FROM orders WHERE symbol = ?",
    db.DB_QUERY_SUMMARY: "SELECT orders",
    db.TICKSPAN_DB_QUERY_FINGERPRINT: FINGERPRINT,
    db.DB_RESPONSE_RETURNED_ROWS: 2,
}


def test_statements_lead_to_their_calls_findings_plans_and_advice(
    desk: Desk, sink: MemorySink, program: Program
) -> None:
    query(program, SELECT)
    query(program, SELECT, failed=True)
    query(program, {db.DB_SYSTEM_NAME: "redis", db.DB_QUERY_TEXT: "GET ?"})
    program.event(
        findings.EVENT,
        {
            findings.FINDING_ID: "f1",
            findings.FINDING_RULE: "slow_query",
            findings.FINDING_SEVERITY: "warning",
            findings.FINDING_ADVICE: "Look at its plan.",
            findings.FINDING_EVIDENCE: json.dumps({"calls": 2}),
            db.TICKSPAN_DB_QUERY_FINGERPRINT: FINGERPRINT,
        },
        "It is slow.",
    )
    program.event(
        db.EVENT_QUERY_PLAN,
        {db.TICKSPAN_DB_QUERY_FINGERPRINT: FINGERPRINT, db.TICKSPAN_DB_PLAN_HASH: "h"},
        '{"Node Type": "Seq Scan"}',
    )
    desk.take(sink)
    rows = {row["title"]: row for row in desk.json("/queries")["statements"]}
    assert set(rows) == {"SELECT orders", "GET ?"}
    select = rows["SELECT orders"]
    assert (select["calls"], select["errors"], select["rows"]) == (2, 1, 4)
    assert (select["findings"], select["worst"]) == (1, "warning")
    one = desk.json(f"/queries/{FINGERPRINT}")
    assert [line["message"] for line in one["findings"]] == ["It is slow."]
    assert [plan["hash"] for plan in one["plans"]] == ["h"]
    assert [sum(step["calls"] for step in one["steps"])] == [2]
    assert "orders (symbol)" in one["advice"]["indexes"][0]["ddl"]
    page = desk.html(f"/queries/{FINGERPRINT}")
    assert "Look at its plan." in page
    assert "Seq Scan" in page
    assert re.search(r'href="/traces/[0-9a-f]{32}#span-[0-9a-f]{16}"', page)
    # What has no fingerprint of its own has one of ours, by which it is found as well.
    assert desk.json(f"/queries/{rows['GET ?']['fingerprint']}")["statement"]["calls"] == 1


def test_spans_are_found_by_the_name_of_an_attribute(desk: Desk, sink: MemorySink, program: Program) -> None:
    query(program, SELECT)
    query(program, {db.DB_SYSTEM_NAME: "redis"})
    query(program, {foreign.DB_SYSTEM_OLD: "mysql", "note": db.DB_SYSTEM_NAME})
    desk.take(sink)
    ever = Window(0, time.time_ns())
    store = desk.store
    found = [span.attributes[db.DB_SYSTEM_NAME] for span in store.spans_with(db.DB_SYSTEM_NAME, ever)]
    assert found == ["redis", "postgresql"]
    assert len(store.spans_with(db.DB_SYSTEM_NAME, ever, "redis")) == 1
    assert len(store.spans_with(foreign.DB_SYSTEM_OLD, ever)) == 1
    assert len(store.spans_with(db.DB_SYSTEM_NAME, ever, limit=1)) == 1
    assert store.spans_with(db.DB_SYSTEM_NAME, Window(0, 1)) == []


def test_an_alert_of_a_process_that_has_ended_is_silent(
    desk: Desk, sink: MemorySink, program: Program
) -> None:
    fire(program, "Slow")
    active = program.meter.create_gauge(alerts.ALERT_ACTIVE)
    active.set(1, {alerts.ALERT_NAME: "Slow"})
    program.collect(after_s=-240)
    desk.take(sink)
    assert [rule["state"] for rule in desk.json("/alerts")["rules"]] == ["silent"]
    assert "? silent" in desk.html("/alerts")
    active.set(1, {alerts.ALERT_NAME: "Slow"})
    program.collect(after_s=290)
    desk.take(sink)
    assert [rule["state"] for rule in desk.json("/alerts")["rules"]] == ["firing"]


def fire(program: Program, name: str, *, value: float = 0.25) -> None:
    labels = (("alertname", name), ("job", "bot"))
    notice = Notice(
        name, labels, NoticeState.FIRING, time.time(), unit="s", annotations={"summary": "It is slow."}
    )
    program.event(
        alerts.EVENT_STATE_CHANGE,
        {
            alerts.ALERT_NAME: name,
            alerts.ALERT_STATE: "firing",
            alerts.ALERT_PREVIOUS_STATE: "inactive",
            alerts.ALERT_VALUE: value,
            alerts.ALERT_THRESHOLD: 0.1,
            alerts.ALERT_SEVERITY: "error",
            alerts.ALERT_SCOPE: "process",
            alerts.ALERT_EVALUATOR: "process",
            alerts.ALERT_FINGERPRINT: "f1",
            alerts.ALERT_NOTICE: notice.to_json(),
        },
        f"{name} fires: 250 ms > 100 ms",
    )


def test_an_alert_that_fires_is_on_top_with_its_reason(
    desk: Desk, sink: MemorySink, program: Program
) -> None:
    fire(program, "Slow")
    desk.take(sink)
    (rule,) = desk.json("/alerts")["rules"]
    assert (rule["name"], rule["state"], rule["sentence"]) == (
        "Slow",
        "firing",
        "Slow fires: 250 ms > 100 ms",
    )
    page = desk.html("/alerts/Slow")
    assert "250 ms" in page
    assert "It is slow." in page
    assert 'class="bad"' in page
    assert "▲ firing" in desk.html("/alerts")


def test_targets_are_met_missed_or_without_data(desk: Desk, sink: MemorySink, program: Program) -> None:
    duration = program.meter.create_histogram(
        db.DB_CLIENT_OPERATION_DURATION, unit="s", explicit_bucket_boundaries_advisory=[0.01, 0.1, 1.0]
    )
    program.collect()
    for _ in range(30):
        duration.record(0.5, {db.DB_SYSTEM_NAME: "sqlite"})
    program.collect()
    desk.take(sink)
    states = {target["name"]: target["state"] for target in desk.json("/alerts")["targets"]}
    assert states == {
        "ApiLatencyTarget": "no data",
        "QueryLatencyTarget": "missed",
        "ProcessMemoryTarget": "no data",
        "CacheHitTarget": "no data",
        "CpuTarget": "no data",
    }
    page = desk.html("/alerts")
    assert "✕ missed" in page
    assert "no data" in page


def test_the_runtime_of_this_process_is_shown(desk: Desk, sink: MemorySink, program: Program) -> None:
    teller = measure_process(program.meters)
    try:
        program.collect()
        gc.collect()
        program.collect()
    finally:
        teller.stop()
    program.event(memory.EVENT_MEMORY_LEAK, {memory.MEMORY_VERDICT: "leaking"}, "Memory is leaking")
    program.event(
        profiler.EVENT_PROFILE_CAPTURED,
        {profiler.PROFILE_ID: "p1", profiler.PROFILE_REASON: "slow", profiler.PROFILE_SPAN_NAME: "decide"},
        "main;decide;price 7\n",
    )
    desk.take(sink)
    told = desk.json("/runtime")
    (process,) = told["processes"]
    assert process["resident"] > 1 << 20
    assert process["threads"] >= 1
    assert process["gc_pauses"] >= 1
    assert [line["label"] for line in process["memory"]] == ["resident"]
    assert [event["text"] for event in told["events"]] == ["Memory is leaking"]
    assert told["profile"]["stacks"] == [["main;decide;price", 7]]
    page = desk.html("/runtime")
    assert "price: 7 samples, 100.0%" in page
    assert "Memory is leaking" in page


def report(desk: Desk, sink: MemorySink, told: Report) -> None:
    """What an agent writes of itself."""
    resource = encode_resource({common.SERVICE_NAME: agent.AGENT_SERVICE, common.HOST_NAME: "vm"})
    stream = sink.stream(StreamKey("metrics", resource, encode_scope(agent.SCOPE, "1", {})))
    now_ns = time.time_ns()
    for record, points in metrics(told, now_ns - 10**9, now_ns):
        stream.append(record, points)
    desk.take(sink)


def test_the_report_of_an_agent_is_the_ledger(desk: Desk, sink: MemorySink) -> None:
    counts = {"traces": Ledger(100, 90, 4, {Reason.REJECTED: 6})}
    way = Way("traces", "http://collector:4318", 90, {Reason.REJECTED: 6}, "small")
    report(desk, sink, Report(counts, [way], 5 << 20, 2.5))  # pyright: ignore[reportArgumentType] - one signal
    told = desk.json("/health")
    assert told["ledgers"] == [
        {
            "host": "vm",
            "instance": "",
            "signal": "traces",
            "ended": 100,
            "delivered": 90,
            "dropped": [["rejected", 6]],
            "in_spool": 4,
        }
    ]
    assert told["spools"][0]["size_bytes"] == 5 << 20
    assert told["breakers"][0]["state"] == "small batches"
    states = {check["title"]: check["state"] for check in told["checks"]}
    assert (states["Nothing was dropped"], states["Destinations take everything"]) == ("bad", "warn")
    page = desk.html("/health")
    assert "✕ 6 rejected" in page
    assert "▲ small batches" in page


def test_an_instrument_at_its_limit_is_told(desk: Desk, sink: MemorySink, program: Program) -> None:
    level = program.meter.create_counter("level")
    for number in range(2_100):
        level.add(1, {"n": number})
    program.collect()
    desk.take(sink)
    told = desk.json("/health")
    assert told["metrics"][0] == {"name": "level", "series": 2_001, "has_overflow": True}
    check = next(one for one in told["checks"] if one["title"] == "Metrics have few series")
    assert check["state"] == "bad"


def test_hostile_names_and_values_stay_text(desk: Desk, sink: MemorySink) -> None:
    program = Program(sink, Resource({common.SERVICE_NAME: HOSTILE, common.SERVICE_INSTANCE_ID: HOSTILE}))
    program.meter.create_gauge("hostile", unit="1", description=HOSTILE).set(1, {HOSTILE: HOSTILE})
    teller = measure_process(program.meters)
    program.collect()
    program.collect()
    teller.stop()
    query(program, {**SELECT, db.DB_QUERY_TEXT: HOSTILE, db.DB_QUERY_SUMMARY: HOSTILE})
    query(
        program,
        {db.DB_SYSTEM_NAME: HOSTILE, db.DB_QUERY_TEXT: HOSTILE, db.TICKSPAN_DB_QUERY_FINGERPRINT: HOSTILE},
    )
    program.event(
        findings.EVENT,
        {findings.FINDING_SEVERITY: HOSTILE, db.TICKSPAN_DB_QUERY_FINGERPRINT: FINGERPRINT},
        HOSTILE,
    )
    fire(program, HOSTILE)
    program.event(memory.EVENT_MEMORY_LEAK, {HOSTILE: HOSTILE}, HOSTILE)
    program.event(profiler.EVENT_PROFILE_CAPTURED, {profiler.PROFILE_ID: HOSTILE}, f"{HOSTILE};a 3")
    program.event(agent.PROCESS_DIED, {agent.SERVICE: HOSTILE}, HOSTILE)
    program.meters.shutdown()
    desk.take(sink)
    links = itertools.chain.from_iterable(
        re.findall(r'href="(/(?:metrics|queries|alerts)/[^"]+)"', desk.html(path)) for path in PAGES
    )
    paths = [*PAGES, *dict.fromkeys(links)]
    assert any("alert%28" in path for path in paths)
    for path in paths:
        page = desk.html(path)
        assert "<script>alert" not in page
        assert " style=" not in page
        assert "onload" not in page


def test_a_store_of_nothing_but_nonsense_is_shown(desk: Desk, sink: MemorySink, program: Program) -> None:
    for name in (alerts.EVENT_STATE_CHANGE, findings.EVENT, db.EVENT_QUERY_PLAN, memory.EVENT_MEMORY_LEAK):
        program.event(name, {})
    program.event(alerts.EVENT_STATE_CHANGE, {alerts.ALERT_NAME: "x", alerts.ALERT_NOTICE: "{}"})
    desk.take(sink)
    for path in PAGES:
        desk.html(path)
