"""Functions watched from outside: each call counted once however it ends, and nothing left afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any

import pytest

from tickspan.profiler import watching
from tickspan.profiler.functions import Functions
from tickspan.profiler.watching import Monitor, Watches

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12"
)


def items(count: int) -> Generator[int]:
    yield from range(count)


def guarded(count: int) -> Generator[int]:
    try:
        yield from range(count)
    finally:
        closed.append(count)


def plain(count: int) -> Generator[int]:
    for value in range(count):  # noqa: UP028 - it is this frame that is suspended
        yield value


def factorial(number: int) -> int:
    return 1 if number < 2 else number * factorial(number - 1)


def falls(depth: int) -> int:
    if not depth:
        raise LookupError("bottom")
    return falls(depth - 1)


def survives(depth: int) -> int:
    try:
        return falls(depth)
    except LookupError:
        return -1


async def waits(event: asyncio.Event) -> int:
    await event.wait()
    return 1


async def streams(count: int) -> AsyncGenerator[int]:
    for value in range(count):
        await asyncio.sleep(0)
        yield value


def other() -> int:
    return factorial.__code__.co_argcount


def tick(price: float) -> float:
    return price


imported_before = tick
"""As `from x import tick` leaves it."""
closed: list[int] = []


class Base:
    def price(self) -> int:
        return 1

    @staticmethod
    def static() -> int:
        return 2

    @classmethod
    def of_class(cls) -> type:
        return cls


class Derived(Base):
    """Inherits all."""


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture(params=["monitored", "replaced"])
def watches(request: pytest.FixtureRequest, functions: Functions) -> Iterator[Watches]:
    if request.param == "replaced":
        made = Watches(functions, claim=lambda: None)
    elif sys.version_info < (3, 12):
        pytest.skip("sys.monitoring came with Python 3.12")
    else:
        made = Watches(functions)
    yield made
    made.close()


def watch(watches: Watches, *names: str) -> None:
    for name in names:
        watches.watch(f"{__name__}:{name}")


def counts(functions: Functions) -> dict[str, tuple[int, int]]:
    return {one.name.rpartition(".")[2]: (one.calls, one.errors) for one in functions.statistics()}


def here(name: str) -> Any:
    """As the module has it now."""
    return globals()[name]


def test_every_level_of_a_recursion_is_a_call(watches: Watches, functions: Functions):
    watch(watches, "factorial")
    assert here("factorial")(5) == 120
    assert counts(functions) == {"factorial": (5, 0)}


def test_an_error_ends_each_call_that_it_leaves_and_no_other(watches: Watches, functions: Functions):
    watch(watches, "falls", "survives")
    assert here("survives")(3) == -1
    with pytest.raises(LookupError, match="bottom"):
        here("falls")(0)
    assert here("survives")(0) == -1
    assert counts(functions) == {"survives": (2, 0), "falls": (6, 6)}


@pytest.mark.parametrize("name", ["items", "guarded", "plain"])
def test_generators_that_are_closed_left_or_dropped_have_ended(
    watches: Watches, functions: Functions, name: str
):
    watch(watches, name)
    made: Callable[[int], Generator[int]] = here(name)
    assert list(made(3)) == [0, 1, 2]
    left = made(5)
    next(left)
    left.close()
    dropped = made(5)
    next(dropped)
    del dropped
    for _ in made(5):
        break
    made(5)
    gc.collect()
    watches.close()
    assert counts(functions) == {name: (4, 0)}


def test_an_asynchronous_generator_is_one_call(watches: Watches, functions: Functions):
    watch(watches, "streams")

    async def drives() -> list[int]:
        found = [value async for value in here("streams")(3)]
        left = here("streams")(3)
        await anext(left)
        await left.aclose()
        return found

    assert asyncio.run(drives()) == [0, 1, 2]
    watches.close()
    assert counts(functions) == {"streams": (2, 0)}


def test_a_coroutine_that_is_cancelled_while_suspended_has_failed(watches: Watches, functions: Functions):
    watch(watches, "waits")

    async def cancels() -> list[Any]:
        event = asyncio.Event()
        tasks = [asyncio.create_task(here("waits")(event)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        event.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(cancels())
    assert [type(one) for one in found] == [int, asyncio.CancelledError, int]
    assert counts(functions) == {"waits": (3, 1)}


def test_calls_of_many_threads_are_counted_to_the_unit(watches: Watches, functions: Functions):
    watch(watches, "factorial", "survives", "items")

    def calls() -> None:
        for _ in range(300):
            here("factorial")(3)
            here("survives")(1)
            list(here("items")(3))

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts(functions) == {"factorial": (3_600, 0), "survives": (1_200, 0), "items": (1_200, 0)}


def test_methods_of_all_kinds_are_watched_and_the_classes_are_as_before_afterwards(
    watches: Watches, functions: Functions
):
    before = {kind: dict(vars(kind)) for kind in (Base, Derived)}
    watch(watches, "Base.price", "Base.static", "Base.of_class")
    assert [Derived().price(), Base.static(), Derived.of_class()] == [1, 2, Derived]
    watches.close()
    assert {kind: dict(vars(kind)) for kind in (Base, Derived)} == before
    Base().price()
    assert counts(functions) == {"price": (1, 0), "static": (1, 0), "of_class": (1, 0)}


def test_an_inherited_method_is_watched_by_the_name_of_the_heir(watches: Watches, functions: Functions):
    before = dict(vars(Derived))
    watch(watches, "Derived.price")
    assert Derived().price() == 1
    watches.close()
    assert dict(vars(Derived)) == before
    assert counts(functions) == {"price": (1, 0)}


def test_a_watch_that_ends_amid_calls_disturbs_none(watches: Watches, functions: Functions):
    watch(watches, "items")
    generator = here("items")(3)
    assert next(generator) == 0
    watches.close()
    assert list(generator) == [1, 2]
    watch(watches, "items")
    assert list(here("items")(2)) == [0, 1]
    watches.close()
    assert counts(functions) == {"items": (2, 0)}


def test_a_decorated_function_is_not_counted_twice(
    watches: Watches, functions: Functions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{__name__}.tick", functions.profile(tick))
    watch(watches, "tick")
    here("tick")(1.0)
    assert counts(functions) == {"tick": (1, 0)}


@needs_monitoring
def test_who_imported_the_function_before_is_seen_and_others_call_nothing_back(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []
    monkeypatch.setattr(Monitor, "_callbacks", lambda self: _counted(self, seen))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - of a Monitor
    watches = Watches(functions)
    watch(watches, "tick")
    assert [other() for _ in range(5)] == [1] * 5
    list(items(3))
    with contextlib.suppress(LookupError):
        falls(0)
    assert seen == ["unwound"]
    assert imported_before(2.0) == 2.0
    assert seen == ["unwound", "started", "returned"]
    watches.close()


def _counted(monitor: Monitor, seen: list[str]) -> dict[int, Callable[..., Any]]:
    api: Any = vars(sys)["monitoring"]
    events = api.events
    return {
        events.PY_START: lambda *_: seen.append("started"),
        events.PY_RETURN: lambda *_: seen.append("returned"),
        events.PY_UNWIND: lambda *_: seen.append("unwound"),
        events.PY_YIELD: lambda *_: seen.append("suspended"),
        events.PY_RESUME: lambda *_: seen.append("resumed"),
    }


@needs_monitoring
def test_nothing_is_left_in_the_interpreter_when_the_watch_ends(functions: Functions):
    api: Any = vars(sys)["monitoring"]
    watches = Watches(functions)
    stop = watches.watch(f"{__name__}:tick")
    tool = next(one for one in range(6) if api.get_tool(one) == "tickspan")
    assert api.get_local_events(tool, tick.__code__) != 0
    stop()
    assert api.get_tool(tool) is None
    api.use_tool_id(tool, "another")
    try:
        assert (api.get_events(tool), api.get_local_events(tool, tick.__code__)) == (0, 0)
        assert api.register_callback(tool, api.events.PY_START, None) is None
    finally:
        api.free_tool_id(tool)


@needs_monitoring
def test_two_names_of_one_function_are_one_watch_until_both_end(functions: Functions):
    watches = Watches(functions)
    first = watches.watch(f"{__name__}:tick")
    second = watches.watch(f"{__name__}:imported_before")
    tick(1.0)
    first()
    tick(1.0)
    second()
    tick(1.0)
    assert counts(functions) == {"tick": (2, 0)}


@needs_monitoring
def test_open_calls_are_bounded_and_the_latest_are_measured(functions: Functions):
    api: Any = vars(sys)["monitoring"]
    tool = next(one for one in (3, 4) if api.get_tool(one) is None)
    api.use_tool_id(tool, "test")
    monitor = Monitor(tool, most_open=2)
    for event, callback in monitor._callbacks().items():
        api.register_callback(tool, event, callback)
    stop = monitor.watch(items.__code__, functions.record("items"))
    generators = [items(2) for _ in range(4)]
    for generator in generators:
        next(generator)
    assert repr(monitor) == "<Monitor 1 watched, 2 open>"
    assert [list(generator) for generator in generators] == [[1]] * 4
    stop()
    monitor.release()
    assert counts(functions) == {"items": (2, 0)}


def test_where_both_tool_ids_are_taken_the_function_is_replaced_and_diagnostics_say_so(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
):
    told: list[str] = []
    level = "warning" if sys.version_info >= (3, 12) else "info"
    monkeypatch.setattr(watching.diagnostics, level, lambda text, *given: told.append(text % given))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - of texts
    watches = Watches(functions, claim=lambda: None)
    watch(watches, "tick", "factorial")
    imported_before(1.0)
    here("tick")(1.0)
    watches.close()
    assert here("tick") is imported_before
    assert counts(functions) == {"tick": (1, 0)}
    assert told == [
        (
            "watch: functions are replaced where they are defined, since there are no monitoring events"
            f" to be had; who has imported '{__name__}.tick' by name before is not seen"
        )
    ]
