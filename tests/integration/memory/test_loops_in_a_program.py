"""Event loops of real programs: blocked, ended, forked off, of all kinds, and beside greenlets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tickspan.semconv import memory as names
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

RunPython = Callable[..., Any]

HANGS = """
import asyncio, time
import tickspan
from opentelemetry import trace
from tickspan import alerts

heard, LAG = [], ("EventLoopLag", "firing")
alerts.on_change(lambda notice: heard.append((notice.rule, str(notice.state))))
tickspan.init()

def hangs():
    deadline = time.monotonic() + 20
    while LAG not in heard and time.monotonic() < deadline:
        time.sleep(0.01)

async def main():
    with trace.get_tracer("bot").start_as_current_span("order"):
        hangs()

asyncio.run(main())
print(LAG in heard)
"""


def test_an_alert_of_the_default_pack_fires_while_a_loop_hangs(run_python: RunPython, tmp_path: Path) -> None:
    (tmp_path / "tickspan.toml").write_text("")
    (tmp_path / "alerts.yaml").write_text("version: 1\ninclude: default\n")
    ended = run_python(HANGS, OTEL_METRIC_EXPORT_INTERVAL="1000")
    assert (ended.stderr, ended.stdout) == ("", "True\n")


MANY_LOOPS = """
import _thread, asyncio, threading, time
import tickspan
tickspan.init()
from opentelemetry import trace

tracer = trace.get_tracer("bot")
done = [threading.Event() for _ in range(3)]

async def main():
    with tracer.start_as_current_span("warm"):
        await asyncio.sleep(0.15)
    with tracer.start_as_current_span("blocks"):
        time.sleep(0.5)
    await asyncio.sleep(0.15)

def run(number):
    factory = asyncio.new_event_loop
    if number == 2:
        try:
            from uvloop import new_event_loop as factory
        except ImportError:
            pass
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    done[number].set()

threading.Thread(target=run, args=(0,), name="feed-1").start()
_thread.start_new_thread(run, (1,))
threading.Thread(target=run, args=(2,), name="risk").start()
for event in done:
    event.wait(20)
time.sleep(1.2)
"""


def test_each_block_of_each_loop_is_told_once(run_python: RunPython) -> None:
    with OtlpServer() as server:
        ended = run_python(MANY_LOOPS, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
        server.wait_for(lambda server: len(server.logs()) == 3, timeout_s=20)
        events = [one for one in server.logs() if one.event_name == "tickspan.asyncio.eventloop.blocked"]
        spans = [span for span in server.spans() if span.name == "blocks"]
        metrics = {one.name: one for one in server.metrics()}
    assert ended.stderr == ""
    told: dict[Any, dict[str, Any]] = {
        one.attributes[names.EVENTLOOP_NAME]: dict(one.attributes) for one in events
    }
    assert sorted(told) == ["Dummy", "feed", "risk"]
    assert all(one[names.EVENTLOOP_BLOCKED_BY].startswith("main (") for one in told.values())
    assert all(one[names.EVENTLOOP_SPAN_DELAY] >= 0.35 for one in told.values())
    assert all(names.EVENTLOOP_SPAN_DELAY in span.attributes for span in spans)
    assert {one.span_id for one in events} - {None} <= {span.span_id for span in spans}
    assert len({one.span_id for one in events} - {None}) >= 2
    assert "tickspan.asyncio.eventloop.delay" in metrics


UTILIZED = """
import asyncio, time
import tickspan
tickspan.init()
from opentelemetry import trace

async def main():
    with trace.get_tracer("bot").start_as_current_span("order"):
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            time.sleep(0.15)
            await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_loop_that_does_nothing_but_block_is_utilized(run_python: RunPython) -> None:
    with OtlpServer() as server:
        ended = run_python(
            UTILIZED, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint, OTEL_METRIC_EXPORT_INTERVAL="500"
        )
        name = "tickspan.asyncio.eventloop.utilization"
        server.wait_for(lambda server: name in {one.name for one in server.metrics()}, timeout_s=20)
        points = [point for one in server.metrics() if one.name == name for point in one.points]
    assert ended.stderr == ""
    assert {str(point.attributes[names.EVENTLOOP_NAME]) for point in points} == {"MainThread"}
    assert 0.3 <= max(point.value or 0.0 for point in points) <= 1


FORKS = """
import asyncio, os, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import tickspan
tickspan.init()
from opentelemetry import trace
from tickspan.recording.loops import LOOPS

tracer = trace.get_tracer("bot")

async def main():
    with tracer.start_as_current_span("parent"):
        child = os.fork()
        if not child:
            time.sleep(0.4)
            print(LOOPS.watches(), len(LOOPS.news.lates), len(LOOPS.news.blocks), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    await asyncio.sleep(0.2)
    print(len(LOOPS.watches()), flush=True)

asyncio.run(main())
"""


def test_a_child_that_is_forked_off_inside_a_loop_does_not_watch_the_parents(run_python: RunPython) -> None:
    ended = run_python(FORKS)
    assert (ended.stderr, ended.stdout) == ("", "() 0 0\n1\n")


AGAIN_AND_AGAIN = """
import asyncio, json, time
import tickspan
tickspan.init()
from opentelemetry import trace
from tickspan.recording.loops import LOOPS

tracer = trace.get_tracer("bot")

async def step():
    with tracer.start_as_current_span("step"):
        await asyncio.sleep(0.002)

loop = asyncio.new_event_loop()
for number in range(12):
    loop.run_until_complete(step())
    time.sleep(0.02 * number)  # the program's own work between two runs
loop.close()
"""


def test_a_loop_that_runs_now_and_then_is_not_blocked_in_between(run_python: RunPython) -> None:
    with OtlpServer() as server:
        ended = run_python(AGAIN_AND_AGAIN, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
        server.wait_for(lambda server: len(server.spans()) == 12, timeout_s=20)
        spans, logs = server.spans(), server.logs()
    assert ended.stderr == ""
    busy = 2  # a machine with much to do may be late itself
    assert sum(names.EVENTLOOP_SPAN_DELAY in span.attributes for span in spans) <= busy
    assert len(logs) <= busy


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gc, json
import gevent
import tickspan
tickspan.init()
from opentelemetry import trace
from tickspan.recording.loops import LOOPS

tracer = trace.get_tracer("bot")
junk = [[number] for number in range(200_000)]

def work():
    with tracer.start_as_current_span("greenlet"):
        gevent.sleep(0.05)

greenlets = [gevent.spawn(work) for _ in range(50)]
gevent.sleep(0.01)
gc.collect()
gevent.joinall(greenlets)
print(json.dumps([len(LOOPS.watches()), all(one.successful() for one in greenlets)]))
"""


def test_spans_of_greenlets_carry_pauses_and_no_loop_is_looked_for(run_python: RunPython) -> None:
    pytest.importorskip("gevent", reason="gevent is not installed")
    with OtlpServer() as server:
        ended = run_python(GREENLETS, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
        server.wait_for(lambda server: len(server.spans()) == 50, timeout_s=20)
        spans = server.spans()
    assert (ended.stderr, json.loads(ended.stdout)) == ("", [0, True])
    assert sum(names.GC_PAUSE in span.attributes for span in spans) == 50
