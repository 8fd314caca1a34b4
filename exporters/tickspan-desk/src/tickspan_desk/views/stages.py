"""Where the time of an order went: the stages between tick and fill, from the spans that tell of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tickspan.received import Attributes, ReceivedSpan
from tickspan.semconv import trading
from tickspan_desk.views.records import path_of, seconds_of, text_at
from tickspan_desk.views.text import shown

__all__ = ["IDS", "Part", "Stage", "Way", "is_submit", "names_it", "way_of"]

Part = Literal["tick", "decision", "check", "wait", "signing", "client", "call", "wire", "fill", "cancel"]

_CLIENT_IDS: Final = (
    trading.ORDER_CLIENT_ID,
    trading.ORDER_ROOT_CLIENT_ID,
    trading.ORDER_ORIGINAL_CLIENT_ID,
)
IDS: Final = (*_CLIENT_IDS, trading.ORDER_VENUE_ID)
"""Attributes by which a span names its order."""
_SUBMIT: Final = "submit"
_WAITS: Final = (trading.LATENCY_THROTTLE_WAIT, trading.LATENCY_QUEUE_WAIT)


@dataclass(frozen=True, slots=True)
class Stage:
    """A piece of the way.

    Attributes:
        part: what kind of piece it is.
        name: in a reader's words.
        start_ns, end_ns: nanoseconds since the epoch.
        path: of the span that tells of it.
    """

    part: Part
    name: str
    start_ns: int
    end_ns: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """All that is known of where the time went; what is not known is None, or is not there.

    Attributes:
        stages: in the order in which they began.
        fills_ns: when fills were heard of.
        sent_ns: when the request was handed to the transport.
        answered_ns: when the venue's answer was there.
        tick_to_decision_ns, decision_to_wire_ns, wire_to_ack_ns, ack_to_fill_ns, duration_ns, tick_to_ack_ns,
            tick_to_fill_ns: durations, as the order's lifecycle span tells them.
    """

    stages: tuple[Stage, ...] = ()
    fills_ns: tuple[int, ...] = ()
    sent_ns: int | None = None
    answered_ns: int | None = None
    tick_to_decision_ns: int | None = None
    decision_to_wire_ns: int | None = None
    wire_to_ack_ns: int | None = None
    ack_to_fill_ns: int | None = None
    duration_ns: int | None = None
    tick_to_ack_ns: int | None = None
    tick_to_fill_ns: int | None = None

    @property
    def longest(self) -> Stage | None:
        """The stage that took most; checks do not count, they are within another."""
        stages = [stage for stage in self.stages if stage.part != "check"]
        return max(stages, key=lambda stage: stage.end_ns - stage.start_ns, default=None)


def names_it(attributes: Attributes, ids: frozenset[str]) -> bool:
    """Whether attributes name the order of these ids.

    Client ids decide where there are any: venues count their own anew, and two venues may count alike.
    """
    named = [text_at(attributes, name) for name in _CLIENT_IDS if attributes.get(name)]
    return not ids.isdisjoint(named or [text_at(attributes, trading.ORDER_VENUE_ID)])


def is_submit(span: ReceivedSpan) -> bool:
    """Whether a span is a request for a new order."""
    is_for_a_new_one = span.attributes.get(trading.ORDER_OPERATION) == _SUBMIT
    return is_for_a_new_one and span.name.startswith(f"{trading.SPAN_ORDER}.{_SUBMIT}")


def way_of(own: Sequence[ReceivedSpan], others: Iterable[ReceivedSpan] = ()) -> Way:
    """The way of an order.

    Args:
        own: spans that name the order.
        others: the other spans of its traces that are no other order's: its tick, its checks.
    """
    around = list(others)
    submit = _first(span for span in own if is_submit(span))
    lives = [span for span in own if span.name == trading.SPAN_ORDER_LIFECYCLE]
    life = _first(span for span in lives if submit and span.parent_span_id == submit.span_id) or _first(lives)
    fills = sorted(span.start_ns for span in own if _is_fill(span))
    called = life or submit
    if called is None:
        return Way(fills_ns=tuple(fills))
    asked = submit or called
    told: Attributes = life.attributes if life is not None else {}
    tick = _first(
        span for span in around if span.name == trading.SPAN_FEED_MESSAGE and span.trace_id == called.trace_id
    )
    points = _points(called, told, tick, fills)
    stages = [
        *_before(points, tick, asked, around),
        *_client(points, submit),
        *_after(points, asked, called),
        *_unanswered(points, submit),
        *_cancels(own),
    ]
    return Way(
        stages=tuple(sorted(stages, key=lambda stage: stage.start_ns)),
        fills_ns=tuple(fills),
        sent_ns=points.get("sent"),
        answered_ns=points.get("answered"),
        tick_to_decision_ns=_between(points, "received", "called"),
        decision_to_wire_ns=_between(points, "called", "sent"),
        wire_to_ack_ns=_between(points, "sent", "answered"),
        ack_to_fill_ns=_between(points, "answered", "first_fill"),
        duration_ns=_between(points, "called", "last_fill"),
        tick_to_ack_ns=_between(points, "received", "answered"),
        tick_to_fill_ns=_between(points, "received", "last_fill"),
    )


def _points(
    called: ReceivedSpan, told: Attributes, tick: ReceivedSpan | None, fills: Sequence[int]
) -> dict[str, int]:
    """The moments of an order's life on the wall clock; each is told by how far it is from another."""
    points = {"called": called.start_ns}

    def put(name: str, base: str, distance: str) -> None:
        seconds_ns = seconds_of(told, distance)
        if base in points and seconds_ns is not None:
            points[name] = points[base] + seconds_ns

    before_ns = seconds_of(told, trading.LATENCY_TICK_TO_DECISION)
    if before_ns is not None:
        points["received"] = called.start_ns - before_ns
        put("delivered", "received", trading.LATENCY_FEED_QUEUE)
    elif tick is not None and tick.start_ns <= called.start_ns:
        points |= {"received": tick.start_ns, "delivered": min(tick.end_ns, called.start_ns)}
    put("sent", "called", trading.LATENCY_DECISION_TO_WIRE)
    put("answered", "sent", trading.LATENCY_WIRE_TO_ACK)
    put("first_fill", "answered", trading.LATENCY_ACK_TO_FIRST_FILL)
    put("last_fill", "called", trading.LATENCY_ORDER_DURATION)
    if fills:  # an order that is not over yet, or that was filled before its answer
        points.setdefault("last_fill", fills[-1])
        points.setdefault("first_fill", min(fills[0], points["last_fill"]))
    return points


def _before(
    points: Mapping[str, int], tick: ReceivedSpan | None, asked: ReceivedSpan, around: Sequence[ReceivedSpan]
) -> list[Stage]:
    """From the tick to the call `asked`, and the checks on the way."""
    found: list[Stage] = []
    if "received" in points:
        delivered_ns = points.get("delivered", points["received"])
        path = path_of(tick) if tick is not None else ""
        if delivered_ns > points["received"]:
            found.append(Stage("tick", "tick", points["received"], delivered_ns, path))
        decision = _first(span for span in around if span.span_id == asked.parent_span_id)
        path = path_of(decision) if decision is not None else path
        found.append(Stage("decision", "decision", delivered_ns, points["called"], path))
    checks = [
        span
        for span in around
        if span.trace_id == asked.trace_id
        and trading.RISK_CHECK_NAME in span.attributes
        and span.start_ns <= points.get("sent", asked.end_ns)
    ]
    for span in checks:
        outcome = text_at(span.attributes, trading.RISK_CHECK_OUTCOME)
        name = shown(f"check {text_at(span.attributes, trading.RISK_CHECK_NAME)}: {outcome}")
        found.append(Stage("check", name, span.start_ns, span.end_ns, path_of(span)))
    return found


def _client(points: Mapping[str, int], submit: ReceivedSpan | None) -> list[Stage]:
    """From the call to the wire. When the library waited is not told, only how long: waits are put first."""
    path = path_of(submit) if submit is not None else ""
    if "sent" not in points:
        if submit is None:
            return []
        return [Stage("call", "order call", submit.start_ns, submit.end_ns, path)]
    told: Attributes = submit.attributes if submit is not None else {}
    at_ns, sent_ns, found = points["called"], points["sent"], list[Stage]()
    lengths: tuple[tuple[Part, str, int], ...] = (
        ("wait", "client wait", sum(seconds_of(told, name) or 0 for name in _WAITS)),
        ("signing", "signing", seconds_of(told, trading.LATENCY_SIGNING) or 0),
    )
    for part, name, length_ns in lengths:
        until_ns = min(at_ns + length_ns, sent_ns)
        if until_ns > at_ns:
            found.append(Stage(part, name, at_ns, until_ns, path))
        at_ns = until_ns
    if sent_ns > at_ns:
        found.append(Stage("client", "client", at_ns, sent_ns, path))
    return found


def _after(points: Mapping[str, int], asked: ReceivedSpan, called: ReceivedSpan) -> list[Stage]:
    """From the wire to the answer, and on to the fills."""
    path, life = path_of(asked), path_of(called)
    steps: tuple[tuple[Part, str, str, str, str], ...] = (
        ("wire", "wire to answer", "sent", "answered", path),
        ("fill", "to the first fill", "answered", "first_fill", life),
        ("fill", "to the last fill", "first_fill", "last_fill", life),
    )
    return [
        Stage(part, name, points[start], points[end], where)
        for part, name, start, end, where in steps
        if (_between(points, start, end) or 0) > 0
    ]


def _unanswered(points: Mapping[str, int], submit: ReceivedSpan | None) -> list[Stage]:
    """From the wire to the moment in which the program gave up, or heard that nothing had been sent."""
    sent_ns = points.get("sent")
    if submit is None or sent_ns is None or "answered" in points or submit.end_ns <= sent_ns:
        return []
    return [Stage("wire", "no answer", sent_ns, submit.end_ns, path_of(submit))]


def _cancels(own: Sequence[ReceivedSpan]) -> list[Stage]:
    """Later requests about the order."""
    requests = [
        span
        for span in own
        if trading.ORDER_OPERATION in span.attributes
        and span.name.startswith(f"{trading.SPAN_ORDER}.{text_at(span.attributes, trading.ORDER_OPERATION)} ")
        and not is_submit(span)
    ]
    return [
        Stage(
            "cancel",
            shown(text_at(span.attributes, trading.ORDER_OPERATION)),
            span.start_ns,
            span.end_ns,
            path_of(span),
        )
        for span in requests
    ]


def _is_fill(span: ReceivedSpan) -> bool:
    return span.name.startswith(trading.SPAN_ORDER_EVENT) and trading.EXECUTION_ID in span.attributes


def _between(points: Mapping[str, int], start: str, end: str) -> int | None:
    """None where a moment is missing, or the end came first: a fill before its acknowledgement."""
    if start not in points or end not in points or points[end] < points[start]:
        return None
    return points[end] - points[start]


def _first(spans: Iterable[ReceivedSpan]) -> ReceivedSpan | None:
    return min(spans, key=lambda span: span.start_ns, default=None)
