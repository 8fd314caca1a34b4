"""NautilusTrader under OpenTelemetry: one trace per order."""

from tickspan_nautilus.instrumentor import NautilusInstrumentor

__all__ = ["NautilusInstrumentor"]
