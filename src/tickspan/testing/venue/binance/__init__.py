"""The Binance-spot dialect of the simulated venue."""

from tickspan.testing.venue.binance.service import BinanceService

__all__ = ["BinanceService"]
