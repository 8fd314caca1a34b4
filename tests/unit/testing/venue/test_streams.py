from typing import Any

import pytest

from tickspan.testing.venue import Market
from tickspan.testing.venue.binance.streams import Stream, parse_stream
from tickspan.testing.venue.prices import Prices


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("btcusdt@trade", Stream("BTCUSDT", "trade")),
        ("btcusdt@aggTrade", Stream("BTCUSDT", "aggTrade")),
        ("btcusdt@bookTicker", Stream("BTCUSDT", "bookTicker")),
        ("btcusdt@miniTicker", Stream("BTCUSDT", "miniTicker")),
        ("1inchusdt@ticker", Stream("1INCHUSDT", "ticker")),
        ("btcusdt@depth", Stream("BTCUSDT", "depth")),
        ("btcusdt@depth@100ms", Stream("BTCUSDT", "depth")),
        ("btcusdt@depth20@100ms", Stream("BTCUSDT", "depth", "20")),
        ("btcusdt@kline_1m", Stream("BTCUSDT", "kline", "1m")),
        ("btcusdt@kline_1M", Stream("BTCUSDT", "kline", "1M")),
        ("btcusdt@kline_1d@+08:00", Stream("BTCUSDT", "kline", "1d")),
        ("!ticker@arr", Stream(None, "ticker")),
        ("!miniTicker@arr", Stream(None, "miniTicker")),
    ],
)
def test_a_name_says_market_channel_and_argument(name: str, stream: Stream):
    assert parse_stream(name) == stream


@pytest.mark.parametrize(
    "name",
    ["", "0", "trade", "btcusdt@", "btcusdt@depth7", "btcusdt@kline_7m", "btcusdt@markPrice", "!trade@arr"],
)
def test_a_name_that_carries_nothing_here_is_none(name: str):
    assert parse_stream(name) is None


def test_a_tick_that_opens_a_candle_first_tells_how_the_last_one_closed():
    prices = Prices(Market.parse("BTC/USDT"), 7, 0)
    stream = Stream("BTCUSDT", "kline", "1s")
    prices.candles(1_000)
    told = [
        [(message["k"]["t"], message["k"]["x"]) for message in messages(stream, prices, now_ms)]
        for now_ms in (100, 900, 1_000, 1_100)
    ]
    assert told == [[(0, False)], [(0, False)], [(0, True), (1_000, False)], [(1_000, False)]]


def messages(stream: Stream, prices: Prices, now_ms: int) -> list[Any]:
    return stream.messages(prices.tick(now_ms), prices)
