"""Witness: records through OpenTelemetry's API, and notes what ended in a file outside of telemetry.

A note is one line, appended by one system call: no kill tears it, no fork or closed descriptor matters.
"""

import functools
import itertools
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import _logs, metrics, trace

import tickspan

COUNTER = "pipeline.count"
_numbers = itertools.count()


def start(service_name: str = "pipeline") -> None:
    """Telemetry as a program switches it on itself."""
    tickspan.init(service_name=service_name)


def note(kind: str, **facts: Any) -> None:
    """Append a fact to the evidence."""
    line = json.dumps({"kind": kind, "pid": os.getpid(), **facts}) + "\n"
    file = os.open(os.environ["EVIDENCE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def attributes_of(number: int) -> dict[str, Any]:
    """Each kind of value, all of them from the number."""
    return {
        "work.number": number,
        "work.venue": f"venue-{number % 7}",
        "work.price": number / 8,
        "work.is_buy": number % 2 == 0,
        "work.levels": [number, number + 1],
    }


def spans(count: int = 1, name: str = "work") -> None:
    """Record spans; each is noted when it certainly has ended."""
    for _ in range(count):
        attributes = attributes_of(next(_numbers))
        with tracer().start_as_current_span(name, attributes=attributes) as span:
            pass
        ended(span, name, attributes)


def ended(span: trace.Span, name: str, attributes: Mapping[str, Any]) -> None:
    """Note that a span has ended."""
    context = span.get_span_context()
    note(
        "traces",
        id=f"{context.span_id:016x}",
        trace_id=f"{context.trace_id:032x}",
        name=name,
        attributes=dict(attributes),
    )


def logs(count: int = 1) -> None:
    """Emit log records; each is known by an attribute."""
    for _ in range(count):
        identity = os.urandom(8).hex()
        attributes = {"work.id": identity, **attributes_of(next(_numbers))}
        _logs.get_logger("pipeline").emit(
            body=f"order {identity}",
            attributes=attributes,
            timestamp=time.time_ns(),
            severity_number=_logs.SeverityNumber.INFO,
        )
        note("logs", id=identity, name=f"order {identity}", attributes=attributes)


def count(number: int) -> None:
    """Add to the counter."""
    counter().add(number, {"work.side": "buy"})


def everything(number: int = 10) -> None:
    """Spans, log records and measurements, so many of each."""
    spans(number)
    logs(number)
    count(number)


@functools.cache
def tracer() -> trace.Tracer:
    """The one of this program."""
    return trace.get_tracer("pipeline")


@functools.cache
def counter() -> metrics.Counter:
    """The one of this program."""
    return metrics.get_meter("pipeline").create_counter(COUNTER)


def end_of_main() -> None:
    """The program's work is over: what comes now is the end of the process."""
    note("end", at_s=time.monotonic())
