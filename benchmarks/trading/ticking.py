"""Turns of the tick path, each in a child of the nursery: what one message costs the thread that gets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from benchmarks.pipeline.spans import our_library
from benchmarks.trading import switching
from benchmarks.trading.frames import KINDS, Replay
from benchmarks.trading.stock import Spans, recording

Timed = dict[str, list[float]]
"""Nanoseconds of CPU time per operation, batch by batch, by what was done."""
Loop = Callable[[int], Coroutine[Any, Any, None]]
"""Makes what does something that many times; it is awaited under the clock, and was prepared before."""

SERIES: Final = {"venue": "binance", "symbol": "BTC/USDT"}
COUNTER: Final = "bench.ticks"
HISTOGRAM: Final = "bench.lag"
LIBRARY: Final = "bench"
_FLUSH_S: Final = 30
_WARM_UP: Final = 3


def bare(frames: Mapping[str, Any], batches: int, size: int) -> dict[str, Any]:
    """ccxt.pro without telemetry."""
    return {"timed": asyncio.run(_frames_only(frames, batches, size)), "done": {}}


def stock(frames: Mapping[str, Any], endpoint: str, batches: int, size: int) -> dict[str, Any]:
    """The SDK: calls by themselves, and a span for each message of the same ccxt.pro."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    resource = Resource.create({"service.name": "stock"})
    traces, sampling = recording(endpoint), recording(endpoint, ALWAYS_OFF)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
    meters = MeterProvider([reader], resource)
    span, unsampled = (Spans(provider.get_tracer("bench")) for provider in (traces, sampling))
    meter = meters.get_meter("bench")
    counter, histogram = meter.create_counter(COUNTER), meter.create_histogram(HISTOGRAM)

    def add(count: int) -> None:
        for _ in range(count):
            counter.add(1, SERIES)

    def measure(count: int) -> None:
        for _ in range(count):
            histogram.record(0.005, SERIES)

    async def go() -> Timed:
        replay = Replay(frames)
        await replay.begin()
        loops: dict[str, Loop] = {
            "empty loop": _plain(_nothing),
            "span": _plain(span.record),
            "sampled out": _plain(unsampled.record),
            "counter": _plain(add),
            "histogram": _plain(measure),
            **{kind: _handling(replay, kind, None) for kind in KINDS},
            **{f"{kind} and span": _handling(replay, kind, span.one) for kind in KINDS},
        }
        timed = await _timed(loops, batches, size, between=lambda: traces.force_flush(_FLUSH_S * 1000))
        await replay.close()
        return timed

    timed = asyncio.run(go())
    traces.force_flush(_FLUSH_S * 1000)
    meters.force_flush(_FLUSH_S * 1000)
    calls = (_WARM_UP + batches) * size
    return {"timed": timed, "done": {"spans": span.count, "counter": calls, "histogram": calls}}


def ours(frames: Mapping[str, Any], batches: int, size: int) -> dict[str, Any]:
    """Ours, as `init()` sets it up: the same frames, and the core's part of a tick by itself."""
    switching.begin()
    core = _Core()

    async def go() -> Timed:
        replay = Replay(frames)
        await replay.begin()
        loops: dict[str, Loop] = {
            "empty loop": _plain(_nothing),
            "core": _plain(core.ticks),
            **{kind: _handling(replay, kind, None) for kind in KINDS},
            "watch": lambda count: replay.watch(replay.frames("ticker", count)),
        }
        timed = await _timed(loops, batches, size)
        await replay.close()
        return timed

    timed = asyncio.run(go())
    calls, more = (_WARM_UP + batches) * size, len(KINDS) - 1
    done = {"core": calls, "ticker": 2 * calls + 2, "trades": calls + 1, "order_book": calls + 1}
    done["connection"] = 2 * calls + 2 + more * (calls + 1) + 1  # and the socket's last
    switching.end()
    return {"timed": timed, "done": done, "library": our_library()}


async def _frames_only(frames: Mapping[str, Any], batches: int, size: int) -> Timed:
    replay = Replay(frames)
    await replay.begin()
    loops: dict[str, Loop] = {kind: _handling(replay, kind, None) for kind in KINDS}
    loops["watch"] = lambda count: replay.watch(replay.frames("ticker", count))
    timed = await _timed(loops, batches, size)
    await replay.close()
    return timed


def _handling(replay: Replay, kind: str, after: Callable[[], object] | None) -> Loop:
    return lambda count: replay.handle(kind, replay.frames(kind, count), after)


def _nothing(count: int) -> None:
    for _ in range(count):
        pass


async def _timed(
    loops: Mapping[str, Loop], batches: int, size: int, between: Callable[[], object] | None = None
) -> Timed:
    """All loops in turn, batch by batch, a few of them without a clock."""
    timed: Timed = {name: [] for name in loops}
    for number in range(_WARM_UP + batches):
        for name, loop in loops.items():
            cost = await _batch(loop, size)
            if number >= _WARM_UP:
                timed[name].append(cost)
        if between is not None:
            between()
    return timed


async def _batch(loop: Loop, size: int) -> float:
    work = loop(size)
    started_ns = time.thread_time_ns()
    await work
    return (time.thread_time_ns() - started_ns) / size


def _plain(function: Callable[[int], object]) -> Loop:
    async def loop(count: int) -> None:
        function(count)

    return loop


class _Core:
    """What every member does for a message, without the library that it came by."""

    def __init__(self) -> None:
        from opentelemetry import metrics, trace
        from opentelemetry._logs import get_logger

        from tickspan.trading import Feeds, RecentTicks

        feeds = Feeds(trace.get_tracer("bench"), metrics.get_meter("bench"), get_logger("bench"))
        self._feeds = feeds  # which live as long as somebody holds them
        self._feed = feeds.feed("binance", "core", library=LIBRARY, environment="simulated")
        self._recent = RecentTicks()

    def ticks(self, count: int) -> None:
        from tickspan.trading import TickKind, TickRef, set_current_tick

        feed, recent, now_ns = self._feed, self._recent, time.monotonic_ns
        venue_time_ns = time.time_ns() - 5_000_000
        for _ in range(count):
            received_ns = now_ns()
            feed.received(received_ns, venue_time_ns=venue_time_ns, size_bytes=180)
            tick = TickRef(
                "binance", received_ns, "BTC/USDT", "core", TickKind.MARKET, venue_time_ns, feed=feed
            )
            recent.note(tick)
            delivered_ns = tick.delivered_ns = now_ns()
            feed.delivered(delivered_ns - received_ns)
            set_current_tick(tick)
