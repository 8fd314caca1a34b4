"""The Alpaca dialect of the simulated venue: stocks and crypto, by REST and two kinds of streams."""

from tickspan.testing.venue.alpaca.service import AlpacaService

__all__ = ["AlpacaService"]
