"""Line: one log record as a line of JSON, from its OTLP bytes.

What the application gave stands under `fields`, so that none of its names collides with ours.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from tickspan_spool.entries import Entry, StreamKey

from tickspan.logs.times import time_text
from tickspan.semconv import common, logs

__all__ = ["Source", "encoded", "lines_of"]

_MAX_SOURCES: Final = 1024
_CODE: Final = {
    logs.CODE_FILE_PATH: "file",
    logs.CODE_LINE_NUMBER: "line",
    logs.CODE_FUNCTION_NAME: "function",
}
_EXCEPTION: Final = {
    common.EXCEPTION_TYPE: "type",
    common.EXCEPTION_MESSAGE: "message",
    common.EXCEPTION_STACKTRACE: "stacktrace",
}


class Source:
    """What lines of one stream have in common: where they come from."""

    def __init__(self) -> None:
        self._known: dict[StreamKey, dict[str, Any]] = {}

    def of(self, stream: StreamKey) -> dict[str, Any]:
        """Logger, service and process number, as far as the stream tells."""
        known = self._known.get(stream)
        if known is None:
            if len(self._known) >= _MAX_SOURCES:
                self._known.clear()
            known = self._known[stream] = _described(stream)
        return known


def lines_of(process: str, entry: Entry, source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record of an entry with its number. `uid` tells the process's folder and that number.

    Raises:
        google.protobuf.message.DecodeError: the bytes are no log records.
    """
    about = source.of(entry.stream)
    for number, record in enumerate(ScopeLogs.FromString(bytes(entry.body)).log_records, entry.sequence):
        yield number, _line(record, about, f"{process}-{number}")


def encoded(line: dict[str, Any]) -> bytes:
    """The line as it is written, with its end."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"


def _described(stream: StreamKey) -> dict[str, Any]:
    resource = _attributes(Resource.FromString(stream.resource).attributes)
    about: dict[str, Any] = {"logger": InstrumentationScope.FromString(stream.scope).name}
    for name, key in (("service", common.SERVICE_NAME), ("pid", common.PROCESS_PID)):
        if resource.get(key):
            about[name] = resource[key]
    return about


def _line(record: LogRecord, about: dict[str, Any], uid: str) -> dict[str, Any]:
    given = _attributes(record.attributes)
    line: dict[str, Any] = {
        "time": time_text(record.time_unix_nano or record.observed_time_unix_nano),
        "level": record.severity_text or "UNSPECIFIED",
        "severity": int(record.severity_number),
    }
    category = given.pop(logs.TICKSPAN_LOG_CATEGORY, None)
    if category is not None:
        line["category"] = category
    line |= about
    if record.event_name:
        line["event"] = record.event_name
    line["message"] = _plain(record.body)
    if record.trace_id:
        line["trace_id"] = record.trace_id.hex()
        line["span_id"] = record.span_id.hex()
    template = given.pop(logs.TICKSPAN_LOG_TEMPLATE, None)
    if template is not None:
        line["template"] = template
    sequence = given.pop(logs.TICKSPAN_AUDIT_SEQUENCE, None)
    for name, parts in (("code", _CODE), ("exception", _EXCEPTION)):
        found = {short: given.pop(key) for key, short in parts.items() if key in given}
        if found:
            line[name] = found
    if given:
        line["fields"] = given
    line["uid"] = uid
    if sequence is not None:
        line["audit"] = {"sequence": sequence}
    return line


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value":
        number = value.double_value
        return number if math.isfinite(number) else str(number)  # JSON knows no NaN
    return None if kind is None else getattr(value, kind)
