"""The leak watch: what it looks at, when it begins anew, what it tells, and who is named."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.identity import own_start_time

from tickspan.analysis.growth import BUCKETS, GrowthState
from tickspan.analysis.leaks import Layer
from tickspan.memory import telling
from tickspan.memory.governor import Governor
from tickspan.memory.inquiry import Inquiry, Questions
from tickspan.memory.leak import LeakWatch, observe_leaks
from tickspan.memory.pressure import SoftLimit, on_pressure
from tickspan.providers import MeterProvider
from tickspan.recording.gc_pauses import GcPauses
from tickspan.recording.loops import Loops
from tickspan.recording.ticker import Ticker
from tickspan.recording.usage import Looks, Usage
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MIB = 1 << 20
MINUTE_S = 60.0


class Machine:
    """A process whose memory the test sets, minute by minute."""

    def __init__(
        self,
        limit_bytes: int | None = 1_000 * MIB,
        soft_limit: SoftLimit | None = None,
        inquiry: Inquiry | None = None,
    ) -> None:
        self.now_s = 0.0
        self.sessions: frozenset[str] = frozenset()
        self.usage = Usage(150 * MIB, 100 * MIB, 50 * MIB)
        self.blocks = 1_000_000
        self.free_share = 0.1
        self.pauses = GcPauses(iter(range(1, 10**6)).__next__, wall_ns=lambda: 0)
        self.looks = Looks()
        ticker = Ticker(has_thread=False)
        self.governor = Governor(lambda: ticker, lambda: None, loops=Loops(lambda: ticker))
        self.watch = LeakWatch(
            limit_bytes,
            soft_limit,
            inquiry=inquiry,
            open_sessions=lambda: self.sessions,
            read=lambda: self.usage,
            blocks=lambda: self.blocks,
            monotonic=lambda: self.now_s,
            pauses=self.pauses,
            plans=lambda: self.governor,
            looks=self.looks,
            free_share=lambda: self.free_share,
            wall_ns=lambda: round(self.now_s * 1e9),
        )

    def pass_minutes(self, minutes: int, step: Callable[[], None]) -> None:
        for _ in range(minutes):
            self.look()
            self.now_s += MINUTE_S
            step()
        self.look()

    def look(self) -> None:
        """A census that follows is taken before the next."""
        self.watch.look()
        self.watch.inquest.join(30)

    def grow(self, *, anonymous: int = 0, blocks: int = 0, mapped: int = 0) -> None:
        usage = self.usage
        self.usage = Usage(
            usage.resident + anonymous + mapped, usage.anonymous + anonymous, usage.mapped + mapped
        )
        self.blocks += blocks

    def collect(self) -> None:
        self.pauses._note("start", {"generation": 2})
        self.pauses._note("stop", {"generation": 2})


@pytest.fixture
def machine(sink: MemorySink) -> Machine:
    return Machine()


def events(sink: MemorySink) -> list[tuple[object, object]]:
    told = [one.attributes for one in sink.telemetry().logs if one.event_name == "tickspan.memory.leak"]
    return [(one[names.MEMORY_VERDICT], one[names.MEMORY_LAYER]) for one in told]


def test_objects_that_are_kept_are_a_leak_of_python(machine: Machine, sink: MemorySink) -> None:
    machine.pass_minutes(3 * BUCKETS, lambda: machine.grow(anonymous=MIB, blocks=10_000))
    report = machine.watch.report()
    assert events(sink) == [("suspected", "python"), ("leaking", "python")]
    assert (report.state, report.layer, round(report.bytes_per_hour / MIB), round(report.hours_left, 1)) == (
        GrowthState.LEAKING,
        Layer.PYTHON,
        60,
        13.4,
    )


def test_memory_of_c_libraries_is_native(machine: Machine, sink: MemorySink) -> None:
    machine.pass_minutes(BUCKETS, lambda: machine.grow(anonymous=MIB))
    assert events(sink) == [("suspected", "native")]


def test_a_heap_full_of_holes_is_fragmentation(machine: Machine, sink: MemorySink) -> None:
    machine.free_share = 0.8
    machine.pass_minutes(BUCKETS, lambda: machine.grow(anonymous=MIB))
    assert events(sink) == [("suspected", "fragmentation")]


def test_files_that_are_mapped_are_no_leak(machine: Machine, sink: MemorySink) -> None:
    machine.pass_minutes(3 * BUCKETS, lambda: machine.grow(mapped=MIB))
    report = machine.watch.report()
    assert (report.state, report.layer, events(sink)) == (GrowthState.STABLE, Layer.MAPPED, [])


def test_a_process_that_does_not_grow_is_stable(machine: Machine, sink: MemorySink) -> None:
    machine.pass_minutes(BUCKETS, lambda: None)
    report = machine.watch.report()
    assert (report.state, report.layer, report.bytes_per_hour, report.hours_left, events(sink)) == (
        GrowthState.STABLE,
        None,
        0.0,
        math.inf,
        [],
    )


def test_the_live_set_is_looked_at_after_full_collections_only(machine: Machine) -> None:
    machine.watch.look()
    before = machine.watch.live_blocks
    machine.collect()
    machine.now_s += 1
    machine.watch.look()
    machine.blocks += 5
    machine.now_s += 1
    machine.watch.look()
    assert (before, machine.watch.live_blocks, machine.watch.blocks) == (None, 1_000_000, 1_000_005)


def test_another_plan_of_the_collector_begins_all_series_anew(machine: Machine) -> None:
    machine.pass_minutes(BUCKETS, lambda: machine.grow(anonymous=MIB))
    plan = machine.governor.plan(freeze=False)
    machine.now_s += MINUTE_S
    machine.watch.look()
    plan.revert()
    assert machine.watch.report().state is GrowthState.WARMING


def test_a_forked_child_begins_anew(machine: Machine) -> None:
    machine.pass_minutes(BUCKETS, lambda: machine.grow(anonymous=MIB))
    before = machine.watch.report().state
    machine.watch.after_fork_in_child()
    assert (before, machine.watch.report().state, machine.looks.moved_since(10**15)) == (
        GrowthState.SUSPECTED,
        GrowthState.WARMING,
        None,
    )


def test_a_suspicion_names_the_container_that_has_grown(machine: Machine, sink: MemorySink) -> None:
    global book
    book = dict.fromkeys(range(120_000))
    machine.watch.censor.take()
    book.update(dict.fromkeys(range(120_000, 240_000)))
    machine.pass_minutes(BUCKETS, lambda: machine.grow(anonymous=MIB, blocks=10_000))
    (event,) = (one for one in sink.telemetry().logs if one.event_name == "tickspan.memory.leak")
    attributes: dict[str, Any] = dict(event.attributes)
    (container, *_) = attributes[names.MEMORY_CENSUS_CONTAINERS]
    book.clear()
    assert container == attributes[names.MEMORY_OWNER] == f"{__name__}.book: dict 120,000 -> 240,000"


book: dict[int, None] = {}


def test_gauges_tell_blocks_and_slope_by_layer(sink: MemorySink) -> None:
    machine = Machine()
    meters = MeterProvider(shutdown_on_exit=False, sink=sink)
    observe_leaks(meters.get_meter("test"), machine.watch)
    machine.collect()
    machine.pass_minutes(3 * BUCKETS, lambda: machine.grow(anonymous=MIB, blocks=10_000))
    meters.collect()
    assert told(sink) == {
        "tickspan.memory.blocks": ("{block}", 1_960_000, {}),
        "tickspan.memory.live_blocks": ("{block}", 1_000_000, {}),
        "tickspan.memory.anonymous": ("By", 196 * MIB, {}),
        "tickspan.memory.mapped": ("By", 50 * MIB, {}),
        "tickspan.memory.limit": ("By", 1_000 * MIB, {}),
        "tickspan.gc.changes": ("{change}", 0, {}),
        "tickspan.memory.leak.slope": (
            "By/h",
            pytest.approx(60 * MIB),
            {names.MEMORY_LAYER: "python"},
        ),
    }


def test_a_suspicion_has_no_slope_and_a_leak_that_ends_has_none_any_more(sink: MemorySink) -> None:
    machine = Machine()
    meters = MeterProvider(shutdown_on_exit=False, sink=sink)
    observe_leaks(meters.get_meter("test"), machine.watch)
    slopes: list[float | None] = []
    for windows, step_bytes in ((1, MIB), (2, MIB), (1, 0)):
        machine.pass_minutes(windows * BUCKETS, lambda step=step_bytes: machine.grow(anonymous=step))
        meters.collect()
        slopes.append(told(sink).get(names.MEMORY_LEAK_SLOPE, ("", None, {}))[1])
        sink.clear()
    assert slopes == [None, pytest.approx(60 * MIB), 0]


def told(sink: MemorySink) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    return {
        one.name: (one.unit, one.points[0].value, dict(one.points[0].attributes))
        for one in sink.telemetry().metrics
    }


def test_nothing_is_told_where_nothing_is_known(sink: MemorySink) -> None:
    machine = Machine(None)
    machine.watch._read = lambda: None
    meters = MeterProvider(shutdown_on_exit=False, sink=sink)
    observe_leaks(meters.get_meter("test"), machine.watch)
    meters.collect()
    assert (set(told(sink)), machine.watch.report().state) == (
        {"tickspan.gc.changes"},
        GrowthState.WARMING,
    )


def test_where_an_agent_watches_the_process_tells_nothing(sink: MemorySink, tmp_path: Path) -> None:
    machine = Machine(inquiry=Inquiry(tmp_path))
    questions = Questions(tmp_path)
    questions.say_watched(f"{os.getpid()}-{own_start_time()}")
    meters = MeterProvider(shutdown_on_exit=False, sink=sink)
    observe_leaks(meters.get_meter("test"), machine.watch)
    machine.pass_minutes(3 * BUCKETS, lambda: machine.grow(anonymous=MIB))
    meters.collect()
    is_told = names.MEMORY_LEAK_SLOPE in told(sink)
    assert (machine.watch.report().state, events(sink), is_told) == (GrowthState.LEAKING, [], False)


def test_the_agent_gets_the_census_that_it_asks_for(sink: MemorySink, tmp_path: Path) -> None:
    machine = Machine(inquiry=Inquiry(tmp_path))
    questions = Questions(tmp_path)
    questions.ask(f"{os.getpid()}-{own_start_time()}")
    machine.look()
    machine.look()
    (census,) = (one for one in sink.telemetry().logs if one.event_name == names.EVENT_MEMORY_CENSUS)
    assert census.attributes[names.MEMORY_CENSUS_FREE] == 0.1


def test_a_second_census_tells_what_grew_since_the_suspicion(sink: MemorySink) -> None:
    global book
    book = dict.fromkeys(range(500))

    def step() -> None:
        machine.grow(anonymous=MIB, blocks=10_000)
        book.update(dict.fromkeys(range(len(book), len(book) + 1_000)))

    machine = Machine()
    machine.pass_minutes(BUCKETS + 5, step)
    book.clear()
    owners = [
        one.attributes.get(names.MEMORY_OWNER)
        for one in sink.telemetry().logs
        if one.event_name == names.EVENT_MEMORY_CENSUS
    ]
    assert owners == [None, f"{__name__}.book: dict 32,500 -> 37,500"]


def test_a_session_that_opens_begins_the_short_scales_anew() -> None:
    machine = Machine()
    machine.pass_minutes(BUCKETS, lambda: machine.grow(anonymous=MIB))
    before = machine.watch.report().state
    machine.sessions = frozenset({"nyse"})
    machine.look()
    assert (before, machine.watch.report().state) == (GrowthState.SUSPECTED, GrowthState.WARMING)


def test_spans_learn_how_memory_moves(machine: Machine) -> None:
    machine.pass_minutes(1, lambda: machine.grow(anonymous=20 * MIB))
    assert (machine.looks.last_move_ns, machine.looks.moved_since(0)) == (60 * 10**9, 20 * MIB)


def test_each_crossing_of_the_soft_limit_makes_the_calls_once(sink: MemorySink) -> None:
    made: list[str] = []

    def fail() -> None:
        made.append("fails")
        raise ZeroDivisionError

    stops = [on_pressure(fail), on_pressure(lambda: made.append("shrinks"))]
    limit = SoftLimit(100 * MIB)
    for resident in (100, 101, 120, 95, 101, 89, 101):
        limit.look(resident * MIB)
    for stop in stops:
        stop()
    limit.look(0)
    limit.look(101 * MIB)
    told = [one for one in sink.telemetry().logs if one.event_name == "tickspan.memory.soft_limit"]
    assert made == ["fails", "shrinks"] * 2
    assert [(one.body, one.attributes[names.MEMORY_USED]) for one in told] == [
        ("The process has 101 MiB, more than 100 MiB", 101 * MIB)
    ] * 3


def test_events_go_where_the_process_says(sink: MemorySink) -> None:
    telling.event("tickspan.memory.window", "text", {names.MEMORY_PHASE: "begin"})
    (event,) = sink.telemetry().logs
    assert (event.body, event.severity_text, event.scope) == ("text", "INFO", "tickspan.memory")
