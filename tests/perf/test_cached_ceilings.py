"""How many Python functions a hit of `@cached` and of a region enters: counted, not timed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import pytest

from tickspan.cache import Cache, cached
from tickspan.testing.ceilings import calls_of

pytestmark = pytest.mark.perf

SYMBOLS = ("AAPL", "AMZN", "BABA", "GOOG", "IBM", "META", "MSFT", "NVDA", "ORCL", "TSLA")


@pytest.fixture
def cache() -> Generator[Cache]:
    made = Cache()
    yield made
    made.close()


def test_a_hit_of_one_argument_enters_two_functions(cache: Cache) -> None:
    """The decorated one, and the look into memory."""

    def price(symbol: str) -> str:
        return symbol

    ask = cached(cache, ttl=60)(price)
    assert fewest_calls(ask) == 2


def test_a_hit_of_several_arguments_enters_few_functions(cache: Cache) -> None:
    """Also: the key, its making, the order of the arguments, three times."""

    def price(symbol: str, venue: str = "nyse") -> str:
        return symbol + venue

    ask = cached(cache, ttl=60)(price)
    assert fewest_calls(ask) <= 6


def test_an_asynchronous_hit_enters_two_functions(cache: Cache) -> None:
    async def price(symbol: str) -> str:
        return symbol

    ask = cached(cache, ttl=60)(price)
    for symbol in SYMBOLS:
        asyncio.run(_awaited(ask(symbol)))

    def step(symbol: str) -> None:
        with pytest.raises(StopIteration):
            ask(symbol).send(None)

    def nothing() -> None:
        with pytest.raises(StopIteration):
            next(iter(()))

    assert fewest_calls(step) - calls_of(nothing) == 2


def fewest_calls(ask: Callable[[str], object]) -> int:
    """Of a hit on a key that the shadow does not sample, as it does one in many."""
    return min(calls_of(ask, symbol) for symbol in SYMBOLS)


async def _awaited(coroutine: object) -> object:
    return await coroutine  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] - what the decorator gives
