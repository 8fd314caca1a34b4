"""A process that reads a cache in memory: what a hit costs, its tail, and what threads make of it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Final

from benchmarks.data import quotes
from benchmarks.data.caches.library import Reader
from benchmarks.data.contenders import library_of
from benchmarks.pipeline.figures import percentile
from benchmarks.sidebyside.lines import answer, questions

EMPTY: Final = "empty loop"
OWN_COPY: Final = "own copy"
_BATCH_NS: Final = 3_000_000
_TRIAL: Final = 200
_FEWEST, _MOST = 100, 50_000
_BLOCK: Final = 250


def main(contender: str) -> None:
    """Answer each question: `{"of", "batches"}`, `{"of", "calls"}` or `{"of", "threads", "seconds"}`."""
    loop = asyncio.new_event_loop()
    library = library_of(contender)
    expected = {name: _expected(name) for name in library.readers}
    readers = {name: make(expected[name], loop.run_until_complete) for name, make in library.readers.items()}
    asked = {name: _Asked(reader, loop) for name, reader in readers.items()}
    answer(
        {
            "library": library.version,
            "operations": {name: reader.is_async for name, reader in readers.items()},
            "wrong": {name: asked[name].wrong(expected[name]) for name in readers},
        }
    )
    for question in questions():
        answer(_answered(question, asked))


class _Asked:
    """A reader, and the keys of a batch."""

    def __init__(self, reader: Reader, loop: asyncio.AbstractEventLoop) -> None:
        self._reader = reader
        self._loop = loop
        self._counted = reader.hits or (lambda: 0)
        self._batch = self._sized()

    def wrong(self, expected: Mapping[str, Any]) -> int:
        """How many values are not those that were stored."""
        return sum(self._one(key) != value for key, value in expected.items())

    def costs(self, batches: int) -> list[float]:
        """Nanoseconds of CPU time of a call, by batch."""
        if self._reader.is_async:
            return [
                self._loop.run_until_complete(_timed_async(self._reader.get, self._batch))
                for _ in range(batches)
            ]
        return [_timed(self._reader.get, self._batch) for _ in range(batches)]

    def tail(self, calls: int) -> dict[str, float]:
        """Nanoseconds of single calls, with those of the clock."""
        keys = list(islice(cycle(quotes.symbols()), calls))
        if self._reader.is_async:
            each = self._loop.run_until_complete(_latencies_async(self._reader.get, keys))
        else:
            each = _latencies(self._reader.get, keys)
        return _tail(each)

    def rates(self, threads: int, seconds: float) -> dict[str, float | None]:
        """Calls a second of one thread and of several; how many calls that were, and were counted."""
        before = self._counted()
        alone, alone_s = _raced(self._reader.get, 1, seconds)
        together, together_s = _raced(self._reader.get, threads, seconds)
        return {
            "alone": alone / alone_s,
            "together": together / together_s,
            "calls": alone + together,
            "counted": self._counted() - before if self._reader.hits else None,
        }

    def _one(self, key: str) -> Any:
        found = self._reader.get(key)
        return self._loop.run_until_complete(found) if self._reader.is_async else found

    def _sized(self) -> Sequence[str]:
        """Keys of a batch that takes some milliseconds."""
        self._batch = list(islice(cycle(quotes.symbols()), _TRIAL))
        cost_ns = max(1.0, *self.costs(2))
        count = min(_MOST, max(_FEWEST, int(_BATCH_NS / cost_ns)))
        return list(islice(cycle(quotes.symbols()), count))


def _answered(question: Mapping[str, Any], asked: Mapping[str, _Asked]) -> Any:
    name = question["of"]
    if name == EMPTY:
        keys = list(islice(cycle(quotes.symbols()), _MOST))
        if "batches" in question:
            return [_empty(keys) for _ in range(question["batches"])]
        return _tail(_empty_latencies(keys[: question["calls"]]))
    if "batches" in question:
        return asked[name].costs(question["batches"])
    if "calls" in question:
        return asked[name].tail(question["calls"])
    return asked[name].rates(question["threads"], question["seconds"])


def _expected(operation: str) -> Mapping[str, Any]:
    if operation == OWN_COPY:
        return {symbol: quotes.mapping(symbol) for symbol in quotes.symbols()}
    return quotes.texts()


def _timed(get: Callable[[str], Any], keys: Sequence[str]) -> float:
    began_ns = time.thread_time_ns()
    for key in keys:
        get(key)
    return (time.thread_time_ns() - began_ns) / len(keys)


async def _timed_async(get: Callable[[str], Any], keys: Sequence[str]) -> float:
    began_ns = time.thread_time_ns()
    for key in keys:
        await get(key)
    return (time.thread_time_ns() - began_ns) / len(keys)


def _empty(keys: Sequence[str]) -> float:
    began_ns = time.thread_time_ns()
    for _ in keys:
        pass
    return (time.thread_time_ns() - began_ns) / len(keys)


def _latencies(get: Callable[[str], Any], keys: Sequence[str]) -> list[int]:
    clock, each = time.perf_counter_ns, []
    for key in keys:
        began_ns = clock()
        get(key)
        each.append(clock() - began_ns)
    return each


async def _latencies_async(get: Callable[[str], Any], keys: Sequence[str]) -> list[int]:
    clock, each = time.perf_counter_ns, []
    for key in keys:
        began_ns = clock()
        await get(key)
        each.append(clock() - began_ns)
    return each


def _empty_latencies(keys: Sequence[str]) -> list[int]:
    clock, each = time.perf_counter_ns, []
    for _ in keys:
        began_ns = clock()
        each.append(clock() - began_ns)
    return each


def _tail(each: Sequence[int]) -> dict[str, float]:
    return {"p50": percentile(each, 0.5), "p99": percentile(each, 0.99)}


def _raced(get: Callable[[str], Any], threads: int, seconds: float) -> tuple[int, float]:
    """How many calls that many threads have made, and the seconds until the last has ended."""
    keys = quotes.symbols()[:_BLOCK]
    is_over = threading.Event()
    made: list[int] = []

    def run() -> None:
        blocks = 0
        while not is_over.is_set():
            for key in keys:
                get(key)
            blocks += 1
        made.append(blocks * len(keys))

    workers = [threading.Thread(target=run) for _ in range(threads)]
    began_s = time.perf_counter()
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    is_over.set()
    for worker in workers:
        worker.join()
    return sum(made), time.perf_counter() - began_s


if __name__ == "__main__":
    main(*sys.argv[1:])
