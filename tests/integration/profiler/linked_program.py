"""Spans in tasks, callbacks, nested contexts, threads and executors, sampled: how many links are right.

Prints the form of `snapshot`, samples within a span's work, those that are linked, and those that are wrong.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tickspan.profiler._impl import snapshot
from tickspan.profiler.sampler import Sampler, Seen
from tickspan.providers import TracerProvider
from tickspan.testing.sink import MemorySink

SECONDS = 2.0
STEP_S = 0.003
tracer = TracerProvider(sink=MemorySink(), shutdown_on_exit=False).get_tracer("program")
span_of: dict[int, str] = {}
ends_at = time.monotonic() + SECONDS


def is_on() -> bool:
    return time.monotonic() < ends_at


def spin() -> None:
    until = time.perf_counter() + STEP_S
    while time.perf_counter() < until:
        sum(range(40))


def work_plain() -> None:
    spin()


def work_nested() -> None:
    spin()


def work_child() -> None:
    spin()


def work_parent() -> None:
    spin()


def work_executor() -> None:
    spin()


def work_callback() -> None:
    spin()


def work_thread() -> None:
    spin()


@contextmanager
def span(name: str) -> Generator[None]:
    with tracer.start_as_current_span(name) as started:
        span_of[started.get_span_context().span_id] = name
        yield


async def plain() -> None:
    while is_on():
        with span("work_plain"):
            work_plain()
            await asyncio.sleep(0)
            work_plain()


def nested_work() -> None:
    with span("work_nested"):
        work_nested()


async def nested() -> None:
    context = contextvars.copy_context()
    alias: Any = context.run
    bound = functools.partial(context.run, nested_work)
    while is_on():
        with span("work_plain"):
            work_plain()
            context.run(nested_work)
            alias(nested_work)
            bound()
            work_plain()
        await asyncio.sleep(0)


async def child() -> None:
    with span("work_child"):
        work_child()
        await asyncio.sleep(0.001)
        work_child()


async def parent() -> None:
    while is_on():
        with span("work_parent"):
            work_parent()
            children = [asyncio.create_task(child()), asyncio.create_task(child())]
            work_parent()
            await asyncio.gather(*children)


def executor_job() -> None:
    with span("work_executor"):
        work_executor()


async def executor(pool: ThreadPoolExecutor) -> None:
    loop = asyncio.get_running_loop()
    while is_on():
        with span("work_plain"):
            await asyncio.gather(loop.run_in_executor(pool, executor_job), asyncio.to_thread(executor_job))
            work_plain()


def callback() -> None:
    with span("work_callback"):
        work_callback()


async def callbacks() -> None:
    loop = asyncio.get_running_loop()
    while is_on():
        loop.call_soon(callback)
        loop.call_soon(callback, context=contextvars.Context())
        await asyncio.sleep(0.004)


def thread() -> None:
    while is_on():
        with span("work_thread"):
            work_thread()


async def everything() -> None:
    if sys.argv[1] == "eager":
        factory: Any = vars(asyncio)["eager_task_factory"]
        asyncio.get_running_loop().set_task_factory(factory)
    with ThreadPoolExecutor(2) as pool:
        await asyncio.gather(plain(), nested(), parent(), executor(pool), callbacks())


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    if sys.argv[1] != "uvloop":
        return asyncio.run
    import uvloop

    return uvloop.run


def main() -> None:
    sys.setswitchinterval(0.001)
    seen: list[Seen] = []
    sampler = Sampler(1_000, 1.0, seen.append)
    other = threading.Thread(target=thread)
    other.start()
    sampler.start()
    runner()(everything())
    sampler.stop()
    other.join()
    within = linked = wrong = 0
    for one in seen:
        frames = [sampler.tables.frames[index].name for index in sampler.tables.stacks[one.stack]]
        work = next((name for name in frames if name.startswith("work_")), None)
        within += work is not None
        linked += work is not None and one.link is not None
        wrong += work is not None and one.link is not None and span_of[one.link.span_id] != work
    form = "compiled" if snapshot.IS_COMPILED else "interpreted"
    sys.stdout.write(f"{form} {within} {linked} {wrong}\n")


main()
