"""Regions over a real Redis: what other processes do, and what becomes of a server in trouble."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis

from tickspan.cache import Cache, Region

pytestmark = pytest.mark.integration

Until = Callable[..., None]
Open = Callable[..., Region[Any]]


@pytest.fixture
def process() -> Generator[Open]:
    """A region of a cache of its own, as another process would have it."""
    with ExitStack() as stack:

        def open_region(url: str, disk: Path | None = None, **rules: Any) -> Region[Any]:
            cache = Cache.from_url(url, namespace="bot", disk=disk)
            stack.callback(cache.close)
            region = cache.region("fills", **{"jitter": 0.0, "early_refresh": 0.0, **rules})
            assert asyncio.run(cache.ready(5))
            return region

        yield open_region


def fail() -> Any:
    raise LookupError("the origin is gone")


def test_a_foreign_writers_change_reaches_the_near_cache(clean_redis: str, process: Open, until: Until):
    region = process(clean_redis, near=True, ttl_s=1000)
    region.sync.set("a", "ours")
    until(lambda: region.get_nowait("a") == "ours")
    with redis.Redis.from_url(clean_redis) as foreign:
        foreign.delete("bot:fills:a")
    until(lambda: region.get_nowait("a") is None)
    assert region.sync.get("a") is None


def test_ones_own_writes_stay_in_the_near_cache(clean_redis: str, process: Open):
    region = process(clean_redis, near=True, ttl_s=1000)
    for number in range(50):
        region.sync.set(number, number)
        assert region.get_nowait(number) == number
    assert region.stack.behind.drain(5)
    assert region.sync.get_many(range(50)) == {number: number for number in range(50)}
    assert sum(region.get_nowait(number) is not None for number in range(50)) >= 45


KEYS = range(40)
WRITES = 2500


def much(first: int) -> Iterator[tuple[int, int]]:
    """Keys and numbers that one writer writes."""
    random = Random(first)
    return ((random.choice(KEYS), number) for number in range(first, first + WRITES))


def write_much(region: Region[Any], first: int) -> None:
    for key, number in much(first):
        if number % 50 == 49:
            region.sync.invalidate(key)
        elif number % 2:
            region.set_nowait(key, number)
        else:
            region.sync.set(key, number)


def read_much(region: Region[Any], is_over: threading.Event) -> None:
    random = Random(1)
    while not is_over.is_set():
        region.sync.get(random.choice(KEYS))


def read_much_in_a_loop(region: Region[Any], is_over: threading.Event) -> None:
    async def read() -> None:
        random = Random(2)
        while not is_over.is_set():
            await region.get(random.choice(KEYS))
            await asyncio.sleep(0)

    asyncio.run(read())


@pytest.mark.parametrize("near", [True, False], ids=["near", "untracked"])
def test_after_ten_thousand_writes_under_load_nobody_reads_an_old_value(
    clean_redis: str, process: Open, until: Until, near: bool
):
    regions = [process(clean_redis, near=near, ttl_s=1000, untracked_ttl_s=0.2) for _ in range(4)]
    writers, readers = regions[:2], regions[2:]
    is_over = threading.Event()
    writing = [
        threading.Thread(target=write_much, args=(region, 10_000 * number))
        for number, region in enumerate([*writers, *writers])
    ]
    reading = [
        threading.Thread(target=target, args=(region, is_over))
        for target, region in zip((read_much, read_much_in_a_loop), readers, strict=True)
    ]
    for thread in (*writing, *reading):
        thread.start()
    for thread in writing:
        thread.join(60)
    assert all(region.stack.behind.drain(5) for region in writers)
    is_over.set()
    for thread in reading:
        thread.join(5)
    server = process(clean_redis, untracked_ttl_s=0.001)
    until(lambda: len({str(region.sync.get_many(KEYS)) for region in (*regions, server)}) == 1)
    time.sleep(0.25)  # so long memory may answer alone where nobody tells
    last = server.sync.get_many(KEYS)
    of_writers: list[dict[Any, int]] = [dict(much(10_000 * number)) for number in range(4)]
    assert [region.sync.get_many(KEYS) for region in regions] == [last] * 4
    assert [key for key in last if last[key] not in [numbers.get(key) for numbers in of_writers]] == []
    assert last


def test_two_processes_share_one_load(clean_redis: str, tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), clean_redis, str(tmp_path / "calls")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    given = [each.communicate(timeout=30)[0].strip() for each in started]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert (len(calls), given) == (1, [calls[0]] * 2)


PROGRAM = """
import os, sys, time
from tickspan.cache import Cache
url, calls = sys.argv[1:]
def load():
    with open(calls, "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.3)
    return str(os.getpid())
cache = Cache.from_url(url, namespace="bot")
cache.default.sync.get("warm")
with open(calls + ".here", "a") as here:
    here.write("x")
while os.path.getsize(calls + ".here") < 2:
    time.sleep(0.001)
print(cache.default.sync.get_or_load("key", load))
cache.close()
"""


def test_a_stampede_of_threads_and_loops_over_two_caches_loads_once(clean_redis: str, process: Open):
    regions = [process(clean_redis) for _ in range(2)]
    calls: list[int] = []

    def load() -> str:
        calls.append(1)
        time.sleep(0.1)
        return "value"

    async def many(region: Region[Any]) -> list[str]:
        return await asyncio.gather(*(region.get_or_load("key", load) for _ in range(50)))

    given: list[Any] = []

    def in_a_loop(region: Region[Any]) -> None:
        given.extend(asyncio.run(many(region)))

    def blocking(region: Region[Any]) -> None:
        given.append(region.sync.get_or_load("key", load))

    threads = [
        threading.Thread(target=target, args=(region,))
        for region in regions
        for target in (in_a_loop, blocking, blocking, blocking, blocking)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (calls, given) == ([1], ["value"] * 108)


@pytest.mark.parametrize("near", [True, False], ids=["near", "untracked"])
def test_a_server_that_neither_reads_nor_answers_delays_no_call_for_long(
    own_redis: Any, process: Open, until: Until, near: bool
):
    region = process(own_redis.url, near=near, ttl_s=1000)
    region.sync.set("a", "before")
    own_redis.stop()
    times: list[float] = []

    def timed(call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        given = call()
        times.append(time.perf_counter() - began)
        return given

    stored = [timed(partial(region.sync.set, "a", number)) for number in range(8)]
    here = timed(lambda: region.sync.get("a"))
    loaded = timed(lambda: region.sync.get_or_load("b", lambda: "loaded"))
    own_redis.go_on()
    other = process(own_redis.url)
    until(lambda: other.sync.get("a") != "before")
    assert (stored, here, loaded) == ([True] * 8, 7, "loaded")
    assert max(times) < 0.5


def test_a_price_of_a_dead_server_is_never_older_than_its_guard(own_redis: Any, process: Open):
    region = process(own_redis.url, ttl_s=0.2, hard_ttl_s=60, max_age_s=0.4)
    region.sync.set("AAPL", 100)
    own_redis.kill()
    told_at = time.monotonic()
    late: list[float] = []
    while time.monotonic() < told_at + 1.0:
        began = time.monotonic()
        try:
            region.sync.get_or_load("AAPL", fail)
        except LookupError:
            continue
        if began - told_at > 0.4:
            late.append(began - told_at)
    assert late == []


def test_after_a_restart_nothing_from_before_is_served(
    own_redis: Any, start_redis: Callable[..., Any], process: Open, until: Until
):
    one = process(own_redis.url, near=True, ttl_s=1000)
    other = process(own_redis.url, near=True, ttl_s=1000)
    one.sync.set("a", "before")
    until(lambda: other.sync.get("a") == "before")
    own_redis.kill()
    until(lambda: other.tracking == "lost")
    lost = other.get_nowait("a")
    start_redis(port=own_redis.port)
    until(lambda: one.tracking == other.tracking == "tracked", 10)
    until(lambda: one.stack.redis is not None and one.stack.redis.is_available)
    until(lambda: one.sync.set("a", "after") and other.sync.get("a") == "after", 10)
    one.sync.set("a", "later")
    until(lambda: other.sync.get("a") == "later")
    assert lost is None


def test_a_flushed_server_empties_every_process(clean_redis: str, process: Open, until: Until):
    regions = [process(clean_redis, near=True, ttl_s=1000) for _ in range(2)]
    regions[0].sync.set("a", 1, tags=["usd"])
    until(lambda: regions[1].sync.get("a") == 1)
    with redis.Redis.from_url(clean_redis) as foreign:
        foreign.flushall()
    for region in regions:
        until(lambda region=region: region.get_nowait("a") is None)
    regions[1].sync.set("a", 2, tags=["usd"])
    until(lambda: regions[0].sync.get("a") == 2)
    regions[0].sync.invalidate_tag("usd")
    until(lambda: regions[1].sync.get("a") is None)


@pytest.mark.parametrize("near", [True, False], ids=["near", "untracked"])
def test_a_full_server_refuses_values_and_keeps_no_old_one(
    start_redis: Callable[..., Any], process: Open, until: Until, near: bool
):
    server = start_redis("--maxmemory-policy", "noeviction")
    one = process(server.url, near=near, ttl_s=1000, untracked_ttl_s=0.1)
    other = process(server.url, near=near, ttl_s=1000, untracked_ttl_s=0.1)
    one.sync.set("a", "old")
    until(lambda: other.sync.get("a") == "old")
    with server.client() as admin:
        admin.config_set("maxmemory", 1)
    stored = one.sync.set("a", "new")
    here = one.get_nowait("a")
    loaded = [one.sync.get_or_load("b", lambda: "loaded"), one.get_nowait("b")]
    until(lambda: other.sync.get("a") is None)
    one.sync.invalidate("a")
    with server.client() as admin:
        admin.config_set("maxmemory", 0)
    until(lambda: one.sync.set("c", 1) and other.sync.get("c") == 1)
    # A near cache keeps what the server holds, and the server has told that it holds nothing.
    assert (stored, loaded[0], other.sync.get("a")) == (True, "loaded", None)
    assert near or (here, loaded[1]) == ("new", "loaded")


def test_a_slow_server_does_not_make_calls_slow(own_redis: Any, process: Open):
    region = process(own_redis.url)
    region.sync.set("a", 1)
    with own_redis.client() as admin:
        admin.execute_command("CLIENT", "PAUSE", "600", "ALL")
    began = time.perf_counter()
    given = region.sync.get_or_load("b", lambda: "loaded")
    assert (given, time.perf_counter() - began < 0.4) == ("loaded", True)


def test_what_was_set_during_an_outage_is_served_to_nobody_as_it_was_before(
    own_redis: Any, process: Open, until: Until
):
    one, other = process(own_redis.url), process(own_redis.url)
    for number in range(20):
        one.sync.set(number, "before", tags=["usd"])
    own_redis.stop()
    for number in range(0, 20, 2):
        one.set_nowait(number, "after", tags=["usd"])
    one.sync.invalidate(1)
    one.stack.behind.drain(5)
    own_redis.go_on()
    until(lambda: other.sync.get(0) != "before" and other.sync.get(1) is None, 10)
    until(lambda: set(other.sync.get_many(range(0, 20, 2)).values()) <= {"after"}, 10)


def test_with_a_disk_the_next_process_has_what_stands_in(own_redis: Any, process: Open, tmp_path: Path):
    one = process(own_redis.url, tmp_path / "disk", ttl_s=0.05, hard_ttl_s=600)
    one.sync.set("a", {"x": 1})
    time.sleep(0.3)
    own_redis.kill()
    cache = Cache.from_url(own_redis.url, namespace="bot", disk=tmp_path / "disk")
    try:
        region = cache.region("fills", ttl_s=0.05, hard_ttl_s=600)
        assert region.sync.get_or_load("a", fail) == {"x": 1}
    finally:
        cache.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_with_connections_of_its_own(clean_redis: str, process: Open, until: Until):
    region = process(clean_redis, near=True, ttl_s=1000)
    region.sync.set("a", "parent's")
    child = os.fork()
    if not child:
        is_right = (
            region.get_nowait("a") is None
            and region.tracking == "lost"
            and region.sync.get("a") == "parent's"
            and until(lambda: region.tracking == "tracked") is None
            and region.sync.set("a", "child's")
            and region.sync.get_or_load("b", lambda: 1) == 1
        )
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until(lambda: region.sync.get("a") == "child's")


def test_types_versions_and_prefixes_go_through_redis(clean_redis: str, process: Open):
    one, other = process(clean_redis), process(clean_redis)
    for number in range(2500):
        one.set_nowait(("AAPL", number), {"number": number})
    one.sync.set("AAPL2", "kept", version=5)
    assert one.stack.behind.drain(10)
    assert other.sync.get_many([("AAPL", 1), ("AAPL", 2499)]) == {
        ("AAPL", 1): {"number": 1},
        ("AAPL", 2499): {"number": 2499},
    }
    assert other.sync.set("AAPL2", "older", version=4) is False
    assert other.sync.invalidate_prefix(("AAPL",)) == 2500
    assert (process(clean_redis).sync.get_many([("AAPL", 1)]), other.sync.get("AAPL2")) == ({}, "kept")
