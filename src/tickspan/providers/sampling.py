"""Orders are sampled whatever becomes of the span above them: better a missing root than a missing order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from tickspan.semconv.trading import SPAN_ORDER

_BEGINNING: Final = f"{SPAN_ORDER}."
_LEFT_ALONE: Final = frozenset(
    sampler.get_description() for sampler in (sampling.ALWAYS_ON, sampling.ALWAYS_OFF, sampling.DEFAULT_ON)
)


class OrderSampler(Sampler):
    """Another sampler, which is not asked twice about spans `trading.order.*`: they are recorded."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """What the other one says, but for an order that it would drop."""
        result = self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        if result.decision is Decision.RECORD_AND_SAMPLE or not _is_of_an_order(name):
            return result
        above = trace.get_current_span(parent_context).get_span_context()
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE, attributes, above.trace_state if above.is_valid else None
        )

    def get_description(self) -> str:
        """Which sampler decides about all other spans."""
        return f"OrderSampler{{{self._sampler.get_description()}}}"


def keeping_orders(sampler: Sampler) -> Sampler:
    """`sampler`, or one that decides as it does about everything but orders.

    What samples nothing at all is meant to. What samples every root needs no help: whoever writes an order
    takes its parent for sampled, and a sampler that is not wrapped is not called for each span.
    """
    return sampler if sampler.get_description() in _LEFT_ALONE else OrderSampler(sampler)


def _is_of_an_order(name: object) -> bool:
    return isinstance(name, str) and name.startswith(_BEGINNING)
