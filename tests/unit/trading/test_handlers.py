"""Message handlers and read loops of every kind: plain, coroutine, called back on threads of others."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import trace

from tickspan.instrumentation import Row, Workbench
from tickspan.testing.capture import Capture
from tickspan.trading import (
    Feed,
    MessagePatch,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    ReadLoopPatch,
    ReportPatch,
    Source,
    current_tick,
    detaching,
    feeds_of,
    open_message,
    orders_of,
)

Apply = Callable[..., type[Any]]
USERS_OWN: ContextVar[str] = ContextVar("users_own", default="")


class DoNotSendError(Exception):
    """What an application raises on purpose."""


def seen() -> tuple[bool, str, bool]:
    """What code finds around it: a span, the user's own variable, a message."""
    is_in_span = trace.get_current_span().get_span_context().is_valid
    return is_in_span, USERS_OWN.get(), open_message() is not None


class Client:
    """A library's client: handlers, parsers, loops."""

    def parse(self, raw: dict[str, str]) -> dict[str, str]:
        """A report."""
        return raw

    async def parse_async(self, raw: dict[str, str]) -> dict[str, str]:
        """The same for event loops."""
        await asyncio.sleep(0)
        return raw

    def on_message(self, raw: dict[str, str]) -> tuple[bool, str, bool]:
        """Handles one message."""
        if "error" in raw:
            raise DoNotSendError(raw["error"])
        self.parse(raw)
        return seen()

    async def on_message_async(self, raw: dict[str, str]) -> tuple[bool, str, bool]:
        """The same for event loops."""
        await asyncio.sleep(0)
        await self.parse_async(raw)
        return self.on_message(raw)

    async def read_loop(self, steps: list[Any]) -> tuple[bool, str, bool]:
        """Reads until it has read enough; what it sets is its own."""
        for step in steps:
            await asyncio.sleep(0)
            if isinstance(step, BaseException):
                raise step
            USERS_OWN.set(step)
        return seen()

    def start(self) -> Coroutine[Any, Any, tuple[bool, str, bool]]:
        """A plain function that makes the loop's coroutine."""
        return self.read_loop([])

    def stream(self) -> Generator[int]:
        """Steps that belong to the consumer."""
        yield 1


def update(_client: Any, raw: Any) -> OrderUpdate:
    return OrderUpdate("house", Source.POLL, OrderStatus(raw["status"]), client_id=raw["id"])


def feed_of(bench: Workbench, _client: Any, _args: tuple[Any, ...]) -> Feed:
    return feeds_of(bench).feed("house", "orders", library="library")


@pytest.fixture
def bench(telemetry: Capture) -> Generator[Workbench]:
    made = Workbench(
        "test",
        telemetry.tracer_provider.get_tracer("test"),
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {"lifecycle_delay_s": 3600},
    )
    yield made
    made.undo()


@pytest.fixture
def apply(bench: Workbench) -> Apply:
    """Applies rows to a fresh copy of the library's client."""
    library = ModuleType("library")
    library.__dict__["Client"] = type("Client", (Client,), dict(vars(Client)))

    def applied(*rows: Row) -> type[Any]:
        for row in rows:
            row.apply(library, bench)
        return library.__dict__["Client"]

    return applied


HANDLERS = (
    ReportPatch("library", "Client.parse", update),
    ReportPatch("library", "Client.parse_async", update),
    MessagePatch("library", "Client.on_message", feed=feed_of),
    MessagePatch("library", "Client.on_message_async", feed=feed_of),
)


def place(bench: Workbench, *client_ids: str) -> None:
    for client_id in client_ids:
        request = OrderRequest(OrderOperation.SUBMIT, "house", "library", client_id=client_id)
        orders_of(bench).begin(request).acknowledge()


def test_a_coroutine_handler_is_told_as_a_plain_one_is(
    apply: Apply, bench: Workbench, telemetry: Capture
) -> None:
    client = apply(*HANDLERS)()
    place(bench, "a", "b")
    assert client.on_message({"id": "a", "status": "filled"}) == (False, "", True)
    assert asyncio.run(client.on_message_async({"id": "b", "status": "filled"})) == (False, "", True)
    assert inspect.iscoroutinefunction(client.on_message_async)
    told = [
        (span.name, span.parent_id, span.attributes["trading.order.event.source"])
        for span in telemetry.spans()
        if span.name.startswith("trading.order.event")
    ]
    assert told == [
        ("trading.order.event filled", 1, "user_stream"),
        ("trading.order.event filled", 2, "user_stream"),
    ]
    assert open_message() is None


def test_handlers_of_two_tasks_have_a_message_each(apply: Apply) -> None:
    client = apply(*HANDLERS)()

    async def both() -> list[tuple[bool, str, bool]]:
        raw = {"id": "x", "status": "filled"}
        return await asyncio.gather(client.on_message_async(raw), client.on_message_async(raw))

    assert asyncio.run(both()) == [(False, "", True)] * 2


def test_a_handler_on_a_thread_of_the_librarys_is_told_and_its_exception_passes(
    apply: Apply, bench: Workbench, telemetry: Capture
) -> None:
    client = apply(*HANDLERS)()
    place(bench, "a")
    raised: list[BaseException] = []

    def call_back() -> None:
        client.on_message({"id": "a", "status": "filled"})
        try:
            client.on_message({"error": "risk"})
        except DoNotSendError as error:
            raised.append(error)

    thread = threading.Thread(target=call_back)
    thread.start()
    thread.join()
    assert [type(error) for error in raised] == [DoNotSendError]
    assert "trading.order.event filled" in [span.name for span in telemetry.spans()]


@pytest.mark.parametrize("handler", ["on_message", "on_message_async"])
def test_a_stream_counts_its_messages_and_hears_of_a_dead_handler(
    apply: Apply, bench: Workbench, telemetry: Capture, handler: str
) -> None:
    client = apply(MessagePatch("library", f"Client.{handler}", feed=feed_of))()

    def handle(raw: dict[str, str]) -> None:
        result = getattr(client, handler)(raw)
        if inspect.iscoroutine(result):
            asyncio.run(result)

    handle({"id": "a", "status": "filled"})
    with pytest.raises(DoNotSendError):
        handle({"error": "price"})
    feed = feed_of(bench, client, ())
    assert (feed.messages, feed.handler_errors) == (2, 1)
    (event,) = telemetry.events("trading.feed.handler_error")
    assert event.attributes["error.type"].endswith("DoNotSendError")


def test_a_handler_that_is_thrown_away_leaves_no_message_open(
    apply: Apply, caplog: pytest.LogCaptureFixture
) -> None:
    coroutine = apply(*HANDLERS)().on_message_async({"id": "a", "status": "filled"})

    async def begin() -> None:
        coroutine.send(None)

    asyncio.run(begin())
    coroutine.close()
    assert (open_message(), caplog.records) == (None, [])


# Loops.


@pytest.fixture
def loops(apply: Apply) -> Any:
    return apply(ReadLoopPatch("library", "Client.read_loop"), ReadLoopPatch("library", "Client.start"))()


def test_a_coroutine_loop_leaves_the_span_behind_and_keeps_the_users_variables(
    loops: Any, telemetry: Capture
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("bot")

    async def awaited() -> tuple[bool, str, bool]:
        with tracer.start_as_current_span("start up"):
            return await loops.read_loop([])

    async def as_a_task() -> tuple[bool, str, bool]:
        with tracer.start_as_current_span("start up"):
            return await asyncio.create_task(loops.read_loop([]))

    async def made_by_a_function() -> tuple[bool, str, bool]:
        with tracer.start_as_current_span("start up"):
            return await asyncio.create_task(loops.start())

    USERS_OWN.set("mine")
    for main in (awaited, as_a_task, made_by_a_function):
        assert asyncio.run(main()) == (False, "mine", False)
    assert inspect.iscoroutinefunction(loops.read_loop)


def test_what_a_loop_sets_stays_with_it_from_step_to_step(loops: Any) -> None:
    async def main() -> tuple[tuple[bool, str, bool], str]:
        USERS_OWN.set("mine")
        return await loops.read_loop(["first", "second"]), USERS_OWN.get()

    assert asyncio.run(main()) == ((False, "second", False), "mine")


def test_the_tasks_of_a_loop_are_detached_too(loops: Any, bench: Workbench, telemetry: Capture) -> None:
    async def child() -> tuple[bool, bool]:
        return trace.get_current_span().get_span_context().is_valid, current_tick() is None

    async def loop() -> tuple[bool, bool]:
        return await asyncio.create_task(child())

    async def main() -> tuple[bool, bool]:
        with telemetry.tracer_provider.get_tracer("bot").start_as_current_span("start up"):
            return await detaching(loop, bench)()

    assert asyncio.run(main()) == (False, True)


def test_a_loops_exception_is_the_callers_and_so_is_its_cancellation(loops: Any) -> None:
    error = ConnectionError("reset")
    with pytest.raises(ConnectionError) as raised:
        asyncio.run(loops.read_loop([error]))
    assert raised.value is error

    async def main() -> bool:
        task = asyncio.create_task(loops.read_loop(["x"] * 1_000_000))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(main())


def test_a_loop_may_be_timed_out_and_may_refuse_to_be_cancelled(bench: Workbench) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "done"
        return "slept"

    async def main() -> str:
        task = asyncio.create_task(detaching(stubborn, bench)())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    async def timed() -> None:
        async with asyncio.timeout(0.01):
            await detaching(asyncio.sleep, bench)(60)

    assert asyncio.run(main()) == "done"
    with pytest.raises(TimeoutError):
        asyncio.run(timed())


def test_a_loop_runs_as_it_was_once_the_instrumentor_is_off(
    loops: Any, bench: Workbench, telemetry: Capture
) -> None:
    kept = type(loops).read_loop
    bench.undo()

    async def main() -> bool:
        with telemetry.tracer_provider.get_tracer("bot").start_as_current_span("start up"):
            return (await kept(loops, []))[0]

    assert asyncio.run(main()) is True


def test_the_steps_of_a_generator_are_its_consumers(bench: Workbench) -> None:
    with pytest.raises(TypeError, match="expected a function or coroutine function to detach"):
        detaching(Client.stream, bench)
