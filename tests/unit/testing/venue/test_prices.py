from decimal import Decimal
from itertools import pairwise

import pytest

from tickspan.testing.venue import Market
from tickspan.testing.venue.prices import Level, Prices, Tick

BTC = Market.parse("BTC/USDT")


def walk(seed: int, steps: int, market: Market = BTC) -> list[Tick]:
    prices = Prices(market, seed, 0)
    return [prices.tick(1_000 * step) for step in range(steps)]


def test_the_same_seed_walks_the_same_way():
    assert walk(7, 50) == walk(7, 50)
    assert walk(7, 50) != walk(8, 50)


@pytest.mark.parametrize("symbol", ["BTC/USDT", "SOL/USDT", "DOGE/USDT", "X/Y=0.00005"])
def test_bids_stay_below_asks_and_prices_above_nothing(symbol: str):
    ticks = walk(7, 3_000, Market.parse(symbol))
    assert all(0 < tick.best_bid[0] < tick.best_ask[0] for tick in ticks)
    assert all(tick.trade.price in (tick.best_bid[0], tick.best_ask[0]) for tick in ticks)


def test_prices_and_quantities_stand_on_the_markets_grid():
    ticks = walk(7, 200)
    assert {tick.trade.price % BTC.tick_size for tick in ticks} == {Decimal(0)}
    assert {tick.trade.quantity % BTC.step_size for tick in ticks} == {Decimal(0)}


def test_the_walk_stays_near_its_start():
    ticks = walk(7, 5_000)
    assert all(45_000 < tick.best_bid[0] < 75_000 for tick in ticks)


def test_ids_have_no_gap_but_for_a_scripted_one():
    prices = Prices(BTC, 7, 0)
    ticks = [prices.tick(0), prices.tick(0), prices.tick(0, has_gap=True)]
    update_gaps = [later.first_update_id - tick.last_update_id for tick, later in pairwise(ticks)]
    trade_gaps = [later.trade.id - tick.trade.id for tick, later in pairwise(ticks)]
    assert (update_gaps, trade_gaps) == ([1, 8], [1, 8])


def test_the_changes_add_up_to_the_book():
    prices = Prices(BTC, 7, 0)
    bids, asks = dict(prices.bids), dict(prices.asks)
    for _ in range(500):
        tick = prices.tick(0)
        _apply(bids, tick.changed_bids)
        _apply(asks, tick.changed_asks)

    assert sorted(bids.items(), reverse=True) == prices.bids
    assert sorted(asks.items()) == prices.asks


def _apply(side: dict[Decimal, Decimal], changes: tuple[Level, ...]) -> None:
    side.update(changes)
    for price in [price for price, quantity in side.items() if not quantity]:
        del side[price]


def test_candles_hold_each_trade_of_their_interval():
    prices = Prices(BTC, 7, 0)
    prices.candles(1_000)
    trades = [prices.tick(now_ms).trade for now_ms in range(1_000, 3_000, 100)]
    first, second = prices.candles(1_000)[-2:]

    assert (first.open_ms, first.open, first.close) == (1_000, trades[0].price, trades[9].price)
    assert (first.high, first.low) == (max(t.price for t in trades[:10]), min(t.price for t in trades[:10]))
    assert first.volume == sum(trade.quantity for trade in trades[:10])
    assert (second.first_trade_id, second.last_trade_id, second.trades) == (trades[10].id, trades[19].id, 10)


def test_candles_lead_without_a_gap_from_before_the_opening_to_now():
    prices = Prices(BTC, 7, 90_000)
    candles = prices.candles(60_000)
    assert [candle.open_ms for candle in candles] == [60_000 * n for n in range(-499, 2)]
    assert [later.open for _, later in pairwise(candles)] == [candle.close for candle in candles[:-1]]
    assert [
        c for c in candles if not 0 < c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high
    ] == []
    assert [b.first_trade_id - a.last_trade_id for a, b in pairwise(candles)] == [1] * 500
