"""What an evaluator is given: points of metrics, spans and log events, each with its sender."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tickspan.analysis.rules.model import Signal
from tickspan.semconv.common import HOST_NAME, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE

__all__ = [
    "ExplicitBuckets",
    "ExponentialBuckets",
    "HistogramPoint",
    "Occurrence",
    "PointKind",
    "Reading",
    "Sender",
    "Value",
    "Worst",
]

Value: TypeAlias = str | bool | int | float
"""Of an attribute, as far as rules read it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A process, by its resource.

    Attributes:
        job: `service.namespace/service.name`, or the name alone, as Prometheus translates a resource.
        instance: `service.instance.id`.
        host_name: `host.name`.
        attributes: all attributes of the resource.
    """

    job: str
    instance: str
    host_name: str
    attributes: Mapping[str, Value]

    @staticmethod
    def of(attributes: Mapping[str, Value]) -> Sender:
        """The sender that a resource describes."""
        name = str(attributes.get(SERVICE_NAME, ""))
        namespace = str(attributes.get(SERVICE_NAMESPACE, ""))
        return Sender(
            f"{namespace}/{name}" if namespace and name else name,
            str(attributes.get(SERVICE_INSTANCE_ID, "")),
            str(attributes.get(HOST_NAME, "")),
            attributes,
        )


class PointKind(enum.Enum):
    """What a point's value is."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """A monotonic sum, cumulative."""
    HISTOGRAM = "histogram"
    """Cumulative."""


class ExplicitBuckets(NamedTuple):
    """Buckets up to and including each bound, and one above the last.

    Attributes:
        bounds: ascending.
        counts: one more than bounds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]


class ExponentialBuckets(NamedTuple):
    """Buckets `(base^index, base^(index+1)]` with `base = 2^(2^-scale)`; counts by index.

    Attributes:
        scale: of the point.
        zero: measurements in the zero bucket.
        positive: counts by index of values above zero.
        negative: the same for values below.
    """

    scale: int
    zero: int
    positive: Mapping[int, int]
    negative: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    """A cumulative histogram."""

    count: int
    sum: float
    buckets: ExplicitBuckets | ExponentialBuckets


class Worst(NamedTuple):
    """The worst measurement since the last reading, for the trace that it happened in."""

    value: float
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One series at one time. Sums and histograms are cumulative since `start_s`; a later start is a reset.

    Attributes:
        sender: whose series it is.
        metric: OpenTelemetry name.
        kind: of the value.
        attributes: of the point.
        value: a number, or a `HistogramPoint` with kind `HISTOGRAM`.
        start_s: when adding up began.
        worst: if it is known.
    """

    sender: Sender
    metric: str
    kind: PointKind
    attributes: Mapping[str, Value]
    value: float | HistogramPoint
    start_s: float = 0.0
    worst: Worst | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A span that ended, or a log event.

    Attributes:
        sender: whose it is.
        signal: which of the two.
        name: of the span, or the event name.
        attributes: of it.
        status: `unset`, `ok`, `error`; a log event has `unset`.
        duration_s: of a span; 0 for a log event.
        trace_id: hexadecimal, or "".
        span_id: the same.
    """

    sender: Sender
    signal: Signal
    name: str
    attributes: Mapping[str, Value]
    status: str = "unset"
    duration_s: float = 0.0
    trace_id: str = ""
    span_id: str = ""
