"""The metric fact: what is known of a metric before a point of it was seen."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["MetricFact", "MetricKind"]


class MetricKind(enum.StrEnum):
    """The instrument. Observable ones are as their synchronous twins."""

    COUNTER = "counter"
    UPDOWNCOUNTER = "updowncounter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"

    @property
    def is_level(self) -> bool:
        """Whether a point tells how it stands, not how much came."""
        return self in {MetricKind.GAUGE, MetricKind.UPDOWNCOUNTER}


@dataclass(frozen=True, slots=True)
class MetricFact:
    """One metric.

    Attributes:
        name: OpenTelemetry's.
        kind: the instrument.
        unit: UCUM.
        attributes: of its points; empty is not known.
        bounds: of a histogram's explicit buckets; None is exponential, or not known.
    """

    name: str
    kind: MetricKind
    unit: str = ""
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] | None = None
