"""Which spans are sampled: orders always, whatever becomes of the span above them."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from tickspan.providers.sampling import OrderSampler, keeping_orders
from tickspan.testing import capture
from tickspan.trading import OrderOperation, OrderRequest, Orders, OrderStatus, OrderUpdate, Source

NEVER = TraceIdRatioBased(0)
UNSAMPLED = SpanContext(
    1, 2, is_remote=True, trace_flags=TraceFlags(0), trace_state=TraceState([("vendor", "1")])
)


def live(tracer: Tracer) -> None:
    """A request that is not sampled, an order in it, its fill and its life."""
    with tracer.start_as_current_span("GET /signal", set_span_in_context(NonRecordingSpan(UNSAMPLED))):
        with capture() as other:
            orders = Orders(tracer, other.meter_provider.get_meter("test"))
            call = orders.begin(OrderRequest(OrderOperation.SUBMIT, "sim", "test", client_id="c-1"))
        call.acknowledge()
        orders.observe(OrderUpdate("sim", Source.USER_STREAM, OrderStatus.FILLED, client_id="c-1"))
        orders.close()


ORDER = ["trading.order.submit sim", "trading.order.event filled", "trading.order.lifecycle"]


@pytest.mark.parametrize(
    "sampler", [DEFAULT_ON, DEFAULT_OFF, ParentBased(NEVER), ParentBased(TraceIdRatioBased(0.5)), NEVER]
)
def test_an_order_below_a_parent_that_is_not_sampled_is_told_and_nothing_else(sampler: Sampler) -> None:
    with capture(sampler=keeping_orders(sampler)) as telemetry:
        live(telemetry.tracer_provider.get_tracer("test"))
        spans = telemetry.spans()
    assert [span.name for span in spans] == ORDER
    assert [(span.trace_id, span.parent_id is not None) for span in spans] == [(1, True)] * 3


def test_the_stock_provider_tells_it_too() -> None:
    exporter = InMemorySpanExporter()
    provider = StockTracerProvider(keeping_orders(ParentBased(NEVER)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    live(provider.get_tracer("test"))
    assert sorted(span.name for span in exporter.get_finished_spans()) == sorted(ORDER)


def test_an_order_without_a_parent_is_told_by_a_sampler_that_drops_roots() -> None:
    with capture(sampler=keeping_orders(ParentBased(NEVER))) as telemetry:
        tracer = telemetry.tracer_provider.get_tracer("test")
        for name in ("GET /", "trading.order.submit sim", "trading.order", "trading.feed.message"):
            tracer.start_span(name).end()
        assert [span.name for span in telemetry.spans()] == ["trading.order.submit sim"]


def test_the_parents_trace_state_goes_on() -> None:
    result = OrderSampler(NEVER).should_sample(
        set_span_in_context(NonRecordingSpan(UNSAMPLED)), 1, "trading.order.submit sim", attributes={"a": 1}
    )
    assert result.decision.is_sampled()
    assert (result.trace_state, dict(result.attributes)) == (UNSAMPLED.trace_state, {"a": 1})


def test_a_sampler_that_samples_all_or_nothing_stays_as_it_is() -> None:
    assert [keeping_orders(sampler) for sampler in (ALWAYS_ON, ALWAYS_OFF, DEFAULT_ON)] == [
        ALWAYS_ON,
        ALWAYS_OFF,
        DEFAULT_ON,
    ]


def test_nothing_means_nothing() -> None:
    with capture(sampler=keeping_orders(ALWAYS_OFF)) as telemetry:
        live(telemetry.tracer_provider.get_tracer("test"))
        assert telemetry.spans() == []


def test_a_sampler_says_whom_it_asks() -> None:
    assert OrderSampler(NEVER).get_description() == "OrderSampler{TraceIdRatioBased{0}}"
