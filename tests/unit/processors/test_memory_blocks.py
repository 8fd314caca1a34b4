"""What is told of blocked loops besides spans."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from opentelemetry.sdk.resources import Resource

from tickspan.processors.memory.blocks import BlockTeller, span_of
from tickspan.processors.memory.stacks import culprit, stack_lines
from tickspan.providers import LoggerProvider, MeterProvider, TracerProvider
from tickspan.recording.gc_pauses import GcPauses
from tickspan.recording.loops import Block, Load, Loops, Place
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MS = 1_000_000


def place(file: str, name: str, line: int) -> Place:
    return Place(place.__code__.replace(co_filename=file, co_name=name, co_qualname=name), line)


STACK = (
    place("/usr/lib/tickspan_like/time.py", "wait", 3),
    place("/srv/bot/oms/book.py", "Book.rebuild", 88),
    place("/srv/bot/main.py", "main", 12),
)


def teller(sink: MemorySink) -> tuple[BlockTeller, Loops, MeterProvider]:
    options: dict[str, Any] = {"resource": Resource({}), "shutdown_on_exit": False, "sink": sink}
    loops, meters = Loops(), MeterProvider(**options)
    pauses = GcPauses(iter([50 * MS, 80 * MS]).__next__)
    pauses._note("start", {"generation": 2})
    pauses._note("stop", {"generation": 2})
    told = BlockTeller(meters, LoggerProvider(**options), loops, pauses, lambda: 0, lambda: 1_000 * MS)
    return told, loops, meters


def test_a_block_becomes_an_event_in_the_trace_of_what_blocked() -> None:
    sink = MemorySink()
    told, loops, _ = teller(sink)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("desk").start_span("blocks")
    identity = span.get_span_context()
    context = contextvars.Context()
    context.run(_attach, span)
    loops.news.blocks.append(("main", Block(10 * MS, 260 * MS, STACK, span_of(context))))
    told.collect()
    (event,) = sink.telemetry().logs
    assert (event.event_name, event.severity_text, event.time_ns, event.span_id, event.trace_id) == (
        "tickspan.asyncio.eventloop.blocked",
        "WARN",
        1_260 * MS,
        f"{identity.span_id:016x}",
        f"{identity.trace_id:032x}",
    )
    assert event.body == "The event loop of main ran nothing else for 250 ms: wait (tickspan_like/time.py:3)"
    assert dict(event.attributes) == {
        names.EVENTLOOP_NAME: "main",
        names.EVENTLOOP_SPAN_DELAY: 0.25,
        names.EVENTLOOP_GC_PAUSE: 0.03,
        names.EVENTLOOP_BLOCKED_BY: "wait (tickspan_like/time.py:3)",
        names.EVENTLOOP_STACK: stack_lines(STACK),
    }


def _attach(span: Any) -> None:
    from opentelemetry import context, trace

    context.attach(trace.set_span_in_context(span))


def test_a_block_that_nobody_caught_is_told_without_a_stack() -> None:
    sink = MemorySink()
    told, loops, _ = teller(sink)
    loops.news.blocks.append(("main", Block(100 * MS, 160 * MS)))
    told.collect()
    (event,) = sink.telemetry().logs
    assert (event.body, event.span_id, sorted(event.attributes)) == (
        "The event loop of main ran nothing else for 60 ms: code that nobody caught",
        None,
        sorted([names.EVENTLOOP_NAME, names.EVENTLOOP_SPAN_DELAY, names.EVENTLOOP_GC_PAUSE]),
    )


def test_blocks_of_the_last_second_are_told_at_exit() -> None:
    sink = MemorySink()
    told, loops, _ = teller(sink)
    told.start()
    loops.news.blocks.append(("main", Block(100 * MS, 160 * MS)))
    told._tell_the_last()
    told.stop()
    assert [one.event_name for one in sink.telemetry().logs] == ["tickspan.asyncio.eventloop.blocked"]


def test_lateness_is_a_histogram_for_each_loop() -> None:
    sink = MemorySink()
    told, loops, meters = teller(sink)
    loops.news.lates.extend([("main", 0.001), ("feeds", 0.002), ("main", 0.3)])
    told.collect()
    meters.collect()
    (metric,) = sink.telemetry().metrics
    points = {point.attributes[names.EVENTLOOP_NAME]: (point.count, point.sum) for point in metric.points}
    assert (metric.name, metric.unit, points) == (
        "tickspan.asyncio.eventloop.delay",
        "s",
        {"main": (2, 0.301), "feeds": (1, 0.002)},
    )


def test_a_block_that_goes_on_says_so() -> None:
    sink = MemorySink()
    told, loops, _ = teller(sink)
    loops.news.blocks.append(("main", Block(0, 10_000 * MS, STACK, is_over=False)))
    told.collect()
    (event,) = sink.telemetry().logs
    assert event.body == (
        "The event loop of main ran nothing else for 10000 ms, and still does not:"
        " wait (tickspan_like/time.py:3)"
    )


def test_the_load_of_loops_is_a_gauge_of_the_time_since_it_was_asked_for() -> None:
    sink = MemorySink()
    _, loops, meters = teller(sink)
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    main, twin = loops.watch(loop, "main"), loops.watch(other, "main")
    seen: list[dict[Any, Any]] = []
    for busy_ns, watched_ns in ((0, 0), (200 * MS, 1_000 * MS), (1_700 * MS, 2_000 * MS)):
        main.load = Load(busy_ns, watched_ns)
        twin.load = Load(0, watched_ns)
        meters.collect()
        metrics = sink.telemetry().metrics
        seen.append(
            {
                point.attributes[names.EVENTLOOP_NAME]: point.value
                for metric in metrics
                if metric.name == "tickspan.asyncio.eventloop.utilization"
                for point in metric.points
            }
        )
        sink.clear()
    loops.stop()
    loop.close()
    other.close()
    assert seen == [{}, {"main": 0.1}, {"main": 0.75}]


def test_a_loop_that_blocks_all_the_time_fills_no_log() -> None:
    sink = MemorySink()
    told, loops, _ = teller(sink)
    loops.news.blocks.extend([("main", Block(0, 60 * MS))] * 50)
    told.collect()
    assert len(sink.telemetry().logs) == 10


def test_a_context_without_a_span_names_none() -> None:
    assert span_of(contextvars.Context()) is None


def test_the_culprit_is_the_innermost_function_of_the_program() -> None:
    library = place(__import__("json").__file__, "dumps", 9)
    assert [culprit(stack) for stack in ((library, *STACK[1:]), (library,), ())] == [
        "Book.rebuild (oms/book.py:88)",
        "dumps (json/__init__.py:9)",
        None,
    ]
