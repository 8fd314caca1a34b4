"""PromQL over the catalogue: an expression knows which metrics and labels it asks for, and both exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.rules.naming import prometheus_label, prometheus_name
from tickspan.analysis.rules.readings import PointKind
from tickspan.semconv.catalogue import METRICS, Metric

__all__ = [
    "HOST",
    "INSTANCE",
    "JOB",
    "Query",
    "Where",
    "changes",
    "collected",
    "heat",
    "level",
    "mean",
    "quantile",
    "rate",
    "standing",
    "values_of",
]

JOB: Final = "job"
INSTANCE: Final = "instance"
HOST: Final = "host.name"
_OF_RESOURCE: Final = frozenset({JOB, INSTANCE, HOST})
_RATE: Final = "$__rate_interval"
_CHOSEN: Final = 'job=~"$job",instance=~"$instance"'

Where = Mapping[str, str]
"""Attributes and the values, as regular expressions, that they must have."""


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel.

    Attributes:
        expression: PromQL.
        legend: Grafana's template of the series' names.
        unit: UCUM, of the values.
        is_instant: for tables: the latest values only.
        has_exemplars: whether its points can lead to traces.
        is_heatmap: whether the values are buckets.
    """

    expression: str
    legend: str = ""
    unit: str = ""
    is_instant: bool = False
    has_exemplars: bool = False
    is_heatmap: bool = False

    def over(self, other: Query, unit: str = "1") -> Query:
        """This by the other one; where the other is 0 there is no value."""
        return Query(f"({self.expression}) / (({other.expression}) > 0)", self.legend, unit)

    def top(self, count: int) -> Query:
        """The largest of its series."""
        return Query(f"topk({count}, {self.expression})", self.legend, self.unit, self.is_instant)

    def now(self) -> Query:
        """For a table."""
        return Query(self.expression, self.legend, self.unit, is_instant=True)


def rate(name: str, *by: str, where: Where | None = None) -> Query:
    """How much a counter grows, or how often a histogram measures, per second."""
    metric = _metric(name, "counter", "histogram")
    if metric.instrument == "counter":
        series = f"{_name(metric)}{_selector(metric, where)}"
        return Query(_summed(f"rate({series}[{_RATE}])", metric, by), _legend(by), _per_second(metric.unit))
    counted = (
        f"histogram_count({_summed(_native(metric, where), metric, by)})",
        _summed(f"rate({_name(metric)}_count{_selector(metric, where)}[{_RATE}])", metric, by),
    )
    return Query(" or ".join(counted), _legend(by), "/s")


def changes(name: str, *by: str, where: Where | None = None, window: str = "$__range") -> Query:
    """How much a counter grew in the whole time that is shown."""
    metric = _metric(name, "counter")
    series = f"{_name(metric)}{_selector(metric, where)}"
    return Query(_summed(f"increase({series}[{window}])", metric, by), _legend(by), metric.unit)


def level(name: str, *by: str, where: Where | None = None, how: str = "sum") -> Query:
    """How a gauge, or a sum that goes both ways, stands. `how` joins series: sum, max, min, avg."""
    metric = _metric(name, "gauge", "updowncounter")
    series = f"{_name(metric)}{_selector(metric, where)}"
    return Query(_summed(series, metric, by, how), _legend(by), metric.unit)


def quantile(name: str, which: float, *by: str, where: Where | None = None) -> Query:
    """A quantile of a histogram, whether it has exponential buckets or explicit ones."""
    metric = _metric(name, "histogram")
    classic = f"rate({_name(metric)}_bucket{_selector(metric, where)}[{_RATE}])"
    expression = (
        f"histogram_quantile({which:g}, {_summed(_native(metric, where), metric, by)})"
        f" or histogram_quantile({which:g}, {_summed(classic, metric, (*by, 'le'))})"
    )
    words = " ".join(part for part in (_legend(by), f"p{which * 100:g}") if part)
    return Query(expression, words, metric.unit, has_exemplars=True)


def mean(name: str, *by: str, where: Where | None = None) -> Query:
    """The average measurement of a histogram."""
    metric = _metric(name, "histogram")
    native = _summed(_native(metric, where), metric, by)
    chosen = _selector(metric, where)
    added, counted = (
        _summed(f"rate({_name(metric)}_{part}{chosen}[{_RATE}])", metric, by) for part in ("sum", "count")
    )
    return Query(f"histogram_avg({native}) or ({added} / {counted})", _legend(by), metric.unit)


def heat(name: str, where: Where | None = None) -> Query:
    """The buckets of a histogram, over time."""
    metric = _metric(name, "histogram")
    classic = f"rate({_name(metric)}_bucket{_selector(metric, where)}[{_RATE}])"
    expression = f"{_summed(_native(metric, where), metric, ())} or {_summed(classic, metric, ('le',))}"
    return Query(expression, "{{le}}", metric.unit, has_exemplars=True, is_heatmap=True)


def collected(name: str, *by: str) -> Query:
    """How fast a counter of the collector's own grows. Its versions differ in writing `_total` behind it."""
    metric = _metric(name, "counter")
    series = f'{{__name__=~"{name}(_total)?"}}'
    return Query(_summed(f"rate({series}[{_RATE}])", metric, by), _legend(by), "/s")


def standing(name: str, *by: str) -> Query:
    """How a gauge of the collector's own stands."""
    metric = _metric(name, "gauge")
    return Query(_summed(name, metric, by, "max"), _legend(by), metric.unit if metric.unit == "By" else "")


def values_of(name: str, metric: str) -> str:
    """Grafana's question for the values of an attribute."""
    known = METRICS[metric]
    suffix = "_count" if known.instrument == "histogram" else ""
    return f'label_values({{__name__=~"{_name(known)}({suffix})?"}}, {_label(known, name)})'


def _metric(name: str, *instruments: str) -> Metric:
    metric = METRICS[name]
    if metric.instrument not in instruments:
        raise ValueError(f"{name}: expected a {' or '.join(instruments)}, got a {metric.instrument}")
    return metric


def _name(metric: Metric) -> str:
    kinds = {"counter": PointKind.COUNTER, "histogram": PointKind.HISTOGRAM}
    kind = kinds.get(metric.instrument, PointKind.GAUGE)
    return prometheus_name(metric.name, metric.unit, kind, is_sum=metric.instrument == "updowncounter")


def _native(metric: Metric, where: Where | None) -> str:
    return f"rate({_name(metric)}{_selector(metric, where)}[{_RATE}])"


def _selector(metric: Metric, where: Where | None) -> str:
    chosen = [_CHOSEN, *(f'{_label(metric, name)}=~"{value}"' for name, value in (where or {}).items())]
    return f"{{{','.join(chosen)}}}"


def _summed(series: str, metric: Metric, by: Sequence[str], how: str = "sum") -> str:
    labels = ", ".join(name if name == "le" else _label(metric, name) for name in by)
    return f"{how} by ({labels}) ({series})" if labels else f"{how}({series})"


def _label(metric: Metric, name: str) -> str:
    """The label of an attribute. Raises `ValueError` for one that the metric has not."""
    if name not in metric.attributes and name not in _OF_RESOURCE:
        raise ValueError(f"{metric.name} has no attribute {name}; it has {', '.join(metric.attributes)}")
    return prometheus_label(name)


def _legend(by: Sequence[str]) -> str:
    return " ".join(f"{{{{{prometheus_label(name)}}}}}" for name in by)


def _per_second(unit: str) -> str:
    return "cores" if unit == "s" else f"{unit}/s"
