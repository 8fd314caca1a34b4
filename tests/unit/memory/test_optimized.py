"""`@memory_optimized` tells what a function took, seldom enough to cost a hundredth of it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import mmap
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource

from tickspan.memory import memory_optimized
from tickspan.memory.optimized import skipped
from tickspan.providers import TracerProvider
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MIB = 1 << 20


def within_a_span(call: Callable[[], Any]) -> dict[str, Any]:
    """What the span carries in which a call was made."""
    sink = MemorySink()
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    span = provider.get_tracer("desk").start_span("load")
    with trace.use_span(span, end_on_exit=True):
        call()
    (told,) = sink.telemetry().spans
    return dict(told.attributes)


def test_a_function_tells_how_much_memory_it_took() -> None:
    kept: list[Any] = []

    @memory_optimized
    def load(number: int) -> int:
        kept.append([object() for _ in range(number)])
        memory = mmap.mmap(-1, 20 * MIB)  # never what was freed before
        memory.write(b"x" * (20 * MIB))
        kept.append(memory)
        return number

    told = within_a_span(lambda: load(10_000))
    assert told[names.MEMORY_GROWTH] > 15 * MIB
    assert told[names.MEMORY_GROWTH_BLOCKS] >= 10_000


def test_an_async_function_stays_one() -> None:
    @memory_optimized(pause_gc=False)
    async def load() -> str:
        await asyncio.sleep(0)
        return "loaded"

    async def main() -> None:
        assert await load() == "loaded"

    told = within_a_span(lambda: asyncio.run(main()))
    assert (inspect.iscoroutinefunction(load), sorted(told)) == (
        True,
        [names.MEMORY_GROWTH, names.MEMORY_GROWTH_BLOCKS],
    )


def test_its_body_may_be_a_critical_section() -> None:
    @memory_optimized(pause_gc=True)
    def decide() -> bool:
        return gc.isenabled()

    assert (decide(), gc.isenabled()) == (False, True)


def test_an_async_body_may_be_one_too() -> None:
    @memory_optimized(pause_gc=True)
    async def decide() -> bool:
        return gc.isenabled()

    assert (asyncio.run(decide()), gc.isenabled()) == (False, True)


def test_what_it_raises_passes_unchanged() -> None:
    error = KeyError("price")

    @memory_optimized(pause_gc=True)
    def fail() -> None:
        raise error

    with pytest.raises(KeyError) as raised:
        fail()
    assert (raised.value is error, gc.isenabled()) == (True, True)


def test_name_and_signature_stay() -> None:
    @memory_optimized
    def load(symbol: str, *, depth: int = 5) -> int:
        """Load a book."""
        return depth + len(symbol)

    assert (load.__name__, load.__doc__, str(inspect.signature(load))) == (
        "load",
        "Load a book.",
        "(symbol: 'str', *, depth: 'int' = 5) -> 'int'",
    )


@pytest.mark.parametrize(
    ("look_s", "call_s", "calls"),
    [
        (10e-6, 1e-3, 0),
        (10e-6, 10e-6, 99),
        (10e-6, 5e-4, 1),
        (1e-3, 1e-6, 99_999),
        (1.0, 1e-6, 100_000),
        (1e-6, 0, 100_000),
    ],
)
def test_looks_take_a_hundredth_of_the_time(look_s: float, call_s: float, calls: int) -> None:
    assert skipped(look_s, call_s) == calls


def test_a_quick_function_is_looked_at_once_in_many_calls() -> None:
    @memory_optimized
    def quick() -> None:
        return None

    def told() -> list[bool]:
        return [bool(within_a_span(quick)) for _ in range(20)]

    assert told() == [True, *[False] * 19]
