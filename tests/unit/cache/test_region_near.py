"""The near cache: memory keeps what Redis holds, as long as Redis tells what changes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from doubles import Door, Hands, Shelf

from tickspan.cache import Cache, Level, Region
from tickspan.cache.tiers import AnyRequest, Read

RULES: dict[str, Any] = {"jitter": 0.0, "early_refresh": 0.0, "near": True, "ttl_s": 1000}
Open = Callable[[Region[Any]], Door]


FLOODED = (
    "cache region fills: tracking is off: 1801 changes were told in 10 s and 0 values asked for;"
    " memory answers for 1 s"
)


class World:
    """A server, and processes that keep near what it holds."""

    def __init__(self) -> None:
        self.hands = Hands()
        self.redis = Shelf(Level.REDIS, self.hands)

    def process(self, **rules: Any) -> Region[Any]:
        cache = Cache(namespace="bot", tiers=[self.redis], clock=self.hands.clock, random=Random(1))
        return cache.region("fills", **{**RULES, **rules})

    def settle(self, *regions: Region[Any]) -> None:
        """Pushes have arrived, and what they made necessary is done."""
        self.redis.deliver()
        for region in regions:
            assert region.stack.behind.drain(5)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["blocking", "asynchronous"])
def door(request: pytest.FixtureRequest) -> Open:
    return lambda region: Door(region, is_async=request.param == "asynchronous")


@pytest.fixture(params=["before the reply", "after the reply"])
def pushes(request: pytest.FixtureRequest, world: World) -> None:
    """When the server's word about a change arrives."""
    world.redis.is_slow_to_push = request.param == "after the reply"


def test_memory_answers_for_as_long_as_nothing_changes(world: World, door: Open):
    world.process().sync.set("a", 1)
    region = world.process()
    door(region).get("a")
    world.hands.move(900)
    assert (region.tracking, region.get_nowait("a")) == ("tracked", 1)


@pytest.mark.usefixtures("pushes")
def test_another_processes_set_reaches_memory(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", "old")
    world.settle(one, other)
    door(other).get("a")
    door(one).set("a", "new")
    world.settle(one, other)
    assert (one.get_nowait("a"), other.get_nowait("a"), door(other).get("a")) == ("new", None, "new")


@pytest.mark.usefixtures("pushes")
def test_ones_own_set_stays_in_memory(world: World, door: Open):
    region = world.process()
    door(region).set("a", 1)
    at_once = region.get_nowait("a")
    world.settle(region)
    world.hands.move(900)
    assert (at_once, region.get_nowait("a")) == (1, 1)


@pytest.mark.usefixtures("pushes")
def test_ones_own_load_stays_in_memory(world: World, door: Open):
    region = world.process()
    door(region).get_or_load("a", lambda: 1)
    at_once = region.get_nowait("a")
    world.settle(region)
    world.hands.move(900)
    assert (at_once, region.get_nowait("a")) == (1, 1)


def test_two_sets_of_which_the_servers_word_is_one_leave_the_last_one(world: World, door: Open):
    one, other = world.process(), world.process()
    world.redis.is_slow_to_push = True
    door(one).set("a", "mine")
    door(other).set("a", "theirs")
    world.redis.pushes = ["bot:fills:a"]
    world.settle(one, other)
    assert (one.get_nowait("a"), door(one).get("a"), door(other).get("a")) == (None, "theirs", "theirs")


def test_while_ones_own_write_is_looked_into_the_value_goes_on_for_milliseconds_only(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    region = world.process()
    world.redis.is_slow_to_push = True
    region.sync.set("a", 1)

    monkeypatch.setattr(region.stack.behind, "_start", lambda: True)  # nothing is done behind
    world.redis.deliver()
    at_once = region.get_nowait("a")
    world.hands.move(0.006)
    assert (at_once, region.get_nowait("a")) == (1, None)


def test_another_processes_invalidation_reaches_memory(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", 1)
    door(other).get("a")
    world.settle(one, other)
    door(one).invalidate("a")
    assert (other.get_nowait("a"), door(other).get("a")) == (None, None)


@pytest.mark.parametrize("how", ["tag", "clear", "prefix"])
def test_so_do_those_of_tags_prefixes_and_everything(world: World, door: Open, how: str):
    one, other = world.process(), world.process()
    one.sync.set("a", 1, tags=["usd"])
    world.settle(one, other)
    door(other).get("a")
    held = other.get_nowait("a")
    calls: dict[str, Callable[[], Any]] = {
        "tag": lambda: door(one).invalidate_tag("usd"),
        "clear": lambda: door(one).clear(),
        "prefix": lambda: door(one).invalidate_prefix("a"),
    }
    calls[how]()
    world.settle(one, other)
    gone = (other.get_nowait("a"), door(other).get("a"), door(one).get("a"))
    door(one).set("a", 2, tags=["usd"])
    world.settle(one, other)
    assert (held, gone, door(other).get("a")) == (1, (None, None, None), 2)
    world.hands.move(900)
    assert other.get_nowait("a") == 2


def test_a_word_that_comes_late_about_a_number_that_was_read_already_voids_no_later_value(
    world: World, door: Open
):
    one, other = world.process(), world.process()
    world.redis.is_slow_to_push = True
    one.sync.clear()
    door(other).get("a")
    door(one).set("a", 1, tags=["usd"])
    world.settle(one, other)
    assert (door(other).get("a"), door(one).get("a")) == (1, 1)


def test_what_changes_while_it_is_read_is_not_kept(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", "old")
    world.settle(one, other)
    world.redis.is_slow_to_push = True
    done: list[bool] = []

    def change(request: AnyRequest) -> None:
        if isinstance(request, Read) and not done:
            done.append(True)  # it is read, and then changed
            world.redis.pushes.append("bot:fills:a")
            world.redis.deliver()

    world.redis.before = change
    assert (door(other).get("a"), other.get_nowait("a")) == ("old", None)


def test_nor_is_what_the_server_has_told_of_and_the_region_not_heard_yet(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", "old")
    world.settle(one, other)

    def told(request: AnyRequest) -> None:
        if isinstance(request, Read):
            world.redis.generations["bot:fills:a"] += 1

    world.redis.before = told
    assert (door(other).get("a"), other.get_nowait("a")) == ("old", None)


def test_a_tracker_that_is_lost_forgets_and_bounds_memory_until_it_is_back(world: World, door: Open):
    one, other = world.process(), world.process()
    one.sync.set("a", "old")
    world.settle(one, other)
    door(other).get("a")
    world.redis.lose(is_lost=True)
    world.redis.is_slow_to_push = True
    forgotten = other.get_nowait("a")
    door(other).get("a")
    within = other.get_nowait("a")
    door(one).set("a", "new")
    world.redis.pushes.clear()
    world.hands.move(1.1)
    bounded = (other.tracking, other.get_nowait("a"), door(other).get("a"))
    world.redis.is_slow_to_push = False
    world.redis.lose(is_lost=False)
    back = (other.tracking, other.get_nowait("a"), door(other).get("a"))
    world.hands.move(900)
    assert (forgotten, within, bounded, back, other.get_nowait("a")) == (
        None,
        "old",
        ("lost", None, "new"),
        ("tracked", None, "new"),
        "new",
    )


def test_a_flush_forgets_everything(world: World, door: Open):
    region = world.process()
    door(region).set("a", 1)
    world.settle(region)
    world.redis.flush()
    gone = (region.get_nowait("a"), door(region).get("a"))
    door(region).set("a", 2)
    assert (gone, door(world.process()).get("a")) == ((None, None), 2)


def test_a_server_that_does_not_tell_changes_bounds_memory(world: World, door: Open):
    world.redis.tells_changes = False
    region = world.process()
    door(region).set("a", 1)
    held = region.get_nowait("a")
    world.hands.move(1.1)
    assert (region.tracking, held, region.get_nowait("a"), door(region).get("a")) == ("refused", 1, None, 1)


def test_tracking_is_given_up_when_more_is_told_than_asked_for(
    world: World, door: Open, caplog: pytest.LogCaptureFixture
):
    region = world.process()
    for second in range(11):
        world.hands.move(1)
        for number in range(200):
            world.redis.pushes.append(f"bot:fills:{second}-{number}")
        world.redis.deliver()
    door(region).set("a", 1)
    world.hands.move(1.1)
    assert (region.tracking, region.get_nowait("a"), world.redis.listeners, caplog.messages) == (
        "flooded",
        None,
        [],
        [FLOODED],
    )


def test_and_kept_when_values_are_asked_for_more_often(world: World):
    region = world.process()
    region.sync.set("b", 1)
    world.settle(region)
    for second in range(11):
        world.hands.move(1)
        for number in range(200):
            region.get_nowait("b")
            region.get_nowait("b")
            world.redis.pushes.append(f"bot:fills:{second}-{number}")
        world.redis.deliver()
    assert (region.tracking, region.get_nowait("b")) == ("tracked", 1)


def test_a_load_that_began_before_a_push_does_not_store(world: World, door: Open):
    one, other = world.process(), world.process()

    def load() -> str:
        one.sync.invalidate("a")
        return "before"

    assert (door(other).get_or_load("a", load), other.get_nowait("a")) == ("before", None)


def test_without_redis_a_near_region_is_a_region(door: Open):
    region = Cache().region("fills", near=True)
    door(region).set("a", 1)
    assert (region.tracking, region.get_nowait("a")) == ("off", 1)


def test_regions_of_one_server_do_not_hear_one_another(world: World):
    one = world.process()
    cache = Cache(namespace="bot", tiers=[world.redis], clock=world.hands.clock)
    other = cache.region("fills.more", **RULES)
    one.sync.set("a", 1)
    world.settle(one)
    other.sync.set("a", 2)
    other.sync.clear()
    assert one.get_nowait("a") == 1


def test_a_refused_write_leaves_nothing_in_memory(world: World, door: Open):
    one, other = world.process(), world.process()
    world.redis.is_slow_to_push = True
    one.sync.set("a", "two", version=2)
    assert (door(other).set("a", "one", version=1), other.get_nowait("a")) == (False, None)
    assert door(other).get("a") == "two"
