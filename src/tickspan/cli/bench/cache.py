"""`tickspan bench cache`: hits in memory beside a dict and an empty function."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from tickspan.cli.bench.report import Figure, Path, Report, add_common_options, check, missing, publish, tell
from tickspan.cli.bench.timing import Timing, timed, timed_by_tasks

__all__ = ["EMPTY", "NAME", "SUMMARY", "TARGET", "add_options", "figure", "measured", "run"]

NAME: Final = "cache"
SUMMARY: Final = "hits in memory, beside a dict and an empty function"
_KEYS: Final = 1_000
_LIFETIME_S: Final = 3_600.0
_TARGET_PER_S: Final = 1_000_000
_TARGET_S: Final = 0.001
TARGET: Final = f"below {_TARGET_S * 1e3:g} ms, {_TARGET_PER_S:,} a second"
EMPTY: Final = "an empty function"
_DICT, _HIT, _SET = "dict.get", "get_nowait", "set_nowait"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_common_options(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    paths = measured(options.seconds)
    return publish(Report("cache in memory", paths, (figure(paths),), ("msgspec",)), options)


def measured(seconds: float) -> tuple[Path, ...]:
    """Each path for so many seconds.

    Raises:
        CommandError: a library is not installed, or a value came back otherwise than it was stored.
    """
    try:
        return _measured(seconds)
    except ImportError as error:
        raise missing(error, "cache") from None


def _measured(seconds: float) -> tuple[Path, ...]:
    from tickspan.cache import Cache, cached

    cache = Cache()
    prices = cache.region("bench_prices", str, ttl_s=_LIFETIME_S, max_entries=2 * _KEYS)
    quotes = cache.region("bench_quotes", ttl_s=_LIFETIME_S, max_entries=2 * _KEYS)
    keys = [f"SYM{number:04d}" for number in range(_KEYS)]
    texts = {key: f"{key} bid=50000.25 ask=50000.75" for key in keys}
    for key in keys:
        prices.set_nowait(key, texts[key])
        quotes.set_nowait(key, _quote(key))

    @cached(cache, ttl=_LIFETIME_S, key_prefix="bench")
    def price(symbol: str) -> str:
        return texts[symbol]

    @cached(cache, ttl=_LIFETIME_S, key_prefix="bench_async")
    async def price_async(symbol: str) -> str:
        return texts[symbol]

    calls: dict[str, tuple[Callable[[Any], Any], Callable[[str], Any], str]] = {
        EMPTY: (_nothing, lambda _: None, ""),
        _DICT: (dict(texts).get, texts.__getitem__, EMPTY),
        _HIT: (prices.get_nowait, texts.__getitem__, _DICT),
        "get_nowait, a mapping of one's own": (quotes.get_nowait, _quote, _DICT),
        "@cached": (price, texts.__getitem__, _DICT),
    }
    awaited: dict[str, tuple[Callable[[Any], Any], str]] = {
        "await get": (prices.get, _HIT),
        "await @cached": (price_async, _HIT),
    }
    paths: list[Path] = []
    for name, (call, expected, stands_on) in calls.items():
        tell(name)
        check([call(key) for key in keys], [expected(key) for key in keys], name)
        paths.append(Path(name, timed(call, keys, seconds), stands_on))
    for name, (call, stands_on) in awaited.items():
        tell(name)
        paths.append(Path(name, asyncio.run(_awaited(call, keys, texts, seconds, name)), stands_on))
    tell(_SET)
    paths.append(Path(_SET, timed(lambda key: prices.set_nowait(key, texts[key]), keys, seconds), _DICT))
    cache.close()
    return tuple(paths)


async def _awaited(
    call: Callable[[Any], Any], keys: Sequence[str], expected: dict[str, str], seconds: float, name: str
) -> Timing:
    check([await call(key) for key in keys], [expected[key] for key in keys], name)
    return await timed_by_tasks(call, keys, seconds)


def _nothing(_key: str) -> None:
    pass


def _quote(symbol: str) -> dict[str, Any]:
    return {"symbol": symbol, "bid": 50_000.25, "ask": 50_000.75, "is_live": True}


def figure(paths: Sequence[Path]) -> Figure:
    """What is asked of hits in memory, and what `measured` found."""
    by_name = {path.name: path.timing for path in paths}
    hit, empty = by_name[_HIT], by_name[EMPTY]
    return Figure(
        "GET of a value in memory",
        TARGET,
        f"p99 {hit.p99_s * 1e9:,.0f} ns, {hit.per_second:,.0f} a second",
        f"`get_nowait` of {_KEYS:,} keys by one thread; every hit is counted",
        f"one interpreter: an empty Python function is called {empty.per_second:,.0f} times a second here, by"
        " all threads together",
        hit.p99_s < _TARGET_S and hit.per_second >= _TARGET_PER_S,
    )
