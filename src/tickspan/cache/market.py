"""Market data by symbol: the two calls that a price needs, over the region `quotes`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tickspan.cache.region import Region

__all__ = ["MarketCalls", "SyncMarketCalls"]


class MarketCalls:
    """Of a cache. Data is never given once it is older than the region's `max_age_s`, whatever has failed."""

    quotes: Region[Any]

    async def cache_market_data(
        self,
        symbol: str,
        data: Any,
        ttl: float | None = None,
        *,
        as_of: datetime | float | None = None,
        version: int | None = None,
    ) -> bool:
        """Keep the data of a symbol.

        Args:
            symbol: the key.
            data: JSON values, or what the region's type says.
            ttl: seconds; by default, and at most, what the region's rules say.
            as_of: when the venue told it; its age counts from there instead of from now.
            version: such as the venue's sequence number; older data does not take the place of newer.

        Returns:
            False when it was not kept: it is older than what is held, or than `max_age_s`.

        Raises:
            TypeError: what is no key, or no value of the region.
            ValueError: `ttl`, `as_of` or `version` is out of range.
        """
        return await self.quotes.set(symbol, data, ttl_s=ttl, as_of=as_of, version=version)

    async def get_cached_market_data(self, symbol: str, default: Any = None) -> Any:
        """The data of a symbol if it is fresh, else `default`."""
        return await self.quotes.get(symbol, default)


class SyncMarketCalls:
    """The same, blocking: `cache.sync.cache_market_data(…)`."""

    _cache: Any

    def cache_market_data(
        self,
        symbol: str,
        data: Any,
        ttl: float | None = None,
        *,
        as_of: datetime | float | None = None,
        version: int | None = None,
    ) -> bool:
        """As `MarketCalls.cache_market_data`."""
        quotes: Region[Any] = self._cache.quotes
        return quotes.sync.set(symbol, data, ttl_s=ttl, as_of=as_of, version=version)

    def get_cached_market_data(self, symbol: str, default: Any = None) -> Any:
        """As `MarketCalls.get_cached_market_data`."""
        quotes: Region[Any] = self._cache.quotes
        return quotes.sync.get(symbol, default)
