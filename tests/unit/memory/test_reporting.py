"""The report is a value, and a text; what is watched is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from tickspan import memory
from tickspan.config import MemorySettings
from tickspan.memory import watching
from tickspan.providers import LoggerProvider, MeterProvider
from tickspan.recording.loops import LOOPS
from tickspan.testing.sink import MemorySink


def test_the_report_tells_what_is_known() -> None:
    sink = MemorySink()
    meters = MeterProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    loggers = LoggerProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    stop = watching.start(meters, loggers, MemorySettings())
    try:
        pool = memory.ObjectPool(list[int], name="test: reported")
        pool.release(pool.acquire())
        report = memory.report()
    finally:
        stop()
    lines = str(report).splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith("pool")] == [
        "memory",
        "growth",
        "collector",
        "pauses",
        "critical sections",
        "event loops",
    ]
    assert [
        line.startswith("pool test: reported: 1 idle, 0 used, 1 made, 0 reused, ") for line in lines
    ].count(True) == 1
    assert memory.report().leak is None


def test_sections_and_pools_are_counted() -> None:
    sink = MemorySink()
    meters = MeterProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    loggers = LoggerProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    stop = watching.start(meters, loggers, MemorySettings(leaks=False))
    pool = memory.ObjectPool(list[int], name="test: counted")
    pool.acquire()
    with memory.critical():
        pass
    meters.collect()
    stop()
    told: dict[tuple[Any, ...], Any] = {
        (one.name, *point.attributes.values()): point.value
        for one in sink.telemetry().metrics
        for point in one.points
    }
    assert told["tickspan.gc.sections", "closed"] >= 1
    assert {key[2]: value for key, value in told.items() if "test: counted" in key} == {
        "idle": 0,
        "used": 1,
        "made": 1,
        "reused": 0,
        "refused": 0,
    }


def test_a_loop_is_watched_when_somebody_asks() -> None:
    async def main() -> list[str]:
        memory.watch_loop(name="feeds")
        return [watch.name for watch in LOOPS.watches()]

    assert "feeds" in asyncio.run(main())


def test_another_threads_loop_begins_when_it_comes_round() -> None:
    loop = asyncio.new_event_loop()
    memory.watch_loop(loop, "other")
    loop.run_until_complete(asyncio.sleep(0))
    names = [watch.name for watch in LOOPS.watches()]
    loop.close()
    assert "other" in names


def test_where_no_loop_runs_one_must_be_given() -> None:
    with pytest.raises(RuntimeError, match="watch_loop: no event loop runs in this thread; give one"):
        memory.watch_loop()


def test_the_optimizer_is_the_governor_of_the_process() -> None:
    plan = memory.get_memory_optimizer().optimize_for_large_datasets()
    same = memory.optimize_for_large_datasets()
    plan.revert()
    assert same is plan
