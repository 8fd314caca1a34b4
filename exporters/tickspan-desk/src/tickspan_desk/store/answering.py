"""Answering: the questions of `Reading`, each over one state of one connection."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.trace import SpanKind

from tickspan.received import (
    Attributes,
    MetricKind,
    ReceivedLog,
    ReceivedPoint,
    ReceivedSpan,
    Value,
    decode_metrics,
)
from tickspan.semconv import common
from tickspan_desk.store._hot import walk
from tickspan_desk.store.bodies import Bodies, Term, has, hash_of_text
from tickspan_desk.store.indexing import LAST_NS, bounded, placed_ns
from tickspan_desk.store.reading import (
    LogEntry,
    LogFilter,
    Match,
    Operation,
    OrderEntry,
    Series,
    TraceEntry,
    TraceFilter,
    Window,
)
from tickspan_desk.store.sketch import Sketch, Slow, packed_quantile_ns, quantile_ns, unpack_slow

__all__ = ["PLACES", "Answers"]

PLACES: Final = 24
"""Bits of a log's number that are its place in its batch; those above are the batch's number."""
BUDGET_S: Final = 0.4
"""How long one question may look through bodies; what was found until then is the answer."""
CALLS_BUDGET_S: Final = 2.0
"""The same for the question that looks at many spans."""
MOST_MINUTES: Final = 10_080
"""Of an operation that are told one by one: those of a week."""
PATIENCE_S: Final = 1.6
"""How much longer it looks for log records while it has found none."""
_QUANTILES: Final = (0.5, 0.99, 0.999)
_KINDS: Final = {kind.value + 1: kind.name.lower() for kind in SpanKind}
_EXEMPLARS: Final = 5
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_ORDER_COLUMNS: Final = (
    "id, order_id, venue, symbol, side, status, service, start_ns, end_ns, trace_id, last_part"
)
_IS: Final = "(venue = :text OR symbol = :text OR side = :text OR status = :text)"
_CANDIDATES: Final = """
SELECT trace_id, start_ns FROM trace
WHERE start_ns >= :since AND start_ns < :until {errors} AND (
    end_ns - start_ns >= :duration OR is_split
    OR (part = :open AND EXISTS (SELECT 1 FROM trace AS other WHERE other.trace_id = trace.trace_id
        AND other.part != trace.part)))
ORDER BY start_ns DESC
"""


class Answers:
    """Answers from one state; for one thread, and no longer than its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._bodies = Bodies(connection)
        self._deadline = time.monotonic() + BUDGET_S

    # Traces.

    def traces(self, wanted: TraceFilter, window: Window, limit: int, before_ns: int) -> list[TraceEntry]:
        """See `Reading.traces`."""
        until_ns = min(before_ns or window.until_ns, window.until_ns)
        if wanted.service or wanted.name or wanted.text:
            candidates = self._traces_that_have(wanted, window.since_ns, until_ns)
        else:
            candidates = self._newest_traces(wanted, window.since_ns, until_ns)
        found: list[TraceEntry] = []
        seen: set[bytes] = set()
        for trace_id, latest_ns in candidates:
            if len(found) >= limit and sorted(entry.start_ns for entry in found)[-limit] >= latest_ns:
                break
            if trace_id in seen:
                continue
            seen.add(trace_id)
            entry = self._trace(trace_id)
            if (
                entry is not None
                and window.since_ns <= entry.start_ns < until_ns
                and entry.end_ns - entry.start_ns >= wanted.min_duration_ns
                and (entry.errors or not wanted.has_error)
            ):
                found.append(entry)
        return sorted(found, key=lambda entry: -entry.start_ns)[:limit]

    def _newest_traces(
        self, wanted: TraceFilter, since_ns: int, until_ns: int
    ) -> Iterator[tuple[bytes, int]]:
        query = _CANDIDATES.format(errors="AND errors > 0" if wanted.has_error else "")
        yield from self._run(
            query,
            {
                "since": bounded(since_ns),
                "until": bounded(until_ns),
                "duration": bounded(wanted.min_duration_ns),
                "open": self._run("SELECT coalesce(max(id), 0) FROM part").fetchone()[0],
            },
        )

    def _traces_that_have(
        self, wanted: TraceFilter, since_ns: int, until_ns: int
    ) -> Iterator[tuple[bytes, int]]:
        """Traces of which some span has each of what is wanted, with the latest start in their batch."""
        conditions = _conditions(wanted)
        posted = [
            self._batches_with(hashes, "traces", Window(since_ns, until_ns)) for hashes, _ in conditions
        ]
        rarest = min(range(len(conditions)), key=lambda place: len(posted[place]))
        others = [condition for place, condition in enumerate(conditions) if place != rarest]
        hashes, is_it = conditions[rarest]
        batches = sorted(posted[rarest], key=lambda row: -row[1])
        for batch, latest_ns in batches:
            for trace_id in self._bodies.traces(batch, hashes, is_it):
                if all(any(map(is_other, self.spans(trace_id))) for _, is_other in others):
                    yield bytes.fromhex(trace_id), latest_ns
            if time.monotonic() > self._deadline:
                return
            if time.monotonic() > self._deadline:
                return

    def _batches_with(self, hashes: Sequence[int], signal: str, window: Window) -> list[tuple[int, int]]:
        """(batch, its latest time) of those that may have all these hashes and overlap a window."""
        first, *rest = hashes
        also = "".join(
            " AND EXISTS (SELECT 1 FROM posting AS other WHERE other.part = posting.part AND other.value = ? "
            "AND other.batch = posting.batch)"
            for _ in rest
        )
        found: list[tuple[int, int]] = self._run(
            "SELECT batch.id, batch.until_ns FROM part CROSS JOIN posting ON posting.part = part.id "  # noqa: S608 - our text
            "AND posting.value = ? CROSS JOIN batch ON batch.id = posting.batch "
            f"WHERE batch.signal = ? AND batch.since_ns < ? AND batch.until_ns >= ?{also}",
            (first, signal, bounded(window.until_ns), bounded(window.since_ns), *rest),
        ).fetchall()
        return found

    def _trace(self, trace_id: bytes) -> TraceEntry | None:
        rows: list[Any] = self._run(
            "SELECT part, start_ns, end_ns, spans, errors, root_ns, root, first, services FROM trace "
            "WHERE trace_id = ?",
            (trace_id,),
        ).fetchall()
        if not rows:
            return None
        rooted = [row for row in rows if row[5] >= 0]
        if rooted:
            part, operation = min((row[5], row[0], row[6]) for row in rooted)[1:]
        else:
            part, operation = min((row[1], row[0], row[7]) for row in rows)[1:]
        service, name, _ = self._operation(part, operation)
        services = {
            self._service(row[0], int(number)) for row in rows for number in row[8].split(",") if number
        }
        return TraceEntry(
            trace_id.hex(),
            name,
            service,
            min(row[1] for row in rows),
            max(row[2] for row in rows),
            sum(row[3] for row in rows),
            sum(row[4] for row in rows),
            tuple(sorted(services)),
        )

    def _operation(self, part: int, number: int) -> tuple[str, str, str]:
        """(service, name, kind)."""
        service, name, kind = self._run(
            "SELECT service, name, kind FROM operation WHERE part = ? AND id = ?", (part, number)
        ).fetchone()
        return self._service(part, service), name, _KINDS.get(kind, "internal")

    def _service(self, part: int, number: int) -> str:
        return self._run("SELECT name FROM service WHERE part = ? AND id = ?", (part, number)).fetchone()[0]

    def spans(self, trace_id: str) -> list[ReceivedSpan]:
        """See `Reading.spans`."""
        raw = _raw_id(trace_id)
        if raw is None:
            return []
        hashed, found = walk.hash_of(raw), dict[Any, ReceivedSpan]()
        for batch in self._batches_of_trace(raw, hashed):
            for place, span in enumerate(self._bodies.spans(batch, [hashed])):
                if span.trace_id == raw.hex():
                    key = (span.span_id, span.name, span.kind) if span.span_id else (batch, place)
                    found.setdefault(key, span)
        return sorted(found.values(), key=lambda span: span.start_ns)

    def spans_with(self, attribute: str, window: Window, value: str, limit: int) -> list[ReceivedSpan]:
        """See `Reading.spans_with`; it looks through bodies for `CALLS_BUDGET_S` at most, newest first."""
        hashes = [hash_of_text(value)] if value else []
        term, deadline = Term(value, attribute), time.monotonic() + CALLS_BUDGET_S
        batches = self._batches_with(hashes, "traces", window) if hashes else self._trace_batches(window)
        found: list[ReceivedSpan] = []
        for batch, latest_ns in sorted(batches, key=lambda row: -row[1]):
            if time.monotonic() > deadline:
                break
            if len(found) >= limit and sorted(span.start_ns for span in found)[-limit] > latest_ns:
                break
            found += [
                span
                for span in self._bodies.spans(batch, hashes, attribute)
                if window.since_ns <= span.start_ns < window.until_ns
                and attribute in span.attributes
                and (not value or has(span.attributes, term))
            ]
        return sorted(found, key=lambda span: -span.start_ns)[:limit]

    def _trace_batches(self, window: Window) -> list[tuple[int, int]]:
        """(batch, its latest time) of spans that overlap a window."""
        return [
            (row[0], row[1])
            for row in self._run(
                "SELECT id, until_ns FROM batch WHERE signal = 'traces' AND since_ns < ? AND until_ns >= ?",
                (bounded(window.until_ns), bounded(window.since_ns)),
            )
        ]

    def _batches_of_trace(self, raw: bytes, hashed: int) -> list[int]:
        return [
            row[0]
            for row in self._run(
                "SELECT posting.batch FROM trace JOIN posting ON posting.part = trace.part "
                "AND posting.value = ? JOIN batch ON batch.id = posting.batch "
                "WHERE trace.trace_id = ? AND batch.signal = 'traces' ORDER BY posting.batch",
                (hashed, raw),
            )
        ]

    # Logs.

    def logs(
        self,
        wanted: LogFilter,
        window: Window,
        limit: int,
        before: int,
        event_names: Sequence[str] = (),
    ) -> list[LogEntry]:
        """See `Reading.logs`; with `event_names`, those that have one of these names."""
        raw = _raw_id(wanted.trace_id) if wanted.trace_id else b""
        if raw is None:
            return []
        hashes = _log_hashes(wanted, raw)
        is_it = _log_condition(wanted, window, raw, event_names)
        needle = wanted.text.lower().encode() if wanted.text.isascii() else b""
        found: list[LogEntry] = []
        for batch in self._log_batches(hashes, event_names, wanted.min_severity, window, before):
            if needle and needle not in self._bodies.body(batch).lower():
                records: list[tuple[int, ReceivedLog]] = []
            else:
                records = self._bodies.logs(batch, hashes, wanted.min_severity)
            for place, record in reversed(records):
                number = batch << PLACES | place
                if (not before or number < before) and is_it(record, self._came_ns(batch, record)):
                    found.append(LogEntry(number, record))
                    if len(found) == limit:
                        return found
            if time.monotonic() > self._deadline + (0 if found else PATIENCE_S):
                break
        return found

    def _came_ns(self, batch: int, record: ReceivedLog) -> int:
        """When a record was, as the index has it."""
        came_ns: int = self._run("SELECT came_ns FROM batch WHERE id = ?", (batch,)).fetchone()[0]
        return placed_ns(record.time_ns, placed_ns(record.observed_ns, came_ns))

    def _log_batches(
        self, hashes: Sequence[int], event_names: Sequence[str], severity: int, window: Window, before: int
    ) -> Iterator[int]:
        """Batches that may have such records, newest first."""
        if event_names:
            posted = {
                batch
                for name in event_names
                for batch, _ in self._batches_with([*hashes, hash_of_text(name)], "logs", window)
            }
            yield from sorted((batch for batch in posted if self._is_before(batch, before)), reverse=True)
            return
        if hashes:
            batches = [batch for batch, _ in self._batches_with(hashes, "logs", window)]
            yield from sorted((batch for batch in batches if self._is_before(batch, before)), reverse=True)
            return
        for row in self._run(
            "SELECT id FROM batch WHERE signal = 'logs' AND id <= ? AND since_ns < ? AND until_ns >= ? "
            "AND severity >= ? ORDER BY id DESC",
            (
                before >> PLACES if before else LAST_NS,
                bounded(window.until_ns),
                bounded(window.since_ns),
                bounded(severity),
            ),
        ):
            yield row[0]

    def _is_before(self, batch: int, before: int) -> bool:
        return not before or batch <= before >> PLACES

    # Orders.

    def orders(self, window: Window, text: str, limit: int) -> list[OrderEntry]:
        """See `Reading.orders`."""
        if not text:
            return self._orders_where(window, "TRUE", text, limit)
        is_named = "id IN (SELECT trading_order FROM order_name WHERE instr(order_name.id, :text))"
        return self._orders_where(window, f"({_IS} OR {is_named})", text, limit)

    def orders_that_are(self, window: Window, text: str, limit: int) -> list[OrderEntry]:
        """Those whose venue, symbol, side or status is the text."""
        return self._orders_where(window, _IS, text, limit)

    def _orders_where(self, window: Window, condition: str, text: str, limit: int) -> list[OrderEntry]:
        rows: list[Any] = self._run(
            f"SELECT {_ORDER_COLUMNS} FROM trading_order "  # noqa: S608 - our text
            f"WHERE start_ns < :until AND end_ns >= :since AND {condition} "
            "ORDER BY start_ns DESC LIMIT :limit",
            {
                "until": bounded(window.until_ns),
                "since": bounded(window.since_ns),
                "limit": limit,
                "text": text,
            },
        ).fetchall()
        return [self._order(row) for row in rows]

    def _orders_named(self, text: str, limit: int) -> list[OrderEntry]:
        """Those of which an id begins with the text, whenever they were."""
        rows: list[Any] = self._run(
            f"SELECT {_ORDER_COLUMNS} FROM trading_order WHERE id IN (SELECT trading_order FROM order_name "  # noqa: S608 - our text
            "WHERE order_name.id >= ? AND order_name.id < ? || char(1114111)) ORDER BY start_ns DESC LIMIT ?",
            (text, text, limit),
        ).fetchall()
        return [self._order(row) for row in rows]

    def order(self, order_id: str) -> OrderEntry | None:
        """See `Reading.order`."""
        row: Any = self._run(
            f"SELECT {_ORDER_COLUMNS} FROM trading_order WHERE id IN "  # noqa: S608 - our text
            "(SELECT trading_order FROM order_name WHERE order_name.id = ?) ORDER BY start_ns DESC LIMIT 1",
            (order_id,),
        ).fetchone()
        return None if row is None else self._order(row)

    def _order(self, row: Any) -> OrderEntry:
        number, order_id, venue, symbol, side, status, service, start_ns, end_ns, trace_id, _ = row
        names = [
            found[0]
            for found in self._run(
                "SELECT id FROM order_name WHERE trading_order = ? ORDER BY place", (number,)
            )
        ]
        traces: list[str] = [
            found[0].hex()
            for found in self._run(
                "SELECT trace_id FROM order_trace WHERE trading_order = ? "
                "GROUP BY trace_id ORDER BY min(time_ns)",
                (number,),
            )
        ]
        main: str = trace_id.hex()
        return OrderEntry(
            order_id,
            tuple(dict.fromkeys(name for name in names if name != order_id)),
            venue,
            symbol,
            side,
            status,
            service,
            start_ns,
            end_ns,
            main if main in traces or not traces else traces[0],
            tuple(traces),
        )

    # Operations.

    def operations(self, window: Window, service: str) -> list[Operation]:
        """See `Reading.operations`."""
        end = -(-window.until_ns // walk.MINUTE_NS)
        first = max(window.since_ns // walk.MINUTE_NS, end - MOST_MINUTES)
        groups: dict[tuple[str, str, str], dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for part, minute, number, *row in self._run(
            "SELECT part.id, minute, operation, calls, errors, sketch, slow FROM part CROSS JOIN minute "
            "ON minute.part = part.id WHERE minute >= ? AND minute < ?",
            (bounded(first), bounded(end)),
        ):
            groups[part, number, ""][minute].append(row)
        named: dict[tuple[str, str, str], dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for (part, number, _), minutes in groups.items():
            key = self._operation(int(part), int(number))
            if service in {"", key[0]}:
                for minute, rows in minutes.items():
                    named[key][minute] += rows
        found = [_operation_of(key, minutes, range(first, end)) for key, minutes in named.items()]
        found.sort(key=lambda pair: -pair[0])
        return [operation for _, operation in found]

    def services(self) -> list[str]:
        """See `Reading.services`."""
        rows = self._run("SELECT name FROM service UNION SELECT service FROM series")
        return sorted(row[0] for row in rows if row[0])

    # Metrics.

    def metric_names(self) -> list[tuple[str, str, str, int]]:
        """See `Reading.metric_names`."""
        return self._run(
            "SELECT name, unit, kind, count(*) FROM series GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ).fetchall()

    def series(self, name: str, window: Window, attributes: Mapping[str, str], limit: int) -> list[Series]:
        """See `Reading.series`."""
        found: list[Series] = []
        rows: list[Any] = self._run(
            "SELECT id, service, name, unit, description, kind, temporality, is_monotonic, attributes, "
            "resource FROM series WHERE name = ? ORDER BY id",
            (name,),
        ).fetchall()
        parts: list[int] = [row[0] for row in self._run("SELECT id FROM part ORDER BY id")]
        for row in rows:
            known = _attributes(NumberDataPoint.FromString(row[8]).attributes)
            if all(has(known, Term(value, key)) for key, value in attributes.items()):
                found.append(self._series(row, known, parts, window))
                if len(found) == limit:
                    break
        return found

    def _series(self, row: Any, known: Attributes, parts: Sequence[int], window: Window) -> Series:
        number, service, name, unit, description, kind, temporality, is_monotonic, _, resource = row
        points: list[tuple[int, int, ReceivedPoint]] = []
        for part in parts:
            for time_ns, place, start_ns, value, detail in self._run(
                "SELECT time_ns, number, start_ns, value, detail FROM point "
                "WHERE part = ? AND series = ? AND time_ns >= ? AND time_ns < ?",
                (part, number, bounded(window.since_ns), bounded(window.until_ns)),
            ):
                if detail is None:
                    held = float(value) if isinstance(value, str) else value
                    point = ReceivedPoint(known, start_ns, time_ns, value=held)
                else:
                    point = _distribution(kind, detail, known)
                points.append((time_ns, place, point))
        points.sort(key=lambda told: told[:2])
        return Series(
            number,
            service,
            name,
            unit,
            description,
            kind,
            temporality,
            bool(is_monotonic),
            known,
            _attributes(Resource.FromString(resource).attributes),
            tuple(point for _, _, point in points),
        )

    # Search.

    def search(self, text: str, window: Window, limit: int) -> list[Match]:
        """See `Reading.search`."""
        found: dict[tuple[str, str, str], Match] = {}
        for match in self._matches(text, window, limit):
            found.setdefault((match.kind, match.path, match.title), match)
            if len(found) >= limit:
                break
        return list(found.values())

    def _matches(self, text: str, window: Window, limit: int) -> Iterator[Match]:
        raw = _raw_id(text)
        trace = self._trace(raw) if raw is not None else None
        if trace is not None:
            detail = f"{trace.service}, {trace.spans} spans"
            yield Match("trace", trace.name, detail, f"/traces/{trace.trace_id}", trace.start_ns)
        for order in self._orders_named(text, limit) or self.orders_that_are(window, text, limit):
            detail = " ".join(word for word in (order.venue, order.side, order.symbol, order.status) if word)
            path = f"/orders/{quote(order.order_id, safe='')}"
            yield Match("order", order.order_id, detail, path, order.start_ns)
        yield from self._named(text)
        yield from self._spans_that_have(text, raw, window, limit)
        wanted = LogFilter(trace_id=text) if raw is not None and len(text) == _TRACE_DIGITS else None
        for entry in self.logs(wanted or LogFilter(attribute=text), window, limit, 0):
            record = entry.record
            title = record.event_name or str(record.body)
            service = str(record.resource.get(common.SERVICE_NAME, ""))
            yield Match("log", title, service, f"/logs/{entry.number}", record.time_ns or record.observed_ns)

    def _named(self, text: str) -> Iterator[Match]:
        for service, name in self._run(
            "SELECT DISTINCT service.name, operation.name FROM operation JOIN service "
            "ON service.part = operation.part AND service.id = operation.service WHERE operation.name = ?",
            (text,),
        ):
            yield Match("operation", name, service, f"/operations?{urlencode({'service': service})}", 0)
        for name, unit, kind, series in self.metric_names():
            if name == text:
                detail = f"{kind}, {series} series" + (f", {unit}" if unit else "")
                yield Match("metric", name, detail, f"/metrics/{quote(name, safe='')}", 0)

    def _spans_that_have(self, text: str, raw: bytes | None, window: Window, limit: int) -> Iterator[Match]:
        is_span_id = raw is not None and len(text) == _SPAN_DIGITS
        wanted: list[tuple[int, Callable[[ReceivedSpan], bool]]] = [
            (term.hash, _span_has(term)) for term in _terms(text)
        ]
        if is_span_id and raw is not None:
            wanted.insert(0, (walk.hash_of(raw), lambda span: span.span_id == raw.hex()))
        told = 0
        for hashed, is_it in wanted:
            batches = sorted(self._batches_with([hashed], "traces", window), key=lambda row: -row[1])
            for batch, _ in batches:
                for span in self._bodies.spans(batch, [hashed]):
                    if is_it(span):
                        path = f"/traces/{span.trace_id}#span-{span.span_id}"
                        service = str(span.resource.get(common.SERVICE_NAME, ""))
                        yield Match("span", span.name, service, path, span.start_ns)
                        told += 1
                if told >= limit or time.monotonic() > self._deadline:
                    return


def _raw_id(text: str) -> bytes | None:
    """The bytes of an id in hex; None for what is none."""
    try:
        return bytes.fromhex(text) if text and text.isascii() and not text.isspace() else None
    except ValueError:
        return None


def _terms(text: str) -> list[Term]:
    """What a text may mean: the value of one attribute, or a value alone, which may have a "=" in it."""
    key, separator, value = text.partition("=")
    return [Term(value, key), Term(text)] if separator and key else [Term(text)]


def _span_has(term: Term) -> Callable[[ReceivedSpan], bool]:
    def is_it(span: ReceivedSpan) -> bool:
        return (
            has(span.attributes, term)
            or has(span.resource, term)
            or any(has(event.attributes, term) for event in span.events)
            or any(has(link.attributes, term) for link in span.links)
            or (not term.key and span.name == term.value)
        )

    return is_it


def _conditions(
    wanted: TraceFilter,
) -> list[tuple[tuple[int, ...], Callable[[ReceivedSpan], bool]]]:
    """What some span of a trace must have: hashes of which all are posted, and the exact condition."""
    found: list[tuple[tuple[int, ...], Callable[[ReceivedSpan], bool]]] = []
    if wanted.service:
        found.append(
            (
                (hash_of_text(wanted.service),),
                lambda span: str(span.resource.get(common.SERVICE_NAME, "")) == wanted.service,
            )
        )
    if wanted.name:
        cut = walk.LONGEST_NAME
        found.append(
            (
                (hash_of_text(wanted.name),),
                lambda span: span.name.encode()[:cut] == wanted.name.encode()[:cut],
            )
        )
    if wanted.text:
        raw = _raw_id(wanted.text)
        if raw is not None and len(wanted.text) in {_TRACE_DIGITS, _SPAN_DIGITS}:
            found.append(
                (
                    (walk.hash_of(raw),),
                    lambda span: raw.hex() in {span.trace_id, span.span_id},
                )
            )
        else:
            term = _terms(wanted.text)[0]
            found.append(((term.hash,), _span_has(term)))
    return found


def _log_hashes(wanted: LogFilter, raw: bytes) -> list[int]:
    hashes = [hash_of_text(text) for text in (wanted.service, wanted.event) if text]
    if raw:
        hashes.append(walk.hash_of(raw))
    if wanted.attribute:
        hashes.append(_terms(wanted.attribute)[0].hash)
    return hashes


def _log_condition(
    wanted: LogFilter, window: Window, raw: bytes, event_names: Sequence[str]
) -> Callable[[ReceivedLog, int], bool]:
    term = _terms(wanted.attribute)[0] if wanted.attribute else None
    text = wanted.text.lower()

    def is_it(record: ReceivedLog, time_ns: int) -> bool:
        return (
            window.since_ns <= time_ns < window.until_ns
            and record.severity_number >= wanted.min_severity
            and (not event_names or record.event_name in event_names)
            and wanted.event in {"", record.event_name}
            and wanted.service in {"", str(record.resource.get(common.SERVICE_NAME, ""))}
            and (not raw or record.trace_id == raw.hex())
            and (not text or text in str(record.body).lower())
            and (term is None or has(record.attributes, term) or has(record.resource, term))
        )

    return is_it


def _operation_of(
    key: tuple[str, str, str], minutes: Mapping[int, list[Any]], wanted: range
) -> tuple[float, Operation]:
    """The nanoseconds that an operation took in all, about, and what is told of it."""
    whole: Sketch = {}
    slow: list[Slow] = []
    calls = errors = 0
    told: dict[int, tuple[int, int, int]] = {}
    for minute, rows in minutes.items():
        for _, _, packed, _ in rows:
            walk.add_sketch(whole, packed)
        in_minute, failed = sum(row[0] for row in rows), sum(row[1] for row in rows)
        calls, errors = calls + in_minute, errors + failed
        told[minute] = in_minute, failed, _p99_ns(rows, in_minute)
        for *_, packed_slow in rows:
            slow += unpack_slow(packed_slow)
    spent = sum(walk.GROWTH ** (bucket - 0.5) * count for bucket, count in whole.items() if bucket)
    return spent, Operation(
        *key,
        calls=calls,
        errors=errors,
        quantiles_ns={quantile: quantile_ns(whole, quantile) for quantile in _QUANTILES},
        minutes=tuple(told.get(minute, (0, 0, 0)) for minute in wanted),
        exemplars=tuple(
            (duration, trace_id.hex()) for duration, trace_id in sorted(slow, reverse=True)[:_EXEMPLARS]
        ),
    )


def _p99_ns(rows: Sequence[Any], calls: int) -> int:
    """Of a minute, which may be in two parts."""
    if len(rows) == 1:
        return packed_quantile_ns(rows[0][2], calls, 0.99)
    sketch: Sketch = {}
    for _, _, packed, _ in rows:
        walk.add_sketch(sketch, packed)
    return quantile_ns(sketch, 0.99)


def _attributes(pairs: Any) -> dict[str, Value]:
    """As `tickspan.received` has them."""
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().resource.attributes.extend(pairs)
    request.resource_metrics[0].scope_metrics.add().metrics.add().gauge.SetInParent()
    return dict(decode_metrics(request)[0].resource)


def _distribution(kind: MetricKind, detail: bytes, attributes: Attributes) -> ReceivedPoint:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
    getattr(metric, kind).data_points.add().MergeFromString(detail)
    told = decode_metrics(request)[0].points[0]
    return ReceivedPoint(
        attributes,
        told.start_ns,
        told.time_ns,
        count=told.count,
        sum=told.sum,
        min=told.min,
        max=told.max,
        bounds=told.bounds,
        bucket_counts=told.bucket_counts,
        scale=told.scale,
        offset=told.offset,
        zero_count=told.zero_count,
    )
