"""A process that keeps quotes in a tier: written through one cache, read through another one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import quotes
from benchmarks.data.caches.library import Places, Store
from benchmarks.data.contenders import library_of
from benchmarks.pipeline.figures import percentile
from benchmarks.sidebyside.lines import answer, questions

TASKS = 20


@dataclass(frozen=True, slots=True)
class _Timed:
    """What calls took, one after another: CPU time of the process each, each on the wall clock."""

    cpu_ns: float
    latencies_ns: Sequence[int]

    def told(self) -> dict[str, float]:
        return {
            "cpu_ns": self.cpu_ns,
            "wall_ns": sum(self.latencies_ns) / len(self.latencies_ns),
            "p99_ns": percentile(self.latencies_ns, 0.99),
        }


def main(contender: str, url: str, folder: str) -> None:
    """Answer each question `{"of", "first", "keys"}` with costs of writing and reading so many new keys."""
    loop = asyncio.new_event_loop()
    library = library_of(contender)
    places = Places(url, Path(folder), loop.run_until_complete)
    answer({"library": library.version, "tiers": list(library.stores)})
    for question in questions():
        keys = quotes.symbols(question["keys"], question["first"])
        answer(_written_and_read(library.stores[question["of"]], places, keys, loop, question["of"]))


def _written_and_read(
    make: Callable[[Places], Store],
    places: Places,
    keys: Sequence[str],
    loop: asyncio.AbstractEventLoop,
    tier: str,
) -> dict[str, Any]:
    """A cache in memory has nobody to be read through but itself."""
    is_shared = not tier.startswith("memory")
    writer = make(places)
    values = [quotes.mapping(key) for key in keys]
    began_s = time.perf_counter()
    write = _done(writer, loop, _writes(writer, keys, values))
    if is_shared:
        writer.close()
    settled_s = time.perf_counter() - began_s
    reader = make(places) if is_shared else writer
    found: list[Any] = []
    read = _done(reader, loop, _reads(reader, keys, found))
    reader.close()
    rate = _together(make(places), keys, loop) if reader.is_async and is_shared else None
    return {
        "write": write.told(),
        "settled_ns": settled_s * 1e9 / len(keys),
        "read": read.told(),
        "rate": rate,
        "wrong": sum(came != value for came, value in zip(found, values, strict=True)),
    }


def _writes(store: Store, keys: Sequence[str], values: Sequence[Any]) -> list[Callable[[], Any]]:
    def one(key: str, value: Any) -> Callable[[], Any]:
        return lambda: store.set(key, value)

    return [one(key, value) for key, value in zip(keys, values, strict=True)]


def _reads(store: Store, keys: Sequence[str], found: list[Any]) -> list[Callable[[], Any]]:
    def one(key: str) -> Callable[[], Any]:
        if store.is_async:
            return lambda: _kept(store.get(key), found)
        return lambda: found.append(store.get(key))

    return [one(key) for key in keys]


async def _kept(value: Awaitable[Any], found: list[Any]) -> None:
    found.append(await value)


def _done(store: Store, loop: asyncio.AbstractEventLoop, calls: Sequence[Callable[[], Any]]) -> _Timed:
    """The first call is not timed: it connects."""
    if store.is_async:
        return loop.run_until_complete(_done_async(calls))
    calls[0]()
    latencies_ns: list[int] = []
    cpu_ns = time.process_time_ns()
    for call in calls[1:]:
        began_ns = time.perf_counter_ns()
        call()
        latencies_ns.append(time.perf_counter_ns() - began_ns)
    return _Timed((time.process_time_ns() - cpu_ns) / len(latencies_ns), latencies_ns)


async def _done_async(calls: Sequence[Callable[[], Any]]) -> _Timed:
    await calls[0]()
    latencies_ns: list[int] = []
    cpu_ns = time.process_time_ns()
    for call in calls[1:]:
        began_ns = time.perf_counter_ns()
        await call()
        latencies_ns.append(time.perf_counter_ns() - began_ns)
    return _Timed((time.process_time_ns() - cpu_ns) / len(latencies_ns), latencies_ns)


def _together(store: Store, keys: Sequence[str], loop: asyncio.AbstractEventLoop) -> float:
    """Reads a second of several tasks that share one cache."""

    async def run(own: Sequence[str]) -> None:
        for key in own:
            await store.get(key)

    async def all_run() -> float:
        await store.get(keys[0])
        began_s = time.perf_counter()
        await asyncio.gather(*(run(keys[number::TASKS]) for number in range(TASKS)))
        return len(keys) / (time.perf_counter() - began_s)

    rate = loop.run_until_complete(all_run())
    store.close()
    return rate


if __name__ == "__main__":
    main(*sys.argv[1:])
