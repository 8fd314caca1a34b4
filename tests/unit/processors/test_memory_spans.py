"""Each span that a pause or a block held up says so, and no other does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from tickspan.processors.memory import SpanMemory, watch_spans
from tickspan.providers import TracerProvider
from tickspan.recording.gc_pauses import GcPauses
from tickspan.recording.loops import Loops, LoopWatch
from tickspan.recording.ticker import Ticker
from tickspan.recording.usage import Looks
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MS = 1_000_000
MIB = 1 << 20
EPOCH_NS = 1_700_000_000_000 * MS


class Machine:
    """A process whose clocks, pauses and loops the test sets."""

    def __init__(self, *, has_sink: bool = True) -> None:
        self.now_ns = 5_000 * MS
        self.apart_ns = EPOCH_NS
        self.sink = MemorySink()
        self.looks = Looks()
        self.pauses = GcPauses(self.clock_ns, wall_ns=self.wall_ns)
        self.pauses._done_before[2] = 1 << 40  # what the real collector does is none of ours
        self.loops = Loops(lambda: Ticker(has_thread=False))
        self.provider = TracerProvider(
            resource=Resource({}),
            shutdown_on_exit=False,
            clock=self.wall_ns,
            sink=self.sink if has_sink else None,
        )
        self.spans = SpanMemory(self.pauses, self.loops, self.looks, self.clock_ns, self.wall_ns)
        self.unwatch = self.provider.watch_spans(self.spans.started, self.spans.ending)
        self.tracer = self.provider.get_tracer("desk")

    def clock_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self.apart_ns

    def go_on(self, ms: float) -> None:
        self.now_ns += int(ms * MS)

    def collect(self, ms: float) -> None:
        """A collection of the garbage collector."""
        self.pauses._note("start", {"generation": 2})
        self.go_on(ms)
        self.pauses._note("stop", {"generation": 2})

    def told(self) -> dict[str, dict[str, Any]]:
        return {span.name: dict(span.attributes) for span in self.sink.telemetry().spans}


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.loops.stop()


def test_every_span_that_is_open_during_a_pause_carries_its_length(machine: Machine) -> None:
    before = machine.tracer.start_span("before")
    machine.go_on(1)
    before.end()
    outer = machine.tracer.start_span("outer")
    other = machine.tracer.start_span("other thread's")
    machine.collect(150)
    other.end()
    machine.go_on(5)
    machine.tracer.start_span("after").end()
    outer.end()
    pause = {names.GC_PAUSE: 0.15, names.GC_PAUSE_COUNT: 1}
    assert machine.told() == {"before": {}, "other thread's": pause, "after": {}, "outer": pause}


def test_a_span_that_ends_before_the_end_of_a_collection_is_noted_carries_it(machine: Machine) -> None:
    span = machine.tracer.start_span("other thread's")
    machine.pauses._note("start", {"generation": 2})
    machine.go_on(150)
    span.end()
    machine.pauses._note("stop", {"generation": 2})
    assert machine.told() == {"other thread's": {names.GC_PAUSE: 0.15, names.GC_PAUSE_COUNT: 1}}


def test_a_span_that_starts_when_the_collector_is_done_carries_nothing(machine: Machine) -> None:
    outer = machine.tracer.start_span("outer")
    machine.pauses._note("start", {"generation": 2})
    machine.go_on(150)
    machine.pauses._done_before[2] = -1  # the collector counts before it calls
    late = machine.tracer.start_span("late")
    machine.go_on(5)
    late.end()
    machine.pauses._note("stop", {"generation": 2})
    outer.end()
    pause = {names.GC_PAUSE: 0.15, names.GC_PAUSE_COUNT: 1}
    assert machine.told() == {"late": {}, "outer": pause}


def test_only_what_lies_within_the_span_counts(machine: Machine) -> None:
    machine.pauses._note("start", {"generation": 2})
    machine.go_on(3)
    late = machine.tracer.start_span("late")
    machine.go_on(4)
    machine.pauses._note("stop", {"generation": 2})
    late.end()
    assert machine.told() == {"late": {names.GC_PAUSE: 0.004, names.GC_PAUSE_COUNT: 1}}


def test_pauses_that_together_are_shorter_than_a_millisecond_are_not_told(machine: Machine) -> None:
    span = machine.tracer.start_span("quick")
    machine.collect(0.4)
    machine.collect(0.5)
    span.end()
    assert machine.told() == {"quick": {}}


def test_a_span_that_is_written_later_carries_the_pauses_of_its_own_time(machine: Machine) -> None:
    start_ns = machine.wall_ns()
    machine.collect(20)
    end_ns = machine.wall_ns()
    machine.collect(300)
    machine.tracer.start_span("lifecycle", start_time=start_ns).end(end_ns)
    assert machine.told() == {"lifecycle": {names.GC_PAUSE: 0.02, names.GC_PAUSE_COUNT: 1}}


def test_a_clock_that_is_set_forward_puts_no_old_pause_on_a_new_span(machine: Machine) -> None:
    machine.collect(20)
    machine.go_on(1_000)
    span = machine.tracer.start_span("new")
    machine.apart_ns -= 3_600_000 * MS
    machine.pauses.last_stop_ns = machine.wall_ns() + 3_600_000 * MS
    span.end(machine.wall_ns() + 3_600_000 * MS)
    assert machine.told() == {"new": {}}


def test_no_hook_is_called_for_a_span_that_nothing_held_up(machine: Machine) -> None:
    called: list[str] = []
    marks = machine.spans.marks
    marks.started = lambda span: called.append(f"start of {span.name}")
    marks.ending = lambda span: called.append(f"end of {span.name}")
    provider = TracerProvider(shutdown_on_exit=False, clock=machine.wall_ns, sink=machine.sink)
    stop = provider.mark_spans(marks)
    tracer = provider.get_tracer("desk")
    tracer.start_span("before").end()
    held = tracer.start_span("held up")
    machine.go_on(1)
    machine.collect(2)
    held.end()
    tracer.start_span("after").end()
    stop()
    machine.collect(2)
    assert called == ["end of held up"]


def test_spans_of_the_sdk_carry_it_too() -> None:
    machine = Machine(has_sink=False)
    span: Any = machine.tracer.start_span("sdk's")
    machine.collect(2)
    span.end()
    assert dict(span.attributes) == {names.GC_PAUSE: 0.002, names.GC_PAUSE_COUNT: 1}


def beating(machine: Machine, loop: asyncio.AbstractEventLoop) -> LoopWatch:
    watch = LoopWatch(loop, "main", 0.1, machine.loops.news, machine.clock_ns, machine.wall_ns)
    watch.on_schedule = machine.loops._mark_late
    watch.marks = machine.loops.marks
    machine.loops._keep(loop, watch)
    watch.begin()
    return watch


def test_spans_of_a_loop_carry_the_block_that_they_overlap(machine: Machine) -> None:
    async def main() -> None:
        watch = beating(machine, asyncio.get_running_loop())
        machine.tracer.start_span("before").end()
        waits = machine.tracer.start_span("waits")
        blocks = machine.tracer.start_span("blocks")
        machine.go_on(400)
        blocks.end()
        watch.beat()
        machine.go_on(10)
        machine.tracer.start_span("after").end()
        waits.end()

    asyncio.run(main())
    delay = {names.EVENTLOOP_SPAN_DELAY: 0.3}
    assert machine.told() == {"before": {}, "blocks": delay, "after": {}, "waits": delay}


def test_who_blocks_is_named_by_the_function_of_the_program(machine: Machine) -> None:
    async def main() -> None:
        watch = beating(machine, asyncio.get_running_loop())
        blocks = machine.tracer.start_span("blocks")
        machine.go_on(200)
        busy(watch)
        blocks.end()

    def busy(watch: LoopWatch) -> None:
        thread = threading.Thread(target=watch.look)
        thread.start()
        thread.join()

    asyncio.run(main())
    by = machine.told()["blocks"][names.EVENTLOOP_BLOCKED_BY]
    assert by.startswith("test_who_blocks_is_named_by_the_function_of_the_program.<locals>.busy (")
    assert "processors/test_memory_spans.py:" in by


def test_a_span_of_another_thread_does_not_carry_the_loops_block(machine: Machine) -> None:
    async def main() -> None:
        watch = beating(machine, asyncio.get_running_loop())
        machine.tracer.start_span("first").end()
        span = machine.tracer.start_span("elsewhere")
        machine.go_on(400)
        watch.beat()
        thread = threading.Thread(target=span.end)
        thread.start()
        thread.join()

    asyncio.run(main())
    assert machine.told() == {"first": {}, "elsewhere": {}}


def test_a_loop_is_watched_from_its_first_span_on(machine: Machine) -> None:
    async def main() -> None:
        machine.tracer.start_span("first")

    before = len(machine.loops.watches())
    with asyncio.Runner() as runner:
        runner.run(main())
        watched = [watch.name for watch in machine.loops.watches()]
    assert (before, watched) == (0, ["MainThread"])


def test_a_local_root_carries_by_how_much_the_process_grew(machine: Machine) -> None:
    machine.looks.note(machine.wall_ns(), 100 * MIB)
    root = machine.tracer.start_span("root")
    with machine.tracer.start_as_current_span("other root"):
        inner = machine.tracer.start_span("inner")
        machine.go_on(1_000)
        machine.looks.note(machine.wall_ns(), 130 * MIB)
        inner.end()
    root.end()
    machine.go_on(1)
    machine.tracer.start_span("after").end()
    growth = {names.MEMORY_GROWTH: 30 * MIB}
    assert machine.told() == {"inner": {}, "other root": growth, "root": growth, "after": {}}


def test_nothing_is_told_after_the_end(machine: Machine) -> None:
    machine.unwatch()
    span = machine.tracer.start_span("unwatched")
    machine.collect(20)
    span.end()
    assert machine.told() == {"unwatched": {}}


def test_a_provider_of_others_is_left_alone() -> None:
    pauses = GcPauses()
    watch_spans(object(), pauses)()
    assert not pauses.is_on
