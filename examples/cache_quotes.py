"""Quotes of a feed in a cache: the strategy reads them without waiting, and never an old one.

Needs `pip install tickspan[cache]` and nothing else; with TICKSPAN_CACHE_URL=redis://… other processes see
the same quotes. Telemetry goes where OTEL_EXPORTER_OTLP_ENDPOINT says.
"""

import asyncio
import itertools

import tickspan
from tickspan.cache import Cache, CacheSettings, cached

SYMBOLS = ("AAPL", "MSFT", "TSLA")
QUOTES = 30
SILENCE_S = 0.3

cache = tickspan.get_cache()


@cached(cache, ttl=3600, key_prefix="tick_size")
async def tick_size(symbol: str) -> float:
    """What a venue would be asked for, once an hour for each symbol."""
    await asyncio.sleep(0.01)
    return 0.01 if symbol != "TSLA" else 0.05


async def feed(quotes: Cache) -> None:
    """The venue's stream: a quote of each symbol in turn."""
    for number, symbol in zip(range(QUOTES), itertools.cycle(SYMBOLS), strict=False):
        quotes.quotes.set_nowait(symbol, {"bid": 100.0 + number / 10}, version=number + 1)
        await asyncio.sleep(0)


def decide(symbol: str) -> str:
    """The hot loop: one look into memory."""
    quote = cache.quotes.get_nowait(symbol)
    return f"{symbol} at {quote['bid']:.2f}" if quote else f"{symbol}: no quote that is young enough"


async def main() -> None:
    """A feed that runs, and one that has fallen silent."""
    tickspan.init({"trading": {"environment": "simulated"}}, service_name="quotes")
    cache.configure(CacheSettings.hft())
    await cache.warm_cache(tick_size, SYMBOLS)
    with tickspan.transaction("decide"):
        await feed(cache)
        print(decide("AAPL"), "in steps of", await tick_size("AAPL"))
        older = cache.quotes.set_nowait("AAPL", {"bid": 1.0}, version=1)
        print("a late quote is taken:", older)
        await asyncio.sleep(SILENCE_S)
        print(decide("AAPL"))
    print(cache.statistics())


if __name__ == "__main__":
    asyncio.run(main())
