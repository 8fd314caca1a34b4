"""Spans that a collection of garbage or a blocked loop holds up, beside what held them up in truth.

The truth is measured without tickspan: by a callback of the collector, and by a timer of the loop that
comes round fifty times in two heartbeats. Each span is then compared with it. Other threads may run before a
callback of the collector does: the collector held all up in the longest part in which no span began or ended.
"""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from opentelemetry.sdk.resources import Resource

from tickspan.processors.memory import watch_spans
from tickspan.providers import TracerProvider
from tickspan.recording.gc_pauses import GcPauses
from tickspan.recording.loops import Loops
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

__all__ = ["KINDS", "Attribution", "measured"]

ASYNCIO, UVLOOP, THREADS = "asyncio", "uvloop", "threads"
KINDS: Final = (ASYNCIO, UVLOOP, THREADS)
HEARTBEAT_S: Final = 0.02
_WORKERS: Final = 8
_NS: Final = 1_000_000_000
_MS: Final = 1_000_000
_TOLD_NS: Final = _MS
_CLOCKS_NS: Final = 200_000
"""Between two callbacks of the collector, and two readings of a clock."""
_NEARLY: Final = 0.8
"""Of a pause that a machine with much to do lets two callbacks see at different times."""
_SWITCH_NS: Final = 6 * _MS
"""A thread that waits for the interpreter gets it after five milliseconds."""

Times = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What spans said of what held them up.

    Attributes:
        spans: in all.
        paused: that overlap pauses of a millisecond or more.
        blocked: that overlap a block of two heartbeats or more.
        missing: that say nothing of it, or too little.
        wrong: that say it and were not held up, or say too much.
    """

    spans: int
    paused: int
    blocked: int
    missing: int
    wrong: int


class _Truth:
    """Pauses and blocks as the clock of spans has them."""

    def __init__(self) -> None:
        self.pauses: list[tuple[int, int]] = []
        self.blocks: list[tuple[int, int]] = []
        self.is_over = False
        self._began_ns = 0

    def collected(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = time.time_ns()
        else:
            self.pauses.append((self._began_ns, time.time_ns()))

    def beats(self, loop: asyncio.AbstractEventLoop) -> None:
        before_ns = time.time_ns()

        def come() -> None:
            nonlocal before_ns
            now_ns = time.time_ns()
            if now_ns - before_ns > HEARTBEAT_S * _NS / 4:
                self.blocks.append((before_ns, now_ns))
            before_ns = now_ns
            if not self.is_over:
                loop.call_later(HEARTBEAT_S / 25, come)

        come()


def measured(kind: str, spans: int, seed: int = 0) -> Attribution:
    """Let eight tasks or threads open spans while something holds them up now and then."""
    truth, sink = _Truth(), MemorySink()
    pauses, loops = GcPauses(), Loops(period_s=HEARTBEAT_S)
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    stop = watch_spans(provider, pauses, loops)
    gc.callbacks.insert(0, truth.collected)
    heap = [[number] for number in range(60_000)]
    collector = threading.Thread(target=_collect_now_and_then, args=(truth, random.Random(seed)))  # noqa: S311 - chance that is the same again
    collector.start()
    try:
        tracer = provider.get_tracer("desk")
        if kind == THREADS:
            _in_threads(tracer, spans, seed)
        else:
            with asyncio.Runner(loop_factory=_factory(kind)) as runner:
                runner.run(_in_tasks(tracer, spans, seed, truth))
    finally:
        truth.is_over = True
        collector.join()
        stop()
        loops.stop()
        gc.callbacks.remove(truth.collected)
        del heap
    return _compared(sink.telemetry().spans, truth)


def _factory(kind: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if kind == ASYNCIO:
        return asyncio.new_event_loop
    import uvloop  # the platform may have none

    return uvloop.new_event_loop


def _collect_now_and_then(truth: _Truth, chance: random.Random) -> None:
    while not truth.is_over:
        time.sleep(chance.uniform(0.01, 0.08))
        gc.collect()


def _in_threads(tracer: Any, spans: int, seed: int) -> None:
    def work(number: int) -> None:
        chance = random.Random(seed * 100 + number)  # noqa: S311 - see above
        for _ in range(spans // _WORKERS):
            with tracer.start_as_current_span("order"):
                time.sleep(chance.uniform(0, 0.04))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _in_tasks(tracer: Any, spans: int, seed: int, truth: _Truth) -> None:
    async def work(number: int) -> None:
        chance = random.Random(seed * 100 + number)  # noqa: S311 - see above
        for _ in range(spans // _WORKERS):
            with tracer.start_as_current_span("order"):
                await asyncio.sleep(chance.uniform(0, 0.04))
                if chance.random() < 2 / _WORKERS / 10:
                    time.sleep(chance.uniform(2.5, 5) * HEARTBEAT_S)  # noqa: ASYNC251 - this is the block
            await asyncio.sleep(chance.uniform(0, 0.004))

    truth.beats(asyncio.get_running_loop())
    workers: list[Coroutine[Any, Any, None]] = [work(number) for number in range(_WORKERS)]
    await asyncio.gather(*workers)


def _compared(spans: Sequence[Any], truth: _Truth) -> Attribution:
    moments = sorted(moment for span in spans for moment in (span.start_ns, span.end_ns))
    collections = [_narrowed(one, moments) for one in truth.pauses]
    long = [one for one in truth.blocks if one[1] - one[0] >= 2 * HEARTBEAT_S * _NS]
    paused = blocked = missing = wrong = 0
    for span in spans:
        time_ns = (span.start_ns, span.end_ns)
        told: dict[str, Any] = dict(span.attributes)
        pause_ns, pauses = _common(collections, time_ns)
        has_pause = pause_ns >= _TOLD_NS + pauses * _CLOCKS_NS
        paused += has_pause
        found = told.get(names.GC_PAUSE, 0.0) * _NS
        missing += has_pause and found < pause_ns * _NEARLY - pauses * _CLOCKS_NS
        noted_ns, noted = _common(truth.pauses, time_ns)
        wrong += found > noted_ns + noted * (_CLOCKS_NS + _SWITCH_NS)
        block_ns, blocks = _common(long, time_ns)
        is_blocked = any(_within(one, time_ns) >= 2 * HEARTBEAT_S * _NS for one in long)
        blocked += is_blocked
        found = told.get(names.EVENTLOOP_SPAN_DELAY, 0.0) * _NS
        missing += is_blocked and found < block_ns - blocks * (HEARTBEAT_S * _NS) - _SWITCH_NS
        wrong += found > _common(truth.blocks, time_ns)[0] + _SWITCH_NS
    return Attribution(len(spans), paused, blocked, missing, wrong)


def _narrowed(one: tuple[int, int], moments: Sequence[int]) -> tuple[int, int]:
    """The longest part of a collection in which no other thread ran."""
    inside = moments[bisect_right(moments, one[0]) : bisect_left(moments, one[1])]
    return max(pairwise((one[0], *inside, one[1])), key=lambda part: part[1] - part[0])


def _common(times: Times, one: tuple[int, int]) -> tuple[int, int]:
    """Nanoseconds in common, and with how many."""
    found = [common_ns for other in times if (common_ns := _within(other, one)) > 0]
    return sum(found), len(found)


def _within(one: tuple[int, int], other: tuple[int, int]) -> int:
    return min(one[1], other[1]) - max(one[0], other[0])
