"""A process with a fixed amount of work, alone or under a profiler: how long it takes, and what it costs."""

from __future__ import annotations

import asyncio
import cProfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from benchmarks.pipeline.feed import MESSAGE
from benchmarks.sidebyside.lines import answer, questions

OURS, PYINSTRUMENT, CPROFILE, NOTHING = "tickspan", "pyinstrument", "cProfile", ""
_WARM_UP_S: Final = 0.3
_HANDLING: Final = 2
"""Units of work for each message."""


def _level(price: float, quantity: float) -> float:
    return price * quantity


def _side(levels: list[tuple[float, float]]) -> float:
    return sum([_level(price, quantity) for price, quantity in levels])


def unit() -> float:
    """A book of ten levels on each side is made and weighed: about 5 µs of small calls."""
    bids = [(100.0 - step, 1.0 + step) for step in range(10)]
    asks = [(101.0 + step, 1.0 + step) for step in range(10)]
    return _side(bids) - _side(asks)


def _units(count: int) -> None:
    for _ in range(count):
        unit()


def worked(threads: int, units: int) -> dict[str, Any]:
    """The units in so many threads: seconds of the wall clock, and of CPU without the profiler's thread."""
    start = threading.Barrier(threads + 1)

    def run() -> None:
        start.wait()
        _units(units // threads)

    members = [threading.Thread(target=run, name="worker") for _ in range(threads)]
    for member in members:
        member.start()
    start.wait()
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    for member in members:
        member.join()
    wall_ns, cpu_ns = time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns
    return {"wall_s": wall_ns / 1e9, "cpu_s": cpu_ns / 1e9}


def fed(port: int, messages: int) -> dict[str, Any]:
    """Nanoseconds from a message's sending to the end of its handling, within a span of its own."""
    return {"latencies_ns": asyncio.run(_fed(port, messages))}


async def _fed(port: int, messages: int) -> list[int]:
    from tickspan.providers import TracerProvider
    from tickspan.testing.sink import MemorySink

    tracer = TracerProvider(sink=MemorySink(), shutdown_on_exit=False).get_tracer("feed")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies: list[int] = []
    for _ in range(messages):
        sent_ns, _ = MESSAGE.unpack(await reader.readexactly(MESSAGE.size))
        with tracer.start_as_current_span("tick"):
            _units(_HANDLING)
        latencies.append(time.perf_counter_ns() - sent_ns)
    writer.close()
    return latencies


class _Ours:
    """The profiler in its usual mode, as a program starts it."""

    def __init__(self, hz: float) -> None:
        from tickspan.profiler.profiler import get_profiler

        self._profiler = get_profiler()
        self._profiler.start("tail", hz=hz)
        time.sleep(_WARM_UP_S)
        names = {one.name: one.native_id for one in threading.enumerate()}
        self._id = names["tickspan-profiler"] or 0
        self._began = self._counted()

    def _counted(self) -> tuple[int, int]:
        statistics = self._profiler.statistics()
        assert statistics is not None
        return time.clock_gettime_ns(~self._id << 3 | 6), statistics.passes

    def stop(self) -> dict[str, Any]:
        """CPU time of its thread, by the kernel's clock, and its passes."""
        cpu_ns, passes = self._counted()
        rate = self._profiler.sample_rate
        self._profiler.stop()
        return {
            "own_cpu_s": (cpu_ns - self._began[0]) / 1e9,
            "samples": passes - self._began[1],
            "rate": rate,
        }


@contextmanager
def _ours(hz: float, told: dict[str, Any]) -> Generator[None]:
    profiler = _Ours(hz)
    yield
    told.update(profiler.stop())


@contextmanager
def _pyinstrument(hz: float, told: dict[str, Any]) -> Generator[None]:
    from pyinstrument import Profiler  # pyright: ignore[reportMissingImports] - it is in the peers' environment

    profiler: Any = Profiler(interval=1.0 / hz, async_mode="enabled")
    profiler.start()
    yield
    session = profiler.stop()
    told["samples"] = len(session.frame_records)


@contextmanager
def _cprofile(_hz: float, told: dict[str, Any]) -> Generator[None]:
    profile = cProfile.Profile()
    threading.setprofile(_enabling(profile))
    profile.enable()
    yield
    profile.disable()
    threading.setprofile(None)
    told["samples"] = sum(entry.callcount for entry in profile.getstats())


def _enabling(profile: cProfile.Profile) -> Callable[..., None]:
    """What a thread does at its first event: it is profiled from there on."""

    def enable(*_event: object) -> None:
        profile.enable()

    return enable


@contextmanager
def _nothing(_hz: float, _told: dict[str, Any]) -> Generator[None]:
    yield


_PROFILERS: Final[dict[str, Callable[[float, dict[str, Any]], AbstractContextManager[None]]]] = {
    OURS: _ours,
    PYINSTRUMENT: _pyinstrument,
    CPROFILE: _cprofile,
    NOTHING: _nothing,
}


def main() -> None:
    """Answer questions `{"profiler", "hz", "task", ...}` with what the task took and the profiler says."""
    answer({})
    tasks: dict[str, Callable[..., dict[str, Any]]] = {"work": worked, "feed": fed}
    for question in questions():
        told: dict[str, Any] = {}
        task = tasks[question.pop("task")]
        with _PROFILERS[question.pop("profiler")](question.pop("hz"), told):
            came = task(**question)
        answer({**came, **told})


if __name__ == "__main__":
    main()
