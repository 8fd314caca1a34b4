"""What costs money and no exception tells: which telemetry tells each, and how often it did. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tickspan.received import ReceivedMetric, Telemetry
from tickspan.semconv import trading as names
from tickspan.trading import RejectOrigin


class Signal(StrEnum):
    """What a desk looks for first."""

    UNSAFE_RETRY = "an order sent again that may live already"
    RETRIED = "a retry, counted"
    UNKNOWN = "an order whose fate nobody knows"
    DUPLICATE = "an order like one whose fate nobody knows"
    REFUSED_BY_VENUE = "an order that the venue refused"
    REFUSED_BY_LIBRARY = "an order that the client library refused"
    REFUSED_BY_RISK = "an order that a check of ours refused"
    THROTTLED = "an order held back by the client's own throttle"
    BUDGET_NEAR = "a request budget nearly spent"
    BUDGET_SPENT = "a request refused for too many"
    BANNED = "an address banned"
    CLOCK = "a clock apart from the venue's"
    MUTE = "a stream that is connected and silent"
    STALE_DECISION = "an order decided on old prices"
    RECOVERED = "a stream that is back"
    GAP = "messages lost on the way"
    CONFLATED = "prices that came while nobody listened"
    DEAD_LOOP = "a receive loop killed by a message"
    UNMATCHED = "a report of an order nobody here placed"


@dataclass(frozen=True, slots=True)
class Told:
    """One signal: how often it was planted, and how often telemetry tells of it."""

    signal: Signal
    source: str
    """Name of the event, metric or span that tells it."""
    planted: int
    told: int

    @property
    def is_right(self) -> bool:
        """Told as often as planted; what is counted by messages, at least so often."""
        if self.signal in _COUNTED_BY_MESSAGES:
            return self.told >= self.planted > 0
        return self.told == self.planted > 0


_COUNTED_BY_MESSAGES: Final = frozenset({Signal.CONFLATED})


def tell(planted: Iterable[Signal], telemetry: Telemetry) -> list[Told]:
    """Hold what was planted against what was received, in the order of `Signal`."""
    counts = Counter(planted)
    return [
        Told(signal, source, counts[signal], count(telemetry)) for signal, (source, count) in _TABLE.items()
    ]


Count = Callable[[Telemetry], int]


def _event(name: str, **wanted: Any) -> tuple[str, Count]:
    def count(telemetry: Telemetry) -> int:
        return sum(log.event_name == name and _has(log.attributes, wanted) for log in telemetry.logs)

    return name, count


def _counter(name: str, **wanted: Any) -> tuple[str, Count]:
    def count(telemetry: Telemetry) -> int:
        return int(sum(_last_values(telemetry.metrics, name, wanted)))

    return name, count


def _span(name: str, **wanted: Any) -> tuple[str, Count]:
    def count(telemetry: Telemetry) -> int:
        return sum(span.name.startswith(name) and _has(span.attributes, wanted) for span in telemetry.spans)

    return name, count


def _last_values(metrics: Sequence[ReceivedMetric], name: str, wanted: Mapping[str, Any]) -> list[float]:
    """The newest value of each series of a cumulative counter."""
    newest: dict[tuple[Any, ...], tuple[int, float]] = {}
    for metric in metrics:
        for point in metric.points if metric.name == name else ():
            if _has(point.attributes, wanted):
                series = (metric.scope, tuple(sorted((key, str(v)) for key, v in point.attributes.items())))
                newest[series] = max(newest.get(series, (0, 0.0)), (point.time_ns, float(point.value or 0)))
    return [value for _, value in newest.values()]


def _has(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(attributes.get(_KEYS[key]) == value for key, value in wanted.items())


_KEYS: Final = {
    "channel": names.FEED_CHANNEL,
    "matched": names.ORDER_MATCHED,
    "origin": names.ORDER_REJECT_ORIGIN,
    "outcome": names.RISK_CHECK_OUTCOME,
    "reason": names.FEED_STALE_REASON,
    "source": names.CLOCK_SOURCE,
}
_TABLE: Final[Mapping[Signal, tuple[str, Count]]] = {
    Signal.UNSAFE_RETRY: _event(names.EVENT_ORDER_UNSAFE_RETRY),
    Signal.RETRIED: _counter(names.METRIC_ORDER_RETRIES),
    Signal.UNKNOWN: _event(names.EVENT_ORDER_UNKNOWN),
    Signal.DUPLICATE: _event(names.EVENT_ORDER_DUPLICATE_SUSPECTED),
    Signal.REFUSED_BY_VENUE: _event(names.EVENT_ORDER_REJECT, origin=RejectOrigin.VENUE.value),
    Signal.REFUSED_BY_LIBRARY: _event(names.EVENT_ORDER_REJECT, origin=RejectOrigin.CLIENT_LIBRARY.value),
    Signal.REFUSED_BY_RISK: _span(names.SPAN_RISK_CHECK, outcome="reject"),
    Signal.THROTTLED: _event(names.EVENT_ORDER_THROTTLED),
    Signal.BUDGET_NEAR: _event(names.EVENT_RATE_LIMIT_NEAR),
    Signal.BUDGET_SPENT: _event(names.EVENT_RATE_LIMIT_EXHAUSTED),
    Signal.BANNED: _event(names.EVENT_RATE_LIMIT_BANNED),
    Signal.CLOCK: _event(names.EVENT_CLOCK_SKEW, source="time_difference"),
    Signal.MUTE: _event(names.EVENT_FEED_STALE, reason="silent", channel="ticker"),
    Signal.STALE_DECISION: _event(names.EVENT_FEED_STALE, reason="decision"),
    Signal.RECOVERED: _event(names.EVENT_FEED_RECOVERED, channel="ticker"),
    Signal.GAP: _event(names.EVENT_FEED_GAP),
    Signal.CONFLATED: _counter(names.METRIC_FEED_CONFLATED, channel="ticker"),
    Signal.DEAD_LOOP: _event(names.EVENT_FEED_HANDLER_ERROR),
    Signal.UNMATCHED: _span(names.SPAN_ORDER_EVENT, matched=False),
}
