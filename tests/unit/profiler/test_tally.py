"""Measured functions stay what they were for their callers, and every call is added up. In both forms."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import importlib
import inspect
import pickle
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tickspan.profiler import tally as interpreted


def _compiled() -> Any:
    try:
        return importlib.import_module("tickspan._compiled.profiler.tally")
    except ImportError:
        return None


@pytest.fixture(params=["interpreted", "compiled"])
def form(request: pytest.FixtureRequest) -> Any:
    """The module, interpreted and compiled."""
    found = interpreted if request.param == "interpreted" else _compiled()
    if found is None:
        pytest.skip("no compiled twin of profiler.tally: it needs a compiler")
    return found


def counts(tally: Any) -> tuple[int, int]:
    calls, errors, *_ = tally.totals()
    return calls, errors


def sizes(tally: Any) -> list[int]:
    return [size for size, _ in tally.totals()[5]]


def same(value: object) -> object:
    return value


def listed(value: object) -> list[object]:
    return [value]


def traded(symbol: str, /, quantity: int = 1, *, limit: float | None = None) -> tuple[Any, ...]:
    """A trade."""
    return symbol, quantity, limit


@pytest.mark.parametrize("place", ["_compiled_traded", "_interpreted_traded"])
def test_a_decorated_function_of_a_module_is_pickled_by_name_and_copied_as_itself(place: str):
    function = globals()[place]
    if function is None:
        pytest.skip("no compiled twin of profiler.tally: it needs a compiler")
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function


def _of_module(module: Any, name: str) -> Any:
    def work(value: int) -> int:
        return value

    work.__name__ = work.__qualname__ = name
    return None if module is None else module.measured(work, module.Tally())


_compiled_traded = _of_module(_compiled(), "_compiled_traded")
_interpreted_traded = _of_module(interpreted, "_interpreted_traded")


def test_who_looks_at_a_measured_function_sees_the_function(form: Any):
    measured = form.measured(traded, form.Tally())
    assert inspect.signature(measured) == inspect.signature(traded)
    assert inspect.unwrap(measured) is traded
    assert (measured.__name__, measured.__doc__, measured.__module__) == ("traded", "A trade.", __name__)
    assert (inspect.isroutine(measured), inspect.iscoroutinefunction(measured)) == (True, False)
    assert weakref.ref(measured)() is measured
    measured.label = "own"
    assert vars(measured)["label"] == "own"
    assert not hasattr(measured, "no_such_attribute")


def test_arguments_and_results_pass_as_they_are(form: Any):
    tally = form.Tally()
    measured = form.measured(traded, tally)
    given = ["a list"]
    assert measured(given)[0] is given
    assert measured("A", 2, limit=3.0) == ("A", 2, 3.0)
    assert measured(*("A",), quantity=5) == ("A", 5, None)
    assert functools.partial(measured, "A")(7) == ("A", 7, None)
    for wrong in (measured, lambda: measured(symbol="A"), lambda: measured("A", other=1)):
        with pytest.raises(TypeError, match="traded"):
            wrong()
    assert counts(tally) == (7, 3)


def test_an_error_is_the_same_object_and_shows_the_functions_line(form: Any):
    failure = KeyError("x")

    def fails() -> None:
        raise failure

    tally = form.Tally()
    with pytest.raises(KeyError) as caught:
        form.measured(fails, tally)()
    assert caught.value is failure
    assert caught.traceback[-1].name == "fails"
    assert counts(tally) == (1, 1)


def test_measured_methods_are_bound_as_methods_are(form: Any):
    tally = form.Tally()

    class Book:
        def price(self, more: int = 0) -> tuple[Book, int]:
            return self, more

        def named(self) -> str:
            return "static"

        price = form.measured(price, tally)
        of_class = classmethod(form.measured(same, tally))
        static = staticmethod(form.measured(lambda: "static", tally))
        known = property(form.measured(named, tally))

    class Deeper(Book):
        def price(self, more: int = 0) -> tuple[Book, int]:
            return super().price(more + 1)

    book, deeper = Book(), Deeper()
    bound = book.price
    assert (bound.__self__, bound.__func__, bound(more=2)) == (book, vars(Book)["price"], (book, 2))
    assert [book.price(1), Book.price(book, 1), deeper.price(1)] == [(book, 1), (book, 1), (deeper, 2)]
    assert [Book.of_class(), book.static(), book.known] == [Book, "static", "static"]
    assert counts(tally) == (7, 0)


def test_a_recursion_without_end_fails_as_ever(form: Any):
    tally = form.Tally()

    def deeper(depth: int) -> int:
        return measured(depth + 1)

    measured = form.measured(deeper, tally)
    with pytest.raises(RecursionError):
        measured(0)
    calls, errors = counts(tally)
    assert calls == errors > 50


def test_the_first_container_is_the_size_then_the_first_text_then_what_is_returned(form: Any):
    found: list[list[int]] = []
    for arguments, keywords in (
        (("AAPL", [0] * 9), {}),
        (("AAPL", 5), {"orders": {1: 1, 2: 2}}),
        (("AAPL", 5), {}),
        ((5,), {}),
        ((5, frozenset({1, 2, 3})), {}),
        ((b"12345",), {}),
        ((), {"orders": (1, 2)}),
    ):
        tally = form.Tally()

        def work(*_given: Any, **_named: Any) -> list[int]:
            return [0] * 7

        form.measured(work, tally)(*arguments, **keywords)
        found.append(sizes(tally))
    assert found == [[9], [2], [4], [7], [3], [5], [2]]


def test_a_size_is_taken_before_the_call_can_change_it(form: Any):
    tally = form.Tally()
    form.measured(list.clear, tally)([1, 2, 3])
    assert sizes(tally) == [3]


def test_the_fastest_call_of_each_power_of_two_is_kept(form: Any):
    tally = form.Tally()
    for size, running_ns in ((4, 50), (7, 30), (6, 40), (8, 90), (1 << 62, 10), (0, 1), (-1, 1)):
        tally.add(running_ns, running_ns, is_error=False, size=size)
    tally.add(1, 1, is_error=True, size=5)
    tally.add(99, 1, is_error=False)
    assert tally.totals() == (9, 1, 322, 224, 99, [(7, 30), (8, 90), (1 << 62, 10)])
    tally.clear()
    assert tally.totals() == (0, 0, 0, 0, 0, [])


def test_calls_of_many_threads_are_counted_to_the_unit(form: Any):
    tally = form.Tally()
    measured = form.measured(same, tally)

    def calls() -> None:
        for value in range(20_000):
            measured(value)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before_s)
    assert counts(tally) == (80_000, 0)


def test_a_finalizer_that_calls_while_a_call_is_counted_cannot_lock_up(form: Any):
    tally = form.Tally()
    measured = form.measured(same, tally)

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            measured(1)

    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1, 1, 1)
    try:
        for value in range(3_000):
            measured([Cycle(), value])
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert counts(tally) == (6_000, 0)


def test_calls_leave_nothing_behind(form: Any):
    tally = form.Tally()

    async def waits(value: list[int]) -> list[int]:
        return value

    def fails(value: list[int]) -> None:
        raise ValueError(value)

    called, failing = form.measured(listed, tally), form.measured(fails, tally)

    def once() -> None:
        given = [1]
        called(given)
        with pytest.raises(ValueError, match="1"):
            failing(given)
        steps = form.stepped(waits, (given,), {}, tally)
        with pytest.raises(StopIteration) as stopped:
            next(steps)
        assert stopped.value.value is given

    tracemalloc.start()
    try:
        for _ in range(700):
            once()
        tally.totals()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(300):
            once()
        tally.totals()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300 * 40
    assert counts(tally) == (3_000, 1_000)


@pytest.mark.parametrize("result", [None, 7, (1, 2), (), ValueError("an object"), [1, 2, 3]])
def test_what_a_coroutine_returns_arrives_as_it_is(form: Any, result: object):
    tally = form.Tally()

    async def returns() -> object:
        await asyncio.sleep(0)
        return result

    async def awaits() -> object:
        return await form.stepped(returns, (), {}, tally)

    assert asyncio.run(awaits()) is result
    assert counts(tally) == (1, 0)


def driven(form: Any, tally: Any, function: Callable[..., Any]) -> Generator[Any, Any, Any]:
    """As the decorator makes it."""
    return (yield from form.stepped(function, (), {}, tally))


def test_a_generator_is_sent_to_thrown_into_and_closed(form: Any):
    tally = form.Tally()
    events: list[object] = []

    def echoes() -> Generator[Any, Any, str]:
        got: Any = "first"
        try:
            while got != "stop":
                try:
                    got = yield got
                except KeyError as error:
                    got = error
            return "done"
        finally:
            events.append("ended")

    error = KeyError("thrown")
    generator = driven(form, tally, echoes)
    assert [next(generator), generator.send(1), generator.throw(error), generator.send(None)] == [
        "first",
        1,
        error,
        None,
    ]
    assert counts(tally) == (0, 0)
    with pytest.raises(StopIteration) as stopped:
        generator.send("stop")
    assert (stopped.value.value, counts(tally)) == ("done", (1, 0))
    closed = driven(form, tally, echoes)
    next(closed)
    closed.close()
    failed = driven(form, tally, echoes)
    next(failed)
    with pytest.raises(OSError, match="disk"):
        failed.throw(OSError("disk"))
    left = driven(form, tally, echoes)
    next(left)
    del left
    assert (events, counts(tally)) == (["ended"] * 4, (4, 1))


def test_an_awaitable_without_a_send_of_its_own_is_driven_too(form: Any):
    tally = form.Tally()

    class Answer:
        def __await__(self) -> Generator[Any, Any, int]:
            return (yield from asyncio.sleep(0, 42).__await__())

    async def awaits() -> object:
        return await form.stepped(lambda: Answer().__await__(), (), {}, tally)

    assert (asyncio.run(awaits()), counts(tally)) == (42, (1, 0))
