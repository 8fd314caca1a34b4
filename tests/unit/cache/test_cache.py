"""The cache as a whole: its regions, how they are declared, what is there without a server."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles import Hands, Shelf

import tickspan.cache
from tickspan.cache import Cache, Level, Region, RegionRules, SyncRegion
from tickspan.cache.cache import SyncCache


class Fill(msgspec.Struct, frozen=True):
    order: int
    price: Decimal


def test_what_is_public_is_listed():
    public = {name for name in vars(tickspan.cache) if not name.startswith("_")}
    modules = {name for name in public if isinstance(getattr(tickspan.cache, name), type(os))}
    assert public - modules - {"annotations"} == set(tickspan.cache.__all__)


def test_importing_it_brings_no_optional_library_and_no_sdk():
    program = (
        "import sys, tickspan.cache\n"
        "print([name for name in ('redis', 'hiredis', 'sqlalchemy', 'msgspec', 'opentelemetry.sdk')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_named_when_a_cache_is_made(tmp_path: Path):
    (tmp_path / "msgspec.py").write_text("raise ImportError('not here')\n")
    program = "from tickspan.cache import Cache\ntry: Cache()\nexcept ImportError as error: print(error)\n"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "the cache needs msgspec: pip install 'tickspan[cache]'"


def test_three_regions_are_there_from_the_start():
    cache = Cache()
    names = [cache.default.name, cache.quotes.name, cache.orders.name]
    assert (names, cache.quotes.rules.max_age_s, cache.quotes.rules.hard_s, cache.quotes.rules.jitter) == (
        ["default", "quotes", "orders"],
        1.0,
        1.0,
        0.0,
    )


def test_a_region_is_declared_once_and_found_by_its_name():
    cache = Cache()
    fills = cache.region("fills", Fill, ttl_s=60)
    assert cache.region("fills") is cache.region("fills", Fill) is cache.region("fills", ttl_s=60) is fills
    assert (getattr(cache, "fills") is fills, cache.sync.fills is fills.sync) == (True, True)  # noqa: B009 - a name of the caller's


@pytest.mark.parametrize(
    ("type_", "rules", "problem"),
    [
        (int, {}, "declared with type .* before"),
        (None, {"ttl_s": 61}, r"declared with ttl_s 60 before, now 61"),
        (None, {"near": True}, "declared with near False before, now True"),
    ],
)
def test_a_declaration_that_says_otherwise_is_a_value_error(type_: Any, rules: Any, problem: str):
    cache = Cache()
    cache.region("fills", Fill, ttl_s=60)
    with pytest.raises(ValueError, match=problem):
        cache.region("fills", type_, **rules)


def test_a_rule_out_of_range_or_unknown_is_an_error():
    with pytest.raises(ValueError, match="rule ttl_s: expected a number of seconds above 0"):
        Cache().region("fills", ttl_s=0)
    with pytest.raises(TypeError, match="region fills: there is no rule 'colour'; rules: ttl_s, hard_ttl_s"):
        Cache().region("fills", colour="red")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"ttl_s": "5"}, "rule ttl_s: expected a number of seconds above 0, got '5'"),
        ({"hard_ttl_s": "60"}, "rule hard_ttl_s: expected a number of seconds above 0, got '60'"),
        ({"early_refresh": None}, "rule early_refresh: expected 0 or more, got None"),
        ({"max_entries": 1.5}, r"rule max_entries: expected a whole number, 1 or more, got 1\.5"),
        ({"jitter": "0.1"}, "rule jitter: expected a share from 0 to below 1, got '0.1'"),
        ({"near": "yes"}, "rule near: expected True or False, got 'yes'"),
    ],
)
def test_a_rule_of_another_type_is_an_error_that_says_what_was_expected(rule: Any, problem: str):
    with pytest.raises(ValueError, match=problem):
        Cache().region("fills", **rule)


@pytest.mark.parametrize(
    ("terms", "error", "problem"),
    [
        ({"ttl_s": "5"}, TypeError, "ttl_s: expected a number of seconds, got str"),
        ({"version": 1.5}, TypeError, "version: expected an int, got float"),
        ({"version": "3"}, TypeError, "version: expected an int, got str"),
        ({"as_of": "today"}, TypeError, "as_of: expected a number of seconds, got str"),
        ({"version": 0}, ValueError, r"version: expected 1 to 2\*\*64 - 1, got 0"),
    ],
)
def test_a_term_of_another_type_is_an_error_and_stores_nothing(
    terms: Any, error: type[Exception], problem: str
):
    cache = Cache()
    with pytest.raises(error, match=problem):
        cache.set_nowait("a", 1, **terms)
    with pytest.raises(error, match=problem):
        cache.sync.set("a", 1, **terms)
    assert cache.get_nowait("a") is None


def test_a_region_that_is_not_there_is_an_attribute_error_that_lists_those_that_are():
    cache = Cache()
    with pytest.raises(AttributeError, match="no region or attribute 'fils'; regions: default, quotes"):
        getattr(cache, "fils")  # noqa: B009 - as a program would write it
    with pytest.raises(AttributeError, match="no region 'fils'; regions: default, quotes"):
        getattr(cache.sync, "fils")  # noqa: B009 - as above


@pytest.mark.parametrize("namespace", ["", "a:b", "a b"])
def test_a_namespace_is_part_of_names(namespace: str):
    with pytest.raises(ValueError, match="namespace: expected"):
        Cache(namespace=namespace)
    with pytest.raises(ValueError, match="region: expected"):
        Cache(regions={namespace: RegionRules()})


def test_tiers_stand_in_one_order():
    hands = Hands()
    with pytest.raises(ValueError, match="tiers: expected Redis, a disk, or both in this order"):
        Cache(tiers=[Shelf(Level.DISK, hands), Shelf(Level.REDIS, hands)])


def test_regions_may_have_rules_of_their_own_from_the_start():
    cache = Cache(rules=RegionRules(ttl_s=7), regions={"quotes": RegionRules(ttl_s=2, max_age_s=2)})
    assert (cache.default.rules.ttl_s, cache.quotes.rules.ttl_s, cache.region("x").rules.ttl_s) == (7, 2, 7)


def test_the_calls_of_a_cache_are_those_of_its_default_region():
    cache = Cache()

    async def story() -> list[Any]:
        given = [
            await cache.set("a", 1, 60),
            await cache.get("a"),
            await cache.get_or_load("b", lambda: 2, ttl=60),
            cache.get_nowait("a"),
            cache.set_nowait("c", 3, ttl=5),
        ]
        await cache.invalidate("a")
        return [*given, await cache.get("a")]

    assert (asyncio.run(story()), cache.default.get_nowait("b")) == ([True, 1, 2, 1, True, None], 2)
    assert [
        cache.sync.set("d", 4),
        cache.sync.get("d"),
        cache.sync.get_or_load("e", lambda: 5),
        cache.sync.invalidate("d"),
        cache.sync.get("d", "gone"),
    ] == [True, 4, 5, None, "gone"]


def test_every_asynchronous_call_of_a_cache_or_region_has_a_blocking_one():
    def without(owner: type, blocking: type) -> set[str]:
        calls = inspect.getmembers(owner, inspect.iscoroutinefunction)
        return {name for name, _ in calls if not inspect.isfunction(getattr(blocking, name, None))}

    assert (without(Cache, SyncCache), without(Region, SyncRegion)) == ({"aclose", "ready"}, set())


def test_the_calls_for_many_are_those_of_the_default_region_by_both_doors():
    cache = Cache()

    async def story() -> list[Any]:
        await cache.set("a1", 1, tags=("x",))
        cache.set_nowait("a2", 2)
        given = [await cache.get_many(["a1", "a2", "b"]), await cache.get_entry("b")]
        await cache.invalidate_tag("x")
        given += [await cache.get("a1"), await cache.invalidate_prefix("a")]
        await cache.clear()
        return given

    def blocking_story() -> list[Any]:
        cache.sync.set("a1", 1, tags=("x",))
        cache.sync.set_nowait("a2", 2)
        given = [cache.sync.get_many(["a1", "a2", "b"]), cache.sync.get_entry("b")]
        cache.sync.invalidate_tag("x")
        given += [cache.sync.get_nowait("a1"), cache.sync.invalidate_prefix("a")]
        cache.sync.clear()
        return given

    assert asyncio.run(story()) == blocking_story() == [{"a1": 1, "a2": 2}, None, None, 1]


@pytest.mark.parametrize("is_blocking", [True, False])
def test_clearing_a_cache_clears_every_region(*, is_blocking: bool):
    cache = Cache()
    fills = cache.region("fills")
    fills.set_nowait("a", 1)
    cache.set_nowait("a", 1)
    cache.sync.clear() if is_blocking else asyncio.run(cache.clear())
    assert (fills.get_nowait("a"), cache.get_nowait("a")) == (None, None)


def test_orders_are_typed_unless_the_program_has_said_otherwise():
    from tickspan.cache.orders import CachedOrder

    other = Cache()
    other.region("orders", Fill)
    assert (Cache().orders.type, other.orders.type) == (CachedOrder, Fill)


def test_a_cache_of_memory_alone_is_ready_and_closes_twice():
    cache = Cache()
    ready = asyncio.run(cache.ready())
    cache.close()
    asyncio.run(cache.aclose())
    assert ready is True


def test_closing_writes_what_waits_and_closes_the_tiers():
    hands = Hands()
    shelf = Shelf(Level.REDIS, hands)
    cache = Cache(tiers=[shelf], clock=hands.clock)
    cache.default.set_nowait("a", 1)
    cache.close()
    assert ("tickspan:default:a" in shelf.values, shelf.is_available) == (True, False)


def test_statistics_and_representation_show_what_a_human_needs():
    cache = Cache(namespace="bot")
    cache.default.set_nowait("a", 1)
    cache.default.get_nowait("a")
    cache.default.get_nowait("b")
    told = cache.statistics()
    assert (told["default"].memory.hits, told["default"].memory.misses, repr(cache)) == (
        1,
        1,
        "<Cache bot: memory; 2 regions, 1 entries>",
    )


def test_a_cache_without_redis_does_not_claim_nor_track():
    cache = Cache()
    assert (cache.orders.tracking, cache.orders.rules.near) == ("off", False)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_keeps_memory_and_writes_by_a_thread_of_its_own():
    hands = Hands()
    shelf = Shelf(Level.REDIS, hands)
    cache = Cache(tiers=[shelf], clock=hands.clock)
    cache.default.set_nowait("a", 1)
    assert cache.drain(5)
    child = os.fork()
    if not child:
        is_right = (
            cache.default.get_nowait("a") == 1
            and cache.default.set_nowait("b", 2)
            and cache.drain(5)
            and "tickspan:default:b" in shelf.values
        )
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
