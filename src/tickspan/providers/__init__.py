"""Tracer, meter and logger provider: the SDK's, with private ids, scrubbed texts, a usable `on_ending`."""

from tickspan.providers.export import logs_to, metrics_to, spans_to
from tickspan.providers.ids import PrivateIdGenerator
from tickspan.providers.logger import LoggerProvider
from tickspan.providers.meter import MeterProvider
from tickspan.providers.span import RecordedSpan
from tickspan.providers.tracer import Span, Tracer, TracerProvider

__all__ = [
    "LoggerProvider",
    "MeterProvider",
    "PrivateIdGenerator",
    "RecordedSpan",
    "Span",
    "Tracer",
    "TracerProvider",
    "logs_to",
    "metrics_to",
    "spans_to",
]
