"""Exemplars: the SDK's filters and reservoirs, as the recording side wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.environment_variables import OTEL_METRICS_EXEMPLAR_FILTER
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    ExemplarReservoir,
    TraceBasedExemplarFilter,
)
from opentelemetry.trace import get_current_span

from tickspan.providers.views import StreamPlan
from tickspan.recording import Guard, clean_attributes
from tickspan.recording._impl import metering
from tickspan.recording.reservoirs import Exemplar, LatestOfBucket, Reservoir, Sample, Uniform

Clock = Callable[[], int]
Sampler = Callable[[Any, Any, Any], "Sample | None"]
"""(value, attributes, context) to what reservoirs are offered; None is nothing."""

_MOST_OF_EXPONENTIAL: Final = 20
_FILTERS: Final[Mapping[str, Callable[[], ExemplarFilter]]] = {
    "trace_based": TraceBasedExemplarFilter,
    "always_on": AlwaysOnExemplarFilter,
}


def asked_filter(given: ExemplarFilter | None, environ: Mapping[str, str]) -> ExemplarFilter | None:
    """The filter that somebody asked for. Unasked there are no exemplars: they cost more than the metric."""
    if given is None:
        make = _FILTERS.get(environ.get(OTEL_METRICS_EXEMPLAR_FILTER, ""))
        return None if make is None else make()
    return None if isinstance(given, AlwaysOffExemplarFilter) else given


def sampler_of(exemplar_filter: ExemplarFilter, clock: Clock) -> Sampler:
    """Picks measurements by `exemplar_filter`, which is the user's: behind the guard."""
    guard = Guard("exemplar filter", type(exemplar_filter).__qualname__)
    return partial(guard.user, partial(_sample, exemplar_filter, clock), default=None)


def _sample(
    exemplar_filter: ExemplarFilter, clock: Clock, value: float, attributes: Any, context: Context | None
) -> Sample | None:
    context = get_current() if context is None else context
    time_ns = clock()
    if not exemplar_filter.should_sample(value, time_ns, attributes, context):
        return None
    span = get_current_span(context).get_span_context()
    cleaned = clean_attributes(attributes) if attributes else {}
    return Sample(value, time_ns, span.trace_id, span.span_id, cleaned, context)


def reservoirs_of(plan: StreamPlan) -> Callable[[], Reservoir]:
    """Makes the reservoirs of a stream: the SDK's choice, or what the view names."""
    if plan.reservoir_factory is not None:
        return partial(Foreign, plan)
    if plan.shape.kind == metering.BUCKETS:
        return partial(LatestOfBucket, plan.shape.bounds)
    return partial(Uniform, _size_of(plan))


def _size_of(plan: StreamPlan) -> int:
    is_exponential = plan.shape.kind == metering.EXPONENTIAL
    return min(_MOST_OF_EXPONENTIAL, plan.shape.size) if is_exponential else 1


class Foreign:
    """A reservoir of the user's."""

    def __init__(self, plan: StreamPlan) -> None:
        self._guard = Guard("exemplar reservoir", plan.name)
        self._reservoir: ExemplarReservoir | None = self._guard.user(_made, plan, default=None)

    def offer(self, sample: Sample) -> None:
        """Offer it to the user's."""
        if self._reservoir is not None:
            self._guard.user(
                self._reservoir.offer,
                *(sample.value, sample.time_ns, sample.attributes, sample.context),
                default=None,
            )

    def taken(self, attributes: Mapping[str, Any]) -> list[Exemplar]:
        """What the user's kept."""
        return self._guard.user(self._told, attributes, default=[])

    def _told(self, attributes: Mapping[str, Any]) -> list[Exemplar]:
        if self._reservoir is None:
            return []
        return [
            (
                int(kept.time_unix_nano),
                kept.value if type(kept.value) is int else float(kept.value),
                kept.trace_id or 0,
                kept.span_id or 0,
                clean_attributes(kept.filtered_attributes or {}),
            )
            for kept in self._reservoir.collect(dict(attributes))
        ]


def _made(plan: StreamPlan) -> ExemplarReservoir:
    assert plan.reservoir_factory is not None
    make: Any = plan.reservoir_factory(plan.sdk_class)
    if plan.shape.kind == metering.BUCKETS:
        return make(boundaries=plan.shape.bounds)
    return make(size=_size_of(plan)) if plan.shape.kind == metering.EXPONENTIAL else make()
