"""A sink that keeps finished records in memory, and reads them back as what a collector would have got."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool.entries import Entry, Signal, StreamKey, export_request
from tickspan_spool.reasons import Reason

from tickspan.received import Telemetry, decode_requests

_REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


@dataclass(slots=True)
class MemoryStream:
    """The records of one resource and scope."""

    key: StreamKey
    _entries: list[Entry]
    _pending: dict[bytes, Entry]

    def append(self, record: bytes, items: int = 1) -> None:
        """Keep one record."""
        self._entries.append(Entry(self.key, record, items, len(self._entries)))

    def pending(self, span_id: bytes, record: bytes) -> None:
        """Keep a span that has begun, until it is settled."""
        self._pending[span_id] = Entry(self.key, record, 0, 0)

    def settled(self, span_id: bytes) -> None:
        """That span has ended."""
        self._pending.pop(span_id, None)


@dataclass(slots=True)
class MemorySink:
    """What providers hand over, in its order. A spool without a disk, for tests."""

    entries: list[Entry] = field(default_factory=list[Entry])
    pending: dict[bytes, Entry] = field(default_factory=dict[bytes, Entry])
    """Spans that would be told as abandoned if the process died now, by their ids."""
    dropped: Counter[tuple[Signal, Reason]] = field(default_factory=Counter[tuple[Signal, Reason]])
    _streams: dict[StreamKey, MemoryStream] = field(default_factory=dict[StreamKey, MemoryStream])

    def stream(self, key: StreamKey) -> MemoryStream:
        """The stream of a key."""
        return self._streams.setdefault(key, MemoryStream(key, self.entries, self.pending))

    def drop(self, signal: Signal, reason: Reason, items: int = 1) -> None:
        """Count a loss."""
        self.dropped[signal, reason] += items

    def force_flush(self, timeout_s: float) -> bool:
        """True: everything is here."""
        del timeout_s
        return True

    def telemetry(self) -> Telemetry:
        """All records, decoded with the official messages."""
        return decode_requests(
            _REQUESTS[entry.stream.signal].FromString(export_request([entry])) for entry in self.entries
        )

    def clear(self) -> None:
        """Forget what came so far."""
        self.entries.clear()
