"""QuickFIX and simplefix under OpenTelemetry: one trace per order."""

from tickspan_fix.instrumentor import FixInstrumentor

__all__ = ["FixInstrumentor"]
