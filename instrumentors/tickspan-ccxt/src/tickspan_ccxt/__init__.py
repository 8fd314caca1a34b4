"""ccxt and ccxt.pro under OpenTelemetry: one trace per order, from the tick to the last fill."""

from tickspan_ccxt.instrumentor import CcxtInstrumentor

__all__ = ["CcxtInstrumentor"]
