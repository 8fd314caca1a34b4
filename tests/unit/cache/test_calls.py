"""What users of a cache call beside get and set: market data, orders, presets, figures, the shared one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from doubles import DAY_MS, Hands, Shelf

from tickspan.cache import (
    Cache,
    CacheSettings,
    Level,
    Policy,
    RegionRules,
    RegionStatistics,
    TierStatistics,
    get_cache,
    get_sessions,
    use_cache,
)
from tickspan.cache.orders import CachedOrder, order_key
from tickspan.cache.shared import use_settings
from tickspan.config import ProcessCacheSettings, RedisSettings, Settings, SettingsError
from tickspan.trading import OrderStatus
from tickspan.trading.lifecycle import Order
from tickspan.trading.listening import hear


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def cache(hands: Hands) -> Generator[Cache]:
    made = Cache(clock=hands.clock)
    yield made
    made.close()


# Market data


def test_market_data_is_kept_by_symbol_and_is_a_miss_once_it_is_old(cache: Cache, hands: Hands) -> None:
    async def run() -> list[Any]:
        kept = await cache.cache_market_data("AAPL", {"bid": 101.5}, ttl=60)
        found = [kept, await cache.get_cached_market_data("AAPL")]
        hands.move(1.01)  # older than the region allows, whatever `ttl` says
        return [*found, await cache.get_cached_market_data("AAPL"), cache.quotes.get_nowait("AAPL")]

    assert asyncio.run(run()) == [True, {"bid": 101.5}, None, None]


def test_the_age_of_market_data_counts_from_its_event(cache: Cache, hands: Hands) -> None:
    now_s = (DAY_MS + 1000 * hands.now_s) / 1000
    assert cache.sync.cache_market_data("AAPL", 1.0, as_of=now_s - 2) is False
    assert cache.sync.cache_market_data("AAPL", 2.0, as_of=now_s - 0.5) is True
    hands.move(0.6)
    assert cache.sync.get_cached_market_data("AAPL", "old") == "old"


def test_older_market_data_does_not_take_the_place_of_newer(cache: Cache) -> None:
    assert cache.sync.cache_market_data("AAPL", 2.0, version=7) is True
    assert cache.sync.cache_market_data("AAPL", 1.0, version=6) is False
    assert cache.sync.get_cached_market_data("AAPL") == 2.0


# Orders


def _order(status: OrderStatus, filled: str = "0", **known: Any) -> Order:
    return Order(
        status, venue_id="77", client_ids=("mine",), quantity=Decimal(2), filled=Decimal(filled), **known
    )


def test_the_states_of_orders_are_found_by_either_id(cache: Cache) -> None:
    cache.enable_order_status_caching()
    cache.enable_order_status_caching()
    hear("binance", _order(OrderStatus.PARTIALLY_FILLED, "0.5", average_price=Decimal("101.25")))
    expected = CachedOrder(
        "binance",
        OrderStatus.PARTIALLY_FILLED,
        venue_id="77",
        client_id="mine",
        quantity=Decimal(2),
        filled=Decimal("0.5"),
        average_price=Decimal("101.25"),
    )
    assert [
        asyncio.run(cache.get_cached_order_status("binance", "77")),
        cache.sync.get_cached_order_status("binance", "mine"),
        cache.orders.get_nowait(order_key("binance", "77")),
        cache.sync.get_cached_order_status("binance", "unknown"),
        cache.sync.get_cached_order_status("kraken", "77"),
    ] == [expected, expected, expected, None, None]
    assert expected.is_over is False


def test_a_status_from_rest_does_not_take_the_place_of_a_newer_one_of_another_process(hands: Hands) -> None:
    shelf = Shelf(Level.REDIS, hands)
    socket = Cache(tiers=[shelf], clock=hands.clock)
    rest = Cache(tiers=[shelf], clock=hands.clock)
    filled = CachedOrder("binance", OrderStatus.FILLED, venue_id="77", filled=Decimal(2))
    polled = CachedOrder("binance", OrderStatus.NEW, venue_id="77")
    key = order_key("binance", "77")
    assert socket.sync.orders.set(key, filled, version=filled.version) is True
    assert rest.sync.orders.set(key, polled, version=polled.version) is False
    assert rest.sync.get_cached_order_status("binance", "77") == filled


def test_a_closed_cache_hears_of_orders_no_more(cache: Cache) -> None:
    cache.enable_order_status_caching()
    region = cache.orders
    cache.close()
    hear("binance", _order(OrderStatus.NEW))
    assert len(region.memory) == 0


# Presets


def test_hft_tightens_the_quotes_of_a_running_cache_and_forgets_what_is_too_old(
    cache: Cache, hands: Hands
) -> None:
    cache.quotes.set_nowait("AAPL", 1.0)
    cache.set_nowait("other", 1)
    cache.configure(CacheSettings.hft())
    assert (cache.quotes.rules.max_age_s, cache.quotes.get_nowait("AAPL")) == (0.25, None)
    assert cache.get_nowait("other") == 1
    cache.quotes.set_nowait("AAPL", 2.0)
    hands.move(0.24)
    assert cache.quotes.get_nowait("AAPL") == 2.0
    hands.move(0.02)
    assert cache.quotes.get_nowait("AAPL") is None


def test_configure_for_hft_is_the_same_in_one_word(cache: Cache) -> None:
    cache.configure_for_hft()
    assert cache.quotes.rules == CacheSettings.hft().regions["quotes"]


def test_a_preset_is_of_regions_to_come_too_and_what_a_declaration_says_is_stronger(cache: Cache) -> None:
    declared = cache.region("fills", ttl_s=7)
    cache.configure(CacheSettings.risk())
    rules = CacheSettings.risk().rules
    assert [cache.default.rules, cache.region("later").rules, declared.rules] == [
        rules,
        rules,
        rules.replace(ttl_s=7),
    ]
    assert cache.default.memory.statistics().policy is not None
    assert cache.quotes.rules.max_age_s == 1.0


def test_oms_begins_to_keep_orders(cache: Cache) -> None:
    cache.configure(CacheSettings.oms())
    hear("binance", _order(OrderStatus.NEW))
    status = cache.sync.get_cached_order_status("binance", "77")
    assert status is not None
    assert status.status is OrderStatus.NEW


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (CacheSettings(url="redis://elsewhere"), "url"),
        (CacheSettings(disk="/elsewhere"), "disk"),
        (CacheSettings(namespace="elsewhere"), "namespace"),
        (CacheSettings(regions={"default": RegionRules(remote=False)}), "remote"),
    ],
)
def test_what_is_chosen_when_a_cache_is_made_cannot_be_configured(
    cache: Cache, settings: CacheSettings, told: str
) -> None:
    before = [region.rules for region in cache]
    with pytest.raises(ValueError, match=told):
        cache.configure(settings)
    assert [region.rules for region in cache] == before


def test_a_cache_is_made_of_settings() -> None:
    cache = Cache.from_settings(CacheSettings.hft(namespace="desk"))
    assert (cache.namespace, cache.tiers, cache.quotes.rules.ttl_s) == ("desk", (), 0.25)
    cache.close()


# Figures


def test_the_statistics_are_all_figures_readable_and_as_json(hands: Hands) -> None:
    cache = Cache(namespace="bot", tiers=[Shelf(Level.REDIS, hands)], clock=hands.clock)
    cache.sync.get_or_load("a", lambda: 1)
    cache.get_nowait("a")
    cache.sync.invalidate("a")
    told = cache.statistics()
    region = told["default"]
    assert (told.namespace, list(told.regions), told.tiers) == (
        "bot",
        ["default", "quotes"],
        (TierStatistics("redis", is_available=True),),
    )
    assert (region.loads, region.failed_loads, region.requests, region.invalidations) == (
        {"miss": 1},
        0,
        {"redis get": {"miss": 1}, "redis set": {"stored": 1}, "redis invalidate": {"stored": 1}},
        {"local": 1},
    )
    assert (region.memory.hits, region.hit_ratio, list(region.level_times_s)) == (1, 0.5, ["redis"])
    assert repr(told) == (
        "<cache bot>\n"
        "  <redis: available>\n"
        "  <region default: 0 of 10,000 entries, 0 KiB, 50.0 % hits, 1 loads>\n"
        "  <region quotes: 0 of 10,000 entries, 0 KiB, 0.0 % hits, 0 loads>"
    )
    as_json = json.loads(json.dumps(told.as_dict()))
    assert as_json["regions"]["default"]["memory"]["evictions"]["explicit"] == 1
    assert as_json["tiers"] == [
        {"level": "redis", "is_available": True, "breaker": None, "invalidation_lag_s": None}
    ]


def test_statistics_of_a_region_say_what_matters(cache: Cache) -> None:
    small = cache.region("small", max_entries=1)
    for key in ("a", "b"):
        small.set_nowait(key, "x" * 2048)
    told = cache.statistics()["small"]
    assert isinstance(told, RegionStatistics)
    assert repr(told) == "<region small: 1 of 1 entries, 2 KiB, 0.0 % hits, 0 loads, 1 evicted>"
    assert (told.mean_load_s, told.hit_ratio) == (0.0, 0.0)


def test_a_region_that_there_is_not_is_a_key_error(cache: Cache) -> None:
    with pytest.raises(KeyError):
        cache.statistics()["none"]


# The cache of the process


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[pytest.MonkeyPatch]:
    monkeypatch.chdir(tmp_path)
    use_cache(None)
    yield monkeypatch
    use_cache(None)


def test_the_cache_of_the_process_is_one_and_made_of_the_environment(no_cache: pytest.MonkeyPatch) -> None:
    no_cache.setenv("TICKSPAN_CACHE_NAMESPACE", "desk")
    no_cache.setenv("TICKSPAN_CACHE_POLICY", "lru")
    no_cache.setattr("tickspan.cache.shared._place.settings", None)
    cache = get_cache()
    assert (cache.namespace, cache.default.rules.policy, get_cache() is cache) == ("desk", Policy.LRU, True)


def test_the_settings_of_the_launcher_are_stronger_than_the_environment(
    no_cache: pytest.MonkeyPatch,
) -> None:
    no_cache.setenv("TICKSPAN_CACHE_NAMESPACE", "desk")
    no_cache.setattr("tickspan.cache.shared._place.settings", None)
    use_settings(Settings(cache=ProcessCacheSettings(namespace="launched"), redis=RedisSettings()))
    assert get_cache().namespace == "launched"


def test_a_setting_of_the_cache_that_cannot_be_understood_is_an_error_and_others_are_not(
    no_cache: pytest.MonkeyPatch,
) -> None:
    no_cache.setattr("tickspan.cache.shared._place.settings", None)
    no_cache.setenv("TICKSPAN_METRICS_INTERVAL_S", "often")
    no_cache.setenv("TICKSPAN_CACHE_POLICY", "fifo")
    with pytest.raises(SettingsError, match=r"cache\.policy"):
        get_cache()
    no_cache.delenv("TICKSPAN_CACHE_POLICY")
    assert get_cache().namespace == "tickspan"


def test_the_sessions_of_the_process_live_as_long_as_the_settings_say(no_cache: pytest.MonkeyPatch) -> None:
    no_cache.setattr("tickspan.cache.shared._place.settings", None)
    no_cache.setenv("TICKSPAN_SESSIONS_IDLE_TTL_S", "60")
    sessions = get_sessions()
    assert get_sessions() is sessions
    assert repr(sessions).endswith("idle 60 s>")
