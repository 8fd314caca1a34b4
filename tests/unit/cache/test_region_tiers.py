"""A region over tiers below memory: what goes down, what comes up, what a failure of them gives."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from doubles import DAY_MS, Door, Hands, Shelf

from tickspan.cache import ABSENT, Cache, Entry, Level, Region
from tickspan.cache.driving import drive, resumed
from tickspan.cache.envelope import Envelope, open_envelope
from tickspan.cache.measuring import RegionMeasures
from tickspan.cache.telling import Result
from tickspan.cache.tiers import AnyRequest, Claim, Read, Write

RULES: dict[str, Any] = {"jitter": 0.0, "early_refresh": 0.0}


class World:
    """A server and hosts with a disk each, whose processes are caches."""

    def __init__(self) -> None:
        self.hands = Hands()
        self.redis = Shelf(Level.REDIS, self.hands)
        self.disk = Shelf(Level.DISK, self.hands)

    def process(self, *tiers: Shelf, **rules: Any) -> Region[Any]:
        cache = Cache(namespace="bot", tiers=tiers or (self.redis,), clock=self.hands.clock, random=Random(1))
        return cache.region("fills", **{**RULES, **rules})

    def name(self, key: str = "a") -> str:
        return f"bot:fills:{key}"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["blocking", "asynchronous"])
def door(request: pytest.FixtureRequest) -> Callable[[Region[Any]], Door]:
    return lambda region: Door(region, is_async=request.param == "asynchronous")


Open = Callable[[Region[Any]], Door]


def test_what_one_process_sets_another_one_gets(world: World, door: Open):
    one, other = door(world.process()), door(world.process())
    one.set("a", {"x": 1}, version=7)
    assert (other.get("a"), other.get_many(["a", "b"]), other.get_entry("a")) == (
        {"x": 1},
        {"a": {"x": 1}},
        Entry({"x": 1}, 0.0, Level.MEMORY, version=7),
    )


def test_a_value_from_below_is_kept_in_memory(world: World, door: Open):
    world.process().sync.set("a", 1)
    region = world.process()
    door(region).get("a")
    assert region.get_nowait("a") == 1


def test_memory_answers_alone_for_a_second_where_nobody_tells_of_changes(world: World, door: Open):
    one, other = world.process(ttl_s=100), world.process(ttl_s=100)
    other.sync.set("a", "old")
    before = door(one).get("a")
    other.sync.set("a", "new")
    world.hands.move(0.9)
    within = door(one).get("a")
    world.hands.move(0.2)
    assert (before, within, one.get_nowait("a"), door(one).get("a")) == ("old", "old", None, "new")


def test_many_keys_are_asked_for_in_one_step(world: World, door: Open):
    world.process().sync.set("a", 1)
    region = door(world.process())
    world.redis.requests.clear()
    region.get_many(["a", "b", ("c", 1)])
    assert world.redis.requests == [
        Read(("bot:fills:a", "bot:fills:b", "bot:fills:c:i1"), ("bot:@all:fills",))
    ]


def test_a_loaded_value_is_stored_below_only_in_place_of_what_the_miss_has_seen(world: World, door: Open):
    region = door(world.process())
    region.get_or_load("a", lambda: 1)
    written = [request for request in world.redis.requests if isinstance(request, Write)]
    assert [(write.key, write.expected_id, write.ttl_ms) for write in written] == [
        ("bot:fills:a", b"", 3_000_000)
    ]


def test_one_process_loads_and_the_other_one_gets_it(world: World, door: Open):
    one, other = door(world.process()), door(world.process())
    calls: list[str] = []
    given = [region.get_or_load("a", lambda: calls.append("call") or "value") for region in (one, other)]
    assert (given, calls) == (["value", "value"], ["call"])


def test_a_load_that_began_before_another_process_invalidated_does_not_store(world: World, door: Open):
    one, other = world.process(), world.process()

    def load() -> str:
        other.sync.invalidate("a")
        return "before"

    given = door(one).get_or_load("a", load)
    assert (given, one.get_nowait("a"), door(other).get("a"), door(one).get("a")) == (
        "before",
        None,
        None,
        None,
    )


def test_nor_before_another_process_set(world: World, door: Open):
    one, other = world.process(), world.process()

    def load() -> str:
        other.sync.set("a", "set")
        return "before"

    assert (door(one).get_or_load("a", load), door(one).get("a")) == ("before", "set")


def test_nor_after_a_load_so_long_that_a_tombstone_may_be_gone(world: World, door: Open):
    one, other = world.process(load_timeout_s=5), world.process()

    def load() -> str:
        other.sync.invalidate("a")
        world.hands.move(11)
        return "before"

    assert (door(one).get_or_load("a", load), door(one).get("a")) == ("before", None)


def test_nor_where_redis_could_not_say_what_it_held(world: World, door: Open):
    region = world.process()
    world.redis.fails = lambda request: isinstance(request, Read)
    given = door(region).get_or_load("a", lambda: 1)
    assert (given, region.get_nowait("a"), world.name() in world.redis.values) == (1, 1, False)


@pytest.mark.parametrize("reason", ["tag", "clear"])
def test_a_tag_voids_values_of_every_process(world: World, door: Open, reason: str):
    one, other = world.process(), world.process()
    one.sync.set("a", 1, tags=["usd"])
    door(other).get("a")
    if reason == "tag":
        door(other).invalidate_tag("usd")
    else:
        door(other).clear()
    here = door(other).get("a")
    world.hands.move(1.1)
    there = door(one).get("a")
    door(one).set("a", 2, tags=["usd"])
    world.hands.move(1.1)
    assert (here, there, door(other).get("a"), door(one).get("a")) == (None, None, 2, 2)


def test_tags_that_are_not_known_beforehand_cost_one_more_step(world: World, door: Open):
    world.process().sync.set("a", 1, tags=["usd"])
    world.redis.requests.clear()
    assert door(world.process()).get("a") == 1
    assert world.redis.requests == [
        Read(("bot:fills:a",), ("bot:@all:fills",)),
        Read((), ("bot:@tag:fills:usd",)),
    ]


def test_a_value_whose_tags_number_was_lost_is_void(world: World, door: Open):
    world.process().sync.set("a", 1, tags=["usd"])
    del world.redis.epochs["bot:@tag:fills:usd"]
    assert door(world.process()).get("a") is None


def test_a_prefix_is_removed_below(world: World, door: Open):
    one = world.process()
    for key in ("AAPL", ("AAPL", 1), "MSFT"):
        one.sync.set(key, 1)
    assert (door(world.process()).invalidate_prefix("AAPL"), sorted(world.redis.values)) == (
        2,
        ["bot:fills:MSFT"],
    )


def test_an_older_version_is_refused_by_the_tier_that_has_a_newer_one(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", "two", version=2)
    assert (door(other).set("a", "one", version=1), other.get_nowait("a"), door(other).get("a")) == (
        False,
        None,
        "two",
    )


def test_an_older_version_stays_refused_after_an_invalidation(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", "two", version=2)
    door(one).invalidate("a")
    assert (door(other).set("a", "one", version=1), door(other).set("a", "three", version=3)) == (False, True)


def test_absence_is_told_to_other_processes(world: World, door: Open):
    one, other = world.process(negative_ttl_s=60), world.process(negative_ttl_s=60)
    door(one).get_or_load("a", lambda: ABSENT)
    calls: list[int] = []
    given = door(other).get_or_load("a", lambda: calls.append(1))
    assert (given is ABSENT, calls, door(other).get("a", "default")) == (True, [], "default")


def test_the_guard_counts_what_a_value_was_old_before_it_came(world: World, door: Open):
    rules: dict[str, Any] = {"ttl_s": 10, "max_age_s": 10}
    world.process(**rules).sync.set("a", 1, as_of=DAY_MS / 1000 + world.hands.now_s - 5)
    world.hands.move(4)
    region = world.process(**rules)
    before = door(region).get_entry("a")
    world.hands.move(1.1)
    assert (before, door(region).get("a"), region.get_nowait("a")) == (Entry(1, 9.0, Level.REDIS), None, None)


def test_the_guard_holds_against_a_server_that_keeps_values_for_longer(world: World, door: Open):
    rules: dict[str, Any] = {"ttl_s": 10, "hard_ttl_s": 1000}
    world.process(**rules).sync.set("a", "old")
    strict = world.process(**rules, max_age_s=20)
    world.hands.move(21)

    def fail() -> str:
        raise LookupError("no")

    with pytest.raises(LookupError):
        door(strict).get_or_load("a", fail)
    assert door(world.process(**rules)).get_or_load("a", fail) == "old"


def test_a_value_from_a_host_whose_clock_is_ahead_is_a_miss_under_a_guard(world: World, door: Open):
    ahead = Hands()
    ahead.now_s = world.hands.now_s + 2
    Cache(namespace="bot", tiers=[world.redis], clock=ahead.clock).region("fills", **RULES).sync.set("a", 1)
    assert (door(world.process(max_age_s=60, ttl_s=60)).get("a"), door(world.process()).get("a")) == (None, 1)


def test_a_stale_value_below_stands_in_for_a_load_that_fails(world: World, door: Open):
    world.process(ttl_s=10).sync.set("a", "old")
    world.hands.move(11)
    region = world.process(ttl_s=10)

    def fail() -> str:
        raise LookupError("no")

    assert (door(region).get("a"), door(region).get_or_load("a", fail), door(region).get_entry("a")) == (
        None,
        "old",
        Entry("old", 11.0, Level.MEMORY, is_stale=True),
    )


@pytest.mark.parametrize("call", ["get", "get_many", "get_entry", "set", "get_or_load", "load"])
def test_no_call_raises_where_redis_fails(world: World, door: Open, call: str):
    region = world.process()
    world.redis.fails = lambda _: True
    arguments: dict[str, tuple[Any, ...]] = {
        "get": ("a", "default"),
        "get_many": (["a"],),
        "get_entry": ("a",),
        "set": ("a", 1),
        "get_or_load": ("a", lambda: 1),
        "load": ("a", lambda: 1),
    }
    results = {"get": "default", "get_many": {}, "get_entry": None, "set": True, "get_or_load": 1, "load": 1}
    assert getattr(door(region), call)(*arguments[call]) == results[call]


def test_what_was_invalidated_while_redis_failed_is_void_there_afterwards(world: World, door: Open):
    region = world.process()
    region.sync.set("a", 1, tags=["usd"])
    region.sync.set("b", 1, tags=["usd"])
    region.sync.set("c", 1)
    world.redis.fails = lambda _: True
    door(region).invalidate("a")
    door(region).invalidate_tag("usd")
    door(region).invalidate_prefix("c")
    world.redis.fails = lambda _: False
    world.hands.move(2)
    assert door(region).get_many(["a", "b", "c"]) == {}


def test_a_set_while_redis_fails_serves_this_process_and_no_other_one_gets_the_old_value(
    world: World, door: Open
):
    one, other = world.process(), world.process()
    one.sync.set("a", "old")
    world.redis.fails = lambda _: True
    told = door(one).set("a", "new")
    here = door(one).get("a")
    world.redis.fails = lambda _: False
    assert (told, here, door(other).get("a")) == (True, "new", None)


def test_a_tier_that_is_not_available_is_not_asked_for_values(world: World, door: Open):
    region = world.process()
    asked: list[AnyRequest] = []
    world.redis.before = asked.append
    world.redis.is_available = False
    door(region).get("a")
    door(region).get_or_load("a", lambda: 1)
    assert [type(request).__name__ for request in asked if isinstance(request, Read | Claim)] == []


def test_a_fault_of_a_tier_is_no_error_of_the_caller(world: World, door: Open):
    region = world.process()

    def crash(_: AnyRequest) -> bool:
        raise ZeroDivisionError

    world.redis.fails = crash
    from tickspan.recording.guard import strict

    with strict(value=False):
        assert door(region).get("a", "default") == "default"


def test_a_caller_waits_for_a_silent_tier_once(world: World, door: Open):
    region = world.process()
    here, waited = threading.get_ident(), list[str]()

    def note(request: AnyRequest) -> None:
        if threading.get_ident() == here:
            waited.append(type(request).__name__)

    world.redis.before = note
    world.redis.fails = lambda _: True
    given = [door(region).get_or_load("a", lambda: 1), door(region).set("b", 2), door(region).get("c")]
    assert region.stack.behind.drain(5)
    assert (given, region.get_nowait("b"), waited) == ([1, True, None], 2, ["Read"] * 3)


def test_what_a_silent_tier_was_not_told_by_a_set_is_made_good_when_it_is_back(world: World, door: Open):
    region = world.process()
    world.process().sync.set("a", "before")
    world.redis.fails = lambda _: True
    door(region).set("a", "after")
    assert region.stack.behind.drain(5)
    world.redis.fails = lambda _: False
    assert door(world.process()).get("a") is None


PLANTED = {
    "pickle": pickle.dumps({"x": 1}),
    "garbage": b"\x00" * 100,
    "short garbage": b"garbage",
    "empty": b"",
    "foreign schema": Envelope(
        b"12345678", 1, DAY_MS, 9**9, 9**9, b"\xa1a", 0, 2, tags=(("", 1),)
    ).to_bytes(),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_a_counted_miss_and_is_replaced_by_a_load(world: World, door: Open, planted: str):
    region = world.process()
    world.redis.values[world.name()] = (PLANTED[planted], world.hands.now_s + 1000)
    world.redis.epochs["bot:@all:fills"] = 1
    given = door(region).get("a", "default")
    assert isinstance(region.telemetry, RegionMeasures)
    measured = dict(region.telemetry.counts().lower)
    loaded = door(region).get_or_load("a", lambda: 1)
    assert (given, measured, loaded, door(world.process()).get("a")) == (
        "default",
        {("redis", "get", "error"): 1},
        1,
        1,
    )


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda raw: raw[:-1],
    "longer": lambda raw: raw + b"\x00",
    "length": lambda raw: raw[:60] + (10**9).to_bytes(4) + raw[64:],
    "zstd": lambda raw: raw[:3] + b"\x01" + raw[4:],
    "codec": lambda raw: raw[:3] + b"\x03" + raw[4:],
    "payload": lambda raw: raw[:-2] + b"\xc1\xc1",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_envelope_is_a_miss(world: World, door: Open, damage: str):
    one = world.process()
    one.sync.set("a", "value")
    raw, until = world.redis.values[world.name()]
    world.redis.values[world.name()] = (DAMAGES[damage](raw), until)
    assert door(world.process()).get("a", "default") == "default"


def test_a_large_value_is_compressed_on_its_way(world: World, door: Open):
    door(world.process()).set("a", "x" * 100_000)
    raw, _ = world.redis.values[world.name()]
    assert (len(raw) < 1000, open_envelope(raw).codec, door(world.process()).get("a")) == (
        True,
        1,
        "x" * 100_000,
    )


def test_too_large_a_value_makes_what_is_held_below_void(world: World, door: Open):
    region = world.process(max_value_bytes=1000)
    region.sync.set("a", "small")
    door(region).set("a", "x" * 2000)
    region.stack.behind.drain(5)
    world.hands.move(2)
    assert (door(region).get("a"), door(world.process()).get("a")) == (None, None)


def test_larger_values_are_read_once_the_rules_allow_them(world: World, door: Open):
    world.process().sync.set("a", "x" * 2000)
    region = world.process(max_value_bytes=1000)
    before = door(region).get("a")
    region.use_rules(region.rules.replace(max_value_bytes=5000))
    assert (before, door(region).get("a")) == (None, "x" * 2000)


def test_a_claim_is_given_back_when_the_load_has_ended_or_failed(world: World, door: Open):
    region = door(world.process())
    region.get_or_load("a", lambda: 1)

    def fail() -> int:
        raise LookupError("no")

    with pytest.raises(LookupError):
        region.get_or_load("b", fail)
    assert (world.redis.claims, world.redis.asked().count("Claim")) == ({}, 2)


def test_a_claim_is_given_back_when_a_blocking_load_was_stopped(world: World):
    def stop() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.process().sync.get_or_load("a", stop)
    assert ("Claim" in world.redis.asked(), world.redis.claims) == (True, {})


def test_a_claim_is_given_back_when_the_event_loop_of_a_load_ends(world: World):
    region = world.process()

    async def leave() -> None:
        is_loading = asyncio.Event()

        async def load() -> Any:
            is_loading.set()
            await asyncio.Event().wait()

        asking = asyncio.create_task(region.get_or_load("a", load))
        await is_loading.wait()
        assert not asking.done()

    asyncio.run(leave())
    assert region.stack.behind.drain(5)
    assert ("Claim" in world.redis.asked(), world.redis.claims) == (True, {})


def test_who_finds_a_claim_waits_for_the_value_of_the_other_process(world: World, door: Open):
    one, other = world.process(), world.process()
    world.redis.claims["bot:@claim:fills:a"] = b"other"
    asked = 0

    def arrives(request: AnyRequest) -> None:
        nonlocal asked
        if isinstance(request, Claim):
            asked += 1
            if asked == 3:
                other.sync.set("a", "theirs")

    world.redis.before = arrives
    assert door(one).get_or_load("a", lambda: "ours") == "theirs"


def test_who_waits_for_another_process_loads_when_that_has_failed(world: World, door: Open):
    world.redis.claims["bot:@claim:fills:a"] = b"other"
    asked = 0

    def fails(request: AnyRequest) -> None:
        nonlocal asked
        if isinstance(request, Claim):
            asked += 1
            if asked == 2:
                world.redis.claims.clear()

    world.redis.before = fails
    assert (door(world.process()).get_or_load("a", lambda: "ours"), asked) == ("ours", 2)


def test_or_when_the_limit_has_passed(world: World, door: Open):
    world.redis.claims["bot:@claim:fills:a"] = b"other"
    world.redis.before = lambda _: world.hands.move(0.4)
    assert door(world.process(load_timeout_s=2)).get_or_load("a", lambda: "ours") == "ours"


def test_a_region_of_one_process_makes_no_claims(world: World, door: Open):
    door(world.process(flight="process")).get_or_load("a", lambda: 1)
    assert "Claim" not in world.redis.asked()


def test_a_disk_alone_holds_values_for_the_next_process(world: World, door: Open):
    world.process(world.disk, ttl_s=100).sync.set("a", 1, tags=["usd"])
    world.hands.move(50)
    region = door(world.process(world.disk, ttl_s=100))
    assert (region.get_entry("a"), region.get_entry("a")) == (
        Entry(1, 50.0, Level.DISK),
        Entry(1, 50.0, Level.MEMORY),
    )


def test_beside_redis_a_disk_only_stands_in(world: World, door: Open):
    world.process(world.redis, world.disk).sync.set("a", "held")
    world.redis.flush()
    region = world.process(world.redis, world.disk)

    def fail() -> str:
        raise LookupError("no")

    before = door(region).get("a")
    given = door(region).get_or_load("a", fail)
    assert (before, given) == (None, "held")


def test_a_tombstone_in_redis_keeps_the_disk_from_answering(world: World, door: Open):
    one = world.process(world.redis, world.disk)
    one.sync.set("a", "held")
    world.process(world.redis).sync.invalidate("a")

    def fail() -> str:
        raise LookupError("no")

    with pytest.raises(LookupError):
        door(world.process(world.redis, world.disk)).get_or_load("a", fail)


def test_a_value_goes_to_every_tier_and_is_made_void_in_every_tier(world: World, door: Open):
    region = door(world.process(world.redis, world.disk))
    region.set("a", 1)
    stored = [world.name() in tier.values for tier in (world.redis, world.disk)]
    region.invalidate("a")
    dead = [open_envelope(tier.values[world.name()][0]).is_tombstone for tier in (world.redis, world.disk)]
    assert (stored, dead) == ([True, True], [True, True])


def test_set_nowait_is_in_memory_now_and_below_soon(world: World):
    one, other = world.process(), world.process()
    told = [one.set_nowait("a", number) for number in range(100)]
    here = one.get_nowait("a")
    assert (all(told), here, one.stack.behind.drain(5), other.sync.get("a")) == (True, 99, True, 99)


def test_every_one_of_many_keys_is_written_below(world: World):
    one = world.process()
    for number in range(3000):
        one.set_nowait(("a", number), number)
    assert one.stack.behind.drain(10)
    held = world.process().sync.get_many([("a", number) for number in range(3000)])
    assert held == {("a", number): number for number in range(3000)}


def hold_first_write(world: World, key: str) -> tuple[threading.Event, threading.Event]:
    """The first write of a key waits: set when it has come, and to be set to let it go on."""
    came, gate = threading.Event(), threading.Event()

    def hold(request: AnyRequest) -> None:
        if isinstance(request, Write) and request.key == world.name(key) and not came.is_set():
            came.set()
            gate.wait(5)

    world.redis.before = hold
    return came, gate


def test_a_value_that_waits_is_not_written_over_one_that_was_set_since(world: World):
    one, other = world.process(), world.process()
    came, gate = hold_first_write(world, "first")
    one.set_nowait("first", 1)
    came.wait(5)
    one.set_nowait("a", "old")
    one.sync.set("a", "new")
    gate.set()
    assert (one.stack.behind.drain(5), other.sync.get("a"), one.get_nowait("a")) == (True, "new", "new")


def test_of_two_threads_that_write_one_key_at_once_none_leaves_an_old_value(world: World):
    one, other = world.process(), world.process()
    came, gate = hold_first_write(world, "a")
    slow = threading.Thread(target=one.sync.set, args=("a", "old"))
    slow.start()
    came.wait(5)
    one.sync.set("a", "new")
    gate.set()
    slow.join(5)
    assert (one.stack.behind.drain(5), other.sync.get("a")) == (True, None)


def test_what_was_set_before_a_clear_is_not_written_after_it(world: World):
    one, other = world.process(), world.process()
    gate = threading.Event()
    world.redis.before = lambda _: gate.wait(5)
    one.set_nowait("first", 1)
    one.set_nowait("a", 1)
    clearing = threading.Thread(target=one.sync.clear)
    clearing.start()
    gate.set()
    clearing.join(5)
    assert (one.stack.behind.drain(5), one.get_nowait("a"), other.sync.get("a")) == (True, None, None)


def test_what_was_made_void_by_a_tag_on_its_way_down_leaves_nothing_older_there(world: World):
    one, other = world.process(), world.process()
    one.sync.set("a", "old")
    gate = threading.Event()
    world.redis.before = lambda _: gate.wait(5)
    one.set_nowait("first", 1)
    one.set_nowait("a", "new", tags=["usd"])
    voiding = threading.Thread(target=one.sync.invalidate_tag, args=("usd",))
    voiding.start()
    gate.set()
    voiding.join(5)
    assert (one.stack.behind.drain(5), other.sync.get("a")) == (True, None)


def test_of_many_values_for_one_key_only_the_last_is_written_below(world: World):
    region = world.process()
    gate = threading.Event()
    world.redis.before = lambda _: gate.wait(5)
    for number in range(100):
        region.set_nowait("a", number)
    gate.set()
    region.stack.behind.drain(5)
    assert world.redis.asked().count("Write") <= 2


def test_what_finds_no_room_behind_is_made_void_below(world: World):
    region = world.process()
    for number in range(20):
        region.sync.set(number, "old")
    region.stack.behind._limit = 3
    gate = threading.Event()
    world.redis.before = lambda _: gate.wait(5)
    for number in range(20):
        region.set_nowait(number, "new")
    gate.set()
    region.stack.behind.drain(5)
    held = world.process().sync.get_many(range(20))
    assert (region.stack.behind.dropped > 0, set(held.values()), len(held) < 20) == (True, {"new"}, True)


def test_an_invalidation_behind_is_heard_below(world: World):
    one, other = world.process(), world.process()
    one.sync.set("a", 1)
    one.invalidate_nowait("a")
    assert (one.get_nowait("a"), one.stack.behind.drain(5), other.sync.get("a")) == (None, True, None)


def test_a_blocking_call_inside_an_event_loop_touches_memory_only(world: World):
    one, other = world.process(), world.process()
    other.sync.set("a", 1)

    async def story() -> tuple[Any, ...]:
        asked = len(world.redis.requests)
        given = (
            one.sync.get("a"),
            one.sync.get_many(["a"]),
            one.sync.get_entry("a"),
            one.sync.get_or_load("a", lambda: "own"),
            one.sync.get("a"),
        )
        return (*given, len(world.redis.requests) - asked, one.memory.statistics().bypasses)

    assert asyncio.run(story()) == (None, {}, None, "own", "own", 0, 4)


def test_inside_an_event_loop_what_changes_is_told_behind(world: World):
    one, other = world.process(), world.process()

    async def change() -> None:
        one.sync.set("a", 1, tags=["usd"])
        one.sync.set("b", 1)
        one.sync.set("c", 1)
        one.sync.set("d", 1)
        await asyncio.to_thread(one.stack.behind.drain, 5)
        one.sync.invalidate_tag("usd")
        one.sync.invalidate("b")
        one.sync.invalidate_prefix("c")

    asyncio.run(change())
    here = one.sync.get_many(["a", "b", "c", "d"])
    assert (one.stack.behind.drain(5), here, other.sync.get_many(["a", "b", "c", "d"])) == (
        True,
        {"d": 1},
        {"d": 1},
    )


def _never_done(name: object, job: object, *, is_urgent: bool = False) -> bool:
    """`Behind.add` of a thread that does not come to it."""
    del name, job, is_urgent
    return True


def test_what_is_forgotten_behind_is_not_read_before_the_tiers_have_heard_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    one, other = world.process(), world.process()
    for key in ("a", "b", "c", "d"):
        one.sync.set(key, 1)
    monkeypatch.setattr(one.stack.behind, "add", _never_done)

    async def forget() -> None:
        one.sync.invalidate("a")
        one.sync.invalidate_prefix("b")
        one.invalidate_nowait("c")

    asyncio.run(forget())
    assert one.sync.get_many(["a", "b", "c", "d"]) == {"d": 1}
    assert other.sync.get_many(["a", "b", "c", "d"]) == {"d": 1}


@pytest.mark.parametrize("change", ["invalidating", "invalidating_prefix"])
def test_who_reads_while_a_key_is_forgotten_leaves_nothing_old_in_memory(world: World, change: str):
    one = world.process()
    one.sync.set("a", 1)
    routine = getattr(one, change)("a")
    request = next(routine)  # memory has forgotten it, Redis has not heard yet
    read = one.sync.get("a")
    drive(resumed(routine, request))
    assert (read, one.get_nowait("a")) == (1, None)


def test_a_value_on_its_way_down_is_not_read_as_it_was_before(world: World, monkeypatch: pytest.MonkeyPatch):
    one = world.process(max_entries=1)
    one.sync.set("a", 1)
    monkeypatch.setattr(one.stack.behind, "add", _never_done)
    one.set_nowait("a", 2)
    one.set_nowait("b", 1)  # there is room for one
    assert (one.get_nowait("a"), one.sync.get("a")) == (None, None)


def test_inside_an_event_loop_an_asynchronous_loader_cannot_be_called_blocking(world: World):
    async def load() -> int:
        return 1

    async def story() -> None:
        world.process().sync.get_or_load("a", load)

    with pytest.raises(TypeError, match="inside a running event loop"):
        asyncio.run(story())


def test_requests_to_a_tier_are_told_with_their_results(world: World, door: Open):
    region = world.process()
    calls = door(region)
    calls.get("a")
    calls.set("a", 1)
    calls.invalidate("a")
    world.redis.is_available = False
    calls.get("a")
    assert isinstance(region.telemetry, RegionMeasures)
    assert dict(region.telemetry.counts().lower) == {
        ("redis", "get", Result.MISS): 1,
        ("redis", "set", Result.STORED): 1,
        ("redis", "invalidate", Result.STORED): 1,
        ("redis", "get", Result.BYPASS): 1,
    }


def test_the_steps_of_each_call_are_as_few_as_they_can_be(world: World, door: Open):
    calls = door(world.process())
    calls.get("warm up")
    calls.set("warm up", 1)

    def steps(call: Callable[[], Any]) -> list[str]:
        world.redis.requests.clear()
        call()
        return world.redis.asked()

    assert {
        "get": steps(lambda: calls.get("a")),
        "set": steps(lambda: calls.set("a", 1)),
        "load": steps(lambda: calls.get_or_load("b", lambda: 1)),
        "invalidate": steps(lambda: calls.invalidate("a")),
        "tag": steps(lambda: calls.invalidate_tag("t")),
        "prefix": steps(lambda: calls.invalidate_prefix("a")),
        "clear": steps(calls.clear),
    } == {
        "get": ["Read"],
        "set": ["Write"],
        "load": ["Read", "Claim", "Write", "Release"],
        "invalidate": ["Bury"],
        "tag": ["Bump"],
        "prefix": ["Erase"],
        "clear": ["Bump"],
    }


@pytest.mark.parametrize("call", ["set", "invalidate", "invalidate_tag", "clear"])
def test_what_a_cancelled_caller_has_begun_reaches_every_tier(world: World, call: str):
    region = world.process(world.redis, world.disk)
    region.sync.set("a", "old", tags=["usd"])
    arguments: dict[str, tuple[Any, ...]] = {
        "set": ("a", "new"),
        "invalidate": ("a",),
        "invalidate_tag": ("usd",),
        "clear": (),
    }

    async def story() -> bool:
        held = asyncio.Event()
        perform = world.redis.perform_async

        async def slow(request: AnyRequest) -> Any:
            held.set()
            await asyncio.sleep(30)
            return await perform(request)

        world.redis.perform_async = slow  # pyright: ignore[reportAttributeAccessIssue] - for this test
        calling = asyncio.create_task(getattr(region, call)(*arguments[call]))
        await held.wait()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return calling.cancelled()

    world.disk.requests.clear()
    assert (asyncio.run(story()), world.disk.asked()) == (
        True,
        {"set": ["Write"], "invalidate": ["Bury"], "invalidate_tag": ["Bump"], "clear": ["Bump"]}[call],
    )
    assert region.stack._on_the_way == {}
