"""What every view says of a record: whose it is, how grave, where it is shown, its values as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from tickspan.received import Attributes, ReceivedLog, ReceivedSpan, Value
from tickspan.semconv import common

__all__ = [
    "SEVERITIES",
    "Severity",
    "address",
    "order_path",
    "path_of",
    "process_of",
    "seconds_of",
    "service_of",
    "severity_of",
    "text_at",
    "text_of",
    "time_of",
    "trace_path",
]

_NS: Final = 1e9
_MAX_DURATION_S: Final = 1e9
"""More is no duration; and it would not fit the numbers of a picture."""


@dataclass(frozen=True, slots=True)
class Severity:
    """A class of severities: its word, a sign beside it, and how it is coloured."""

    word: str
    sign: str
    tone: str
    number: int
    """The least of OpenTelemetry's severity numbers that belongs to it."""


SEVERITIES: Final = (
    Severity("fatal", "✖", "bad", 21),
    Severity("error", "✖", "bad", 17),
    Severity("warn", "▲", "warn", 13),
    Severity("info", "●", "info", 9),
    Severity("debug", "○", "", 5),
    Severity("trace", "·", "", 1),
    Severity("unspecified", "?", "", 0),
)
"""The gravest first."""


def severity_of(number: int) -> Severity:
    """The class that a severity number belongs to."""
    return next((row for row in SEVERITIES if number >= row.number), SEVERITIES[-1])


def service_of(record: ReceivedSpan | ReceivedLog) -> str:
    """`service.name`, or "" where the sender gave none."""
    return text_at(record.resource, common.SERVICE_NAME)


def process_of(record: ReceivedSpan | ReceivedLog) -> str:
    """Which process told it: its id where that is known, else the beginning of its instance id."""
    pid = text_at(record.resource, common.PROCESS_PID)
    return pid or text_at(record.resource, common.SERVICE_INSTANCE_ID)[:8]


def time_of(record: ReceivedLog) -> int:
    """When it happened, or else when it was seen."""
    return record.time_ns or record.observed_ns


def text_of(value: Value) -> str:
    """A value as people read it: text as it is, structures as JSON, bytes in hex."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def text_at(attributes: Attributes, name: str) -> str:
    """An attribute as text; "" where it is not there."""
    return text_of(attributes.get(name))


def seconds_of(attributes: Attributes, name: str) -> int | None:
    """An attribute that tells seconds, in nanoseconds; None where it tells none."""
    value = attributes.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_DURATION_S:
        return None
    return round(value * _NS)


def trace_path(trace_id: str | None, span_id: str | None = None) -> str:
    """Of the page that shows a trace, at one of its spans; "" without a trace."""
    if not trace_id:
        return ""
    at = f"?selected={quote(span_id)}#span-{quote(span_id)}" if span_id else ""
    return f"/traces/{quote(trace_id)}{at}"


def path_of(record: ReceivedSpan | ReceivedLog) -> str:
    """Of the page that shows a record in its trace; "" where it has none."""
    return trace_path(record.trace_id, record.span_id)


def order_path(order_id: str) -> str:
    """Of the page that shows an order."""
    return f"/orders/{quote(order_id, safe='')}"


def address(path: str, parameters: Mapping[str, object]) -> str:
    """A page with its parameters; those that are empty are left out."""
    told = {name: value for name, value in parameters.items() if value not in {"", 0, None}}
    return f"{path}?{urlencode(told)}" if told else path


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
