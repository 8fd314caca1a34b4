"""A tap that may ask a database, spans of calls to it, and what the tap tells by and by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import TapBatch

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.processors.queries.tap import QueryTap
from tickspan.received import ReceivedLog
from tickspan.recording.wire import encode_resource, encode_span
from tickspan.semconv import db
from tickspan.semconv import findings as names
from tickspan.testing.sink import MemorySink

START_S: Final = 1_700_000_000
_CLIENT: Final = 3
_MS: Final = 10**6
_STREAM: Final = StreamKey("traces", encode_resource({"service.name": "bot"}), b"")
_PATIENCE_S: Final = 30


@dataclass
class Probing:
    """A tap and its clock; the clock moves when a test says so.

    Attributes:
        home: the spool's folder.
        dsn: of the database that may be asked.
        system: a `db.system.name`.
        namespace: of the database.
        logs: all that was told.
    """

    home: Path
    dsn: str
    system: str
    namespace: str
    now_s: float = 0.0
    spans: int = 0
    logs: list[ReceivedLog] = field(default_factory=list[ReceivedLog])

    def __post_init__(self) -> None:
        environ: Mapping[str, str] = {
            "TICKSPAN_QUERIES_PLANS": "probe",
            "TICKSPAN_QUERIES_DATABASES": f"{self.namespace}=PROBED_DSN",
            "PROBED_DSN": self.dsn,
        }
        self.tap = QueryTap(
            self.home, environ, lambda: round((START_S + self.now_s) * 1e9), lambda: self.now_s
        )

    def ran(self, sql: str, times: int, duration_ms: float) -> None:
        """A statement was executed, alone in its trace each time."""
        text = canonicalise(sql, Dialect.of(self.system)).text
        attributes: dict[str, Any] = {
            db.DB_SYSTEM_NAME: self.system,
            db.DB_NAMESPACE: self.namespace,
            db.DB_QUERY_TEXT: text,
        }
        bodies = [self._span(attributes, duration_ms) for _ in range(times)]
        entries = [Entry(_STREAM, body, 1, number) for number, body in enumerate(bodies)]
        self._keep(self.tap.on_batch(TapBatch("101-7-ab", "bot", entries)))

    def heard(self, entries: Sequence[Entry]) -> None:
        """A program recorded these."""
        self._keep(self.tap.on_batch(TapBatch("101-7-ab", "bot", list(entries))))

    def until(self, holds: Callable[[], bool]) -> None:
        """Tick until something is so."""
        end_s = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < end_s, (self.tap, self.rules())
            self._keep(self.tap.tick(self.now_s))
            time.sleep(0.01)

    def until_explained(self, plans: int) -> None:
        """Tick until so many plans were told."""
        self.until(lambda: len(self.plans()) >= plans)

    def plans(self) -> list[ReceivedLog]:
        """All plans that were told."""
        return [log for log in self.logs if log.event_name == db.EVENT_QUERY_PLAN]

    def findings(self, rule: str) -> list[ReceivedLog]:
        """All findings of a rule that were told."""
        return [log for log in self.logs if log.attributes.get(names.FINDING_RULE) == rule]

    def rules(self) -> list[str]:
        """Of all findings that were told."""
        found = (log.attributes.get(names.FINDING_RULE) for log in self.logs)
        return [str(rule) for rule in found if rule is not None]

    def _span(self, attributes: Mapping[str, Any], duration_ms: float) -> bytes:
        self.spans += 1
        start_ns = round((START_S + self.now_s) * 1e9)
        return encode_span(
            self.spans, self.spans, "", 0, 0x101, "query", _CLIENT, start_ns,
            start_ns + round(duration_ms * _MS), dict(attributes), 0, None, 0, None, 0, 0, "",
        )  # fmt: skip

    def _keep(self, records: Iterable[Record] | None) -> None:
        sink = MemorySink()
        for record in records or ():
            sink.stream(record.stream).append(record.body, record.items)
        self.logs += sink.telemetry().logs
