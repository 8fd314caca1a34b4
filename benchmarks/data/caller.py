"""A process that reads a cache over Redis while Redis goes away: how long each call takes."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.data import quotes
from benchmarks.data.caches.library import Places, Store
from benchmarks.data.contenders import library_of
from benchmarks.sidebyside.lines import answer, questions

_PAUSE_S: Final = 0.01
"""Between two calls, as in a program that has other things to do."""
_ABANDONED: Final = "still waits"
_QUICK_S: Final = 0.005
_QUICK_CALLS: Final = 500


def main(contender: str, tier: str, url: str) -> None:
    """Connect, say so, then answer `{"calls", "patience_s"}` with the seconds of each call and outcomes."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    library = library_of(contender)

    def run(done: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(_awaited(done), loop).result()

    store = library.stores[tier](Places(url, Path(tempfile.gettempdir()), run))
    key = quotes.symbols()[0]
    kept = _call(store, run, lambda: store.set(key, quotes.mapping(key)))
    found = _call(store, run, lambda: store.get(key))
    answer({"library": library.version, "connected": [kept[1], found[1]]})
    for question in questions():
        answer(_called(store, run, question["calls"], question["patience_s"]))
    os._exit(0)  # a call that waits for ever is left where it is


async def _awaited(done: Any) -> Any:
    return await done


def _called(store: Store, run: Callable[[Any], Any], calls: int, patience_s: float) -> dict[str, Any]:
    """Keys that memory does not know, one after another, until so many are done or the patience is.

    First with a pause between them; then, if calls are quick, as fast as they come.
    """
    each: list[float] = []
    outcomes: Counter[str] = Counter()
    until_s = time.monotonic() + patience_s
    for key in quotes.symbols(calls, 1):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            break
        took_s, outcome = _within(store, run, key, left_s)
        each.append(took_s)
        outcomes[outcome] += 1
        time.sleep(_PAUSE_S)
    quickly: list[float] = []
    if _ABANDONED not in outcomes and each[-1] < _QUICK_S:
        quickly = _quickly(store, run, quotes.symbols(_QUICK_CALLS, calls + 1))
    return {"seconds": each, "quickly": quickly, "outcomes": dict(outcomes)}


def _quickly(store: Store, run: Callable[[Any], Any], keys: Sequence[str]) -> list[float]:
    if store.is_async:
        return run(_all_timed(store, keys))
    return [_call(store, run, lambda key=key: store.get(key))[0] for key in keys]


async def _all_timed(store: Store, keys: Sequence[str]) -> list[float]:
    return [(await _timed(lambda key=key: store.get(key)))[0] for key in keys]


def _within(store: Store, run: Callable[[Any], Any], key: str, left_s: float) -> tuple[float, str]:
    """A call on a thread of its own, which is abandoned when the patience ends."""
    done: list[tuple[float, str]] = []

    def call() -> None:
        done.append(_call(store, run, lambda: store.get(key)))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(left_s)
    return done[0] if done else (left_s, _ABANDONED)


def _call(store: Store, run: Callable[[Any], Any], do: Callable[[], Any]) -> tuple[float, str]:
    """Seconds and outcome; an awaited call is timed on its loop."""
    if store.is_async:
        took_s, outcome = run(_timed(do))
        return took_s, outcome
    began_s = time.perf_counter()
    try:
        value = do()
    except Exception as error:  # noqa: BLE001 - what a library raises is what is asked
        return time.perf_counter() - began_s, type(error).__name__
    return time.perf_counter() - began_s, _told(value)


async def _timed(do: Callable[[], Any]) -> tuple[float, str]:
    began_s = time.perf_counter()
    try:
        value = await do()
    except Exception as error:  # noqa: BLE001 - as in `_call`
        return time.perf_counter() - began_s, type(error).__name__
    return time.perf_counter() - began_s, _told(value)


def _told(value: Any) -> str:
    return "a value" if isinstance(value, dict) else "nothing"


if __name__ == "__main__":
    main(*sys.argv[1:])
