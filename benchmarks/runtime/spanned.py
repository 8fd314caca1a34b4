"""A process whose work runs within spans, sampled: how many samples have the span that was current.

Each span's work is a function of its own name, from a circle of many: the stack says which span is right.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType
from typing import Any, Final

from benchmarks.sidebyside.lines import answer, questions
from tickspan.profiler._impl import snapshot
from tickspan.profiler.sampler import Sampler, Seen
from tickspan.providers import TracerProvider
from tickspan.testing.sink import MemorySink

TASKS, EAGER, UVLOOP = "asyncio tasks", "eager tasks", "uvloop"
NESTED, THREADS, EXECUTORS, GREENLETS = "nested Context.run", "threads", "executors", "greenlets"
KINDS: Final = (TASKS, EAGER, NESTED, UVLOOP, THREADS, EXECUTORS, GREENLETS)
_CIRCLE: Final = 64
"""Names of work for each task: a span that is taken for a later one of its task shows."""
_STEP_S: Final = 0.002
_WORK: Final = "work_"
_HZ: Final = 1_000.0
_SIDES: Final = 3
"""Threads, or loops in threads, that run a program side by side."""
_TASKS: Final = 3

_tracer = TracerProvider(sink=MemorySink(), shutdown_on_exit=False).get_tracer("program")
_names: dict[int, str] = {}
"""Of the work of each span, by the span's id."""
_is_over = threading.Event()


def _work() -> None:
    until = time.perf_counter() + _STEP_S
    while time.perf_counter() < until:
        sum(range(40))


class _Task:
    """Spans of one task, each with work of another name than those before it."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        number = next(self._numbers)
        self._circle = itertools.cycle([_named(f"{_WORK}{number}_{turn}") for turn in range(_CIRCLE)])

        self.work: Callable[[], None] = _work
        """What belongs into the span that was last asked for."""

    def span(self) -> _Noted:
        """The next span, as a context manager."""
        self.work = next(self._circle)
        name = self.work.__name__
        return _Noted(_tracer.start_as_current_span(name), name)


class _Noted:
    """Notes whose work belongs to a span before anything can see it."""

    def __init__(self, manager: Any, name: str) -> None:
        self._manager = manager
        self._name = name

    def __enter__(self) -> None:
        _names[self._manager.__enter__().get_span_context().span_id] = self._name

    def __exit__(self, *error: object) -> None:
        self._manager.__exit__(*error)


def _named(name: str) -> FunctionType:
    code = _work.__code__.replace(co_name=name, co_qualname=name)
    return FunctionType(code, globals(), name)


async def _tasks(factory: str = "") -> None:
    """Tasks that await within their spans, and tasks of theirs that inherit a span and open another."""
    if factory:
        asyncio.get_running_loop().set_task_factory(vars(asyncio)[factory])
    await asyncio.gather(*(_parent() for _ in range(_TASKS)))


async def _parent() -> None:
    task, children = _Task(), [_Task(), _Task()]
    while not _is_over.is_set():
        with task.span():
            task.work()
            await asyncio.sleep(0)
            born = [asyncio.ensure_future(_child(child)) for child in children]
            task.work()
            await asyncio.gather(*born)
            task.work()


async def _child(task: _Task) -> None:
    with task.span():
        task.work()
        await asyncio.sleep(0.0001)
        task.work()


async def _nested() -> None:
    await asyncio.gather(*(_enters() for _ in range(_TASKS)), _called())


async def _enters() -> None:
    """Enters another context within its span: by the method, by another name of it, and bound."""
    outer, inner = _Task(), _Task()
    context = contextvars.copy_context()
    alias: Any = context.run
    bound: Any = functools.partial(context.run, _within, inner)
    while not _is_over.is_set():
        with outer.span():
            outer.work()
            context.run(_within, inner)
            alias(_within, inner)
            bound()
            outer.work()
        await asyncio.sleep(0)


async def _called() -> None:
    """Callbacks in contexts of their own."""
    loop, task = asyncio.get_running_loop(), _Task()
    while not _is_over.is_set():
        loop.call_soon(_within, task)
        loop.call_soon(functools.partial(_within, task), context=contextvars.Context())
        await asyncio.sleep(0.001)


def _within(task: _Task) -> None:
    with task.span():
        task.work()


async def _executors() -> None:
    loop, tasks = asyncio.get_running_loop(), [_Task() for _ in range(2)]
    own = _Task()
    with ThreadPoolExecutor(2) as pool:
        while not _is_over.is_set():
            with own.span():
                jobs = (loop.run_in_executor(pool, _within, tasks[0]), asyncio.to_thread(_within, tasks[1]))
                own.work()
                await asyncio.gather(*jobs)
                own.work()


def _threads() -> None:
    outer, inner = _Task(), _Task()
    while not _is_over.is_set():
        with outer.span():
            outer.work()
            _within(inner)
            outer.work()


def _greenlets() -> None:
    """In each thread a hub of its own."""
    import gevent

    gevent.joinall([gevent.spawn(_greenlet) for _ in range(_TASKS)])


def _greenlet() -> None:
    from gevent import sleep

    task = _Task()
    while not _is_over.is_set():
        with task.span():
            task.work()
            sleep(0)
            task.work()


def _in_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return lambda: asyncio.run(main())


def _in_uvloop() -> None:
    import uvloop

    uvloop.run(_tasks())


_PROGRAMS: Final[dict[str, Callable[[], None]]] = {
    TASKS: _in_loop(_tasks),
    EAGER: _in_loop(functools.partial(_tasks, "eager_task_factory")),
    NESTED: _in_loop(_nested),
    UVLOOP: _in_uvloop,
    THREADS: _threads,
    EXECUTORS: _in_loop(_executors),
    GREENLETS: _greenlets,
}


def lacking(kind: str) -> str:
    """Why a kind cannot be had here; empty where it can."""
    if kind == EAGER and sys.version_info < (3, 12):
        return "eager tasks came with Python 3.12"
    needed = {UVLOOP: "uvloop", GREENLETS: "gevent"}.get(kind)
    try:
        if needed is not None:
            __import__(needed)
    except ImportError:
        return f"{needed} is not installed"
    return ""


def sampled(kind: str, wanted: int, patience_s: float) -> dict[str, Any]:
    """Run a program until so many samples within work have been taken; what their links are."""
    _is_over.clear()
    seen: list[Seen] = []
    sampler = Sampler(_HZ, 1.0, seen.append)
    sides = [threading.Thread(target=_PROGRAMS[kind]) for _ in range(_SIDES)]
    began_s = time.monotonic()
    for side in sides:
        side.start()
    sampler.start()
    counts = _Counts(sampler)
    while counts.within < wanted and time.monotonic() < began_s + patience_s:
        time.sleep(0.1)
        counts.note(seen)
    sampler.stop()
    _is_over.set()
    for side in sides:
        side.join()
    return {
        "within": counts.within,
        "linked": counts.linked,
        "wrong": counts.wrong,
        "passes": sampler.statistics().passes,
        "seconds": time.monotonic() - began_s,
    }


class _Counts:
    """Of samples within work: all, those with a link, and those with another span's."""

    def __init__(self, sampler: Sampler) -> None:
        self._tables = sampler.tables
        self._taken = 0
        self.within = 0
        self.linked = 0
        self.wrong = 0

    def note(self, seen: list[Seen]) -> None:
        """Those that came since the last time."""
        until = len(seen)
        for one in itertools.islice(seen, self._taken, until):
            names: Iterable[str] = (
                self._tables.frames[frame].name for frame in self._tables.stacks[one.stack]
            )
            work = next((name for name in names if name.startswith(_WORK)), None)
            if work is not None:
                self.within += 1
                self.linked += one.link is not None
                self.wrong += one.link is not None and _names[one.link.span_id] != work
        self._taken = until


def main() -> None:
    """Answer each question `{"kind", "samples", "patience_s"}` with counts, or why the kind is missing."""
    sys.setswitchinterval(0.0002)
    answer({"is_compiled": snapshot.IS_COMPILED, "version": sys.version.split()[0]})
    for question in questions():
        missing = lacking(question["kind"])
        answer(
            {"missing": missing}
            if missing
            else sampled(question["kind"], question["samples"], question["patience_s"])
        )


if __name__ == "__main__":
    main()
