"""Writes what a desk must hear of as OpenTelemetry events: log records with a name, each in its trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from tickspan.trading.model import AttributeValue
from tickspan.trading.moments import Clock

INFO: Final = SeverityNumber.INFO
WARN: Final = SeverityNumber.WARN
ERROR: Final = SeverityNumber.ERROR


_TEXTS: Final = {severity._value_: severity.name for severity in SeverityNumber}


class Events:
    """Emits events of one scope. Thread-safe; never raises with a provider of ours."""

    def __init__(self, logger: Logger, clock: Clock) -> None:
        self._logger = logger
        self._clock = clock

    def emit(
        self,
        name: str,
        severity: SeverityNumber,
        attributes: Mapping[str, AttributeValue],
        *,
        body: str | None = None,
        span_context: SpanContext | None = None,
        context: Context | None = None,
        wall_ns: int | None = None,
    ) -> None:
        """Write the event `name`, of this moment unless `wall_ns` says of which.

        `body` is one sentence for people. The event belongs to the span that `span_context` names, or to that
        of `context`; without either, to none.
        """
        now_ns = self._clock.wall_ns()
        self._logger.emit(
            timestamp=wall_ns if wall_ns is not None else now_ns,
            observed_timestamp=now_ns,
            context=context if context is not None else _context_of(span_context),
            severity_number=severity,
            severity_text=_TEXTS[severity._value_],
            body=body,
            attributes={**attributes},
            event_name=name,
        )


def _context_of(span_context: SpanContext | None) -> Context:
    context = Context()
    return context if span_context is None else set_span_in_context(NonRecordingSpan(span_context), context)
