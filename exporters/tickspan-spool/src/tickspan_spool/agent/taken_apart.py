"""An export request taken apart again: a dead letter that is to be sent once more is new records."""

from __future__ import annotations

from collections.abc import Iterator

from tickspan_spool.entries import Entry, Signal, StreamKey, varint
from tickspan_spool.sender.wire_fields import fields, first_bytes

_GROUP, _RESOURCE, _SCOPES, _SCHEMA_URL = 1, 1, 2, 3
_SCOPE, _RECORD = 1, 2
_METRIC_DATA = frozenset({5, 7, 9, 10, 11})
_POINT = 1


def entries_of(signal: Signal, request: bytes) -> list[Entry]:
    """The records of an export request, each an entry of its own, numbered from 0 by items."""
    found: list[Entry] = []
    sequence = 0
    for stream, record in _records(signal, request):
        items = _points(record) if signal == "metrics" else 1
        body = b"\x12" + varint(len(record)) + record
        found.append(Entry(stream, body, items, sequence))
        sequence += items
    return found


def _records(signal: Signal, request: bytes) -> Iterator[tuple[StreamKey, bytes]]:
    for group in _all(request, _GROUP):
        resource, resource_url = first_bytes(group, _RESOURCE), first_bytes(group, _SCHEMA_URL)
        for scope in _all(group, _SCOPES):
            key = StreamKey(
                signal,
                resource,
                first_bytes(scope, _SCOPE),
                resource_url.decode(errors="replace"),
                first_bytes(scope, _SCHEMA_URL).decode(errors="replace"),
            )
            for record in _all(scope, _RECORD):
                yield key, record


def _points(metric: bytes) -> int:
    data = (value for number, value in fields(metric) if number in _METRIC_DATA and isinstance(value, bytes))
    return sum(1 for one in data for _ in _all(one, _POINT))


def _all(message: bytes, wanted: int) -> Iterator[bytes]:
    for number, value in fields(message):
        if number == wanted and isinstance(value, bytes):
            yield value
