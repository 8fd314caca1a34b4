"""Counters and histograms of orders: a series is found once for orders of a kind, and then at hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.semconv import trading as names
from tickspan.trading.kinds import METRIC_KEYS, OrderKind
from tickspan.trading.latency import CANCEL_TO_ACK, STAGES
from tickspan.trading.model import AttributeValue
from tickspan.trading.tally import PLACE_KEYS

MAX_SERIES: Final = 256
"""Series of one kind of orders that are kept at hand."""

Extra = tuple[tuple[str, AttributeValue], ...]
"""What a measurement says beside its order's kind."""


@dataclass(frozen=True, slots=True)
class _Instrument:
    description: str
    keys: tuple[str, ...] = (*METRIC_KEYS, names.INSTRUMENT_SYMBOL)
    """Of the order's attributes, the ones that count."""


COUNTERS: Final[Mapping[str, _Instrument]] = {
    names.METRIC_ORDER_OPERATIONS: _Instrument("Order operations that were asked for"),
    names.METRIC_ORDER_REJECTS: _Instrument("Order operations that were refused"),
    names.METRIC_ORDER_RETRIES: _Instrument("Requests that were handed to the transport once more"),
    names.METRIC_ORDER_UNKNOWN_STATE: _Instrument("Orders of which nobody knew whether the venue has them"),
    names.METRIC_ORDER_DUPLICATES_SUSPECTED: _Instrument("Orders that may double another one"),
    names.METRIC_ORDER_FILLS: _Instrument("Fills"),
    names.METRIC_ORDER_LATE_FILLS: _Instrument("Fills that came after the order's end"),
    names.METRIC_ORDER_UNMATCHED_EVENTS: _Instrument("Reports of orders that nobody here placed", PLACE_KEYS),
    names.METRIC_ORDER_EVICTIONS: _Instrument(
        "Open orders that were forgotten because too many were kept", PLACE_KEYS
    ),
    names.METRIC_CLOCK_NEGATIVE_LAG: _Instrument("Messages that came before their venue's time", PLACE_KEYS),
}
HISTOGRAMS: Final[Mapping[str, _Instrument]] = {
    **{
        stage.metric: _Instrument(stage.description)
        for stage in (*STAGES, CANCEL_TO_ACK)
        if stage.metric is not None
    },
    names.METRIC_ORDER_SEGMENT_DURATION: _Instrument("A named part of the time inside an order call"),
    names.METRIC_FILL_DELIVERY_LAG: _Instrument("From the venue's time of a fill to its receipt"),
}


class Measures:
    """The instruments of one meter. Thread-safe."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._instruments: dict[str, Any] = {}

    def add(self, kind: OrderKind, metric: str, amount: int = 1, extra: Extra = ()) -> None:
        """Count `amount` more."""
        series = kind.series.get((metric, extra) if extra else metric)
        (series or self._series(kind, metric, extra, "add"))(amount)

    def record(
        self,
        kind: OrderKind,
        metric: str,
        value: float,
        extra: Extra = (),
        context: Context | None = None,
    ) -> None:
        """One value for a histogram; `context` has the span that shows it, None is the current one."""
        series = kind.series.get((metric, extra) if extra else metric)
        (series or self._series(kind, metric, extra, "record"))(value, context=context)

    def _series(self, kind: OrderKind, metric: str, extra: Extra, method: str) -> Callable[..., None]:
        known = COUNTERS.get(metric) or HISTOGRAMS[metric]
        attributes = {key: kind.measured[key] for key in known.keys if key in kind.measured} | dict(extra)
        instrument = self._instrument(metric, known)
        bind = getattr(instrument, "bind", None)  # an extension of our meter provider
        made: Callable[..., None] = (
            functools.partial(getattr(instrument, method), attributes=attributes)
            if bind is None
            else getattr(bind(attributes), method)
        )
        if len(kind.series) >= MAX_SERIES:
            kind.series.clear()
        kind.series[(metric, extra) if extra else metric] = made
        return made

    def _instrument(self, metric: str, known: _Instrument) -> Any:
        made = self._instruments.get(metric)
        if made is None:
            made = self._instruments[metric] = (
                self._meter.create_counter(metric, names.UNITS[metric], known.description)
                if metric in COUNTERS
                else self._meter.create_histogram(
                    metric,
                    names.UNITS[metric],
                    known.description,
                    explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US,
                )
            )
        return made
