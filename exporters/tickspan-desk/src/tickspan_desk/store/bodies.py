"""Bodies: requests as they are kept, and single records out of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tickspan.received import Attributes, ReceivedLog, ReceivedSpan, Value, decode_logs, decode_traces
from tickspan_desk.store._hot import walk

__all__ = ["Bodies", "Term", "has", "hash_of_text"]


@dataclass(frozen=True, slots=True)
class Term:
    """What an attribute must be: a value as text, of any attribute or of one."""

    value: str
    key: str = ""

    @property
    def hash(self) -> int:
        """By which its value is posted."""
        return hash_of_text(self.value)


def hash_of_text(text: str) -> int:
    """By which a name or value is posted."""
    return walk.hash_of(text.encode("utf-8", "replace")[: walk.LONGEST_NAME])


def has(attributes: Attributes, term: Term) -> bool:
    """Whether an attribute is what the term says."""
    if term.key:
        return term.key in attributes and term.value in _texts(attributes[term.key])
    return any(term.value in _texts(value) for value in attributes.values())


def _texts(value: Value) -> Iterator[str]:
    """A value as text, each one of an array or a map: as `walk.value_texts` has it."""
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, (str, int)):
        yield str(value)
    elif isinstance(value, float):
        yield repr(value)
    elif isinstance(value, bytes):
        yield value.hex()
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


class Bodies:
    """Requests of one store, by the number of their batch, as one connection sees them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._decompressor = zstandard.ZstdDecompressor()

    def body(self, batch: int) -> bytes:
        """A request, decompressed; empty when it has gone."""
        row: Any = self._connection.execute("SELECT packed FROM body WHERE id = ?", (batch,)).fetchone()
        return b"" if row is None else self._decompressor.decompress(row[0])

    def spans(self, batch: int, hashes: Sequence[int], key: str = "") -> list[ReceivedSpan]:
        """Spans that may have all these hashes, and an attribute of this name."""
        found = walk.sift(self.body(batch), is_logs=False, sought=walk.Sought(tuple(set(hashes))))
        if key:
            named = walk.frame(1, key.encode("utf-8", "replace"))
            found = [one for one in found if named in one[3]]
        return decode_traces(ExportTraceServiceRequest.FromString(_request(found)))

    def traces(self, batch: int, hashes: Sequence[int], is_it: Callable[[ReceivedSpan], bool]) -> list[str]:
        """Ids of traces of which a span in a request has all these hashes and is as wanted."""
        met: dict[bytes, str] = {}
        sought = walk.Sought(tuple(set(hashes)))
        for found in walk.sift(self.body(batch), is_logs=False, sought=sought):
            trace_id = Span.FromString(found[3]).trace_id
            if trace_id not in met:
                request = ExportTraceServiceRequest.FromString(_request([found]))
                if any(map(is_it, decode_traces(request))):
                    met[trace_id] = trace_id.hex()
        return list(met.values())

    def logs(self, batch: int, hashes: Sequence[int], severity: int = 0) -> list[tuple[int, ReceivedLog]]:
        """Log records that may have all these hashes, with their places in the request."""
        found = walk.sift(self.body(batch), is_logs=True, sought=walk.Sought(tuple(set(hashes)), severity))
        decoded = decode_logs(ExportLogsServiceRequest.FromString(_request(found)))
        return [(place, record) for (_, _, place, _), record in zip(found, decoded, strict=True)]


def _request(found: Iterable[tuple[bytes, bytes, int, bytes]]) -> bytes:
    """An export request of these records, in their order; traces and logs number their fields alike."""
    parts: list[bytes] = []
    held: tuple[bytes, bytes] | None = None
    records: list[bytes] = []
    for resource, scope, _, record in found:
        if held is not None and held != (resource, scope):
            parts.append(_group(held, records))
            records = []
        held = resource, scope
        records.append(walk.frame(2, record))
    if held is not None:
        parts.append(_group(held, records))
    return b"".join(parts)


def _group(held: tuple[bytes, bytes], records: Iterable[bytes]) -> bytes:
    resource, scope = held
    scoped = walk.frame(1, scope) + b"".join(records)
    return walk.frame(1, walk.frame(1, resource) + walk.frame(2, scoped))
