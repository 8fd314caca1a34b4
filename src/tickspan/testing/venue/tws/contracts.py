"""The instruments of the TWS dialect: which market a client's contract names, and how TWS writes it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tickspan.testing.venue.behaviour import Market
from tickspan.testing.venue.tws.requests import Contract

_CURRENCIES: Final = frozenset({"USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD"})
_COINS: Final = frozenset({"BTC", "ETH", "SOL", "DOGE", "LTC", "BCH"})


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market as TWS knows it."""

    market: Market
    con_id: int
    kind: str

    @property
    def exchange(self) -> str:
        """Where it is traded."""
        return {"CASH": "IDEALPRO", "CRYPTO": "PAXOS"}.get(self.kind, "NASDAQ")

    @property
    def local_symbol(self) -> str:
        """The exchange's own name of it."""
        market = self.market
        return market.base if self.kind == "STK" else f"{market.base}.{market.quote}"

    @property
    def trading_class(self) -> str:
        """The class that it is traded in."""
        return {"CASH": self.local_symbol, "CRYPTO": self.market.base}.get(self.kind, "NMS")


class Instruments:
    """All markets of a venue."""

    def __init__(self, markets: Iterable[Market]) -> None:
        self._known = tuple(_instrument(market) for market in markets)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._known)

    def find(self, contract: Contract) -> Instrument | None:
        """The instrument with the contract's id, else with its symbol, currency and kind."""
        return next((known for known in self._known if _is_meant(known, contract)), None)

    def of_market(self, market_id: str) -> Instrument:
        """The instrument of the market `market_id`."""
        return next(known for known in self._known if known.market.id == market_id)


def _is_meant(known: Instrument, contract: Contract) -> bool:
    if contract.con_id:
        return known.con_id == contract.con_id
    names = (known.market.base, known.market.quote)
    return (contract.symbol, contract.currency) == names and contract.kind in ("", known.kind)


def _instrument(market: Market) -> Instrument:
    kind = "CRYPTO" if market.base in _COINS else "CASH" if market.base in _CURRENCIES else "STK"
    return Instrument(market, zlib.crc32(market.id.encode()) % 900_000_000 + 100_000_000, kind)
