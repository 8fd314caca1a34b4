"""Outages: what could not be told to Redis is made void there before anybody reads it here."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tickspan.cache.envelope import Envelope, open_envelope, tombstone
from tickspan.cache.remote.link import RedisLink
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.tier import RedisTier
from tickspan.cache.tiers import (
    NOTHING,
    Answer,
    AnyRequest,
    Bump,
    Bury,
    Erase,
    Found,
    Read,
    TierUnavailable,
    Write,
)

pytestmark = pytest.mark.integration

QUICK = RemoteSettings(
    timeout_s=0.05, connect_timeout_s=0.1, breaker_failures=2, breaker_min_s=0.05, breaker_max_s=0.2
)
PATIENT = RemoteSettings(timeout_s=5.0, connect_timeout_s=5.0)
_ids = itertools.count(1)


def _envelope(payload: bytes, version: int | None = None) -> bytes:
    return Envelope(next(_ids).to_bytes(8), 0, 1, 60_000, 60_000, payload, version=version).to_bytes()


def _payload(tier: RedisTier, key: str) -> bytes | None:
    """Of a value; None where nothing stands or a tombstone."""
    found = tier.perform(Read((key,)))
    assert isinstance(found, Found)
    raw = found.values[0]
    if raw is None:
        return None
    opened = open_envelope(raw)
    return None if opened.is_tombstone else opened.payload


def _tried(perform: Callable[[AnyRequest], Answer], request: AnyRequest) -> str:
    """The reason why it could not be done, or ""."""
    try:
        perform(request)
    except TierUnavailable as failure:
        return failure.reason
    return ""


@pytest.fixture
def tier(own_redis: Any) -> Generator[RedisTier]:
    tier = RedisTier(RedisLink.from_url(own_redis.url, QUICK), unknown_s=0.1)
    yield tier
    tier.close()


@pytest.fixture
def other(own_redis: Any) -> Generator[RedisTier]:
    """Another process's view of the same server."""
    tier = RedisTier.from_url(own_redis.url, PATIENT)
    yield tier
    tier.close()


@pytest.fixture(params=["blocking", "on a loop"])
def perform(request: pytest.FixtureRequest, tier: RedisTier) -> Generator[Callable[[AnyRequest], Answer]]:
    if request.param == "blocking":
        yield tier.perform
        return
    with asyncio.Runner() as runner:
        yield lambda asked: runner.run(tier.perform_async(asked))


def _is_clear(tier: RedisTier) -> Callable[[], bool]:
    return lambda: not tier.statistics().journal.keys + tier.statistics().journal.epochs


def test_a_write_that_was_not_answered_is_void_before_it_is_read(
    own_redis: Any,
    tier: RedisTier,
    other: RedisTier,
    perform: Callable[[AnyRequest], Answer],
    until: Callable[..., None],
):
    assert _tried(perform, Write("bot:q:1", _envelope(b"old"), 60_000)) == ""
    own_redis.stop()
    assert _tried(perform, Write("bot:q:1", _envelope(b"new"), 60_000)) == "timeout"
    own_redis.go_on()
    until(lambda: tier.link.is_available)
    assert _tried(perform, Read(("bot:q:1",))) == "journal"
    assert _tried(perform, Read(("bot:q:2",))) == ""
    until(_is_clear(tier))
    assert (_payload(tier, "bot:q:1"), _payload(other, "bot:q:1")) == (None, None)


def test_everything_that_was_bypassed_becomes_void(
    own_redis: Any,
    tier: RedisTier,
    other: RedisTier,
    perform: Callable[[AnyRequest], Answer],
    until: Callable[..., None],
):
    for key in ("bot:q:set", "bot:q:buried", "bot:p:erased", "bot:q:untouched"):
        perform(Write(key, _envelope(b"old", 1), 60_000))
    own_redis.stop()
    reasons = {
        _tried(perform, request)
        for _ in range(3)
        for request in (
            Write("bot:q:set", _envelope(b"new", 2), 60_000, version=2),
            Bury(("bot:q:buried",), (tombstone(b"12345678", 1, 1, 3),), 60_000),
            Bump(("bot:@tag:q:x",), 5),
            Erase("bot:p:er"),
        )
    }
    assert reasons == {"timeout", "breaker_open"}
    own_redis.go_on()
    until(lambda: not tier._journal.is_dirty)
    told = [_payload(other, key) for key in ("bot:q:set", "bot:q:buried", "bot:p:erased", "bot:q:untouched")]
    assert told == [None, None, None, b"old"]
    found = other.perform(Read((), ("bot:@tag:q:x",)))
    assert isinstance(found, Found)
    assert found.epochs[0] > 5
    stored = [
        other.perform(Write("bot:q:set", _envelope(b"older", 1), 60_000, version=1)),
        other.perform(Write("bot:q:buried", _envelope(b"older", 2), 60_000, version=2)),
        other.perform(Write("bot:q:set", _envelope(b"newer", 2), 60_000, version=2)),
    ]
    assert stored == [False, False, True]


def test_a_lease_from_before_the_outage_does_not_store_after_it(
    own_redis: Any, tier: RedisTier, other: RedisTier, until: Callable[..., None]
):
    tier.perform(Write("bot:q:1", _envelope(b"old"), 60_000))
    found = other.perform(Read(("bot:q:1", "bot:q:2")))
    assert isinstance(found, Found)
    raw = found.values[0]
    assert raw is not None
    lease = raw[16:24]
    own_redis.stop()
    for key in ("bot:q:1", "bot:q:2"):
        _tried(tier.perform, Write(key, _envelope(b"new"), 60_000))
    own_redis.go_on()
    until(_is_clear(tier))
    stored = [
        other.perform(Write("bot:q:1", _envelope(b"loaded before"), 60_000, lease)),
        other.perform(Write("bot:q:2", _envelope(b"loaded before"), 60_000, NOTHING)),
    ]
    assert stored == [False, False]


def test_more_names_than_the_journal_holds_make_the_region_void(
    own_redis: Any, tier: RedisTier, other: RedisTier, until: Callable[..., None]
):
    for key in ("bot:q:never written again", "bot:r:other region"):
        tier.perform(Write(key, _envelope(b"old"), 60_000))
    own_redis.stop()
    for number in range(10_050):
        _tried(tier.perform, Write(f"bot:q:{number}", b"", 60_000))
    assert tier.statistics().journal.keys < 100
    own_redis.go_on()
    until(lambda: not tier._journal.is_dirty)
    found = other.perform(Read(("bot:q:never written again",), ("bot:@all:q",)))
    assert isinstance(found, Found)
    assert (found.values, found.epochs[0] > 1_700_000_000_000) == ((None,), True)
    assert _payload(other, "bot:r:other region") == b"old"


def test_a_server_that_came_back_empty_is_used_again(
    own_redis: Any, tier: RedisTier, until: Callable[..., None]
):
    tier.perform(Write("bot:q:1", _envelope(b"old"), 60_000))
    own_redis.kill()
    assert _tried(tier.perform, Write("bot:q:1", _envelope(b"new"), 60_000)) == "connection"
    own_redis.start()
    until(_is_clear(tier))
    assert tier.perform(Write("bot:q:1", _envelope(b"newer"), 60_000))
    assert _payload(tier, "bot:q:1") == b"newer"


def test_a_cancelled_write_is_not_trusted(own_redis: Any, tier: RedisTier, until: Callable[..., None]):
    tier.perform(Write("bot:q:1", _envelope(b"old"), 60_000))

    async def give_up() -> None:
        await tier.link.call_async("PING")
        writing = asyncio.create_task(tier.perform_async(Write("bot:q:1", _envelope(b"new"), 60_000)))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    asyncio.run(give_up())
    assert _tried(tier.perform, Read(("bot:q:1",))) == "journal"
    until(_is_clear(tier))
    assert _payload(tier, "bot:q:1") is None


def test_a_tier_that_is_closed_makes_void_what_it_can(own_redis: Any, tier: RedisTier, other: RedisTier):
    tier.perform(Write("bot:q:1", _envelope(b"old"), 60_000))
    own_redis.stop()
    assert _tried(tier.perform, Write("bot:q:1", _envelope(b"new"), 60_000)) == "timeout"
    own_redis.go_on()
    tier.close()
    assert _payload(other, "bot:q:1") is None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_journal_to_it(
    own_redis: Any, tier: RedisTier, other: RedisTier, until: Callable[..., None]
):
    tier.perform(Write("bot:q:1", _envelope(b"old"), 60_000))
    own_redis.stop()
    assert _tried(tier.perform, Write("bot:q:1", _envelope(b"new"), 60_000)) == "timeout"

    def child(answers: Any) -> None:
        statistics = tier.statistics()
        answers.put((statistics.journal.keys, str(statistics.link.breaker), threading.active_count()))

    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    process = fork.Process(target=child, args=(answers,))
    process.start()
    process.join(10)
    own_redis.go_on()
    until(_is_clear(tier))
    assert (answers.get(), _payload(other, "bot:q:1")) == ((0, "closed", 1), None)


def test_no_value_from_before_an_outage_is_read_after_it(
    own_redis: Any, tier: RedisTier, until: Callable[..., None]
):
    """Writers count up while the server stops and goes on; nobody ever reads less than was set before."""
    chance = random.Random(3)
    keys = [f"bot:q:{number}" for number in range(8)]
    latest = dict.fromkeys(keys, 0)
    stale: list[tuple[str, int, int]] = []
    is_over = threading.Event()

    def trouble() -> None:
        for _ in range(6):
            time.sleep(chance.uniform(0.05, 0.15))
            own_redis.stop()
            time.sleep(chance.uniform(0.02, 0.25))
            own_redis.go_on()
        is_over.set()

    async def work(mine: list[str]) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            key = chance.choice(mine)
            latest[key] = number
            with contextlib.suppress(TierUnavailable):
                await tier.perform_async(Write(key, _envelope(b"%d" % number), 60_000))
            key = chance.choice(mine)
            floor = latest[key]
            try:
                found = await tier.perform_async(Read((key,)))
            except TierUnavailable:
                await asyncio.sleep(0.002)
                continue
            assert isinstance(found, Found)
            raw = found.values[0]
            opened = None if raw is None else open_envelope(raw)
            if opened is not None and not opened.is_tombstone and int(opened.payload) < floor:
                stale.append((key, int(opened.payload), floor))

    async def all_of_them() -> None:
        await asyncio.gather(*(work(keys[half::2]) for half in range(2)))

    thread = threading.Thread(target=trouble)
    thread.start()
    asyncio.run(all_of_them())
    thread.join()
    until(_is_clear(tier))
    assert stale == []
    assert tier.statistics().journal.settled > 0
