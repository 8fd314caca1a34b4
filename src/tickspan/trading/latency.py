"""Where the time of an order went: points of its life, and the stages between them.

P0 venue event, P1 socket receive, P2 decoded, P3 handler starts, P4 order call, P5 signed, P6 handed to the
transport, P7 acknowledgement received, P8 acknowledgement processed, P9 first fill, P10 last fill.
All are monotonic nanoseconds but P0, which is the venue's clock and stays out of every stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from tickspan.semconv import trading as names


class Point(IntEnum):
    """A moment in the life of an order."""

    RECEIVED = 1
    DECODED = 2
    DELIVERED = 3
    CALLED = 4
    SIGNED = 5
    SENT = 6
    ANSWERED = 7
    ACKNOWLEDGED = 8
    FIRST_FILL = 9
    LAST_FILL = 10


class Segment(StrEnum):
    """A named part of the time inside an order call."""

    THROTTLE_WAIT = "throttle_wait"
    """The library kept a rate limit."""
    QUEUE_WAIT = "queue_wait"
    """The request stood in a queue of the library's."""
    SIGN = "sign"
    """The request was built and signed."""


Points = Mapping[Point, int]
"""What is known of one order: point to monotonic nanoseconds."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The time between two points, as a span attribute and as a histogram."""

    attribute: str
    metric: str | None
    """None where it is not the order that is measured."""
    start: Point
    end: Point
    description: str


STAGES: Final = (
    Stage(
        names.LATENCY_FEED_QUEUE,
        None,  # feeds measure it, of every message
        Point.RECEIVED,
        Point.DELIVERED,
        "From the socket to the consumer of a market data message",
    ),
    Stage(
        names.LATENCY_TICK_TO_DECISION,
        names.METRIC_TICK_TO_DECISION,
        Point.RECEIVED,
        Point.CALLED,
        "From the receipt of the tick to the order call",
    ),
    Stage(
        names.LATENCY_DECISION_TO_WIRE,
        names.METRIC_DECISION_TO_WIRE,
        Point.CALLED,
        Point.SENT,
        "From the order call to the transport",
    ),
    Stage(
        names.LATENCY_WIRE_TO_ACK,
        names.METRIC_WIRE_TO_ACK,
        Point.SENT,
        Point.ANSWERED,
        "From the transport to the venue's answer",
    ),
    Stage(
        names.LATENCY_ACK_TO_FIRST_FILL,
        names.METRIC_ACK_TO_FIRST_FILL,
        Point.ANSWERED,
        Point.FIRST_FILL,
        "From the venue's answer to the first fill",
    ),
    Stage(
        names.LATENCY_ORDER_DURATION,
        names.METRIC_ORDER_DURATION,
        Point.CALLED,
        Point.LAST_FILL,
        "From the order call to the last fill",
    ),
    Stage(
        names.LATENCY_TICK_TO_TRADE,
        names.METRIC_TICK_TO_TRADE,
        Point.RECEIVED,
        Point.SENT,
        "From the receipt of the tick to the order on the wire",
    ),
    Stage(
        names.LATENCY_TICK_TO_FILL,
        names.METRIC_TICK_TO_FILL,
        Point.RECEIVED,
        Point.LAST_FILL,
        "From the receipt of the tick to the last fill",
    ),
)

CANCEL_TO_ACK: Final = Stage(
    names.LATENCY_CANCEL_TO_ACK,
    names.METRIC_CANCEL_TO_ACK,
    Point.SENT,
    Point.ANSWERED,
    "From the transport to the venue's answer to a cancel",
)


def elapsed_s(stage: Stage, points: Points) -> float | None:
    """Seconds of one stage; None if a point is missing, or the end came first (a fill before its ack)."""
    start, end = points.get(stage.start), points.get(stage.end)
    if start is None or end is None or end < start:
        return None
    return (end - start) / 1e9


UP_TO_THE_ANSWER: Final = frozenset(
    stage for stage in STAGES if stage.end in {Point.CALLED, Point.SENT, Point.ANSWERED}
)
"""Stages that are over when the venue has answered, however long the order lives."""


def stages(points: Points) -> dict[Stage, float]:
    """Every stage that can be told, in seconds."""
    told = ((stage, elapsed_s(stage, points)) for stage in STAGES)
    return {stage: seconds for stage, seconds in told if seconds is not None}
