"""The Binance-spot dialect of the simulated venue."""

from tickspan.testing.venue.binance.service import BinanceService
from tickspan.testing.venue.binance.signing import Credentials

__all__ = ["BinanceService", "Credentials"]
