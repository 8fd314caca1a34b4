"""Which policy keeps what is wanted, how a cache is warm before it is asked, and what is loaded anew.

Run `python examples/cache_strategies.py`. Needs `pip install tickspan[cache]`, and no Redis.
"""

import asyncio
import random
from collections.abc import Iterator

from tickspan.cache import Cache, Policy, RegionRules, cached

SYMBOLS = [f"SYM{number:03d}" for number in range(500)]
ROOM = 100
ASKED = 20_000

cache = Cache()
loads = 0


@cached(cache, key_prefix="reference", ttl=3600)
async def reference_data(symbol: str) -> dict[str, object]:
    """What a vendor would be asked for."""
    global loads
    loads += 1
    return {"symbol": symbol, "lot": 100}


def requests(seed: int) -> Iterator[str]:
    """A few symbols often, and now and then a scan over all of them, as of a report."""
    draw = random.Random(seed)  # noqa: S311 - the same requests each time
    for number in range(ASKED):
        hot = SYMBOLS[min(int(draw.expovariate(1 / 20)), len(SYMBOLS) - 1)]
        yield SYMBOLS[number % len(SYMBOLS)] if number % 4_000 < len(SYMBOLS) else hot


def hit_ratio(policy: Policy) -> float:
    """Of the same requests, with room for a fifth of the symbols."""
    region = Cache(rules=RegionRules(policy=policy, max_entries=ROOM)).region("quotes_of_example", int)
    hits = 0
    for symbol in requests(seed=7):
        if region.get_nowait(symbol) is None:
            region.set_nowait(symbol, 1)
        else:
            hits += 1
    return hits / ASKED


async def main() -> None:
    """Three strategies."""
    for policy in (Policy.LRU, Policy.LFU, Policy.S3FIFO, Policy.W_TINYLFU):
        print(f"{policy.value:>9}: {hit_ratio(policy):.0%} hits")

    warmed = await cache.warm_cache(reference_data, SYMBOLS[:200])
    print(f"warmed before the open: {warmed.loaded} of {warmed.planned}")
    for symbol in SYMBOLS[:200]:
        await reference_data(symbol)
    print(f"200 requests after it asked the vendor {loads - warmed.loaded} times")

    await reference_data.invalidate("SYM001")
    await reference_data("SYM001")
    print(f"after one was invalidated it was asked {loads - warmed.loaded} times")
    cache.close()


if __name__ == "__main__":
    asyncio.run(main())
