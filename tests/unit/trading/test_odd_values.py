"""What programs hand in at run time need not be what the types say: nothing raises, and it is counted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest
from opentelemetry import metrics
from order_stage import OrderStage, answer, fill, report, submit

from tickspan.testing.capture import Capture
from tickspan.trading import Execution, OrderStatus, decimal_of, status_of, unparsed

WORDS = {"open": OrderStatus.NEW, "done": OrderStatus.FILLED}


@pytest.fixture(autouse=True)
def _counted_here(telemetry: Capture, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    def meter(name: str) -> metrics.Meter:
        return telemetry.meter_provider.get_meter(name)

    monkeypatch.setattr(unparsed.metrics, "get_meter", meter)
    unparsed.counter.cache_clear()
    yield
    unparsed.counter.cache_clear()


@pytest.fixture
def unread(telemetry: Capture) -> Callable[[], dict[str, float]]:
    """What was counted so far, by kind."""
    return lambda: {
        point.attributes["trading.unparsed.kind"]: point.value
        for point in telemetry.points("tickspan.trading.unparsed")
    }


@pytest.mark.parametrize("value", ["much", "nan", float("inf"), Decimal("NaN"), Decimal("sNaN"), True, [1]])
def test_what_is_no_quantity_is_left_out_and_counted(
    value: object, unread: Callable[[], dict[str, float]]
) -> None:
    assert decimal_of(value) is None
    assert unread() == {"quantity": 1}


@pytest.mark.parametrize("value", [None, "", 0, "1.5", Decimal(2)])
def test_what_is_absent_or_a_number_is_not_counted(
    value: object, unread: Callable[[], dict[str, float]]
) -> None:
    decimal_of(value)
    assert unread() == {}


@pytest.mark.parametrize(
    ("word", "read", "counted"),
    [
        ("open", (OrderStatus.NEW, None), {}),
        (None, (None, None), {}),
        ("", (None, None), {}),
        ("HALTED", (OrderStatus.UNKNOWN, "HALTED"), {"status": 1}),
        (7, (OrderStatus.UNKNOWN, "7"), {"status": 1}),
        ("x" * 100, (OrderStatus.UNKNOWN, "x" * 64), {"status": 1}),
    ],
)
def test_a_word_that_nobody_knows_is_unknown_and_kept(
    word: object, read: object, counted: dict[str, float], unread: Callable[[], dict[str, float]]
) -> None:
    assert status_of(WORDS, word) == read
    assert unread() == counted


def test_a_report_with_an_unknown_word_is_told_with_it_and_changes_no_state(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.observe(replace(report(cast("Any", "suspended")), received_ns=5))
    (submitted, event) = stage.telemetry.spans()
    assert (submitted.name, event.name) == ("trading.order.submit sim", "trading.order.event unknown")
    assert event.attributes["trading.order.status_raw"] == "suspended"
    assert "trading.order.late" not in event.attributes
    assert stage.points("order.open_unknown") == {(): 0}
    assert stage.said() == [("order.new", "INFO"), ("order.ack", "INFO")]


def test_an_unknown_word_of_a_lost_order_finds_it(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.begin(submit()).fail("TimeoutError")
    orders.observe(report(cast("Any", "suspended"), client_id="c-1"))
    assert stage.points("order.open_unknown") == {(): 0}


def test_a_status_in_words_is_understood(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.observe(report(cast("Any", "filled")))
    assert stage.names() == ["order.submit sim", "order.event filled"]


def test_numbers_in_other_types_are_understood_and_others_left_out(
    stage: OrderStage, unread: Callable[[], dict[str, float]]
) -> None:
    orders = stage.orders()
    stage.placed(orders, quantity=cast("Any", "4"), price=cast("Any", object()))
    orders.observe(
        report(
            OrderStatus.PARTIALLY_FILLED,
            cast("Any", "v-1"),
            filled_quantity=cast("Any", 1.0),
            average_price=cast("Any", "cheap"),
        )
    )
    event = stage.telemetry.spans()[-1]
    assert event.attributes["trading.order.filled_ratio"] == 0.25
    assert unread() == {"quantity": 2}


def test_ids_that_are_numbers_are_ids_and_others_are_left_out(
    stage: OrderStage, unread: Callable[[], dict[str, float]]
) -> None:
    orders = stage.orders()
    orders.begin(submit(cast("Any", 17))).acknowledge([answer(OrderStatus.NEW, cast("Any", 4))])
    orders.observe(report(OrderStatus.FILLED, "4", client_id=cast("Any", ["c"])))
    orders.observe(report(None, "4", executions=(Execution(cast("Any", 5)), cast("Any", "x"), fill("x-1"))))
    spans = stage.telemetry.spans()
    assert spans[0].attributes["trading.order.client_id"] == "17"
    assert {span.trace_id for span in spans} == {spans[0].trace_id}
    assert [span.attributes.get("trading.execution.id") for span in spans[1:]] == [None, "5", "x-1"]
    assert unread() == {"id": 2}
