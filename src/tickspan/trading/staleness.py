"""Orders that were decided on old data: when that is so, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.trace import SpanContext

from tickspan.config import TradingSettings
from tickspan.semconv import trading as names
from tickspan.trading.attributes import Attributes, AttributeValue
from tickspan.trading.events import WARN, Events
from tickspan.trading.feed import OTHER
from tickspan.trading.ticks import TickKind, TickRef

DECISION = "decision"
SILENT = "silent"


def stale_age_s(tick: TickRef | None, now_ns: int, settings: TradingSettings) -> float | None:
    """How old the market data behind an order is, if too old to decide on; None where all is well.

    Too old is a tick older than `stale_decision_s`, and one whose stream has fallen silent since. A report of
    an order is a fact, whatever its age.
    """
    if tick is None or tick.kind is TickKind.ORDER:
        return None
    age_ns = now_ns - tick.received_ns
    if age_ns > settings.stale_decision_s * 1e9:
        return age_ns / 1e9
    silence_ns = tick.feed.silence_ns(now_ns) if tick.feed is not None else None
    return silence_ns / 1e9 if silence_ns is not None else None


def tell_stale_decision(
    events: Events,
    tick: TickRef,
    age_s: float,
    order: Mapping[str, AttributeValue],
    span_context: SpanContext,
) -> None:
    """Write the event beside the order's span; `order` are the span's attributes."""
    kept = (names.VENUE_NAME, names.VENUE_ENVIRONMENT, names.CLIENT_LIBRARY)
    known: Attributes = {key: order[key] for key in kept if key in order}
    known |= {
        names.FEED_CHANNEL: tick.channel or OTHER,
        names.FEED_AGE: age_s,
        names.FEED_STALE_REASON: DECISION,
    }
    said = f"{tick.venue}: an order was decided on data that was {age_s:.1f} s old"
    events.emit(names.EVENT_FEED_STALE, WARN, known, body=said, span_context=span_context)
