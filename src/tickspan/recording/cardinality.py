"""Cardinality: which metrics have more attribute sets than they may, and which attribute is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tickspan.semconv.metrics import OTEL_METRIC_OVERFLOW


@dataclass(frozen=True, slots=True)
class Cardinality:
    """How many attribute sets one metric has.

    Attributes:
        scope: the meter's name.
        metric: the metric's name.
        series: attribute sets that are kept, the overflow included.
        limit: that many may be kept, beside the overflow.
        refused: attribute sets that went to the overflow. One that comes back much later may count again.
        widest_attribute: the one with the most distinct values; empty when there are no attributes.
        distinct_values: how many values that has among the kept sets.
    """

    scope: str
    metric: str
    series: int
    limit: int
    refused: int
    widest_attribute: str
    distinct_values: int

    def __str__(self) -> str:
        return (
            f"metric '{self.metric}' of '{self.scope}' has reached its limit of {self.limit} attribute sets;"
            f" more are added up under {OTEL_METRIC_OVERFLOW}."
            f" Attribute '{self.widest_attribute}' has {self.distinct_values} values"
        )


def cardinality_of(
    scope: str, metric: str, limit: int, refused: int, kept: Iterable[Mapping[str, Any]]
) -> Cardinality:
    """The report of one metric, from the attributes of each of its series."""
    values: dict[str, set[str]] = {}
    series = 0
    for attributes in kept:
        series += 1
        for key, value in attributes.items():
            values.setdefault(key, set()).add(repr(value))
    widest = max(values, key=lambda key: len(values[key]), default="")
    return Cardinality(scope, metric, series, limit, refused, widest, len(values.get(widest, ())))


def worst_first(reports: Iterable[Cardinality]) -> tuple[Cardinality, ...]:
    """Those that refused most, then those with most series."""
    return tuple(sorted(reports, key=lambda report: (-report.refused, -report.series, report.metric)))
