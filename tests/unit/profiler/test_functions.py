"""Functions that are measured each time they run."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

import tickspan
from tickspan.profiler.functions import Functions
from tickspan.profiler.watching import Monitor, Watches, resolved


@pytest.fixture
def functions() -> Functions:
    return Functions()


def counts(functions: Functions) -> dict[str, tuple[int, int]]:
    return {one.name.rpartition(".")[2]: (one.calls, one.errors) for one in functions.statistics()}


def test_a_function_keeps_its_result_its_error_and_its_name(functions: Functions):
    failure = KeyError("x")

    @functions.profile
    def divide(left: int, right: int = 1) -> float:
        """Left by right."""
        if not right:
            raise failure
        return left / right

    assert divide(6, right=2) == 3.0
    with pytest.raises(KeyError) as caught:
        divide(1, 0)
    assert caught.value is failure
    assert (divide.__name__, divide.__doc__) == ("divide", "Left by right.")
    assert str(inspect.signature(divide)) == "(left: 'int', right: 'int' = 1) -> 'float'"
    assert counts(functions) == {"divide": (2, 1)}


def test_time_in_which_a_coroutine_is_suspended_is_told_apart(functions: Functions):
    @functions.profile()
    async def strategy(value: int) -> int:
        busy_until = time.perf_counter() + 0.01
        while time.perf_counter() < busy_until:
            pass
        await asyncio.sleep(0.05)
        return value + 1

    async def both() -> list[int]:
        return list(await asyncio.gather(strategy(1), strategy(2)))

    assert inspect.iscoroutinefunction(strategy)
    assert asyncio.run(both()) == [2, 3]
    (told,) = functions.statistics()
    assert told.calls == 2
    assert told.suspended_s > 0.09 > told.running_s > 0.019


def test_a_cancelled_coroutine_passes_its_cancellation_on(functions: Functions):
    @functions.profile
    async def waits() -> None:
        await asyncio.sleep(60)

    async def cancelled() -> bool:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    assert asyncio.run(cancelled())
    assert counts(functions) == {"waits": (1, 1)}


def test_a_generator_is_sent_to_thrown_into_and_closed_as_itself(functions: Functions):
    @functions.profile
    def echoes() -> Generator[Any, Any, str]:
        got: Any = "first"
        while True:
            try:
                got = yield got
            except ValueError as error:
                got = f"caught {error}"
            if got is None:
                return "done"

    generator = echoes()
    assert [next(generator), generator.send("a"), generator.throw(ValueError("b"))] == [
        "first",
        "a",
        "caught b",
    ]
    with pytest.raises(StopIteration) as stopped:
        generator.send(None)
    closed = echoes()
    next(closed)
    closed.close()
    assert (stopped.value.value, counts(functions)) == ("done", {"echoes": (2, 0)})
    assert inspect.isgeneratorfunction(echoes)


def test_an_asynchronous_generator_is_sent_to_thrown_into_and_closed_as_itself(functions: Functions):
    closed: list[str] = []

    @functions.profile
    async def echoes() -> AsyncGenerator[Any, Any]:
        got: Any = "first"
        try:
            while got is not None:
                try:
                    await asyncio.sleep(0)
                    got = yield got
                except ValueError as error:
                    got = f"caught {error}"
        finally:
            closed.append("closed")

    async def drive() -> list[Any]:
        generator = echoes()
        told = [await anext(generator), await generator.asend("a"), await generator.athrow(ValueError("b"))]
        with pytest.raises(StopAsyncIteration):
            await generator.asend(None)
        left = echoes()
        await anext(left)
        await left.aclose()
        return told

    assert asyncio.run(drive()) == ["first", "a", "caught b"]
    assert (closed, counts(functions)) == (["closed", "closed"], {"echoes": (2, 0)})
    assert inspect.isasyncgenfunction(echoes)


def second(_first: Any, size: int) -> int:
    return size


@pytest.mark.parametrize(
    ("size", "arguments"),
    [(None, lambda n: (list(range(n)),)), (second, lambda n: (None, n)), (None, lambda n: (n,))],  # pyright: ignore[reportUnknownLambdaType] - of numbers
)
def test_the_size_of_a_call_is_given_or_that_of_its_first_sized_argument_or_result(
    functions: Functions, size: Callable[..., int] | None, arguments: Callable[[int], Any]
):
    @functions.profile(size=size)
    def work(*given: Any) -> list[int]:
        return list(range(given[-1])) if isinstance(given[-1], int) else []

    for power in range(2, 6):
        work(*arguments(2**power))
    (told,) = functions.statistics()
    assert told.complexity is not None
    assert told.complexity.sizes == (4.0, 32.0)


def test_a_size_that_fails_is_our_fault_and_never_the_callers(functions: Functions):
    from tickspan.recording import strict

    def fails(_value: int) -> int:
        return 1 // 0

    @functions.profile(size=fails)
    def work(value: int) -> int:
        return value

    with strict(value=False):
        assert [work(place) for place in range(3)] == [0, 1, 2]


def test_functions_beyond_the_bound_are_counted_as_one():
    functions = Functions(most=1)
    with functions.timed("a"), functions.timed("b"):
        pass
    with functions.timed("c"):
        pass
    assert counts(functions) == {"a": (1, 0), "[others]": (2, 0)}


def test_a_section_that_fails_counts_an_error_and_passes_it_on(functions: Functions):
    with pytest.raises(ZeroDivisionError), functions.timed("section"):
        _ = 1 // 0
    assert counts(functions) == {"section": (1, 1)}


def test_clearing_forgets_counts_and_goes_on_measuring(functions: Functions):
    @functions.profile
    def work() -> None:
        """Nothing."""

    work()
    functions.clear()
    assert functions.statistics() == ()
    work()
    assert counts(functions) == {"work": (1, 0)}


def test_only_functions_are_profiled(functions: Functions):
    anything: Any = 7
    with pytest.raises(ValueError, match="expected a function to profile, got int"):
        functions.profile(anything)


class Engine:
    """Watched from outside."""

    def on_tick(self, value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return value * 2

    @classmethod
    def made(cls) -> Engine:
        return cls()

    async def waits(self) -> int:
        await asyncio.sleep(0.02)
        return 1

    def counts_up(self) -> Generator[int]:
        yield from range(3)


SPEC = f"{__name__}:Engine."


def driven() -> None:
    engine = Engine.made()
    held = engine.on_tick
    assert [held(1), engine.on_tick(2)] == [2, 4]
    with pytest.raises(ValueError, match="negative"):
        engine.on_tick(-1)
    engine.on_tick(3)
    assert list(engine.counts_up()) == [0, 1, 2]

    async def both() -> None:
        await asyncio.gather(engine.waits(), engine.waits())

    asyncio.run(both())


WATCHED = ("on_tick", "made", "waits", "counts_up")
DRIVEN = {"on_tick": (4, 1), "made": (1, 0), "waits": (2, 0), "counts_up": (1, 0)}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")
def test_watched_functions_are_measured_and_stay_themselves(functions: Functions):
    before = {name: vars(Engine)[name] for name in WATCHED}
    watches = Watches(functions)
    for name in WATCHED:
        watches.watch(SPEC + name)
    driven()
    assert counts(functions) == DRIVEN
    assert {name: vars(Engine)[name] for name in WATCHED} == before
    (waits,) = [one for one in functions.statistics() if one.name.endswith("waits")]
    assert waits.suspended_s > 0.03 > waits.running_s
    watches.close()
    driven()
    assert counts(functions) == DRIVEN


def test_without_monitoring_a_watched_function_is_replaced_and_comes_back(functions: Functions):
    before = {name: vars(Engine)[name] for name in WATCHED}
    watches = Watches(functions, claim=lambda: None)
    for name in WATCHED:
        watches.watch(SPEC + name)
    driven()
    assert counts(functions) == DRIVEN
    watches.close()
    assert {name: vars(Engine)[name] for name in WATCHED} == before


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")
def test_tool_ids_of_others_are_left_to_them():
    api: Any = vars(sys)["monitoring"]
    for tool in (3, 4):
        api.use_tool_id(tool, "another profiler")
    try:
        assert Monitor.claimed() is None
        assert [api.get_tool(tool) for tool in (3, 4)] == ["another profiler"] * 2
    finally:
        for tool in (3, 4):
            api.free_tool_id(tool)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("engine", "expected 'pkg.module:function'"),
        ("a b:c", "expected 'pkg.module:function'"),
        ("no_such_module_at_all:f", "no module"),
        ("json:no_such", "no 'no_such' in 'json'"),
        ("math:sqrt", "expected a Python function"),
    ],
)
def test_a_spec_that_names_no_function_is_refused(spec: str, told: str):
    with pytest.raises(ValueError, match=told):
        resolved(spec)


def test_the_facades_profile_is_the_same_with_and_without_parentheses():
    @tickspan.profile
    def plain(value: int) -> int:
        return value

    @tickspan.profile()
    def called(value: int) -> int:
        return value

    assert (plain(1), called(2)) == (1, 2)
    assert tickspan.profile is tickspan.profile_function
    told = {one.name: one.calls for one in tickspan.get_profiler().functions.statistics()}
    assert [told[f"{one.__module__}.{one.__qualname__}"] for one in (plain, called)] == [1, 1]
