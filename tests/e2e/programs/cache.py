"""A strategy that asks a cache a few times within a transaction."""

import tickspan
from tickspan.trading import transaction

cache = tickspan.get_cache()


@tickspan.cached(cache, ttl=60, key_prefix="market_data")
def market_data(symbol: str) -> dict[str, float]:
    """What a venue would be asked for."""
    return {"bid": 101.5 + len(symbol)}


with transaction("decide"):
    for _ in range(3):
        market_data("AAPL")
    cache.set_nowait("position", 7)
    cache.get_nowait("position")
