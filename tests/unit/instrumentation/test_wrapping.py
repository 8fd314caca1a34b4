"""A span around a call of any shape; the caller notices nothing."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from types import ModuleType
from typing import Any, NoReturn

import pytest
from opentelemetry import trace

from tickspan.instrumentation import Operation, Patch, Workbench
from tickspan.testing import Capture, RecordedSpan

Install = Callable[..., Any]


class RefusedError(Exception):
    """The library's own error."""


def describe(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:
    return Operation("CALL", {"args": len(args), **dict.fromkeys(kwargs, True)})


@pytest.fixture
def bench(telemetry: Capture) -> Generator[Workbench]:
    tracer = telemetry.tracer_provider.get_tracer("test")
    bench = Workbench(
        "test",
        tracer,
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {},
    )
    yield bench
    bench.undo()


@pytest.fixture
def install(bench: Workbench) -> Install:
    """A function as the only one of a library, instrumented."""

    def install(function: Any, **options: Any) -> Any:
        module = ModuleType("lib")
        module.call = function  # pyright: ignore[reportAttributeAccessIssue] - made here
        Patch("lib", "call", options.pop("describe", describe), **options).apply(module, bench)
        return module.call

    return install


def current() -> str:
    """The name of the current span, "" if there is none."""
    return getattr(trace.get_current_span(), "name", "")


def told(telemetry: Capture) -> list[tuple[str, str, Any]]:
    return [(span.name, span.status, span.attributes.get("error.type")) for span in telemetry.spans()]


GOOD = [("CALL", "unset", None)]
REFUSED = [("CALL", "error", f"{__name__}.RefusedError")]


# Functions


def test_a_function_has_a_span_around_its_call(install: Install, telemetry: Capture) -> None:
    call = install(lambda *args, **kwargs: (args, kwargs, current()))
    assert call(1, 2, key=3) == ((1, 2), {"key": 3}, "CALL")
    assert telemetry.spans() == [RecordedSpan("CALL", "client", 1, 1, None, {"args": 2, "key": True})]
    assert current() == ""


def test_a_result_is_the_very_object(install: Install) -> None:
    result = object()
    assert install(lambda: result)() is result


def test_an_exception_is_the_very_object_and_marks_the_span(install: Install, telemetry: Capture) -> None:
    error = RefusedError("wrong key")

    def refuse() -> NoReturn:
        raise error

    with pytest.raises(RefusedError) as raised:
        install(refuse)()
    assert raised.value is error
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (None, None, False)
    assert told(telemetry) == REFUSED
    assert [event.name for event in telemetry.spans()[0].events] == ["exception"]
    assert current() == ""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_is_no_exception_class_passes_too(
    install: Install, telemetry: Capture, kind: type[BaseException]
) -> None:
    error = kind()

    def interrupted() -> NoReturn:
        raise error

    with pytest.raises(kind) as raised:
        install(interrupted)()
    assert raised.value is error
    assert len(telemetry.spans()) == 1


def test_a_wrapped_function_looks_like_the_original(install: Install) -> None:
    def original(a: int, /, b: str = "", *, c: float) -> bytes:
        """What it does."""
        return b""

    call = install(original)
    assert inspect.signature(call) == inspect.signature(original)
    assert (call.__name__, call.__qualname__, call.__doc__, call.__module__, call.__wrapped__) == (
        original.__name__,
        original.__qualname__,
        original.__doc__,
        original.__module__,
        original,
    )


def test_wrong_arguments_raise_the_originals_error(install: Install) -> None:
    def original(a: int) -> int:
        return a

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        install(original)()


def test_a_call_that_describe_passes_over_has_no_span(install: Install, telemetry: Capture) -> None:
    assert install(lambda: 7, describe=lambda *_: None)() == 7
    assert telemetry.spans() == []


def test_nested_calls_are_children(install: Install, telemetry: Capture) -> None:
    inner = install(lambda: 7)
    outer = install(lambda *_: inner())
    assert outer() == 7
    assert [(span.span_id, span.parent_id) for span in telemetry.spans()] == [(1, None), (2, 1)]


def test_what_cannot_be_called_is_not_wrapped(install: Install) -> None:
    with pytest.raises(TypeError, match="expected a function or method to wrap, got 7"):
        install(7)


# Coroutines


def test_a_coroutine_function_has_a_span_until_its_result(install: Install, telemetry: Capture) -> None:
    async def original(value: int) -> tuple[int, str]:
        await asyncio.sleep(0)
        return value, current()

    call = install(original)
    assert inspect.iscoroutinefunction(call)
    assert asyncio.run(call(7)) == (7, "CALL")
    assert told(telemetry) == GOOD


def test_an_exception_of_a_coroutine_is_the_very_object(install: Install, telemetry: Capture) -> None:
    error = RefusedError()

    async def refuse() -> NoReturn:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(RefusedError) as raised:
        asyncio.run(install(refuse)())
    assert raised.value is error
    assert told(telemetry) == REFUSED


def test_a_coroutine_returned_by_a_plain_function_is_told_until_its_result(
    install: Install, telemetry: Capture
) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return current()

    def original() -> Coroutine[Any, Any, str]:
        return work()

    async def main() -> tuple[str, str, int, str]:
        coroutine = install(original)()
        between, early = current(), len(telemetry.spans())
        return between, await coroutine, early, current()

    assert asyncio.run(main()) == ("", "CALL", 0, "")
    assert told(telemetry) == GOOD


def test_a_coroutine_may_be_awaited_in_another_task(install: Install, telemetry: Capture) -> None:
    async def original() -> str:
        return current()

    call = install(lambda *_: original())

    async def main() -> tuple[str, str]:
        return await asyncio.create_task(call()), current()

    assert asyncio.run(main()) == ("CALL", "")
    assert told(telemetry) == GOOD


def test_a_cancelled_coroutine_is_cancelled_and_ends_its_span(install: Install, telemetry: Capture) -> None:
    async def main() -> bool:
        task = asyncio.create_task(install(asyncio.Event().wait)())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert told(telemetry) == [("CALL", "error", "asyncio.exceptions.CancelledError")]


def test_tasks_that_overlap_keep_their_spans_apart(install: Install, telemetry: Capture) -> None:
    async def inner(delay: int) -> None:
        for _ in range(delay):
            await asyncio.sleep(0)
        with telemetry.tracer_provider.get_tracer("test").start_as_current_span(f"inside {delay}"):
            await asyncio.sleep(0)

    call = install(inner)

    async def main() -> None:
        await asyncio.gather(call(3), call(1))

    asyncio.run(main())
    parents = {span.name: span.parent_id for span in telemetry.spans() if span.parent_id}
    assert parents == {"inside 3": 1, "inside 1": 2}


def test_a_context_variable_set_in_a_coroutine_stays_set_for_its_caller(install: Install) -> None:
    variable = contextvars.ContextVar("variable", default="before")

    async def original() -> None:
        variable.set("inside")

    async def main() -> str:
        await install(original)()
        return variable.get()

    assert asyncio.run(main()) == "inside"


def test_a_context_variable_set_in_a_generator_stays_set_for_its_consumer(install: Install) -> None:
    variable = contextvars.ContextVar("variable", default="before")

    async def original() -> AsyncGenerator[int]:
        variable.set("inside")
        yield 1

    async def main() -> list[str]:
        return [variable.get() async for _ in install(original)()]

    assert asyncio.run(main()) == ["inside"]


# Generators


def items() -> Generator[str, Any, str]:
    """Tells what is current inside, what was sent and what was thrown in."""
    sent = yield f"first in {current()}"
    try:
        yield f"{sent} in {current()}"
    except RefusedError:
        yield "caught"
    return "returned"


def test_a_generator_is_transparent_to_next_send_and_throw(install: Install, telemetry: Capture) -> None:
    call = install(items)
    assert inspect.isgeneratorfunction(call)
    generator = call()
    seen = [next(generator), current(), generator.send("sent"), current(), generator.throw(RefusedError())]
    early = len(telemetry.spans())
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert seen == ["first in CALL", "", "sent in CALL", "", "caught"]
    assert (early, stopped.value.value) == (0, "returned")
    assert told(telemetry) == GOOD


def test_a_generators_operation_starts_with_its_first_item(install: Install, telemetry: Capture) -> None:
    install(items)().close()
    assert telemetry.spans() == []


def test_a_closed_generator_ends_its_span_well_and_cleans_up(install: Install, telemetry: Capture) -> None:
    cleaned: list[str] = []

    def original() -> Generator[int]:
        try:
            yield 1
        finally:
            cleaned.append(current())

    generator = install(original)()
    next(generator)
    generator.close()
    assert cleaned == ["CALL"]
    assert told(telemetry) == GOOD


def test_a_generator_that_fails_while_it_is_closed_ends_its_span_with_the_error(
    install: Install, telemetry: Capture
) -> None:
    error = RefusedError()

    def original() -> Generator[int]:
        try:
            yield 1
        finally:
            raise error

    generator = install(original)()
    next(generator)
    with pytest.raises(RefusedError) as raised:
        generator.close()
    assert raised.value is error
    assert told(telemetry) == REFUSED


def test_a_generator_that_ignores_its_closing_is_refused_as_ever(install: Install) -> None:
    def original() -> Generator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = install(original)()
    next(generator)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        generator.close()


def test_an_exception_thrown_in_comes_back_out_as_the_very_object(
    install: Install, telemetry: Capture
) -> None:
    error = RefusedError()
    generator = install(items)()
    next(generator)
    with pytest.raises(RefusedError) as raised:
        generator.throw(error)
    assert raised.value is error
    assert told(telemetry) == REFUSED


def test_a_dropped_generator_ends_its_span(install: Install, telemetry: Capture) -> None:
    generator = install(items)()
    next(generator)
    del generator
    gc.collect()
    assert told(telemetry) == GOOD


def test_a_generator_may_be_driven_by_several_threads_in_turn(install: Install, telemetry: Capture) -> None:
    generator = install(items)()
    seen: list[str] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: seen.append(next(generator)))
        thread.start()
        thread.join()
    generator.close()
    assert (seen, current()) == (["first in CALL", "None in CALL"], "")
    assert told(telemetry) == GOOD


def test_a_generator_that_is_not_told_is_the_original(install: Install, telemetry: Capture) -> None:
    generator = install(items, describe=lambda *_: None)()
    seen = [next(generator), generator.send("sent"), generator.throw(RefusedError())]
    assert (seen, telemetry.spans()) == (["first in ", "sent in ", "caught"], [])


# Asynchronous generators


async def async_items() -> AsyncGenerator[str, Any]:
    """As `items`."""
    sent = yield f"first in {current()}"
    try:
        await asyncio.sleep(0)
        yield f"{sent} in {current()}"
    except RefusedError:
        yield "caught"


@pytest.mark.parametrize(
    ("describe_call", "inside", "spans"), [(describe, "CALL", GOOD), (lambda *_: None, "", [])]
)
def test_an_asynchronous_generator_is_transparent(
    install: Install, telemetry: Capture, describe_call: Any, inside: str, spans: list[Any]
) -> None:
    call = install(async_items, describe=describe_call)
    assert inspect.isasyncgenfunction(call)

    async def main() -> list[str]:
        generator = call()
        seen = [await anext(generator), current(), await generator.asend("sent"), current()]
        seen += [await generator.athrow(RefusedError()), *[item async for item in generator]]
        return seen

    assert asyncio.run(main()) == [f"first in {inside}", "", f"sent in {inside}", "", "caught"]
    assert told(telemetry) == spans


def test_an_asynchronous_generators_span_is_not_current_in_its_consumer(
    install: Install, telemetry: Capture
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("test")

    async def main() -> None:
        async for _ in install(async_items)():
            with tracer.start_as_current_span("consumer"):
                await asyncio.sleep(0)

    asyncio.run(main())
    assert [(span.name, span.parent_id) for span in telemetry.spans()] == [
        ("CALL", None),
        ("consumer", None),
        ("consumer", None),
    ]


@pytest.mark.parametrize("describe_call", [describe, lambda *_: None])
def test_a_closed_asynchronous_generator_cleans_up(install: Install, describe_call: Any) -> None:
    cleaned: list[bool] = []

    async def original() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def main() -> None:
        generator = install(original, describe=describe_call)()
        await anext(generator)
        await generator.aclose()

    asyncio.run(main())
    assert cleaned == [True]


def test_a_closed_asynchronous_generator_ends_its_span_well(install: Install, telemetry: Capture) -> None:
    async def main() -> None:
        generator = install(async_items)()
        await anext(generator)
        await generator.aclose()

    asyncio.run(main())
    assert told(telemetry) == GOOD


def test_an_asynchronous_generator_closed_by_the_loop_says_nothing(
    install: Install, telemetry: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async for _ in install(async_items)():
            break
        gc.collect()
        await asyncio.sleep(0)  # the loop closes it in a task of its own
        await asyncio.sleep(0)

    asyncio.run(main())
    assert told(telemetry) == GOOD
    assert caplog.records == []


def test_an_error_of_an_asynchronous_generator_is_the_very_object(
    install: Install, telemetry: Capture
) -> None:
    error = RefusedError()

    async def original() -> AsyncGenerator[int]:
        yield 1
        raise error

    async def main() -> None:
        async for _ in install(original)():
            pass

    with pytest.raises(RefusedError) as raised:
        asyncio.run(main())
    assert raised.value is error
    assert told(telemetry) == REFUSED


# Callbacks


def test_an_operation_ends_when_its_callback_is_called(install: Install, telemetry: Capture) -> None:
    waiting: list[Callable[[str], str]] = []

    def subscribe(topic: str, on_done: Callable[[str], str] | None = None) -> str:
        if on_done is not None:
            waiting.append(on_done)
        return f"{topic} in {current()}"

    call = install(subscribe, callback="on_done", describe_result=lambda _, result: {"result": result})
    assert (call("a", lambda text: text.upper()), call("b", on_done=str.lower)) == ("a in CALL", "b in CALL")
    assert (telemetry.spans(), current()) == ([], "")
    assert [done("Done") for done in waiting] == ["DONE", "done"]
    assert [span.attributes["result"] for span in telemetry.spans()] == ["Done", "Done"]


def test_a_call_without_its_callback_ends_with_its_result(install: Install, telemetry: Capture) -> None:
    def subscribe(on_done: Callable[[], None] | None = None) -> int:
        return 7

    call = install(subscribe, callback="on_done")
    assert (call(), call(None), call(on_done=None)) == (7, 7, 7)
    assert told(telemetry) == GOOD * 3


def test_a_call_that_fails_before_its_callback_ends_with_the_error(
    install: Install, telemetry: Capture
) -> None:
    def subscribe(on_done: Callable[[], None]) -> NoReturn:
        raise RefusedError

    with pytest.raises(RefusedError):
        install(subscribe, callback="on_done")(print)
    assert told(telemetry) == REFUSED


def test_a_callback_may_come_from_another_thread_while_the_call_runs(
    install: Install, telemetry: Capture
) -> None:
    def subscribe(on_done: Callable[[], None]) -> None:
        thread = threading.Thread(target=on_done)
        thread.start()
        thread.join()

    install(subscribe, callback="on_done")(lambda: None)
    assert (told(telemetry), current()) == (GOOD, "")


def test_a_coroutine_function_as_callback_stays_one(install: Install, telemetry: Capture) -> None:
    async def on_done(text: str) -> str:
        return text

    async def subscribe(on_done: Callable[[str], Coroutine[Any, Any, str]]) -> tuple[bool, str]:
        return inspect.iscoroutinefunction(on_done), await on_done("done")

    assert asyncio.run(install(subscribe, callback="on_done")(on_done)) == (True, "done")
    assert told(telemetry) == GOOD


def test_a_callback_that_is_no_parameter_is_refused(install: Install) -> None:
    with pytest.raises(ValueError, match=r"one of \['topic'\], got 'on_done'"):
        install(lambda topic: topic, callback="on_done")
