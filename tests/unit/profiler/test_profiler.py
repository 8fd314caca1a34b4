"""The profiler of a process: what it keeps of slow and failed traces, its sections, its report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Status, StatusCode

from tickspan.analysis.profiles import Link, Profile
from tickspan.profiler import performance_context
from tickspan.profiler.profiler import Profiler
from tickspan.profiler.records import About, Captured, Minute, parse, profile_of
from tickspan.providers import LoggerProvider, TracerProvider
from tickspan.semconv import profiler as names
from tickspan.testing.sink import MemorySink


class Telling:
    """Providers with the real clock, since samples have it."""

    def __init__(self) -> None:
        resource = Resource({"service.name": "bot", "service.version": "1.2"})
        self.sink = MemorySink()
        self.tracers = TracerProvider(resource=resource, sink=self.sink, shutdown_on_exit=False)
        self._logs = InMemoryLogRecordExporter()
        self.loggers = LoggerProvider(resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    def events(self) -> list[Any]:
        return [one.log_record for one in self._logs.get_finished_logs()]


@pytest.fixture
def telling() -> Telling:
    return Telling()


@pytest.fixture
def profiler() -> Iterator[Profiler]:
    made = Profiler()
    yield made
    made.stop()


def price_all(until: Callable[[], bool]) -> None:
    while not until():
        sum(range(200))


def linked(profiler: Profiler) -> int:
    statistics = profiler.statistics()
    return 0 if statistics is None else statistics.linked


def trace(profiler: Profiler, telling: Telling, seconds: float, *, is_error: bool = False) -> Any:
    """A root span that is sampled by hand, from within: its samples are surely its own."""
    import asyncio

    async def main() -> Any:
        sampler = profiler._sampler
        assert sampler is not None
        with telling.tracers.get_tracer("bot").start_as_current_span("order") as span:
            end = time.monotonic() + seconds
            before = linked(profiler)
            price_all(lambda: time.monotonic() > end and linked(profiler) > before)
            if is_error:
                span.set_status(Status(StatusCode.ERROR))
            return span

    return asyncio.run(main())


def test_the_samples_of_a_slow_trace_are_an_event_of_its_root(profiler: Profiler, telling: Telling):
    profiler.start(
        "tail", hz=200, cpu_budget=1.0, slow_s=0.05, provider=telling.tracers, loggers=telling.loggers
    )
    span = trace(profiler, telling, 0.1)
    (event,) = telling.events()
    assert event.event_name == names.EVENT_PROFILE_CAPTURED
    assert event.attributes == {
        names.PROFILE_ID: span.attributes[names.PROFILE_ID],
        names.PROFILE_REASON: "slow",
        names.PROFILE_SAMPLES: event.attributes[names.PROFILE_SAMPLES],
        names.PROFILE_SPAN_NAME: "order",
    }
    assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
    assert "price_all (test_profiler.py:" in event.body
    (told,) = telling.sink.telemetry().spans
    assert told.attributes[names.PROFILE_ID] == event.attributes[names.PROFILE_ID]


def test_the_samples_of_a_failed_trace_are_kept_too(profiler: Profiler, telling: Telling):
    profiler.start(
        "tail", hz=200, cpu_budget=1.0, slow_s=60, provider=telling.tracers, loggers=telling.loggers
    )
    trace(profiler, telling, 0.05, is_error=True)
    assert [one.attributes[names.PROFILE_REASON] for one in telling.events()] == ["error"]


def test_continuous_mode_and_a_stopped_profiler_keep_no_trace(profiler: Profiler, telling: Telling):
    profiler.start("continuous", hz=200, cpu_budget=1.0, slow_s=0.01, provider=telling.tracers)
    trace(profiler, telling, 0.05)
    profiler.start(
        "tail", hz=200, cpu_budget=1.0, slow_s=0.01, provider=telling.tracers, loggers=telling.loggers
    )
    profiler.stop()
    with telling.tracers.get_tracer("bot").start_as_current_span("order"):
        pass
    assert (telling.events(), profiler.is_running) == ([], False)
    assert [one.attributes for one in telling.sink.telemetry().spans] == [{}, {}]


def test_a_report_tells_what_ran_and_what_it_cost(profiler: Profiler, telling: Telling):
    profiler.start("continuous", hz=200, cpu_budget=1.0, provider=telling.tracers)
    calls = profiler.profile_function(sorted, name="sorts")
    for power in range(1, 15):
        calls(list(range(2**power)))
    trace(profiler, telling, 0.05)
    profiler.stop()
    report = profiler.get_performance_report()
    data = report.data()
    assert data["service"] == "bot"
    assert [one["name"] for one in data["functions"]] == ["sorts"]
    assert data["samples"] == sum(one.count for one in report.profile.samples) > 0
    assert sum(report.states.values()) == pytest.approx(1.0)
    assert 0 < report.own_cost.cpu_s < 1
    assert json.loads(json.dumps(data)) == json.loads(json.dumps(data))
    assert "sorts: 14 calls" in report.text()
    assert str(report) == report.text()
    assert "sorts: 14 calls" in report.html()


def test_a_report_before_the_first_start_is_empty(profiler: Profiler):
    report = profiler.get_performance_report()
    assert (report.profile.samples, report.hot, report.states, report.findings) == ((), (), {}, ())


def test_a_profile_is_written_to_a_file(profiler: Profiler, telling: Telling, tmp_path: Path):
    profiler.start("continuous", hz=200, cpu_budget=1.0, provider=telling.tracers)
    profiler._file = tmp_path / "bot.profile"
    trace(profiler, telling, 0.02)
    profiler._save()
    assert Profile.load((tmp_path / "bot.profile").read_bytes()) == profiler.profile()


def test_the_rate_that_is_set_holds_for_the_next_start(profiler: Profiler, telling: Telling):
    assert profiler.set_sample_rate(25.0) == 25.0
    profiler.start("continuous", cpu_budget=1.0, provider=telling.tracers)
    statistics = profiler.statistics()
    assert statistics is not None
    assert statistics.hz == 25.0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"mode": "always"}, "tail"),
        ({"hz": 0}, "passes a second"),
        ({"cpu_budget": 0}, "share"),
        ({"slow_s": -1}, "slow_s"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(profiler: Profiler, arguments: dict[str, Any], told: str):
    with pytest.raises(ValueError, match=told):
        profiler.start(**arguments)
    with pytest.raises(ValueError, match="passes a second"):
        profiler.set_sample_rate(0)
    assert not profiler.is_running


def test_a_section_is_a_child_span_and_a_measured_function(
    profiler: Profiler, telling: Telling, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: telling.tracers)
    with telling.tracers.get_tracer("bot").start_as_current_span("order"):
        with profiler.section("risk"):
            pass
        with pytest.raises(KeyError), performance_context(profiler, "route"):
            raise KeyError
    told = {one.name: one for one in telling.sink.telemetry().spans}
    assert {name: one.parent_span_id for name, one in told.items()} == {
        "risk": told["order"].span_id,
        "route": told["order"].span_id,
        "order": None,
    }
    assert sorted((one.name, one.calls, one.errors) for one in profiler.functions.statistics()) == [
        ("risk", 1, 0),
        ("route", 1, 1),
    ]


def test_what_it_did_is_measured(profiler: Profiler, telling: Telling):
    assert (list(profiler._samples(CallbackOptions())), list(profiler._cpu_time(CallbackOptions()))) == (
        [],
        [],
    )
    profiler.start_profiling("continuous", hz=200, cpu_budget=1.0, provider=telling.tracers)
    trace(profiler, telling, 0.02)
    profiler.stop_profiling()
    statistics = profiler.statistics()
    assert statistics is not None
    assert {
        one.attributes[names.PROFILER_STATE]: one.value
        for one in profiler._samples(CallbackOptions())
        if one.attributes
    } == statistics.samples
    assert [one.value for one in profiler._cpu_time(CallbackOptions())] == [statistics.cpu_s]


def test_a_captured_trace_is_written_down_before_its_span_has_ended(profiler: Profiler, telling: Telling):
    records: list[tuple[bytes, int]] = []
    profiler.record(lambda record, items: records.append((record, items)), is_exported=True)
    profiler.start(
        "tail", hz=200, cpu_budget=1.0, slow_s=0.05, provider=telling.tracers, loggers=telling.loggers
    )
    span = trace(profiler, telling, 0.1)
    ((record, items),) = records
    chunk = parse(record)
    assert chunk.about == About("bot", "1.2", is_exported=True)
    assert chunk.captured == Captured(
        span.attributes[names.PROFILE_ID], "slow", "order", Link(span.trace_id, span.span_id)
    )
    profile = profile_of(chunk)
    assert sum(one.count for one in profile.samples) == items > 0
    assert {one.link for one in profile.samples} == {Link(span.trace_id, span.span_id)}
    assert "price_all" in {frame.name for frame in profile.frames}


def test_a_continuous_profile_is_written_down_as_a_whole(profiler: Profiler, telling: Telling):
    records: list[bytes] = []
    profiler.record(lambda record, _: records.append(record))
    profiler.start("continuous", hz=200, cpu_budget=1.0, provider=telling.tracers)
    trace(profiler, telling, 0.05)
    profiler.stop()
    chunks = [parse(record) for record in records]
    minute = Minute.of(chunks[0])
    for chunk in chunks:
        minute.add(chunk)
    statistics = profiler.statistics()
    assert statistics is not None
    assert sum(one.count for one in minute.profile().samples) == sum(statistics.samples.values())
    assert minute.profile().samples != ()
    told, whole = minute.profile(), profiler.profile()
    assert {told.frames_of(one) for one in told.samples} == {whole.frames_of(one) for one in whole.samples}
