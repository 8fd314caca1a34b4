"""How results under one name are recognised at a glance."""

from __future__ import annotations

from typing import Any

import pytest
from ccxt.async_support.base.ws.cache import ArrayCache, ArrayCacheByTimestamp
from ccxt.async_support.base.ws.order_book import OrderBook
from tickspan_ccxt.lines import OTHER, form_of

BTC: Any = {"symbol": "BTC/USDT", "last": 1.0, "timestamp": 5}
ETH: Any = {"symbol": "ETH/USDT", "last": 2.0, "timestamp": 6}
TRADE: Any = {"symbol": "BTC/USDT", "takerOrMaker": "taker", "order": None, "timestamp": 7}


def cache(*values: Any, of: Any = ArrayCache) -> Any:
    made = of(10)
    for value in values:
        made.append(value)
    return made


RESULTS: dict[str, tuple[Any, tuple[Any, Any]]] = {
    "a ticker": (BTC, ("BTC/USDT", 5)),
    "a book": (OrderBook({"symbol": "BTC/USDT", "timestamp": 8, "bids": [], "asks": []}), ("BTC/USDT", 8)),
    "a ticker by name": ({"ETH/USDT": ETH}, ("ETH/USDT", 6)),
    "tickers by name": ({"BTC/USDT": BTC, "ETH/USDT": ETH}, ("", None)),
    "trades": (cache(TRADE, {**TRADE, "timestamp": 9}), ("BTC/USDT", 9)),
    "bars": (cache([1, 2, 3, 4, 5, 6], of=ArrayCacheByTimestamp), ("", None)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_form_reads_instrument_and_time(name: str) -> None:
    result, glance = RESULTS[name]
    assert form_of(result).glance(result) == glance


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("other", [None, "text", 5, (BTC,)])
def test_what_is_of_another_form_is_looked_at_anew(name: str, other: Any) -> None:
    assert form_of(RESULTS[name][0]).glance(other) is OTHER


def test_a_form_of_many_instruments_reads_whichever_comes() -> None:
    form = form_of({"BTC/USDT": BTC})
    read = [form.glance({"BTC/USDT": BTC}), form.glance({"ETH/USDT": ETH}), form.glance(BTC)]
    assert read == [("BTC/USDT", 5), ("ETH/USDT", 6), OTHER]


def test_an_empty_cache_is_nobodys() -> None:
    bars = form_of(RESULTS["bars"][0])
    assert form_of(cache(TRADE)).glance(cache()) is OTHER
    assert bars.glance(cache(of=ArrayCacheByTimestamp)) is OTHER
