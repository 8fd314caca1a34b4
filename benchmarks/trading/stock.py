"""What the stock SDK records in these measurements: one span of five attributes, numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tickspan.received import ReceivedSpan

SPAN: Final = "decide"
NUMBER: Final = "app.number"
ATTRIBUTES: Final[Mapping[str, str | int | float | bool]] = {
    "app.symbol": "BTC/USDT",
    "app.side": "buy",
    "app.spread": 0.25,
    "app.is_maker": True,
}
"""With the number, five: two texts, two numbers, one boolean."""


class Spans:
    """Current spans of five attributes."""

    def __init__(self, tracer: Any) -> None:
        self._start = tracer.start_as_current_span
        self._attributes: Sequence[tuple[str, Any]] = tuple(ATTRIBUTES.items())
        self.count = 0

    def record(self, count: int) -> None:
        """So many."""
        for _ in range(count):
            self.one()

    def one(self) -> None:
        """The next."""
        with self._start(SPAN) as span:
            span.set_attribute(NUMBER, self.count)
            for name, value in self._attributes:
                span.set_attribute(name, value)
        self.count += 1


def recording(endpoint: str, sampler: Any = None) -> Any:
    """A provider with the SDK's own batch processor, which sends there; without a sampler, everything."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(sampler, resource=Resource.create({"service.name": "stock"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    return provider


def whole(spans: Iterable[ReceivedSpan], count: int) -> int:
    """How many of `count` spans came once, with their attributes."""
    numbers = Counter(
        span.attributes.get(NUMBER)
        for span in spans
        if span.name == SPAN and ATTRIBUTES.items() <= span.attributes.items()
    )
    return sum(numbers[number] == 1 for number in range(count))
