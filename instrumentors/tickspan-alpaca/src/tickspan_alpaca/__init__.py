"""alpaca-py and alpaca-trade-api under OpenTelemetry: one trace per order, from the tick to the last fill."""

from tickspan_alpaca.instrumentor import AlpacaInstrumentor

__all__ = ["AlpacaInstrumentor"]
