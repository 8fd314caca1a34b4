"""`@cached`: what is kept, what goes straight to the function, and what is refused at once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from doubles import Hands

from tickspan.cache import Cache, CacheInfo, cached, use_cache
from tickspan.processors.cache import CacheTally, current


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def cache(hands: Hands) -> Generator[Cache]:
    made = Cache(clock=hands.clock)
    yield made
    made.close()


class _Prices:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def price(self, symbol: str, venue: str = "nyse") -> list[Any]:
        self.calls.append((symbol, venue))
        return [symbol, venue, len(self.calls)]


def test_a_result_is_kept_for_its_arguments_however_they_are_spelled(cache: Cache) -> None:
    prices = _Prices()

    @cached(cache, ttl=60, key_prefix="market_data")
    def price(symbol: str, venue: str = "nyse") -> list[Any]:
        return prices.price(symbol, venue)

    assert price("AAPL") == price("AAPL", "nyse") == price(venue="nyse", symbol="AAPL") == ["AAPL", "nyse", 1]
    assert price("AAPL", "bats") == ["AAPL", "bats", 2]
    assert price.cache_info() == CacheInfo(hits=2, misses=2, bypassed=0)
    assert cache.get_nowait(("market_data", "AAPL", "nyse")) == ["AAPL", "nyse", 1]


def test_functions_that_one_function_has_made_do_not_share_results(cache: Cache) -> None:
    def make(venue: str) -> Any:
        @cached(cache)
        def price(symbol: str) -> str:
            return f"{symbol} at {venue}"

        return price

    nyse, bats = make("nyse"), make("bats")
    assert [nyse("AAPL"), bats("AAPL"), nyse("AAPL")] == ["AAPL at nyse", "AAPL at bats", "AAPL at nyse"]
    assert (nyse.cache_info(), bats.cache_info()) == (CacheInfo(1, 1, 0), CacheInfo(0, 1, 0))


class _Venue:
    def __init__(self, name: str) -> None:
        self._name = name

    def price(self, symbol: str) -> str:
        return f"{symbol} at {self._name}"

    def __call__(self, symbol: str) -> str:
        return self.price(symbol)


@pytest.mark.parametrize(
    "function",
    [_Venue("nyse").price, _Venue("nyse"), functools.partial(_Venue.price, _Venue("nyse"))],
    ids=["method of an object", "object", "partial function"],
)
def test_what_has_no_name_of_its_own_needs_a_prefix(cache: Cache, function: Callable[[str], str]) -> None:
    with pytest.raises(TypeError, match="give key_prefix="):
        cached(cache)(function)
    price = cached(cache, key_prefix="nyse")(function)
    assert (price("AAPL"), price("AAPL"), price.cache_info()) == ("AAPL at nyse",) * 2 + (CacheInfo(1, 1, 0),)


def test_two_lambdas_do_not_share_results(cache: Cache) -> None:
    functions: list[Callable[[int], int]] = [lambda n: 2 * n, lambda n: 3 * n]
    double, triple = [cached(cache)(function) for function in functions]
    assert (double(2), triple(2)) == (4, 6)


@pytest.mark.parametrize(
    ("terms", "error", "problem"),
    [
        ({"ttl": "5"}, TypeError, "ttl: expected a number of seconds, got str"),
        ({"ttl": float("inf")}, ValueError, "ttl: expected a number of seconds above 0, got inf"),
        ({"key": 5}, TypeError, "key: expected a function of the arguments, got int"),
        ({"key_prefix": 5}, TypeError, "key_prefix: expected a str, got int"),
        ({"tags": "venue"}, TypeError, "tags: expected several str, got one str"),
        ({"tags": (1,)}, TypeError, "tag: expected a str that is not empty, got int"),
    ],
)
def test_what_a_decoration_says_is_judged_at_once(
    cache: Cache, terms: Any, error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        cached(cache, **terms)


def test_a_coroutine_function_is_kept_the_same_way(cache: Cache) -> None:
    prices = _Prices()

    @cached(cache, ttl=60)
    async def price(symbol: str) -> list[Any]:
        await asyncio.sleep(0)
        return prices.price(symbol)

    async def ask() -> list[list[Any]]:
        together = await asyncio.gather(*(price("AAPL") for _ in range(20)))
        return [*together, await price("AAPL")]

    assert asyncio.run(ask()) == [["AAPL", "nyse", 1]] * 21
    assert price.cache_info() == CacheInfo(hits=1, misses=20, bypassed=0)
    assert inspect.iscoroutinefunction(price)


def test_threads_that_ask_at_once_wait_for_one_call(cache: Cache) -> None:
    prices, gate = _Prices(), threading.Event()

    @cached(cache)
    def price(symbol: str) -> list[Any]:
        gate.wait(5)
        return prices.price(symbol)

    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(price("AAPL"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(5)
    assert results == [["AAPL", "nyse", 1]] * 8


def test_a_result_expires_after_its_ttl(cache: Cache, hands: Hands) -> None:
    prices = _Prices()
    price = cached(cache.region("short", jitter=0.0), ttl=2, key_prefix="price")(prices.price)
    assert price("AAPL") == ["AAPL", "nyse", 1]
    hands.move(1.9)
    assert price("AAPL") == ["AAPL", "nyse", 1]
    hands.move(0.2)
    assert price("AAPL") == ["AAPL", "nyse", 2]


def test_what_was_invalidated_or_refreshed_is_made_anew(cache: Cache) -> None:
    prices = _Prices()
    price = cached(cache, key_prefix="price")(prices.price)
    assert price("AAPL") == ["AAPL", "nyse", 1]
    price.invalidate("AAPL", venue="nyse")
    assert price("AAPL") == ["AAPL", "nyse", 2]
    assert price.refresh("AAPL") == ["AAPL", "nyse", 3]
    assert price("AAPL") == ["AAPL", "nyse", 3]


def test_an_asynchronous_one_is_invalidated_and_refreshed_by_awaiting(cache: Cache) -> None:
    prices = _Prices()

    @cached(cache)
    async def price(symbol: str) -> list[Any]:
        return prices.price(symbol)

    async def ask() -> list[Any]:
        first = await price("AAPL")
        await price.invalidate("AAPL")
        return [first, await price("AAPL"), await price.refresh("AAPL"), await price("AAPL")]

    assert [one[2] for one in asyncio.run(ask())] == [1, 2, 3, 3]


def test_an_error_of_the_function_passes_as_it_is_and_is_not_kept(cache: Cache) -> None:
    errors = [TypeError("first"), ValueError("second")]
    left = list(errors)

    @cached(cache)
    def price(symbol: str) -> str:
        if left:
            raise left.pop(0)
        return symbol

    for error in errors:
        with pytest.raises(type(error)) as caught:
            price("AAPL")
        assert caught.value is error
    assert price("AAPL") == "AAPL"


@pytest.mark.parametrize("result", [None, False, 0, "", []])
def test_a_result_that_is_nothing_is_kept_too(cache: Cache, result: Any) -> None:
    calls: list[str] = []

    @cached(cache)
    def ask(symbol: str) -> Any:
        calls.append(symbol)
        return result

    assert [ask("AAPL"), ask("AAPL"), calls] == [result, result, ["AAPL"]]


def test_an_argument_without_a_key_goes_straight_to_the_function(cache: Cache) -> None:
    calls: list[Any] = []

    @cached(cache)
    def ask(what: Any) -> int:
        calls.append(what)
        return len(calls)

    assert [ask({"a": 1}), ask({"a": 1}), ask("x" * 600)] == [1, 2, 3]
    assert ask.cache_info() == CacheInfo(hits=0, misses=0, bypassed=3)
    with pytest.raises(TypeError, match="dict has no key"):
        ask.invalidate({"a": 1})


def test_a_result_that_the_region_cannot_hold_is_given_and_told_once(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    @cached(cache)
    def ask(symbol: str) -> Any:
        return {"price": Decimal(symbol)}

    assert [ask("1.5"), ask("1.5")] == [{"price": Decimal("1.5")}] * 2
    assert ask.cache_info() == CacheInfo(hits=0, misses=0, bypassed=2)
    assert len(caplog.records) == 1
    assert "1.5" not in caplog.text


def test_a_typed_region_holds_what_its_type_says(cache: Cache) -> None:
    @cached(cache.region("prices", Decimal))
    def ask(symbol: str) -> Decimal:
        return Decimal(symbol)

    assert [ask("1.5"), ask("1.5")] == [Decimal("1.5")] * 2
    assert ask.cache_info().hits == 1


def test_wrong_arguments_raise_what_the_function_raises(cache: Cache) -> None:
    prices = _Prices()
    price = cached(cache, key_prefix="price")(prices.price)
    with pytest.raises(TypeError, match="price"):
        price()  # pyright: ignore[reportCallIssue] - the point
    with pytest.raises(TypeError, match="price"):
        price("AAPL", "nyse", 3)  # pyright: ignore[reportCallIssue] - the point


def test_equal_arguments_of_different_types_do_not_share_a_result(cache: Cache) -> None:
    @cached(cache)
    def kind(value: Any) -> str:
        return type(value).__name__

    values: list[Any] = [1, True, 1.0, "1", None]
    kinds = ["int", "bool", "float", "str", "NoneType"]
    assert [kind(value) for value in values] == kinds
    assert [kind(value) for value in values] == kinds
    assert kind.cache_info() == CacheInfo(hits=5, misses=5, bypassed=0)


def test_a_method_is_kept_by_what_its_key_says(cache: Cache) -> None:
    def by_venue(venue: Venue, symbol: str) -> tuple[str, str]:
        return venue.name, symbol

    class Venue:
        def __init__(self, name: str) -> None:
            self.name = name
            self.calls = 0

        @cached(cache, key=by_venue)
        def price(self, symbol: str) -> list[Any]:
            self.calls += 1
            return [self.name, symbol]

    nyse, bats = Venue("nyse"), Venue("bats")
    assert [nyse.price("AAPL"), bats.price("AAPL"), nyse.price("AAPL"), Venue("nyse").price("AAPL")] == [
        ["nyse", "AAPL"],
        ["bats", "AAPL"],
        ["nyse", "AAPL"],
        ["nyse", "AAPL"],
    ]
    assert (nyse.calls, bats.calls) == (1, 1)
    Venue.price.invalidate(nyse, "AAPL")
    nyse.price("AAPL")
    assert nyse.calls == 2


def test_a_key_function_that_fails_makes_the_call_go_on_and_is_told_once(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(symbol: str) -> str:
        raise LookupError(symbol)

    ask = cached(cache, key=fail)(lambda symbol: symbol)  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType] - no types are needed here
    assert [ask("AAPL"), ask("AAPL")] == ["AAPL", "AAPL"]
    assert [record.getMessage().count("LookupError") for record in caplog.records] == [1]


class _Plain:
    def method(self, symbol: str) -> str: ...

    @classmethod
    def of_class(cls, symbol: str) -> str: ...


def _generate() -> Generator[int]:
    yield 1


async def _generate_async() -> AsyncGenerator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (_generate, "generator"),
        (_generate_async, "generator"),
        (_Plain.method, "'self' has no key"),
        (vars(_Plain)["of_class"], "below @classmethod"),
        (staticmethod(len), "below @staticmethod"),
        (_Plain, "expected a function"),
        (min, "no signature"),
        (5, "expected a function"),
    ],
)
def test_what_cannot_be_kept_is_a_type_error_at_its_decoration(
    cache: Cache, function: Any, told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        cached(cache)(function)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: cached(len), TypeError),  # pyright: ignore[reportArgumentType] - the point
        (lambda: cached(None, ttl=0), ValueError),
        (lambda: cached(None, ttl=float("nan")), ValueError),
        (lambda: cached(None, key_prefix="a\x1fb"), ValueError),
    ],
)
def test_what_cannot_be_meant_is_told_before_any_function(
    make: Callable[[], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make()


def test_the_function_keeps_its_name_and_signature(cache: Cache) -> None:
    @cached(cache)
    def price(symbol: str, *, venue: str = "nyse") -> str:
        """What it costs."""
        return symbol + venue

    assert (price.__name__, price.__doc__) == ("price", "What it costs.")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - of the function behind the protocol
    assert str(inspect.signature(price)) == "(symbol: 'str', *, venue: 'str' = 'nyse') -> 'str'"
    assert price.__wrapped__("a", venue="b") == "ab"


def test_without_a_cache_it_is_that_of_the_process_at_the_first_call(cache: Cache) -> None:
    prices = _Prices()
    price = cached(key_prefix="mine")(prices.price)
    use_cache(cache)
    try:
        price("AAPL")
    finally:
        use_cache(None)
    assert cache.get_nowait(("mine", "AAPL", "nyse")) == ["AAPL", "nyse", 1]


def test_a_plain_function_within_an_event_loop_is_kept_in_memory(cache: Cache) -> None:
    prices = _Prices()
    price = cached(cache, key_prefix="price")(prices.price)

    async def ask() -> list[Any]:
        return [price("AAPL"), price("AAPL")]

    assert asyncio.run(ask()) == [["AAPL", "nyse", 1]] * 2


def test_results_are_invalidated_together_by_their_tag(cache: Cache) -> None:
    prices = _Prices()
    price = cached(cache, tags=("prices",), key_prefix="price")(prices.price)
    price("AAPL")
    asyncio.run(cache.invalidate_tag("prices"))
    assert price("AAPL") == ["AAPL", "nyse", 2]


def test_hits_and_misses_are_in_the_tally_of_the_trace(cache: Cache) -> None:
    prices = _Prices()
    price = cached(cache, key_prefix="price")(prices.price)
    tally = CacheTally()
    token = current.set(tally)
    try:
        for _ in range(3):
            price("AAPL")
    finally:
        current.reset(token)
    assert (tally.hits, tally.misses, tally.stale) == (2, 1, 0)


def test_a_value_that_is_asked_for_often_is_made_anew_before_it_expires(hands: Hands) -> None:
    cache = Cache(clock=hands.clock, random=Random(7))
    is_made_anew = threading.Event()
    calls: list[str] = []

    @cached(cache.region("prices", ttl_s=10, jitter=0.0))
    def price(symbol: str) -> int:
        calls.append(symbol)
        if len(calls) == 1:
            hands.move(1)  # what a load costs
        else:
            is_made_anew.set()
        return len(calls)

    price("AAPL")
    hands.move(9.9)
    for _ in range(100):
        price("AAPL")
    assert is_made_anew.wait(5)
    assert (price.cache_info().misses, calls) == (1, ["AAPL", "AAPL"])
