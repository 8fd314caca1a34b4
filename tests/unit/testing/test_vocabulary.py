"""Telemetry with `trading.*` names is held against the registry, signal by signal."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tickspan.semconv import trading as names
from tickspan.testing import Capture, capture


def one(options: CallbackOptions) -> Iterable[Observation]:
    del options
    return [Observation(1)]


def declared(meter: Meter) -> None:
    meter.create_counter(names.METRIC_ORDER_FILLS, unit="{fill}").add(1, {names.VENUE_NAME: "binance"})
    meter.create_histogram(names.METRIC_TICK_TO_TRADE, unit="s").record(0.1, {names.INSTRUMENT_SYMBOL: "X"})
    meter.create_observable_gauge(names.METRIC_ORDER_OPEN, [one], unit="{order}")


def test_what_is_declared_is_no_finding() -> None:
    with capture() as told:
        tracer = told.tracer_provider.get_tracer("test")
        tracer.start_span("trading.order.submit binance", attributes={names.ORDER_SIDE: "buy"}).end()
        declared(told.meter_provider.get_meter("test"))
        logger = told.logger_provider.get_logger("test")
        logger.emit(LogRecord(event_name=names.EVENT_ORDER_NEW, attributes={names.ORDER_CLIENT_ID: "1"}))
        assert told.undeclared() == []


def test_names_of_others_are_their_own_affair() -> None:
    with capture() as told:
        told.tracer_provider.get_tracer("test").start_span("tradings", attributes={"trade.id": 1}).end()
        told.meter_provider.get_meter("test").create_counter("orders").add(1, {"trade.id": 1})
        assert told.undeclared() == []


def test_a_span_and_its_attributes_events_and_links_are_looked_at() -> None:
    with capture() as told:
        tracer = told.tracer_provider.get_tracer("test")
        with tracer.start_as_current_span("trading.order.amend binance", attributes={"trading.a": 1}) as span:
            span.add_event("filled", {"trading.b": 1})
            span.add_link(span.get_span_context(), {"trading.c": 1})
        assert told.undeclared() == [
            "attribute trading.a of span trading.order.amend is not declared",
            "attribute trading.b of event filled of span trading.order.amend is not declared",
            "attribute trading.c of link of span trading.order.amend is not declared",
            "span trading.order.amend is not declared",
        ]


def test_an_event_and_a_log_record_are_looked_at() -> None:
    with capture() as told:
        logger = told.logger_provider.get_logger("test")
        logger.emit(LogRecord(event_name="trading.order.moved", attributes={"trading.a": 1}))
        logger.emit(LogRecord(body="words", attributes={"trading.b": 1}))
        assert told.undeclared() == [
            "attribute trading.a of event trading.order.moved is not declared",
            "attribute trading.b of log record is not declared",
            "event trading.order.moved is not declared",
        ]


def test_a_metric_has_its_declared_name_unit_and_instrument() -> None:
    with capture() as told:
        meter = told.meter_provider.get_meter("test")
        meter.create_counter("tickspan.trading.parsed").add(1)
        meter.create_histogram(names.METRIC_TICK_TO_FILL, unit="ms").record(1)
        meter.create_up_down_counter(names.METRIC_ORDER_OPEN, unit="{order}").add(1)
        assert told.undeclared() == [
            "metric tickspan.trading.parsed is not declared",
            "metric trading.order.open is no gauge but of kind updowncounter",
            "metric trading.tick_to_fill has unit 'ms' and is declared with 's'",
        ]


@pytest.mark.parametrize("key", [names.ORDER_CLIENT_ID, names.ORDER_QUANTITY, "trading.a"])
def test_a_measurement_carries_what_is_declared_for_metrics_only(key: str) -> None:
    with capture() as told:
        told.meter_provider.get_meter("test").create_counter("orders").add(1, {key: "x"})
        assert told.undeclared() == [f"attribute {key} of metric orders is not declared for metrics"]


def test_what_was_cleared_is_still_a_finding(telemetry: Capture) -> None:
    with capture() as told:
        told.tracer_provider.get_tracer("test").start_span("trading.a").end()
        told.clear()
        assert (told.spans(), told.undeclared()) == ([], ["span trading.a is not declared"])
    assert telemetry.undeclared() == []
