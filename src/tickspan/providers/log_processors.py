"""Foreign log record processors, each behind a guard: one that fails never keeps the next from its turn."""

from __future__ import annotations

import functools
import threading
import time
from typing import Final, NamedTuple

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal import SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tickspan.recording import Guard

NANOSECONDS_PER_MS: Final = 1_000_000


class _Turn(NamedTuple):
    """One foreign processor: records and `enabled` stop being its own after ten errors, its end does not."""

    processor: LogRecordProcessor
    emitting: Guard
    ending: Guard


class GuardedProcessors(SynchronousMultiLogRecordProcessor):
    """Foreign processors in the order in which they were added; one that raises never costs another its turn.

    What a processor itself logs on the way does not come back to the processors.
    """

    def __init__(self, *processors: LogRecordProcessor) -> None:
        super().__init__()
        self._log_record_processors = processors
        self._known: dict[int, _Turn] = {}
        self._here = threading.local()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Give the record to each."""
        if getattr(self._here, "is_emitting", False):
            return
        self._here.is_emitting = True
        try:
            for processor, emitting, _ in self._turns():
                emitting.user(processor.on_emit, log_record, default=None)
        finally:
            self._here.is_emitting = False

    def enabled(
        self,
        *,
        context: Context | None = None,
        instrumentation_scope: InstrumentationScope | None = None,
        severity_number: SeverityNumber | None = None,
        event_name: str | None = None,
    ) -> bool:
        """Whether one of them would take such a record."""
        asked = {
            "context": context,
            "instrumentation_scope": instrumentation_scope,
            "severity_number": severity_number,
            "event_name": event_name,
        }
        return any(
            emitting.user(functools.partial(processor.enabled, **asked), default=False)
            for processor, emitting, _ in self._turns()
        )

    def shutdown(self) -> None:
        """Shut down each."""
        for processor, _, ending in self._turns():
            ending.user(processor.shutdown, default=None)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush each within one budget. Returns whether all said that they have, in time."""
        deadline_ns = time.monotonic_ns() + timeout_millis * NANOSECONDS_PER_MS
        is_flushed = True
        for processor, _, ending in self._turns():
            left_ms = (deadline_ns - time.monotonic_ns()) // NANOSECONDS_PER_MS
            if left_ms <= 0:
                return False
            answer = ending.user(processor.force_flush, left_ms, default=False)
            is_flushed = is_flushed and answer is not False
        return is_flushed

    def _turns(self) -> list[_Turn]:
        return [
            self._known.get(id(processor)) or self._known.setdefault(id(processor), _turn_of(processor))
            for processor in self._log_record_processors
        ]


def _turn_of(processor: LogRecordProcessor) -> _Turn:
    name = type(processor).__qualname__
    return _Turn(processor, Guard("log processor", name), Guard("end of log processor", name))
