"""Strays: what telemetry says and the registry of `trading.*` or the catalogue of metrics does not.

Attributes of signals that the registry does not give them, words of no closed set, and metrics of ours that
the catalogue does not have, or has with another instrument or unit.

`tickspan.testing.vocabulary` knows names; this needs the registry's files, and so PyYAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scripts.semconv import Registry, members
from tickspan.received import ReceivedMetric, Telemetry
from tickspan.semconv.catalogue import METRICS

Signal = tuple[str, str]
"""Kind and name; of a span the first word of its name."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the registry says: which attributes a signal may carry, and the words of closed sets."""

    carried: Mapping[Signal, frozenset[str]]
    words: Mapping[str, frozenset[str]]

    def strays(self, telemetry: Telemetry) -> list[str]:
        """A sentence for each; signals and attributes of other namespaces are not looked at."""
        found = {words for signal, known in _signals(telemetry) for words in self._of(signal, known)}
        return sorted(found | set(_uncatalogued(telemetry)))

    def _of(self, signal: Signal, known: Mapping[str, Any]) -> Iterator[str]:
        carried = self.carried.get(signal)
        for key, value in known.items():
            if carried is not None and key.startswith("trading.") and key not in carried:
                yield f"{' '.join(signal)} is not declared with {key}"
            if isinstance(value, str) and value not in self.words.get(key, (value,)):
                yield f"{key} of {' '.join(signal)} is declared without the word {value!r}"


def declared(registry: Registry) -> Declared:
    """What `registry` says."""
    named = (
        *((("span", word), row) for row in registry.spans for word in registry.first_words(row)),
        *((("metric", row["name"]), row) for row in registry.metrics),
        *((("event", row["name"]), row) for row in registry.events),
    )
    closed = {row["key"]: frozenset(members(row)) for row in registry.attributes}
    return Declared(
        {signal: frozenset(registry.keys_of(row)) for signal, row in named},
        {key: words for key, words in closed.items() if words},
    )


_PROGRAMS_OWN: Final = "tickspan.business"
"""The scope of metrics that programs name."""


def _uncatalogued(telemetry: Telemetry) -> Iterator[str]:
    """Metrics of our own scopes that the catalogue has not, or has with another instrument or unit."""
    for metric in telemetry.metrics:
        if not metric.scope.startswith("tickspan") or metric.scope.startswith(_PROGRAMS_OWN):
            continue
        known, told = METRICS.get(metric.name), (instrument_of(metric), metric.unit)
        if known is None:
            yield f"metric {metric.name} is not in the catalogue"
        elif (known.instrument, known.unit) != told:
            said = f"{known.instrument} of unit {known.unit!r}"
            yield f"metric {metric.name} is a {told[0]} of unit {told[1]!r}, and a {said} in the catalogue"


def instrument_of(metric: ReceivedMetric) -> str:
    """The instrument that makes such points, as the catalogue names it."""
    if metric.kind == "sum":
        return "counter" if metric.is_monotonic else "updowncounter"
    return "histogram" if metric.kind == "exponential_histogram" else metric.kind


def _signals(telemetry: Telemetry) -> Iterator[tuple[Signal, Mapping[str, Any]]]:
    for span in telemetry.spans:
        yield ("span", span.name.partition(" ")[0]), span.attributes
    for metric in telemetry.metrics:
        for point in metric.points:
            yield ("metric", metric.name), point.attributes
    for log in telemetry.logs:
        yield ("event", log.event_name), log.attributes
