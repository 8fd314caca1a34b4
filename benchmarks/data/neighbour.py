"""A process that keeps in memory what Redis holds, while somebody else changes it there."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.data import quotes
from benchmarks.data.caches.library import Places, Store
from benchmarks.data.contenders import library_of
from benchmarks.pipeline.figures import percentile
from benchmarks.sidebyside.lines import answer, questions

_KEYS: Final = 50
_PATIENCE_S: Final = 1.0
_ENOUGH_LOST: Final = 3
_LOOK_S: Final = 0.00002
_QUIET_S: Final = 0.2
_STEP_S: Final = 0.002
_READ_EACH: Final = 200


def main(contender: str, url: str) -> None:
    """Say which near tiers there are; answer `{"of", "changes", "batches"}` with what one reader has seen."""
    loop = asyncio.new_event_loop()
    library = library_of(contender)
    places = Places(url, Path(tempfile.gettempdir()), loop.run_until_complete)
    answer(
        {"library": library.version, "tiers": [name for name in library.stores if name.startswith("near")]}
    )
    for question in questions():
        try:
            reader = library.stores[question["of"]](places)
            writer = library.stores[question["of"]](places)
            answer(_Neighbours(loop, reader, writer).told(question["changes"], question["batches"]))
        except Exception as error:  # noqa: BLE001 - why a library cannot do it is what is asked
            answer({"unavailable": f"{type(error).__name__}: {error}"})


class _Neighbours:
    """One who reads and one who writes, each with a cache of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: Store, writer: Store) -> None:
        self._loop = loop
        self._reader = reader
        self._writer = writer

    def told(self, changes: int, batches: int) -> dict[str, Any]:
        symbols = quotes.symbols(_KEYS)
        latest = {symbol: f"{quotes.text(symbol)} #0" for symbol in symbols}
        for symbol, value in latest.items():
            self._do(self._writer.set(symbol, value), self._writer)
            self._do(self._reader.get(symbol), self._reader)
        time.sleep(_QUIET_S)
        lags_ns, lost = self._changed(symbols, latest, changes)
        time.sleep(_QUIET_S)
        self._pump()
        stale = sum(
            self._do(self._reader.get(symbol), self._reader) != value for symbol, value in latest.items()
        )
        hits = {"get": self._costs(self._reader.get, symbols, batches, is_async=self._reader.is_async)}
        if self._reader.peek is not None:
            hits["get_nowait"] = self._costs(self._reader.peek, symbols, batches, is_async=False)
        self._reader.close()
        self._writer.close()
        return {"lags_ns": lags_ns, "lost": lost, "stale": stale, "hits": hits}

    def _changed(self, symbols: Sequence[str], latest: dict[str, str], changes: int) -> tuple[list[int], int]:
        """How long after each change the reader has still given the old value."""
        lags_ns: list[int] = []
        lost = 0
        for number, symbol in zip(range(1, changes + 1), _again_and_again(symbols), strict=False):
            value = latest[symbol] = f"{quotes.text(symbol)} #{number}"
            self._do(self._reader.get(symbol), self._reader)
            self._do(self._writer.set(symbol, value), self._writer)
            began_ns = time.perf_counter_ns()
            if self._seen(symbol, value):
                lags_ns.append(time.perf_counter_ns() - began_ns)
            else:
                lost += 1
            if lost == _ENOUGH_LOST:
                break
            time.sleep(_STEP_S)
        return lags_ns, lost

    def _seen(self, symbol: str, value: str) -> bool:
        return (
            self._do(self._seen_async(symbol, value), self._reader)
            if self._reader.is_async
            else (self._seen_blocking(symbol, value))
        )

    def _seen_blocking(self, symbol: str, value: str) -> bool:
        until_s = time.perf_counter() + _PATIENCE_S
        while time.perf_counter() < until_s:
            if self._reader.get(symbol) == value:
                return True
            time.sleep(_LOOK_S)
        return False

    async def _seen_async(self, symbol: str, value: str) -> bool:
        until_s = time.perf_counter() + _PATIENCE_S
        while time.perf_counter() < until_s:
            if await self._reader.get(symbol) == value:
                return True
            await asyncio.sleep(0)
            time.sleep(_LOOK_S)  # noqa: ASYNC251 - threads that hear of changes need the interpreter, too
        return False

    def _costs(
        self, get: Callable[[str], Any], symbols: Sequence[str], batches: int, *, is_async: bool
    ) -> list[float]:
        keys = [symbol for symbol, _ in zip(_again_and_again(symbols), range(_READ_EACH), strict=False)]
        if is_async:
            return [self._loop.run_until_complete(_timed_async(get, keys)) for _ in range(batches)]
        return [_timed(get, keys) for _ in range(batches)]

    def _do(self, done: Any, store: Store) -> Any:
        return self._loop.run_until_complete(done) if store.is_async else done

    def _pump(self) -> None:
        """Let tasks of the loop run that hear of changes."""
        self._loop.run_until_complete(asyncio.sleep(_QUIET_S))


def _again_and_again(symbols: Sequence[str]) -> Iterator[str]:
    while True:
        yield from symbols


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


def summed(told: Mapping[str, Any]) -> dict[str, float]:
    """In the parent: the middle and the tail of an answer's lags, in microseconds."""
    lags = told["lags_ns"]
    return {
        "p50": percentile(lags, 0.5) / 1e3,
        "p99": percentile(lags, 0.99) / 1e3,
        "longest": max(lags) / 1e3,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
