"""How calls of other libraries become operations: rows, wrapping, undo, suppression, redaction."""

from tickspan.instrumentation import positions, redact
from tickspan.instrumentation.active import ActiveOperation, DescribeError
from tickspan.instrumentation.causes import add_cause
from tickspan.instrumentation.faults import (
    exception_attributes,
    exception_event,
    exception_message,
    failure_of,
    safe_message,
    type_name,
)
from tickspan.instrumentation.hooks import when_imported
from tickspan.instrumentation.instrumentor import Instrumentor
from tickspan.instrumentation.operation import Attributes, Duration, Failure, Operation
from tickspan.instrumentation.patch import Describe, DescribeResult, MissingTargetError, Patch, Row, Wrap
from tickspan.instrumentation.report import InstrumentorReport, Meddler, Meddling, RowReport, RowState
from tickspan.instrumentation.suppression import is_http_suppressed, is_suppressed, suppressed, suppressing
from tickspan.instrumentation.workbench import Workbench
from tickspan.recording import AttributeValue, Guard

__all__ = [
    "ActiveOperation",
    "AttributeValue",
    "Attributes",
    "Describe",
    "DescribeError",
    "DescribeResult",
    "Duration",
    "Failure",
    "Guard",
    "Instrumentor",
    "InstrumentorReport",
    "Meddler",
    "Meddling",
    "MissingTargetError",
    "Operation",
    "Patch",
    "Row",
    "RowReport",
    "RowState",
    "Workbench",
    "Wrap",
    "add_cause",
    "exception_attributes",
    "exception_event",
    "exception_message",
    "failure_of",
    "is_http_suppressed",
    "is_suppressed",
    "positions",
    "redact",
    "safe_message",
    "suppressed",
    "suppressing",
    "type_name",
    "when_imported",
]
