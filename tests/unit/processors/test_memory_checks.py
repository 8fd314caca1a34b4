"""Memory checks: growth over spans, limits, and how rarely the kernel is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from tickspan.config import MemorySettings
from tickspan.processors import memory
from tickspan.processors.memory import MemoryChecks
from tickspan.providers import LoggerProvider, MeterProvider, TracerProvider
from tickspan.recording.procfs import ProcessStat
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MIB = 1 << 20


@dataclass(slots=True)
class Machine:
    """A process whose memory and clocks the test sets."""

    settings: MemorySettings
    limit_bytes: int = 0
    used_bytes: int = 100 * MIB
    now_s: float = 1000.0
    asked: int = 0
    sink: MemorySink = field(default_factory=MemorySink)
    tracer: Any = None
    meters: Any = None

    def __post_init__(self) -> None:
        options: dict[str, Any] = {"resource": Resource({}), "shutdown_on_exit": False, "sink": self.sink}
        tracers = TracerProvider(clock=self.wall_ns, **options)
        self.meters = MeterProvider(**options)
        checks = MemoryChecks(
            self.settings,
            self.meters,
            LoggerProvider(**options),
            self,
            self.limit_bytes,
            lambda: self.now_s,
            self.wall_ns,
        )
        tracers.notice_endings(checks.ended)
        self.tracer = tracers.get_tracer("desk")

    def wall_ns(self) -> int:
        return int(self.now_s * 1e9)

    def stat(self) -> ProcessStat | None:
        """As a reader of processes."""
        self.asked += 1
        return ProcessStat(0.0, 0.0, 0, 0, 1, 0.0, 0, self.used_bytes) if self.used_bytes else None

    def io(self) -> None: ...

    def descriptors(self) -> None: ...

    def run(self, name: str, grown_mib: int = 0, seconds: float = 1.0) -> Any:
        """A span during which the process grows."""
        span = self.tracer.start_span(name)
        self.now_s += seconds
        self.used_bytes += grown_mib * MIB
        span.end()
        return span.get_span_context()

    def told(self) -> list[tuple[Any, ...]]:
        """Severity, sentence and numbers of each finding, in MiB."""
        return [
            (
                event.severity_number,
                event.attributes[names.MEMORY_REASON],
                event.attributes[names.MEMORY_SPAN_NAME],
                *(
                    int(event.attributes[key]) // MIB  # pyright: ignore[reportArgumentType] - numbers
                    for key in (names.MEMORY_USED, names.MEMORY_GROWN, names.MEMORY_ALLOWED)
                ),
            )
            for event in self.sink.telemetry().logs
            if event.event_name == names.EVENT_MEMORY
        ]


@pytest.fixture
def make() -> Callable[..., Machine]:
    def make_one(limit_bytes: int = 0, **settings: Any) -> Machine:
        return Machine(MemorySettings(**settings), limit_bytes)

    return make_one


def test_growth_is_measured_by_the_names_of_spans(make: Callable[..., Machine]) -> None:
    machine = make()
    for name, grown in (("first", 0), ("load", 64), ("load", 16), ("shrink", -10)):
        machine.run(name, grown)
    machine.meters.collect()
    (metric,) = machine.sink.telemetry().metrics
    assert (metric.name, metric.unit) == (names.MEMORY_SPAN_GROWTH, "By")
    assert [
        (point.attributes[names.MEMORY_SPAN_NAME], point.count, point.sum) for point in metric.points
    ] == [
        ("load", 2, 80.0 * MIB),
        ("shrink", 1, 0.0),
    ]


def test_a_span_that_takes_much_memory_is_told_in_its_trace(make: Callable[..., Machine]) -> None:
    machine = make(growth_bytes=50 * MIB)
    machine.run("first")
    machine.run("small", 50)
    context = machine.run("load", 51)
    (event,) = machine.sink.telemetry().logs
    assert machine.told() == [(13, "growth", "load", 201, 51, 50)]
    assert (event.trace_id, event.body) == (
        f"{context.trace_id:032x}",
        "The process grew by 51 MiB while the span ran; it has 201 MiB",
    )


def test_the_same_span_is_told_once_a_minute(make: Callable[..., Machine]) -> None:
    machine = make(growth_bytes=10 * MIB)
    machine.run("first")
    for seconds in (1.0, 1.0, 60.0):
        machine.run("load", 20, seconds)
    assert [(told[2], told[3]) for told in machine.told()] == [("load", 120), ("load", 160)]


def test_a_limit_is_told_when_it_is_crossed_and_again_after_a_recovery(make: Callable[..., Machine]) -> None:
    machine = make(limit_bytes=200 * MIB, growth_bytes=0)
    for grown in (99, 2, 1, -30, 30, 1):
        machine.run("work", grown)
    assert [told[:2] + told[3:4] for told in machine.told()] == [(17, "limit", 201), (17, "limit", 202)]


def test_the_settings_limit_is_stronger_than_the_containers(make: Callable[..., Machine]) -> None:
    machine = Machine(MemorySettings(limit_bytes=101 * MIB, growth_bytes=0), 500 * MIB)
    machine.run("work", 2)
    assert [told[-1] for told in machine.told()] == [101]
    assert make(limit_bytes=0).run("work", 10_000) is not None


def test_a_span_that_began_before_the_first_look_has_no_known_growth(make: Callable[..., Machine]) -> None:
    machine = make(growth_bytes=1)
    machine.run("first", 500)
    machine.meters.collect()
    assert (machine.told(), machine.sink.telemetry().metrics) == ([], ())


def test_the_kernel_is_asked_at_most_every_interval(make: Callable[..., Machine]) -> None:
    machine = make(interval_s=0.5)
    for _ in range(100):
        machine.run("short", 0, 0.01)
    assert machine.asked in {2, 3}


def test_nobody_tells_of_a_memory_that_nobody_knows(make: Callable[..., Machine]) -> None:
    machine = make(limit_bytes=1)
    machine.used_bytes = 0
    machine.run("work")
    assert (machine.asked, machine.told()) == (1, [])


def test_a_clock_that_was_set_back_makes_no_growth(make: Callable[..., Machine]) -> None:
    machine = make(growth_bytes=10 * MIB, interval_s=0.0)
    machine.run("first")
    machine.run("back", 100, -50.0)
    assert machine.told() == []


def test_it_is_installed_on_our_provider_only() -> None:
    options: dict[str, Any] = {"resource": Resource({}), "shutdown_on_exit": False, "sink": MemorySink()}
    tracers, meters, loggers = TracerProvider(**options), MeterProvider(**options), LoggerProvider(**options)
    stop = memory.install(tracers, meters, loggers, MemorySettings())
    hooks = [tracers.get_tracer("a")._recorder.hooks is not None]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - our own tracer
    stop()
    hooks.append(tracers.get_tracer("a")._recorder.hooks is not None)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - the same
    memory.install(object(), meters, loggers, MemorySettings())()
    assert hooks == [True, False]
    meters.shutdown()
