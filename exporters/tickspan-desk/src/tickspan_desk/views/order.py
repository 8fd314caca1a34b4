"""One order, whole: where its time went, what became of it, what held it up, all that names it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from opentelemetry.trace import StatusCode
from tickspan_spool.agent.semconv import ABANDONED

from tickspan.received import Attributes, ReceivedLog, ReceivedSpan
from tickspan.semconv import alerts, cache, common, db, findings, memory, profiler, trading
from tickspan_desk.store.reading import OrderEntry
from tickspan_desk.views.records import (
    address,
    order_path,
    path_of,
    process_of,
    seconds_of,
    service_of,
    severity_of,
    text_at,
    text_of,
    time_of,
)
from tickspan_desk.views.stages import Way, is_submit, names_it, way_of
from tickspan_desk.views.text import shown

__all__ = [
    "TONES",
    "Call",
    "Cause",
    "Entry",
    "Fill",
    "Hold",
    "Named",
    "Notice",
    "OrderStory",
    "State",
    "ids_of",
    "story_of",
]

About = Literal["this", "other", ""]
"""Whether something is the order's own, another order's, or of no order."""

MAX_ENTRIES: Final = 1000
"""Lines of the timeline; of the rest it is told how many there are."""
MAX_TEXT: Final = 400
MAX_REPORTS: Final = 200
"""Fills and states that have a line."""
MAX_ROWS: Final = 50

TONES: Final = {
    "filled": "ok",
    "partially_filled": "info",
    "new": "info",
    "pending_new": "info",
    "replaced": "info",
    "canceled": "info",
    "expired": "warn",
    "rejected": "bad",
    "unknown": "bad",
}
"""How a status is coloured; one that nobody knows is not."""

_IDS: Final = (
    ("client id", trading.ORDER_CLIENT_ID),
    ("venue id", trading.ORDER_VENUE_ID),
    ("first client id", trading.ORDER_ROOT_CLIENT_ID),
    ("replaced client id", trading.ORDER_ORIGINAL_CLIENT_ID),
    ("parent order", trading.ORDER_PARENT_ID),
    ("order list", trading.ORDER_LIST_ID),
)
_ORDER_EVENTS: Final = {
    trading.EVENT_ORDER_NEW: ("about to be sent", "info"),
    trading.EVENT_ORDER_ACK: ("the venue has it", "info"),
    trading.EVENT_ORDER_PARTIAL_FILL: ("partly filled", "ok"),
    trading.EVENT_ORDER_FILL: ("filled", "ok"),
    trading.EVENT_ORDER_CANCEL: ("canceled", "info"),
    trading.EVENT_ORDER_REPLACE: ("replaced", "info"),
    trading.EVENT_ORDER_REJECT: ("refused", "bad"),
    trading.EVENT_ORDER_EXPIRE: ("expired", "warn"),
    trading.EVENT_ORDER_UNKNOWN: ("nobody knows whether the venue has it", "bad"),
    trading.EVENT_ORDER_UNSAFE_RETRY: ("sent again, though it may be live", "bad"),
    trading.EVENT_ORDER_DUPLICATE_SUSPECTED: ("may double another order", "warn"),
    trading.EVENT_ORDER_THROTTLED: ("waited in the client", "warn"),
    trading.EVENT_ORDER_FEE: ("its fee was told", "info"),
}
_TELLING: Final = (trading.EVENT_ORDER_THROTTLED,)
"""Events whose bodies say more than what they are."""
_NEARNESS: Final[Mapping[About, int]] = {"this": 0, "": 1, "other": 2}
_NOTICES: Final = (
    findings.EVENT,
    alerts.EVENT_STATE_CHANGE,
    memory.EVENT_EVENTLOOP_BLOCKED,
    memory.EVENT_MEMORY,
    profiler.EVENT_PROFILE_CAPTURED,
    trading.EVENT_FEED_STALE,
)
_POOL_WAIT_FROM_NS: Final = 1_000_000
"""A shorter wait for a connection is the price of asking."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name and a value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill; sizes, prices and fees are "" unless telemetry has them, which by default it has not.

    `lag_ns` is how long after the venue's own time it was heard of, by two clocks.
    """

    time_ns: int
    execution_id: str
    liquidity: str
    quantity: str
    price: str
    fee: str
    filled_ratio: float | None
    is_late: bool
    source: str
    lag_ns: int | None
    path: str


@dataclass(frozen=True, slots=True)
class State:
    """A change of the order, or a report of it."""

    time_ns: int
    offset_ns: int
    what: str
    status: str
    source: str
    detail: str
    tone: str
    path: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that took time. `spans` is how many tell of the same; `path` leads to the worst."""

    what: str
    duration_ns: int
    detail: str
    span: str
    spans: int
    path: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A finding, an alert or a warning that names the order or stands in its traces."""

    time_ns: int
    kind: str
    title: str
    advice: str
    severity: str
    tone: str
    path: str
    """Of the page about its kind."""
    trace_path: str


@dataclass(frozen=True, slots=True)
class Cause:
    """The message that the strategy acted on. `lag_ns` is from the venue's time to ours, by two clocks."""

    venue: str
    symbol: str
    channel: str
    time_ns: int
    lag_ns: int | None
    path: str


@dataclass(frozen=True, slots=True)
class Call:
    """Calls of one kind to a database or cache, until the order was sent or after it.

    `share` is the part of the time up to the wire in which they ran; 0 for later ones.
    """

    name: str
    system: str
    count: int
    duration_ns: int
    share: float
    is_before: bool
    errors: int
    path: str
    """Of the slowest."""
    query_path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A span or record of the order's traces. `about` is "this" order, an "other" one, or "": shared."""

    time_ns: int
    offset_ns: int
    duration_ns: int | None
    kind: Literal["span", "log"]
    name: str
    text: str
    service: str
    process: str
    about: About
    tone: str
    path: str


@dataclass(frozen=True, slots=True)
class OrderStory:
    """All that is known of one order.

    Attributes:
        warnings: what somebody must look after now.
        facts: what was asked for and what was refused, as far as it is told.
        trigger: how the order found its cause: tick, inferred, order_event, poll, manual.
        is_complete: whether it was over when its life was written; None while nothing of that is told.
        cache: hits, misses and old values of caches while it was made.
        more_fills, more_states, left_out: fills, states and entries that are too many to be shown.
    """

    order_id: str
    path: str
    ids: tuple[Named, ...]
    venue: str
    symbol: str
    side: str
    status: str
    tone: str
    services: tuple[str, ...]
    processes: tuple[str, ...]
    trace_ids: tuple[str, ...]
    start_ns: int
    end_ns: int
    trigger: str
    is_complete: bool | None
    warnings: tuple[str, ...]
    facts: tuple[Named, ...]
    way: Way
    cause: Cause | None
    fills: tuple[Fill, ...]
    more_fills: int
    states: tuple[State, ...]
    more_states: int
    holds: tuple[Hold, ...]
    notices: tuple[Notice, ...]
    calls: tuple[Call, ...]
    cache: tuple[Named, ...]
    entries: tuple[Entry, ...]
    left_out: int


def ids_of(entry: OrderEntry) -> frozenset[str]:
    """All ids by which an order is known."""
    return frozenset(order_id for order_id in (entry.order_id, *entry.other_ids) if order_id)


def story_of(entry: OrderEntry, spans: Sequence[ReceivedSpan], logs: Sequence[ReceivedLog]) -> OrderStory:
    """The story of an order.

    Args:
        entry: which order.
        spans: all spans of its traces.
        logs: all records of its traces, and those elsewhere that name it.
    """
    ids = ids_of(entry)
    spans = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns))
    logs = sorted(logs, key=lambda record: (time_of(record), _sequence(record)))
    owners = _owners(spans, ids)
    concerned = [span for span in spans if owners[span.trace_id, span.span_id] != "other"]
    own = [span for span in spans if names_it(span.attributes, ids)]
    told = [record for record in logs if names_it(record.attributes, ids)]
    way = way_of(own, [span for span in concerned if not names_it(span.attributes, ids)])
    cause = _cause(concerned, own)
    start_ns = _start(entry, way, own, cause)
    chosen = _chosen(spans, logs, owners, ids)
    entries = [_entry(record, about, start_ns) for record, about in chosen]
    known, fills = _known(own, told), _fills(own, told)
    states = sorted(_states(own, told, start_ns), key=lambda state: state.time_ns)
    return OrderStory(
        order_id=shown(entry.order_id),
        path=order_path(entry.order_id),
        ids=tuple(_ids(own, told, ids)),
        venue=shown(entry.venue),
        symbol=shown(entry.symbol),
        side=shown(entry.side),
        status=shown(entry.status),
        tone=TONES.get(entry.status, ""),
        services=tuple(dict.fromkeys(shown(service_of(record)) for record in (*concerned, *logs)))[:MAX_ROWS],
        processes=tuple(dict.fromkeys(_process(record) for record in (*concerned, *logs)))[:MAX_ROWS],
        trace_ids=entry.trace_ids,
        start_ns=start_ns,
        end_ns=max([entry.end_ns, *(span.end_ns for span in own)]),
        trigger=text_of(known.get(trading.TRIGGER)),
        is_complete=_claim(own, trading.ORDER_COMPLETE),
        warnings=tuple(_warnings(entry, own, logs, ids)),
        facts=tuple(_facts(known)),
        way=way,
        cause=cause,
        fills=tuple(fills[:MAX_REPORTS]),
        more_fills=max(len(fills) - MAX_REPORTS, 0),
        states=tuple(states[:MAX_REPORTS]),
        more_states=max(len(states) - MAX_REPORTS, 0),
        holds=tuple(_holds(concerned, way)[:MAX_ROWS]),
        notices=tuple(_notices(logs, owners, ids)[:MAX_ROWS]),
        calls=tuple(_calls(concerned, way, start_ns)[:MAX_ROWS]),
        cache=tuple(_cache(concerned)),
        entries=tuple(entries),
        left_out=len(spans) + len(logs) - len(entries),
    )


Owners = Mapping[tuple[str, str], About]


def _owners(spans: Sequence[ReceivedSpan], ids: frozenset[str]) -> Owners:
    """Whose each span is: what a span names, or else what the nearest span above it names."""
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    owners: dict[tuple[str, str], About] = {}
    for span in spans:
        climbed: list[tuple[str, str]] = []
        at: tuple[str, str] | None = (span.trace_id, span.span_id)
        found: About = ""
        while at is not None and at in by_id and at not in climbed:
            if at in owners:
                found = owners[at]
                break
            climbed.append(at)
            here = by_id[at]
            if names_it(here.attributes, ids):
                found = "this"
                break
            if _names_any(here.attributes):
                found = "other"
                break
            at = (here.trace_id, here.parent_span_id) if here.parent_span_id else None
        owners |= dict.fromkeys(climbed, found)
    return owners


def _names_any(attributes: Attributes) -> bool:
    return any(attributes.get(name) for name in (trading.ORDER_CLIENT_ID, trading.ORDER_VENUE_ID))


def _start(entry: OrderEntry, way: Way, own: Sequence[ReceivedSpan], cause: Cause | None) -> int:
    """The moment from which everything is counted: the tick, or else the order's first word."""
    moments = [stage.start_ns for stage in way.stages] + [span.start_ns for span in own]
    if cause is not None:
        moments.append(cause.time_ns)
    return min(moments, default=entry.start_ns)


def _known(own: Iterable[ReceivedSpan], told: Iterable[ReceivedLog]) -> Attributes:
    """Every attribute of the order, the last word of each."""
    records = sorted(
        [
            *((span.end_ns, span.attributes) for span in own),
            *((time_of(one), one.attributes) for one in told),
        ],
        key=lambda record: record[0],
    )
    return {name: value for _, attributes in records for name, value in attributes.items()}


def _ids(own: Sequence[ReceivedSpan], told: Sequence[ReceivedLog], ids: frozenset[str]) -> Iterator[Named]:
    seen: set[str] = set()
    for words, name in _IDS:
        for record in (*own, *told):
            value = text_at(record.attributes, name)
            if value and value not in seen:
                seen.add(value)
                yield Named(words, shown(value))
    for value in sorted(ids - seen):
        yield Named("id", shown(value))


def _process(record: ReceivedSpan | ReceivedLog) -> str:
    host = text_at(record.resource, common.HOST_NAME)
    words = (service_of(record), process_of(record), f"on {host}" if host else "")
    return shown(" ".join(word for word in words if word))


def _claim(own: Iterable[ReceivedSpan], name: str) -> bool | None:
    values = [span.attributes[name] for span in own if isinstance(span.attributes.get(name), bool)]
    return bool(values[-1]) if values else None


def _warnings(
    entry: OrderEntry, own: Sequence[ReceivedSpan], logs: Sequence[ReceivedLog], ids: frozenset[str]
) -> Iterator[str]:
    told = [record for record in logs if names_it(record.attributes, ids)]
    if entry.status == "unknown":
        yield "Nobody knows whether the venue has this order. Ask the venue for its client id."
    if any(record.event_name == trading.EVENT_ORDER_UNSAFE_RETRY for record in told):
        yield "It was sent again after its answer was lost: the venue may have it twice."
    for record in logs:
        if record.event_name == trading.EVENT_ORDER_DUPLICATE_SUSPECTED:
            yield _doubling(record.attributes, ids)
    if _claim(own, trading.ORDER_MATCHED) is False and not any(is_submit(span) for span in own):
        yield "Nobody that is recorded here placed it: the venue told of it unasked."
    if any(span.attributes.get(ABANDONED) is True for span in own):
        yield "The process that placed it died before it was over."
    elif _claim(own, trading.ORDER_COMPLETE) is False:
        yield "It was still open when its process ended."


def _doubling(attributes: Attributes, ids: frozenset[str]) -> str:
    """What a suspicion says of the order of these ids: it doubles another, or another doubles it."""
    doubled = [
        text_at(attributes, name)
        for name in (trading.ORDER_DUPLICATE_CLIENT_ID, trading.ORDER_DUPLICATE_VENUE_ID)
    ]
    doubling = [text_at(attributes, name) for name in (trading.ORDER_CLIENT_ID, trading.ORDER_VENUE_ID)]
    if ids.isdisjoint(doubled):
        other = next(filter(None, doubled), "another one")
        return f"It may double the order {shown(other)}."
    other = next(filter(None, doubling), "")
    return f"The order {shown(other)} may double it." if other else "Another order may double it."


def _facts(known: Attributes) -> Iterator[Named]:
    rows = (
        ("type", trading.ORDER_TYPE),
        ("time in force", trading.ORDER_TIME_IN_FORCE),
        ("environment", trading.VENUE_ENVIRONMENT),
        ("client", trading.CLIENT_LIBRARY),
        ("strategy", trading.STRATEGY_ID),
        ("quantity", trading.ORDER_QUANTITY),
        ("price", trading.ORDER_PRICE),
        ("filled quantity", trading.ORDER_FILLED_QUANTITY),
        ("average price", trading.ORDER_AVERAGE_PRICE),
        ("attempts", trading.ORDER_ATTEMPT),
        ("revision", trading.ORDER_REVISION),
        ("refused by", trading.ORDER_REJECT_ORIGIN),
        ("reason", trading.ORDER_REJECT_REASON),
        ("code", trading.ORDER_REJECT_CODE),
        ("the venue says", trading.ORDER_REJECT_MESSAGE),
        ("error", common.ERROR_TYPE),
    )
    for words, name in rows:
        value = text_at(known, name)
        if value:
            yield Named(words, shown(value, MAX_TEXT))


def _cause(concerned: Sequence[ReceivedSpan], own: Sequence[ReceivedSpan]) -> Cause | None:
    traces = {span.trace_id for span in own}
    for span in concerned:
        if span.name == trading.SPAN_FEED_MESSAGE and span.trace_id in traces:
            return Cause(
                shown(text_at(span.attributes, trading.VENUE_NAME)),
                shown(text_at(span.attributes, trading.INSTRUMENT_SYMBOL)),
                shown(text_at(span.attributes, trading.FEED_CHANNEL)),
                span.start_ns,
                _lag(span.attributes, span.start_ns),
                path_of(span),
            )
    return None


def _lag(attributes: Attributes, heard_ns: int) -> int | None:
    venue_ns = attributes.get(trading.VENUE_TIME_UNIX_NANO)
    return heard_ns - venue_ns if isinstance(venue_ns, int) and not isinstance(venue_ns, bool) else None


def _fills(own: Sequence[ReceivedSpan], told: Sequence[ReceivedLog]) -> list[Fill]:
    """Each once, though a span and a record tell of it; by its id, or by how much was filled."""
    found: dict[str, Fill] = {}
    reports: list[tuple[int, Attributes, str]] = [
        (span.start_ns, span.attributes, path_of(span))
        for span in own
        if span.name.startswith(trading.SPAN_ORDER_EVENT)
    ]
    reports += [
        (time_of(record), record.attributes, path_of(record))
        for record in told
        if record.event_name in {trading.EVENT_ORDER_FILL, trading.EVENT_ORDER_PARTIAL_FILL}
    ]
    for time_ns, attributes, path in reports:
        ratio = attributes.get(trading.ORDER_FILLED_RATIO)
        filled = float(ratio) if isinstance(ratio, int | float) and not isinstance(ratio, bool) else None
        execution_id = text_at(attributes, trading.EXECUTION_ID)
        is_fill = text_at(attributes, trading.ORDER_STATUS) in {"filled", "partially_filled"}
        if not (execution_id or is_fill):
            continue
        found.setdefault(
            execution_id or f"ratio {filled}",
            Fill(
                time_ns,
                shown(execution_id),
                shown(text_at(attributes, trading.EXECUTION_LIQUIDITY)),
                shown(text_at(attributes, trading.EXECUTION_QUANTITY)),
                shown(text_at(attributes, trading.EXECUTION_PRICE)),
                shown(text_at(attributes, trading.EXECUTION_FEE)),
                filled,
                attributes.get(trading.ORDER_LATE) is True,
                shown(text_at(attributes, trading.ORDER_EVENT_SOURCE)),
                _lag(attributes, time_ns),
                path,
            ),
        )
    named = {fill.filled_ratio for fill in found.values() if fill.execution_id}
    unique = [fill for fill in found.values() if fill.execution_id or fill.filled_ratio not in named]
    return sorted(unique, key=lambda fill: fill.time_ns)


def _states(own: Sequence[ReceivedSpan], told: Sequence[ReceivedLog], start_ns: int) -> Iterator[State]:
    """The audit stream; where there is none, the reports."""
    events = [record for record in told if record.event_name in _ORDER_EVENTS]
    for record in events:
        what, tone = _ORDER_EVENTS[record.event_name]
        yield State(
            time_of(record),
            time_of(record) - start_ns,
            what,
            shown(text_at(record.attributes, trading.ORDER_STATUS)),
            shown(text_at(record.attributes, trading.ORDER_EVENT_SOURCE)),
            _detail(record.attributes, text_of(record.body) if record.event_name in _TELLING else ""),
            tone,
            path_of(record),
        )
    if events:
        return
    for span in own:
        status = text_at(span.attributes, trading.ORDER_STATUS)
        if status and span.name.startswith((trading.SPAN_ORDER_EVENT, trading.SPAN_ORDER)):
            is_life = span.name == trading.SPAN_ORDER_LIFECYCLE
            time_ns = span.start_ns if span.name.startswith(trading.SPAN_ORDER_EVENT) else span.end_ns
            yield State(
                time_ns,
                time_ns - start_ns,
                "its life was written" if is_life else "reported",
                shown(status),
                shown(text_at(span.attributes, trading.ORDER_EVENT_SOURCE)),
                _detail(span.attributes, ""),
                TONES.get(status, ""),
                path_of(span),
            )


def _detail(attributes: Attributes, body: str) -> str:
    ratio = attributes.get(trading.ORDER_FILLED_RATIO)
    words = [
        f"{ratio:.0%} filled" if isinstance(ratio, float) and ratio else "",
        f"execution {attributes[trading.EXECUTION_ID]}" if trading.EXECUTION_ID in attributes else "",
        text_at(attributes, trading.ORDER_REJECT_REASON),
        text_at(attributes, trading.ORDER_REJECT_MESSAGE),
        "late" if attributes.get(trading.ORDER_LATE) is True else "",
        body,
    ]
    return shown(", ".join(word for word in words if word), MAX_TEXT)


def _holds(concerned: Sequence[ReceivedSpan], way: Way) -> list[Hold]:
    """What took time until the order was answered, the longest first; each thing once, by its worst span."""
    until_ns = way.answered_ns or max((stage.end_ns for stage in way.stages), default=0)
    groups: dict[tuple[str, str], list[tuple[int, ReceivedSpan]]] = defaultdict(list)
    for span in concerned:
        if span.name == trading.SPAN_ORDER_LIFECYCLE or (until_ns and span.start_ns > until_ns):
            continue
        for what, detail, duration_ns in _held(span.attributes):
            groups[what, detail].append((duration_ns, span))
    holds: list[Hold] = []
    for (what, detail), seen in groups.items():
        duration_ns, worst = max(seen, key=lambda one: one[0])
        holds.append(Hold(what, duration_ns, detail, shown(worst.name), len(seen), path_of(worst)))
    return sorted(holds, key=lambda hold: (-hold.duration_ns, hold.what))


def _held(attributes: Attributes) -> Iterator[tuple[str, str, int]]:
    rows = (
        ("garbage collector", memory.GC_PAUSE, ""),
        (
            "event loop was busy",
            memory.EVENTLOOP_SPAN_DELAY,
            text_at(attributes, memory.EVENTLOOP_BLOCKED_BY),
        ),
        ("the client kept a rate limit", trading.LATENCY_THROTTLE_WAIT, ""),
        ("the client's queue", trading.LATENCY_QUEUE_WAIT, ""),
        ("decided on old data", trading.FEED_AGE, ""),
    )
    for what, name, detail in rows:
        duration_ns = seconds_of(attributes, name)
        if duration_ns:
            yield what, shown(detail, MAX_TEXT), duration_ns
    pool_ns = seconds_of(attributes, db.TICKSPAN_DB_POOL_WAIT)
    if pool_ns is not None and pool_ns >= _POOL_WAIT_FROM_NS:
        yield "waited for a connection", "", pool_ns
    grown = attributes.get(memory.MEMORY_GROWTH)
    if isinstance(grown, int) and not isinstance(grown, bool):
        yield f"the process's memory moved by {grown / (1 << 20):+.1f} MiB", "", 0


def _notices(logs: Sequence[ReceivedLog], owners: Owners, ids: frozenset[str]) -> list[Notice]:
    """What was found, raised or told, but not of another order; the gravest first."""
    found: list[tuple[int, Notice]] = []
    for record in logs:
        owner = owners.get((record.trace_id or "", record.span_id or ""), "")
        if record.event_name not in _NOTICES or (owner == "other" and not names_it(record.attributes, ids)):
            continue
        severity = severity_of(record.severity_number)
        kind, title, path = _title(record)
        notice = Notice(
            time_of(record),
            kind,
            shown(title, MAX_TEXT),
            shown(text_at(record.attributes, findings.FINDING_ADVICE), MAX_TEXT),
            severity.word,
            severity.tone,
            path,
            path_of(record),
        )
        found.append((-record.severity_number, notice))
    return [notice for _, notice in sorted(found, key=lambda one: (one[0], one[1].time_ns))]


def _title(record: ReceivedLog) -> tuple[str, str, str]:
    """What kind of notice a record is, what it says, and where there is more of the kind."""
    body = text_of(record.body)
    if record.event_name == findings.EVENT:
        fingerprint = text_at(record.attributes, db.TICKSPAN_DB_QUERY_FINGERPRINT)
        return "finding", body, f"/queries/{quote(fingerprint, safe='')}" if fingerprint else "/queries"
    if record.event_name == alerts.EVENT_STATE_CHANGE:
        return "alert", body or text_at(record.attributes, alerts.ALERT_NAME), "/alerts"
    if record.event_name == profiler.EVENT_PROFILE_CAPTURED:
        reason = text_at(record.attributes, profiler.PROFILE_REASON)
        return "profile", f"a profile was kept: {reason}", "/runtime"
    if record.event_name == trading.EVENT_FEED_STALE:
        return "old data", body, address("/logs", {"event": record.event_name})
    return "runtime", body or record.event_name, "/runtime"


def _calls(concerned: Sequence[ReceivedSpan], way: Way, start_ns: int) -> list[Call]:
    """Queries and cache calls by name, those before the wire first, then by their time."""
    sent_ns = way.sent_ns or max((stage.end_ns for stage in way.stages if stage.part == "call"), default=0)
    total_ns = sent_ns - start_ns
    groups: dict[tuple[bool, str, str, str], list[ReceivedSpan]] = defaultdict(list)
    for span in concerned:
        system = text_at(span.attributes, db.DB_SYSTEM_NAME)
        if system:
            fingerprint = text_at(span.attributes, db.TICKSPAN_DB_QUERY_FINGERPRINT)
            groups[span.start_ns < sent_ns, span.name, system, fingerprint].append(span)
    calls: list[Call] = []
    for (is_before, name, system, fingerprint), seen in groups.items():
        slowest = max(seen, key=lambda span: span.end_ns - span.start_ns)
        on_the_way_ns = sum(max(min(span.end_ns, sent_ns) - max(span.start_ns, start_ns), 0) for span in seen)
        calls.append(
            Call(
                shown(name),
                shown(system),
                len(seen),
                sum(span.end_ns - span.start_ns for span in seen),
                min(on_the_way_ns / total_ns, 1.0) if is_before and total_ns > 0 else 0.0,
                is_before,
                sum(span.status.code is StatusCode.ERROR for span in seen),
                path_of(slowest),
                f"/queries/{quote(fingerprint, safe='')}" if fingerprint else "",
            )
        )
    return sorted(calls, key=lambda call: (not call.is_before, -call.duration_ns, call.name))


def _cache(concerned: Sequence[ReceivedSpan]) -> Iterator[Named]:
    rows = (("hits", cache.CACHE_HITS), ("misses", cache.CACHE_MISSES), ("old values", cache.CACHE_STALE))
    for words, name in rows:
        values = [span.attributes[name] for span in concerned if isinstance(span.attributes.get(name), int)]
        if values:
            yield Named(words, f"{sum(value for value in values if isinstance(value, int)):,}")


def _chosen(
    spans: Sequence[ReceivedSpan], logs: Sequence[ReceivedLog], owners: Owners, ids: frozenset[str]
) -> list[tuple[ReceivedSpan | ReceivedLog, About]]:
    """What has a line, in the order of time; of too many, what is the order's own first, another's last."""
    found: list[tuple[int, int, ReceivedSpan | ReceivedLog, About]] = [
        (span.start_ns, number, span, owners[span.trace_id, span.span_id])
        for number, span in enumerate(spans)
    ]
    for number, record in enumerate(logs, len(spans)):
        owner = owners.get((record.trace_id or "", record.span_id or ""), "")
        found.append((time_of(record), number, record, "this" if names_it(record.attributes, ids) else owner))
    if len(found) > MAX_ENTRIES:
        found.sort(key=lambda one: (_NEARNESS[one[3]], one[0], one[1]))
    return [(record, about) for _, _, record, about in sorted(found[:MAX_ENTRIES], key=lambda one: one[:2])]


def _entry(record: ReceivedSpan | ReceivedLog, about: About, start_ns: int) -> Entry:
    if isinstance(record, ReceivedSpan):
        time_ns, name, text = record.start_ns, record.name, _span_text(record)
        is_error, is_warning = record.status.code is StatusCode.ERROR, False
    else:
        severity, time_ns = severity_of(record.severity_number), time_of(record)
        name = record.event_name or severity.word
        text = text_of(record.body) or text_at(record.attributes, trading.ORDER_STATUS)
        is_error, is_warning = severity.tone == "bad", severity.tone == "warn"
    return Entry(
        time_ns,
        time_ns - start_ns,
        record.end_ns - record.start_ns if isinstance(record, ReceivedSpan) else None,
        "span" if isinstance(record, ReceivedSpan) else "log",
        shown(name),
        shown(text, MAX_TEXT),
        shown(service_of(record)),
        shown(process_of(record)),
        about,
        "bad" if is_error else "warn" if is_warning else "",
        path_of(record),
    )


def _span_text(span: ReceivedSpan) -> str:
    names = (
        trading.ORDER_STATUS,
        trading.ORDER_EVENT_SOURCE,
        trading.RISK_CHECK_OUTCOME,
        trading.FEED_CHANNEL,
        db.DB_QUERY_TEXT,
        common.ERROR_TYPE,
    )
    words = [text_at(span.attributes, name) for name in names]
    return " · ".join(word for word in (*words, span.status.description) if word)


def _sequence(record: ReceivedLog) -> int:
    number = record.attributes.get(trading.EVENT_SEQUENCE)
    return number if isinstance(number, int) else 0
