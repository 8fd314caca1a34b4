"""Alpaca's names: UUIDs for orders, executions and assets; `AAPL` and `BTC/USD` for markets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from tickspan.testing.venue.behaviour import Market

_ORDERS: Final = UUID("0d000000-0000-4000-8000-000000000000")
_EXECUTIONS: Final = UUID("ec000000-0000-4000-8000-000000000000")
_CLIENT_IDS: Final = UUID("c1000000-0000-4000-8000-000000000000")
_NUMBERS: Final = (1 << 48) - 1  # the last group of digits is a number of the venue's

ACCOUNT_ID: Final = "acc00000-0000-4000-8000-000000000001"
ACCOUNT_NUMBER: Final = "SIM000001"
_CRYPTO: Final = frozenset(
    {"AAVE", "AVAX", "BCH", "BTC", "DOGE", "DOT", "ETH", "LINK", "LTC", "SHIB", "SOL", "UNI", "USDC", "USDT"}
)


def order_uuid(order_id: int) -> str:
    """The id by which clients know an order."""
    return _numbered(_ORDERS, order_id)


def order_id_of(text: str) -> int | None:
    """The order behind such an id; None for the id of anything else."""
    try:
        number = UUID(text).int
    except ValueError:
        return None
    return number & _NUMBERS if number & ~_NUMBERS == _ORDERS.int else None


def execution_uuid(execution_id: int) -> str:
    """The id of a fill."""
    return _numbered(_EXECUTIONS, execution_id)


def client_id(number: int) -> str:
    """What an order is called whose client gave it no name."""
    return _numbered(_CLIENT_IDS, number)


def _numbered(kind: UUID, number: int) -> str:
    return str(UUID(int=kind.int | number))


def is_crypto(market: Market) -> bool:
    """Whether a market is a pair of currencies and no stock."""
    return market.quote != "USD" or market.base in _CRYPTO


def symbol_of(market: Market) -> str:
    """`BTC/USD` of crypto; of a stock the base alone, since dollars go without saying."""
    return f"{market.base}/{market.quote}" if is_crypto(market) else market.base


def asset_uuid(market: Market) -> str:
    """The id of what is traded."""
    return str(uuid5(NAMESPACE_URL, symbol_of(market)))


class Symbols:
    """Markets by each name that clients have for them."""

    def __init__(self, markets: Iterable[Market]) -> None:
        self.markets = tuple(markets)
        self._named = {
            name: market
            for market in self.markets
            for name in (symbol_of(market), asset_uuid(market), market.id)
            if name != market.id or is_crypto(market)
        }
        self._by_id = {market.id: market for market in self.markets}

    def find(self, name: str) -> Market | None:
        """The market called `name`: a symbol, an asset's id, or `BTCUSD`, which older clients say."""
        return self._named.get(name)

    def of(self, market_id: str) -> Market:
        """The market with the venue's own name."""
        return self._by_id[market_id]
