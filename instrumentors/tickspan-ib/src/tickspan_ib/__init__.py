"""ib_async and ib_insync under OpenTelemetry: one trace per order."""

from tickspan_ib.instrumentor import IbInstrumentor

__all__ = ["IbInstrumentor"]
