"""Views: which metric streams an instrument has, decided from the SDK's `View` objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from opentelemetry.metrics import Asynchronous, Synchronous
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter, ObservableGauge
from opentelemetry.sdk.metrics import _Gauge as Gauge
from opentelemetry.sdk.metrics._internal.aggregation import (
    _DEFAULT_EXPLICIT_BUCKET_HISTOGRAM_AGGREGATION_BOUNDARIES,
    _ExplicitBucketHistogramAggregation,
    _ExponentialBucketHistogramAggregation,
    _LastValueAggregation,
    _SumAggregation,
)
from opentelemetry.sdk.metrics._internal.exemplar import ExemplarReservoirBuilder
from opentelemetry.sdk.metrics._internal.view import _default_reservoir_factory
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    DefaultAggregation,
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    SumAggregation,
    View,
)

from tickspan.providers.preferences import Preferences
from tickspan.recording import clean_text, diagnostics
from tickspan.recording._impl import metering, wire
from tickspan.recording.values import clean_name

ReservoirFactory = Callable[[Any], ExemplarReservoirBuilder]
"""The SDK's: from an aggregation class of its own to what makes a reservoir from its arguments."""

_EVERYTHING: Final = View(instrument_name="*")
_MIN_SIZE: Final = 2
_MAX_SIZE: Final = 16_384
_MIN_SCALE: Final = -10
_MAX_SCALE: Final = 20
_DEFAULT_BOUNDS: Final = tuple(_DEFAULT_EXPLICIT_BUCKET_HISTOGRAM_AGGREGATION_BOUNDARIES)
_SDK_CLASS_OF: Final[dict[int, Any]] = {
    metering.SUM: _SumAggregation,
    metering.LAST_VALUE: _LastValueAggregation,
    metering.BUCKETS: _ExplicitBucketHistogramAggregation,
    metering.EXPONENTIAL: _ExponentialBucketHistogramAggregation,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How measurements are aggregated.

    Attributes:
        kind: `metering.SUM`, `LAST_VALUE`, `BUCKETS` or `EXPONENTIAL`.
        bounds: of explicit buckets.
        size: how many exponential buckets there may be on each side.
        scale: that exponential buckets start with.
        has_extremes: whether minimum and maximum are told.
    """

    kind: int
    bounds: tuple[float, ...] = ()
    size: int = 160
    scale: int = _MAX_SCALE
    has_extremes: bool = True


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One metric stream of an instrument.

    Attributes:
        name: of the metric.
        description: of the metric.
        unit: of the metric.
        shape: how measurements are aggregated.
        temporality: `wire.DELTA` or `wire.CUMULATIVE`.
        is_monotonic: of a sum.
        is_synchronous: whether measurements are increments.
        keys: the attributes that count; None is all.
        reservoir_factory: the user's own; None is the default.
    """

    name: str
    description: str
    unit: str
    shape: Shape
    temporality: int
    is_monotonic: bool
    is_synchronous: bool
    keys: frozenset[str] | None
    reservoir_factory: ReservoirFactory | None

    @property
    def sdk_class(self) -> Any:
        """The SDK's aggregation class for this kind."""
        return _SDK_CLASS_OF[self.shape.kind]


def streams_of(instrument: Any, views: Iterable[View], preferences: Preferences) -> tuple[StreamPlan, ...]:
    """The streams of an instrument of the SDK's: one for each view that matches, else the default one.

    A view that makes histograms of what is observed is not applied, and is told, as the SDK does.
    """
    matching = [view for view in views if view._match(instrument) and _is_compatible(view, instrument)]  # noqa: SLF001 - the SDK's own rule
    plans = (_plan(instrument, view, preferences) for view in matching or (_EVERYTHING,))
    return tuple(plan for plan in plans if plan is not None)


def _is_compatible(view: Any, instrument: Any) -> bool:
    histograms = (ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation)
    name: str = instrument.name
    if isinstance(instrument, Asynchronous) and isinstance(view._aggregation, histograms):  # noqa: SLF001
        diagnostics.warning("a view that makes histograms cannot be applied to '%s', which is observed", name)
        return False
    return True


def _plan(instrument: Any, view: Any, preferences: Preferences) -> StreamPlan | None:
    shape = _shape(instrument, view._aggregation, preferences)  # noqa: SLF001
    if shape is None:
        return None
    keys: Iterable[str] | None = view._attribute_keys  # noqa: SLF001
    factory: Any = view._exemplar_reservoir_factory  # noqa: SLF001
    return StreamPlan(
        name=clean_name(view._name or instrument.name),  # noqa: SLF001
        description=clean_text(view._description or instrument.description),  # noqa: SLF001
        unit=clean_text(instrument.unit),
        shape=shape,
        temporality=wire.DELTA if isinstance(instrument, preferences.delta) else wire.CUMULATIVE,
        is_monotonic=isinstance(instrument, (Counter, ObservableCounter)),
        is_synchronous=isinstance(instrument, Synchronous),
        keys=None if keys is None else frozenset(keys),
        reservoir_factory=None if factory is _default_reservoir_factory else factory,
    )


def _shape(instrument: Any, aggregation: Aggregation, preferences: Preferences) -> Shape | None:
    """None is a stream that is dropped."""
    if isinstance(aggregation, DropAggregation):
        return None
    if isinstance(aggregation, (SumAggregation, LastValueAggregation)):
        return Shape(metering.SUM if isinstance(aggregation, SumAggregation) else metering.LAST_VALUE)
    if isinstance(aggregation, ExplicitBucketHistogramAggregation):
        return _explicit(instrument, aggregation)
    if isinstance(aggregation, ExponentialBucketHistogramAggregation):
        return _exponential(aggregation)
    if not isinstance(aggregation, DefaultAggregation):
        diagnostics.warning(
            "aggregation %s of a view on '%s' is not known; the default is used",
            type(aggregation).__name__,
            instrument.name,
        )
    if isinstance(instrument, Histogram):
        return _shape(instrument, preferences.histogram, preferences)
    return Shape(metering.LAST_VALUE if isinstance(instrument, (Gauge, ObservableGauge)) else metering.SUM)


def _explicit(instrument: Any, aggregation: Any) -> Shape:
    given: Sequence[float] | None = aggregation._boundaries  # noqa: SLF001
    if given is None:
        advisory = getattr(instrument, "_advisory", None)
        given = None if advisory is None else advisory.explicit_bucket_boundaries
    has_extremes = bool(aggregation._record_min_max)  # noqa: SLF001
    if given is None:
        return Shape(metering.BUCKETS, _DEFAULT_BOUNDS, has_extremes=has_extremes)
    bounds = tuple(float(bound) for bound in given)
    if not _are_increasing(bounds):
        diagnostics.warning(
            "boundaries of '%s': expected finite numbers, each above the last, got %s; the default is used",
            instrument.name,
            bounds,
        )
        bounds = _DEFAULT_BOUNDS
    return Shape(metering.BUCKETS, bounds, has_extremes=has_extremes)


def _are_increasing(bounds: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, bounds)) and all(low < high for low, high in pairwise(bounds))


def _exponential(aggregation: Any) -> Shape:
    return Shape(
        metering.EXPONENTIAL,
        size=min(max(int(aggregation._max_size), _MIN_SIZE), _MAX_SIZE),  # noqa: SLF001
        scale=min(max(int(aggregation._max_scale), _MIN_SCALE), _MAX_SCALE),  # noqa: SLF001
        has_extremes=bool(aggregation._record_min_max),  # noqa: SLF001
    )
