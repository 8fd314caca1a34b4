"""Memory in real programs: pauses, blocked loops, sections and growth, as a receiver gets them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tickspan.semconv import memory as names
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

BOT = """
import asyncio, gc, threading, time
import tickspan
from opentelemetry import trace

tracer = trace.get_tracer("bot")
junk = [[number] for number in range(400_000)]

def rebuild_book():
    time.sleep(0.4)

def of_a_thread(begun, collected):
    with tracer.start_as_current_span("thread"):
        begun.set()
        collected.wait(20)

async def main():
    with tracer.start_as_current_span("start"):
        pass
    await asyncio.sleep(0.12)
    with tracer.start_as_current_span("waits"):
        task = asyncio.create_task(blocks())
        await task
    with tracer.start_as_current_span("after"):
        pass
    await asyncio.sleep(0.15)

async def blocks():
    with tracer.start_as_current_span("blocks"):
        rebuild_book()

asyncio.run(main())
begun, collected = threading.Event(), threading.Event()
thread = threading.Thread(target=of_a_thread, args=(begun, collected))
thread.start()
begun.wait(20)
with tracer.start_as_current_span("collects"):
    gc.collect()
collected.set()
thread.join()
with tracer.start_as_current_span("collects nothing"):
    pass
with tickspan.memory.critical():
    pass
with tracer.start_as_current_span("decide"), tickspan.memory.critical(max_s=0.02):
    time.sleep(0.2)
tickspan.memory.optimize_for_high_frequency_trading().revert()
"""


def test_spans_say_what_held_them_up(run: Callable[..., Any]) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, "-c", BOT),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
        )
        server.wait_for(lambda server: len(server.spans()) == 8, timeout_s=20)
        events = ("tickspan.asyncio.eventloop.blocked", "tickspan.gc.section_aborted", "tickspan.gc.plan")
        server.wait_for(lambda server: set(events) <= {one.event_name for one in server.logs()}, timeout_s=20)
        server.wait_for(
            lambda server: names.GC_SECTIONS in {one.name for one in server.metrics()}, timeout_s=20
        )
        spans = {span.name: span for span in server.spans()}
        logs = {one.event_name: one for one in server.logs()}
        metrics = {one.name: one for one in server.metrics()}
    assert (ended.returncode, ended.stderr) == (0, "")
    held_up = {name for name, span in spans.items() if names.EVENTLOOP_SPAN_DELAY in span.attributes}
    paused = {name for name, span in spans.items() if names.GC_PAUSE in span.attributes}
    assert (held_up, paused & {"thread", "collects", "collects nothing"}) == (
        {"waits", "blocks"},
        {"thread", "collects"},
    )
    blocks: dict[str, Any] = dict(spans["blocks"].attributes)
    assert 0.25 < blocks[names.EVENTLOOP_SPAN_DELAY] <= 0.75
    assert blocks[names.EVENTLOOP_BLOCKED_BY].startswith("rebuild_book (")
    assert spans["collects"].attributes[names.GC_PAUSE] == spans["thread"].attributes[names.GC_PAUSE]
    blocked, aborted, plan = (logs[event] for event in events)
    assert blocked.span_id == spans["blocks"].span_id
    told: dict[str, Any] = dict(blocked.attributes)
    assert told[names.EVENTLOOP_STACK][0].startswith("rebuild_book (")
    assert (aborted.span_id, aborted.attributes[names.GC_SECTION_REASON]) == (
        spans["decide"].span_id,
        "time",
    )
    assert plan.attributes[names.GC_PLAN_ACTION] in {"applied", "reverted"}
    sections = {
        point.attributes[names.GC_SECTION_OUTCOME]: point.value for point in metrics[names.GC_SECTIONS].points
    }
    assert sections == {"closed": 1, "aborted": 1}
    assert {names.MEMORY_BLOCKS, "tickspan.asyncio.eventloop.delay"} <= set(metrics)


TINY_THRESHOLDS = """
import gc, threading
import tickspan
tickspan.init()
from opentelemetry import metrics, trace

tracer, counter = trace.get_tracer("bot"), metrics.get_meter("bot").create_counter("ticks")
histogram = metrics.get_meter("bot").create_histogram("lags")
pool = tickspan.memory.ObjectPool(dict)
gc.set_threshold(1, 1, 1)

def work():
    for number in range(400):
        with tracer.start_as_current_span("tick"), tickspan.memory.critical():
            counter.add(1)
            histogram.record(number)
            pool.release(pool.acquire())
        [[] for _ in range(20)]

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sum(one.count for one in tickspan.memory.report().pauses) > 100)
"""


def test_a_collection_at_every_allocation_blocks_nobody(run_python: Callable[..., Any]) -> None:
    with OtlpServer() as server:
        ended = run_python(TINY_THRESHOLDS, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")


FORKED = """
import asyncio, os, time
import tickspan
tickspan.init()
from opentelemetry import trace
from tickspan.recording.loops import LOOPS
from tickspan.recording.ticker import ticker

tracer = trace.get_tracer("bot")

async def main():
    with tracer.start_as_current_span("first"):
        pass
    watch, = LOOPS.watches()
    while watch.beats < 2:
        await asyncio.sleep(0.01)
    return watch.name

asyncio.run(main())
child = os.fork()
print(asyncio.run(main()), ticker().is_running, flush=True)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


def test_a_forked_child_watches_its_own_loop(run_python: Callable[..., Any]) -> None:
    ended = run_python(FORKED)
    assert (ended.stdout, ended.stderr) == ("MainThread True\n" * 2, "")


IDLE = """
import asyncio, threading, time
import tickspan
tickspan.init()
from opentelemetry import trace
from tickspan.recording import loops
from tickspan.recording.ticker import ticker

loops.QUIET_S = 0.2
tracer = trace.get_tracer("bot")

def waits():
    with open(f"/proc/self/task/{threading.get_native_id()}/status") as file:
        return int(next(line for line in file if line.startswith("voluntary")).split()[1])

async def main():
    with tracer.start_as_current_span("start"):
        pass
    watch, = loops.LOOPS.watches()
    while not watch.is_resting:
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.2)
    before = waits(), watch.beats, ticker().wakes
    await asyncio.sleep(4)
    after = waits(), watch.beats, ticker().wakes
    with tracer.start_as_current_span("works"):
        beats = watch.beats
        await asyncio.sleep(1.05)
        quick = watch.beats - beats
    print(*(now - then for now, then in zip(after, before)), quick)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count of waits")
def test_an_idle_program_is_woken_a_few_times_a_second(run_python: Callable[..., Any]) -> None:
    ended = run_python(IDLE)
    waits, beats, wakes, quick = map(int, ended.stdout.split())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert waits <= 4 + 3, "the loop's own thread"
    assert beats <= 5
    assert wakes <= 4 * 2 + 4, "one for all calls of a second, one for the beat, and a few for others"
    assert quick >= 5, "a span that is open is watched at the heartbeat of the settings"
