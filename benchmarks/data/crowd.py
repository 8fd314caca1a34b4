"""A process in which many ask at once for a value that nobody has: how often it is loaded."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from benchmarks.data.caches.library import Library
from benchmarks.data.contenders import library_of
from benchmarks.sidebyside.lines import answer, questions

PEOPLE: Final = 100
LOOPS: Final = 2
_LOAD_S: Final = 0.01
_PATIENCE_S: Final = 6.0
_VALUE: Final = "bid=50000.25"
TASKS, THREADS, MANY_LOOPS, MIXED = "tasks of a loop", "threads", "tasks of two loops", "threads and loops"


class _LoadError(Exception):
    """What the loader raises in a crowd whose load fails."""


class _Source:
    """What is slow, and counts how often it is asked."""

    def __init__(self, *, fails: bool) -> None:
        self.calls = 0
        self._fails = fails
        self._lock = threading.Lock()

    def load(self, symbol: str) -> str:
        self._count()
        time.sleep(_LOAD_S)
        return self._answered(symbol)

    async def load_async(self, symbol: str) -> str:
        self._count()
        await asyncio.sleep(_LOAD_S)
        return self._answered(symbol)

    def _count(self) -> None:
        with self._lock:
            self.calls += 1

    def _answered(self, symbol: str) -> str:
        if self._fails:
            raise _LoadError
        return f"{symbol} {_VALUE}"


class _Crowd:
    """Those who ask, and what they have got."""

    def __init__(self, source: _Source, *, fails: bool) -> None:
        self.source = source
        self._fails = fails
        self.right = 0
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def ask(self, call: Callable[[str], Any], symbol: str) -> None:
        try:
            self._got(symbol, call(symbol))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is what its caller gets
            self._failed(error)

    async def ask_async(self, call: Callable[[str], Awaitable[Any]], symbol: str) -> None:
        try:
            self._got(symbol, await asyncio.wait_for(call(symbol), _PATIENCE_S))
        except Exception as error:  # noqa: BLE001 - as in `ask`
            self._failed(error)

    def _got(self, symbol: str, value: Any) -> None:
        is_right = not self._fails and value == f"{symbol} {_VALUE}"
        self._note(is_right, "another value")

    def _failed(self, error: Exception) -> None:
        is_right = self._fails and isinstance(error, _LoadError)
        self._note(is_right, type(error).__name__)

    def _note(self, is_right: bool, what: str) -> None:
        with self._lock:
            if is_right:
                self.right += 1
            else:
                self.wrong.append(what)


def main(contender: str) -> None:
    """Answer each question `{"of", "fails"}` with calls of the loader, and right and wrong answers."""
    library = library_of(contender)
    answer({"library": library.version, "crowds": kinds(library)})
    for number, question in enumerate(questions()):
        answer(_gathered(library, question["of"], f"SYM{number}", fails=question["fails"]))


def kinds(library: Library) -> list[str]:
    """The crowds that a library can serve."""
    of_threads, of_tasks = library.shielded is not None, library.shielded_async is not None
    able = {
        THREADS: of_threads,
        TASKS: of_tasks,
        MANY_LOOPS: of_tasks,
        MIXED: of_threads and of_tasks and library.shielded_both is not None,
    }
    return [kind for kind, is_able in able.items() if is_able]


def _gathered(library: Library, kind: str, symbol: str, *, fails: bool) -> dict[str, Any]:
    source = _Source(fails=fails)
    crowd = _Crowd(source, fails=fails)
    workers = _workers(library, kind, crowd, symbol)
    began_s = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, began_s + _PATIENCE_S + 1 - time.perf_counter()))
    return {
        "calls": source.calls,
        "right": crowd.right,
        "wrong": crowd.wrong[:3],
        "unanswered": PEOPLE - crowd.right - len(crowd.wrong),
        "seconds": time.perf_counter() - began_s,
    }


def _workers(library: Library, kind: str, crowd: _Crowd, symbol: str) -> list[threading.Thread]:
    """Threads that ask, or that run loops whose tasks ask; all begin together."""
    loops, threads = {
        TASKS: (1, 0),
        MANY_LOOPS: (LOOPS, 0),
        THREADS: (0, PEOPLE),
        MIXED: (LOOPS, PEOPLE // 2),
    }[kind]
    call, call_async = _calls(library, kind, crowd.source)
    start = threading.Barrier(loops + threads)

    def ask() -> None:
        start.wait()
        crowd.ask(call, symbol)

    async def ask_in_tasks(tasks: int) -> None:
        start.wait()
        await asyncio.gather(*(crowd.ask_async(call_async, symbol) for _ in range(tasks)))

    each = (PEOPLE - threads) // loops if loops else 0
    return [
        *(threading.Thread(target=ask, daemon=True) for _ in range(threads)),
        *(
            threading.Thread(target=lambda: asyncio.run(ask_in_tasks(each)), daemon=True)
            for _ in range(loops)
        ),
    ]


def _calls(library: Library, kind: str, source: _Source) -> tuple[Any, Any]:
    """The protected calls of threads and of tasks; decorators take functions, no methods."""

    def load(symbol: str) -> str:
        return source.load(symbol)

    async def load_async(symbol: str) -> str:
        return await source.load_async(symbol)

    if kind == MIXED:
        assert library.shielded_both is not None
        return library.shielded_both(load, load_async)
    return (
        library.shielded(load) if library.shielded else None,
        library.shielded_async(load_async) if library.shielded_async else None,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
