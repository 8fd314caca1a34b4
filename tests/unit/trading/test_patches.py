"""The kinds of rows, on a small library of our own that is shaped like a venue client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any, ClassVar

import pytest
from opentelemetry import trace

from tickspan.instrumentation import MissingTargetError, Row, Workbench, suppressed
from tickspan.recording import strict
from tickspan.testing.capture import Capture
from tickspan.trading import (
    MessagePatch,
    OrderCall,
    OrderCallPatch,
    OrderMethod,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    PerClass,
    Point,
    ReadLoopPatch,
    Reject,
    ReportPatch,
    Source,
    Verdict,
    open_call,
    open_message,
)

Apply = Callable[..., ModuleType]
USERS_OWN: ContextVar[str] = ContextVar("users_own", default="")


class RefusedError(Exception):
    """The library's own error."""


class Client:
    """The library: a client that places orders, hears of them, and runs a loop."""

    aliases: ClassVar[dict[str, str]] = {"place_order": "placeOrder"}

    def __init__(self) -> None:
        for name, alias in self.aliases.items():
            setattr(type(self), alias, getattr(type(self), name))

    def place_order(self, order_id: str) -> dict[str, str]:
        """Sent and answered at once; an empty id is refused."""
        call = open_call()
        if call is not None:
            call.mark(Point.SENT)
        if not order_id:
            raise RefusedError("key=secret")
        return self.parse({"id": order_id, "status": "new"})

    async def place_order_async(self, order_id: str) -> dict[str, str]:
        """The same for event loops."""
        await asyncio.sleep(0)
        return self.place_order(order_id)

    def parse(self, raw: dict[str, str]) -> dict[str, str]:
        """Every report goes through here."""
        return raw

    def on_message(self, *raws: dict[str, str]) -> list[dict[str, str]]:
        """A message may carry several reports."""
        return [self.parse(raw) for raw in raws]

    def connect(self) -> tuple[bool, str]:
        """What a loop would see: whether a span is current, and the user's own variable."""
        return trace.get_current_span().get_span_context().is_valid, USERS_OWN.get()


def describe(_client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> OrderRequest:
    order_id = args[0] if args else kwargs["order_id"]
    return OrderRequest(OrderOperation.SUBMIT, "house", "library", client_id=order_id or None)


def update(_client: Any, raw: Any) -> OrderUpdate:
    return OrderUpdate("house", Source.POLL, OrderStatus(raw["status"]), client_id=raw["id"])


def answers(client: Any, result: Any) -> Sequence[OrderUpdate]:
    return [update(client, result)]


def judge(_client: Any, error: BaseException, call: OrderCall) -> Verdict:
    return Verdict(type(error).__name__, Reject("house:1") if call.is_sent else None)


METHOD = OrderMethod(describe, answers, judge)
ROWS: tuple[Row, ...] = (
    OrderCallPatch("library", "Client.place_order", METHOD),
    OrderCallPatch("library", "Client.place_order_async", METHOD),
    ReportPatch("library", "Client.parse", update),
    MessagePatch("library", "Client.on_message"),
    ReadLoopPatch("library", "Client.connect"),
    OrderCallPatch("library", "Client.absent", METHOD, optional=True),
)


@pytest.fixture
def apply(telemetry: Capture) -> Generator[Apply]:
    """Applies rows to a fresh copy of the library, and takes them back after the test."""
    bench = Workbench(
        "test",
        telemetry.tracer_provider.get_tracer("test"),
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {"lifecycle_delay_s": 3600},
    )
    library = ModuleType("library")
    library.__dict__["Client"] = type("Client", (Client,), dict(vars(Client)))

    def applied(*rows: Row) -> ModuleType:
        for row in rows or ROWS:
            row.apply(library, bench)
        return library

    yield applied
    bench.undo()


def names(telemetry: Capture) -> list[str]:
    return [span.name.removeprefix("trading.order.") for span in telemetry.spans()]


def test_a_call_is_told_once_whichever_function_leads_to_which(apply: Apply, telemetry: Capture) -> None:
    client = apply().Client()
    assert client.place_order("a") == {"id": "a", "status": "new"}
    assert asyncio.run(client.place_order_async(order_id="b")) == {"id": "b", "status": "new"}
    assert names(telemetry) == ["submit house", "submit house"]
    assert [span.attributes["trading.order.status"] for span in telemetry.spans()] == ["new", "new"]


def test_the_librarys_error_passes_and_its_text_stays_behind(apply: Apply, telemetry: Capture) -> None:
    client = apply().Client()
    with pytest.raises(RefusedError, match="key=secret"):
        client.place_order("")
    (span,) = telemetry.spans()
    assert (span.status, span.attributes["error.type"]) == ("error", "house:1")
    assert "secret" not in repr(span)


def test_nothing_is_told_while_suppressed(apply: Apply, telemetry: Capture) -> None:
    client = apply().Client()
    with suppressed():
        client.place_order("a")
    assert telemetry.spans() == []


def test_reports_of_one_message_are_told_when_it_has_been_handled(apply: Apply, telemetry: Capture) -> None:
    client = apply().Client()
    client.place_order("a")
    client.place_order("b")
    client.on_message({"id": "a", "status": "filled"}, {"id": "b", "status": "canceled"})
    assert names(telemetry) == ["submit house", "submit house", "event filled", "event canceled"]
    assert [span.parent_id for span in telemetry.spans()[2:]] == [1, 2]
    assert telemetry.spans()[2].attributes["trading.order.event.source"] == "user_stream"
    assert open_message() is None


def test_a_report_outside_of_any_message_was_asked_for(apply: Apply, telemetry: Capture) -> None:
    client = apply().Client()
    client.place_order("a")
    client.parse({"id": "a", "status": "filled"})
    client.parse({"id": "somebody else's", "status": "filled"})
    assert names(telemetry) == ["submit house", "event filled"]
    assert telemetry.spans()[1].attributes["trading.order.event.source"] == "poll"


def test_a_loop_leaves_the_span_behind_and_keeps_the_users_variables(
    apply: Apply, telemetry: Capture
) -> None:
    client = apply().Client()
    USERS_OWN.set("mine")
    with telemetry.tracer_provider.get_tracer("bot").start_as_current_span("start up"):
        assert client.connect() == (False, "mine")


def test_a_broken_reader_stays_between_us(apply: Apply, telemetry: Capture) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    method = OrderMethod(broken, broken, broken)
    client = apply(
        OrderCallPatch("library", "Client.place_order", method),
        ReportPatch("library", "Client.parse", broken),
    ).Client()
    with strict(value=False):
        assert client.place_order("a") == {"id": "a", "status": "new"}
    assert telemetry.spans() == []


def test_per_class_finds_classes_to_come_and_the_names_the_library_binds(
    apply: Apply, telemetry: Capture
) -> None:
    def make(original: Any, _owner: type, bench: Workbench) -> Any:
        return METHOD.around(original, bench, "place_order")

    row = PerClass("library", ("Base", "Client"), {"place_order": make}, Client.aliases.__getitem__)
    base: type[Any] = apply(row).Client

    class Later(base):
        pass

    client = Later()
    client.place_order("a")
    client.placeOrder("b")
    assert names(telemetry) == ["submit house", "submit house"]
    assert vars(Later)["placeOrder"] is vars(base)["place_order"]


def test_a_row_whose_target_is_gone_says_so(apply: Apply) -> None:
    with pytest.raises(MissingTargetError, match="library has none of Gone, Too"):
        apply(PerClass("library", ("Gone", "Too"), {}))
    with pytest.raises(MissingTargetError, match=r"library has no Client\.gone"):
        apply(MessagePatch("library", "Client.gone"))
