"""python-binance under OpenTelemetry: one trace per order."""

from tickspan_binance.instrumentor import BinanceInstrumentor

__all__ = ["BinanceInstrumentor"]
