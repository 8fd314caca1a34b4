"""What users touch, over a real Redis and a real disk: outages as they are told, orders among processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickspan.cache import Cache, CacheSettings, RegionRules, cached
from tickspan.cache.measuring import SCOPE, Measures
from tickspan.cache.presets import tiers_of
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.semconv import cache as names
from tickspan.testing import Capture, Point, capture
from tickspan.trading import (
    OrderOperation,
    OrderRequest,
    Orders,
    OrderStatus,
    OrderUpdate,
    Source,
)

pytestmark = pytest.mark.integration

_LIMITS = RemoteSettings(breaker_failures=1, breaker_min_s=0.05, breaker_max_s=0.1)


@pytest.fixture
def captured() -> Generator[Capture]:
    with capture() as made:
        yield made


@pytest.fixture
def measures(captured: Capture) -> Measures:
    return Measures(
        captured.tracer_provider.get_tracer(SCOPE),
        captured.meter_provider.get_meter(SCOPE),
        captured.logger_provider.get_logger(SCOPE),
    )


def test_an_outage_is_told_once_and_so_is_its_end(
    own_redis: Any, captured: Capture, measures: Measures, until: Callable[..., None]
) -> None:
    settings = CacheSettings(url=own_redis.url, redis=_LIMITS)
    cache = Cache(namespace="bot", tiers=tiers_of(settings), measures=measures)
    cache.sync.set("a", 1)
    assert cache.statistics().tiers[0].breaker == "closed"
    own_redis.kill()
    for _ in range(20):
        cache.sync.set("a", 2)
    assert cache.statistics().tiers[0].breaker in {"open", "probing"}
    assert cache.get_nowait("a") == 2
    own_redis.start()
    until(lambda: cache.sync.set("a", 3) and cache.statistics().tiers[0].breaker == "closed")
    events = captured.events()
    cache.close()
    assert [event.name for event in events if event.name == names.EVENT_TIER_UNAVAILABLE] == [
        names.EVENT_TIER_UNAVAILABLE
    ]
    changes = [
        (event.attributes[names.CACHE_BREAKER_FROM], event.attributes[names.CACHE_BREAKER_TO])
        for event in events
        if event.name == names.EVENT_BREAKER_CHANGE
    ]
    assert (changes[0], changes[-1]) == (("closed", "open"), ("probing", "closed"))
    assert captured.points(names.CACHE_BREAKER_STATE) == [Point({names.CACHE_NAME: "bot"}, 0)]


def test_what_another_process_changes_is_told_with_its_lag(
    clean_redis: str, captured: Capture, measures: Measures, until: Callable[..., None]
) -> None:
    rules = {"quotes": RegionRules(near=True)}
    settings = CacheSettings(url=clean_redis, namespace="lag", regions=rules)
    ours = Cache(namespace="lag", tiers=tiers_of(settings), regions=rules, measures=measures)
    other = Cache.from_settings(settings)
    until(lambda: ours.quotes.tracking == "tracked")
    ours.sync.quotes.set("AAPL", 1)
    other.sync.quotes.set("AAPL", 2)
    until(lambda: ours.sync.quotes.get("AAPL") == 2)
    until(lambda: _invalidations(captured, "quotes").get("tracking", 0) >= 1)
    (lag,) = captured.points(names.CACHE_INVALIDATION_LAG)
    for cache in (ours, other):
        cache.close()
    assert lag.attributes == {names.CACHE_NAME: "lag"}
    assert 0 < lag.value < 1


def _invalidations(captured: Capture, region: str) -> dict[Any, Any]:
    """How many of a region, by who told of them."""
    return {
        point.attributes[names.CACHE_INVALIDATION_SOURCE]: point.value
        for point in captured.points(names.CACHE_INVALIDATIONS)
        if point.attributes[names.CACHE_NAME] == region
    }


def _orders(captured: Capture, name: str) -> Orders:
    return Orders(
        captured.tracer_provider.get_tracer(name),
        captured.meter_provider.get_meter(name),
        logger=captured.logger_provider.get_logger(name),
        name=name,
    )


def _update(status: OrderStatus, filled: int, source: Source) -> OrderUpdate:
    return OrderUpdate(
        "binance", source, status, venue_id="77", client_id="mine", filled_quantity=Decimal(filled)
    )


def test_the_registry_feeds_the_orders_that_another_process_reads(
    clean_redis: str, captured: Capture
) -> None:
    oms = Cache.from_settings(CacheSettings.oms(url=clean_redis, namespace="oms"))
    reader = Cache.from_settings(CacheSettings.oms(url=clean_redis, namespace="oms", keeps_orders=False))
    orders = _orders(captured, "oms")
    call = orders.begin(
        OrderRequest(OrderOperation.SUBMIT, "binance", "test", client_id="mine", quantity=Decimal(2))
    )
    orders.observe(_update(OrderStatus.FILLED, 2, Source.USER_STREAM))
    orders.acknowledged(call, [_update(OrderStatus.NEW, 0, Source.REST_RESPONSE)])
    assert oms.drain()
    found = reader.sync.get_cached_order_status("binance", "77")
    assert found is not None
    assert (found.status, found.filled, found.client_id) == (OrderStatus.FILLED, Decimal(2), "mine")

    # Another process asks over REST and gets an answer from before.
    late = reader.orders.sync.set(("binance", "77"), _new(found), version=_new(found).version)
    still = asyncio.run(oms.get_cached_order_status("binance", "77"))
    orders.close()
    for cache in (oms, reader):
        cache.close()
    assert (late, still) == (False, found)


def _new(found: Any) -> Any:
    return type(found)(found.venue, OrderStatus.NEW, venue_id=found.venue_id)


def test_a_decorated_function_is_called_once_for_all_processes(clean_redis: str) -> None:
    calls: list[str] = []
    caches = [Cache.from_url(clean_redis, namespace="fleet") for _ in range(2)]

    def price(symbol: str) -> float:
        calls.append(symbol)
        return 101.5

    one, other = (cached(cache, ttl=60, key_prefix="price")(price) for cache in caches)
    assert [one("AAPL"), other("AAPL"), other("AAPL"), calls] == [101.5, 101.5, 101.5, ["AAPL"]]
    one.invalidate("AAPL")
    for cache in caches:
        cache.close()


def test_the_snapshot_lies_beside_the_disk_tier(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = Cache.from_settings(CacheSettings(disk=folder))
    cache.keep_snapshot()
    cache.set_nowait("AAPL", 1)
    cache.close()
    assert (folder / "hot-keys.json").stat().st_mode & 0o777 == 0o600
    second = Cache.from_settings(CacheSettings(disk=folder))
    done = second.sync.warm_from_snapshot({"default": lambda key: key})
    second.close()
    assert (done["default"].planned, done["default"].failed) == (1, 0)
