"""What a cache is made of: the presets, and what the settings of the process say."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tickspan.cache.presets import CacheSettings
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.rules import Policy, RegionRules
from tickspan.config import CachePolicy, ProcessCacheSettings, RedisSettings, Settings


def test_hft_gives_no_quote_older_than_a_quarter_of_a_second_and_redis_five_milliseconds() -> None:
    assert CacheSettings.hft() == CacheSettings(
        regions={
            "quotes": RegionRules(
                ttl_s=0.25,
                hard_ttl_s=0.25,
                max_age_s=0.25,
                jitter=0.0,
                load_soft_timeout_s=0.005,
                load_timeout_s=0.25,
            )
        },
        redis=RemoteSettings(timeout_s=0.005, connect_timeout_s=0.05),
    )


def test_risk_keeps_values_for_a_day_and_chooses_its_policy() -> None:
    assert CacheSettings.risk() == CacheSettings(
        rules=RegionRules(
            policy=Policy.ADAPTIVE, hard_ttl_s=86_400.0, max_entries=100_000, max_bytes=256 * 1024 * 1024
        ),
        redis=RemoteSettings(timeout_s=0.25),
    )


def test_oms_feeds_and_tracks_its_orders() -> None:
    assert CacheSettings.oms(namespace="desk") == CacheSettings(
        namespace="desk",
        regions={
            "orders": RegionRules(
                ttl_s=86_400.0, hard_ttl_s=86_400.0, jitter=0.0, near=True, max_entries=100_000
            )
        },
        keeps_orders=True,
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"namespace": "a:b"}, "namespace"),
        ({"regions": {"a b": RegionRules()}}, "region"),
        ({"disk": ""}, "disk: expected a folder"),
    ],
)
def test_what_cannot_be_part_of_a_key_or_a_path_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CacheSettings(**changes)  # pyright: ignore[reportArgumentType] - the point


def test_no_secret_shows() -> None:
    assert "hunter2" not in repr(CacheSettings(url="redis://:hunter2@host"))


def test_without_settings_there_is_memory_only() -> None:
    assert CacheSettings.of(Settings()) == CacheSettings()


def test_the_settings_of_the_process_make_the_cache() -> None:
    settings = Settings(
        cache=ProcessCacheSettings(
            url="redis://cache:6379/1",
            namespace="desk",
            disk="/var/cache/desk",
            max_entries=5,
            max_bytes=1000,
            ttl_s=60.0,
            compression=False,
            policy=CachePolicy.LFU,
        ),
        redis=RedisSettings(host="ignored", timeout_s=0.01, max_connections=3),
    )
    assert CacheSettings.of(settings) == CacheSettings(
        url="redis://cache:6379/1",
        namespace="desk",
        disk="/var/cache/desk",
        rules=RegionRules(ttl_s=60.0, max_entries=5, max_bytes=1000, max_value_bytes=1000, policy=Policy.LFU),
        redis=RemoteSettings(timeout_s=0.01, max_connections=3),
        compression=False,
    )


def test_settings_of_quotes_and_loads_make_their_rules() -> None:
    given = ProcessCacheSettings(quotes_ttl_s=0.25, load_wait_s=0.005, load_timeout_s=0.5, stale_s=3600.0)
    redis = RedisSettings(timeout_s=0.005, connect_timeout_s=0.05)
    loads: dict[str, Any] = {"load_soft_timeout_s": 0.005, "load_timeout_s": 0.5}
    assert CacheSettings.of(Settings(cache=given, redis=redis)) == CacheSettings(
        rules=RegionRules(hard_ttl_s=3600.0, **loads),
        regions={"quotes": RegionRules(ttl_s=0.25, hard_ttl_s=0.25, max_age_s=0.25, jitter=0.0, **loads)},
        redis=RemoteSettings(timeout_s=0.005, connect_timeout_s=0.05),
    )


@pytest.mark.parametrize("url", [None, "redis://host"])
def test_states_of_orders_are_kept_near_where_there_is_redis(url: str | None) -> None:
    settings = CacheSettings.of(Settings(cache=ProcessCacheSettings(url=url, orders=True)))
    wanted = CacheSettings.oms().regions["orders"].replace(near=url is not None)
    assert (settings.keeps_orders, settings.regions) == (True, {"orders": wanted})


@pytest.mark.parametrize(
    ("redis", "url"),
    [
        (RedisSettings(), None),
        (RedisSettings(host="cache"), "redis://cache:6379/0"),
        (RedisSettings(host="::1", port=7000, db=2, password="p@:/"), "redis://:p%40%3A%2F@[::1]:7000/2"),
    ],
)
def test_redis_can_be_given_as_host_and_port(redis: RedisSettings, url: str | None) -> None:
    assert CacheSettings.of(Settings(redis=redis)).url == url


def test_policies_and_defaults_are_the_same_in_settings_and_in_the_cache() -> None:
    assert [policy.value for policy in CachePolicy] == [policy.value for policy in Policy]
    rules, given = RegionRules(), ProcessCacheSettings()
    assert (given.ttl_s, given.max_entries, given.max_bytes, given.policy) == (
        rules.ttl_s,
        rules.max_entries,
        rules.max_bytes,
        rules.policy.value,
    )
    assert dataclasses.replace(RemoteSettings()) == CacheSettings.of(Settings()).redis
