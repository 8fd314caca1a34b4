"""What watching memory adds to spans, collections, sections and pools: counted."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from tickspan.memory import ObjectPool, critical
from tickspan.processors.memory import SpanMemory
from tickspan.providers import TracerProvider
from tickspan.recording.gc_pauses import GcPauses
from tickspan.recording.loops import Loops
from tickspan.recording.usage import Looks
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = pytest.mark.perf


def life_of_a_span(tracer: Any) -> None:
    with tracer.start_as_current_span("order"):
        pass


def spans() -> SpanMemory:
    return SpanMemory(GcPauses(), Loops(), Looks())


def test_a_span_that_nothing_held_up_enters_two_more_functions() -> None:
    plain, watched = (TracerProvider(shutdown_on_exit=False, sink=MemorySink()) for _ in range(2))
    memory = spans()
    watched.watch_spans(memory.started, memory.ending)
    beside = [calls_of(life_of_a_span, one.get_tracer("test")) for one in (plain, watched)]
    properties = 3  # `start_time` of an interpreted span, twice, and what a compiled one has as a field
    assert beside[1] - beside[0] <= 2 + properties


def test_a_span_that_nothing_held_up_allocates_nothing() -> None:
    memory = spans()
    span: Any = (
        TracerProvider(shutdown_on_exit=False, sink=MemorySink()).get_tracer("test").start_span("order")
    )
    span.end()
    gc.collect()
    gc.disable()
    try:
        for rounds in (10, 1_000):
            before = sys.getallocatedblocks()
            for _ in range(rounds):
                memory.started(span)
                memory.ending(span)
            grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert grown <= 3


def test_a_collection_is_noted_in_one_call_at_each_end_and_keeps_nothing() -> None:
    pauses = GcPauses(most=16)
    for _ in range(64):
        pauses._note("start", {"generation": 0})
        pauses._note("stop", {"generation": 0})
    info = {"generation": 0}
    before = sys.getallocatedblocks()
    for _ in range(1_000):
        pauses._note("start", info)
        pauses._note("stop", info)
    assert sys.getallocatedblocks() - before <= 8
    assert calls_of(pauses._note, "start", info) == 1
    assert calls_of(pauses._note, "stop", info) == 1


def test_a_critical_section_enters_few_functions() -> None:
    def section() -> None:
        with critical():
            pass

    assert calls_of(section) - 1 <= 16


def test_an_object_is_taken_and_given_back_in_two_calls() -> None:
    pool = ObjectPool(dict[str, int])

    def use() -> None:
        pool.release(pool.acquire())

    assert calls_of(use) - 1 == 2
