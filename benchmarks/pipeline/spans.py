"""Recorders of spans: each contender's own way to tell of one order, with five attributes.

The loops are alike but for the calls under test: what a loop itself costs is in the empty row. Peers are
imported by name, since they are installed in an environment of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

from .payload import (
    IS_MAKER,
    MAKERS,
    PRICE,
    PRICES,
    SCOPE,
    SEQUENCE,
    SERVICE,
    SPAN,
    SYMBOL,
    SYMBOLS,
    VENUE,
    VENUES,
)

_FLUSH_S = 30


@dataclass(frozen=True, slots=True)
class Recorder:
    """A contender, ready to record."""

    library: str
    """What records, with its version."""
    record: Callable[[int, int], None]
    """Records that many from the number on."""
    flush: Callable[[], object]
    """Returns when what was recorded has been handed over, or after 30 seconds."""


def nothing() -> Recorder:
    """The loop without telemetry."""

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            _ = VENUES[number & 3], PRICES[number & 7], MAKERS[number & 1], SYMBOLS[number & 7]

    return Recorder("no telemetry", record, lambda: None)


def stock_http() -> Recorder:
    """The SDK with its batch processor and exporter over OTLP/HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = "opentelemetry-exporter-otlp-proto-http"
    return _sdk(BatchSpanProcessor(OTLPSpanExporter()), f"SDK {version('opentelemetry-sdk')}, {name}")


def stock_grpc() -> Recorder:
    """The SDK with its batch processor and exporter over OTLP/gRPC."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    peer: Any = import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")

    name = "opentelemetry-exporter-otlp-proto-grpc"
    processor = BatchSpanProcessor(peer.OTLPSpanExporter(insecure=True))
    return _sdk(processor, f"SDK {version('opentelemetry-sdk')}, {name}")


def fastotel() -> Recorder:
    """The SDK's spans, batched, encoded and sent by a native thread."""
    peer: Any = import_module("fastotel")
    return _sdk(
        peer.OTLPSpanProcessor(), f"fastotel {version('fastotel')}, SDK {version('opentelemetry-sdk')}"
    )


def ddtrace() -> Recorder:
    """Datadog's tracer with its own interface and protocol; what it starts beside tracing is off."""
    peer: Any = import_module("ddtrace.trace")
    trace = peer.tracer.trace

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            with trace(SPAN) as span:
                span.set_tag(VENUE, VENUES[number & 3])
                span.set_metric(PRICE, PRICES[number & 7])
                span.set_metric(SEQUENCE, number)
                span.set_tag(IS_MAKER, MAKERS[number & 1])
                span.set_tag(SYMBOL, SYMBOLS[number & 7])

    return Recorder(f"ddtrace {version('ddtrace')}", record, peer.tracer.flush)


def tickspan() -> Recorder:
    """Ours, as `tickspan.init()` sets it up from the environment."""
    from opentelemetry import trace

    import tickspan as ours

    ours.init(service_name=SERVICE)
    return _of_provider(trace.get_tracer_provider(), our_library())


def our_library() -> str:
    """Version of tickspan and in which form its hot modules run."""
    from tickspan_spool.twins import chosen, implementation

    form = implementation()
    if form == "mixed":
        form += f" (interpreted: {', '.join(twin.name for twin in chosen() if not twin.is_compiled)})"
    return f"tickspan {version('tickspan')}, {form}"


RECORDERS: Mapping[str, Callable[[], Recorder]] = {
    "nothing": nothing,
    "stock-http": stock_http,
    "stock-grpc": stock_grpc,
    "fastotel": fastotel,
    "ddtrace": ddtrace,
    "tickspan": tickspan,
}


def _sdk(processor: Any, library: str) -> Recorder:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return _of_provider(provider, library)


def _of_provider(provider: Any, library: str) -> Recorder:
    tracer = provider.get_tracer(SCOPE)
    start = tracer.start_as_current_span

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            with start(SPAN) as span:
                span.set_attribute(VENUE, VENUES[number & 3])
                span.set_attribute(PRICE, PRICES[number & 7])
                span.set_attribute(SEQUENCE, number)
                span.set_attribute(IS_MAKER, MAKERS[number & 1])
                span.set_attribute(SYMBOL, SYMBOLS[number & 7])

    return Recorder(library, record, lambda: provider.force_flush(_FLUSH_S * 1000))
