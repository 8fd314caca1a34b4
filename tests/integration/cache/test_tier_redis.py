"""The Redis tier answers every request, the same whether its caller blocks or not."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tickspan.cache.entry import Level
from tickspan.cache.envelope import Envelope, id_of, open_envelope, tombstone
from tickspan.cache.remote.link import RedisLink
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.tier import RedisTier
from tickspan.cache.tiers import (
    NOTHING,
    Answer,
    AnyRequest,
    Bump,
    Bury,
    Claim,
    Erase,
    Found,
    LowerTier,
    Read,
    Release,
    TierUnavailable,
    Write,
)

pytestmark = pytest.mark.integration

PATIENT = RemoteSettings(timeout_s=5.0, connect_timeout_s=5.0)
Perform = Callable[[AnyRequest], Answer]
_ids = itertools.count(1)


def _envelope(version: int | None = None, payload: bytes = b"value", identity: bytes | None = None) -> bytes:
    identity = next(_ids).to_bytes(8) if identity is None else identity
    return Envelope(identity, 0, 1, 60_000, 60_000, payload, version=version).to_bytes()


@pytest.fixture(params=["one server", "cluster"])
def tier(request: pytest.FixtureRequest) -> Generator[RedisTier]:
    url = request.getfixturevalue("clean_redis" if request.param == "one server" else "redis_cluster")
    tier = RedisTier.from_url(url, PATIENT)
    tier.perform(Erase("bot:"))
    yield tier
    tier.close()


@pytest.fixture(params=["blocking", "on a loop"])
def perform(request: pytest.FixtureRequest, tier: RedisTier) -> Generator[Perform]:
    if request.param == "blocking":
        yield tier.perform
        return
    with asyncio.Runner() as runner:
        yield lambda asked: runner.run(tier.perform_async(asked))


def test_it_is_a_lower_tier(tier: RedisTier):
    as_tier: LowerTier = tier
    assert (as_tier.level, as_tier.is_available) == (Level.REDIS, True)


def test_values_and_epochs_are_read_in_one_step_and_in_order(perform: Perform):
    one, two = _envelope(), _envelope()
    perform(Write("bot:q:1", one, 60_000))
    perform(Write("bot:q:2", two, 60_000))
    perform(Bump(("bot:@tag:q:x",), 77))
    asked = Read(("bot:q:2", "bot:q:none", "bot:q:1"), ("bot:@all:q", "bot:@tag:q:x"))
    assert perform(asked) == Found((two, None, one), (0, 77))
    assert perform(Read(())) == Found(())


def test_an_older_version_is_refused(perform: Perform):
    stored = [
        perform(Write("bot:q:1", _envelope(version), 60_000, version=version))
        for version in (5, 4, 5, 0x1_00, 0xFF, 2**63, 2**63 - 1, 2**64 - 1)
    ]
    assert stored == [True, False, True, True, False, True, False, True]


def test_a_write_without_conditions_is_always_stored(perform: Perform):
    assert perform(Write("bot:q:1", _envelope(9), 60_000, version=9))
    raw = _envelope()
    assert (perform(Write("bot:q:1", raw, 60_000)), perform(Read(("bot:q:1",)))) == (True, Found((raw,)))


def test_a_lease_stores_only_if_nothing_has_changed(perform: Perform):
    first, second, third = _envelope(), _envelope(), _envelope()
    stored = [
        perform(Write("bot:q:1", first, 60_000, NOTHING)),
        perform(Write("bot:q:1", second, 60_000, NOTHING)),
        perform(Write("bot:q:1", second, 60_000, b"other id")),
        perform(Write("bot:q:1", second, 60_000, first[16:24])),
        perform(Write("bot:q:1", third, 60_000, first[16:24])),
    ]
    assert (stored, perform(Read(("bot:q:1",)))) == ([True, False, False, True, False], Found((second,)))


def test_a_tombstone_ends_leases_and_keeps_the_version(perform: Perform):
    perform(Write("bot:q:1", _envelope(5, identity=b"before!!"), 60_000, version=5))
    perform(
        Bury(("bot:q:1", "bot:q:2"), (tombstone(b"tombone!", 1, 1), tombstone(b"tombtwo!", 1, 1, 3)), 60_000)
    )
    found = perform(Read(("bot:q:1", "bot:q:2")))
    assert isinstance(found, Found)
    opened = [open_envelope(raw) for raw in found.values if raw is not None]
    assert [(each.id, each.is_tombstone, each.version) for each in opened] == [
        (b"tombone!", True, 5),
        (b"tombtwo!", True, 3),
    ]
    stored = [
        perform(Write("bot:q:1", _envelope(), 60_000, b"before!!")),
        perform(Write("bot:q:2", _envelope(), 60_000, NOTHING)),
        perform(Write("bot:q:1", _envelope(4), 60_000, version=4)),
        perform(Write("bot:q:1", _envelope(6), 60_000, b"tombone!", version=6)),
    ]
    assert stored == [False, False, False, True]


def test_values_live_as_long_as_they_are_told(perform: Perform, tier: RedisTier):
    perform(Write("bot:q:1", _envelope(), 50_000))
    perform(Write("bot:q:2", _envelope(1), 40_000, version=1))
    perform(Bury(("bot:q:3",), (tombstone(b"12345678", 1, 1),), 30_000))
    left = [tier.link.call("PTTL", f"bot:q:{number}") for number in (1, 2, 3)]
    assert [round(ms, -4) for ms in left] == [50_000, 40_000, 30_000]


def test_epochs_only_grow(perform: Perform):
    now_ms = 1_732_000_000_000
    told = [
        perform(Bump(("bot:@tag:q:a", "bot:@tag:q:b"), now_ms)),
        perform(Bump(("bot:@tag:q:a",), now_ms)),
        perform(Bump(("bot:@tag:q:a",), now_ms - 1000)),
        perform(Bump(("bot:@tag:q:a",), now_ms + 1000)),
        perform(Bump((), now_ms)),
    ]
    assert told == [(now_ms, now_ms), (now_ms + 1,), (now_ms + 2,), (now_ms + 1000,), ()]


@pytest.mark.parametrize("prefix", ["bot:q:p*", "bot:q:p[a]", "bot:q:p?", "bot:q:p\\", "bot:q:p^-"])
def test_a_prefix_is_taken_by_its_letters(perform: Perform, prefix: str):
    for number in range(30):
        perform(Write(f"{prefix}{number}", b"x", 60_000))
    for other in ("bot:q:pa1", "bot:q:p", "bot:q:pxyz"):
        perform(Write(other, b"x", 60_000))
    assert (perform(Erase(prefix)), perform(Erase(prefix))) == (30, 0)
    assert perform(Read(("bot:q:pa1", "bot:q:p", "bot:q:pxyz"))) == Found((b"x", b"x", b"x"))


def test_one_process_has_the_claim_until_it_gives_it_back(perform: Perform):
    told = [
        perform(Claim("bot:@claim:q:1", b"me", 60_000)),
        perform(Claim("bot:@claim:q:1", b"you", 60_000)),
        perform(Release("bot:@claim:q:1", b"you")),
        perform(Claim("bot:@claim:q:1", b"you", 60_000)),
        perform(Release("bot:@claim:q:1", b"me")),
        perform(Claim("bot:@claim:q:1", b"you", 60_000)),
    ]
    assert told == [True, False, None, False, None, True]


def test_what_is_of_another_kind_is_not_there_and_is_replaced(perform: Perform, tier: RedisTier):
    for number in (1, 2, 3):
        tier.link.call("RPUSH", f"bot:q:{number}", "x")
    raw, tomb = _envelope(1), tombstone(b"12345678", 1, 1)
    assert perform(Read(("bot:q:1", "bot:q:2"), ("bot:q:3",))) == Found((None, None), (0,))
    assert perform(Write("bot:q:1", raw, 60_000, NOTHING, 1))
    assert perform(Bury(("bot:q:2",), (tomb,), 60_000)) is None
    assert perform(Bump(("bot:q:3",), 5)) == (5,)
    assert perform(Read(("bot:q:1", "bot:q:2"), ("bot:q:3",))) == Found((raw, tomb), (5,))


@pytest.mark.parametrize(
    "planted", [b"", b"garbage", b"sixteen bytes...", b"nineteen bytes.....", b"x" * 100]
)
def test_a_lease_on_what_somebody_has_planted_replaces_it(perform: Perform, tier: RedisTier, planted: bytes):
    tier.link.call("SET", "bot:q:1", planted)
    raw, found = _envelope(), perform(Read(("bot:q:1",)))
    assert isinstance(found, Found)
    stored = [perform(Write("bot:q:1", raw, 60_000, id_of(value))) for value in (*found.values, None)]
    assert (stored, perform(Read(("bot:q:1",)))) == ([True, False], Found((raw,)))


@pytest.mark.parametrize(
    "planted", ["words", "-5", "nan", "inf", "1e300", str(2**53), str(10**30), "9" * 5000]
)
def test_a_planted_epoch_counts_as_none_and_is_replaced(perform: Perform, tier: RedisTier, planted: str):
    tier.link.call("SET", "bot:@tag:q:1", planted)
    told = [
        perform(Read((), ("bot:@tag:q:1",))),
        perform(Bump(("bot:@tag:q:1",), 77)),
        perform(Read((), ("bot:@tag:q:1",))),
    ]
    assert told == [Found((), (0,)), (77,), Found((), (77,))]


def test_large_values_are_stored_and_read(perform: Perform):
    raw = _envelope(payload=b"x" * 500_000)
    assert (perform(Write("bot:q:1", raw, 60_000)), perform(Write("bot:q:2", raw, 60_000, NOTHING))) == (
        True,
        True,
    )
    assert perform(Read(("bot:q:1", "bot:q:2"))) == Found((raw, raw))


def test_tasks_and_threads_use_it_at_once(clean_redis: str):
    tier = RedisTier.from_url(clean_redis, PATIENT)

    async def one(number: int) -> bool:
        key, raw = f"bot:q:{number}", _envelope()
        await tier.perform_async(Write(key, raw, 60_000))
        found = await asyncio.to_thread(tier.perform, Read((key,)))
        return found == Found((raw,)) == await tier.perform_async(Read((key,)))

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*map(one, range(100)))

    assert asyncio.run(all_of_them()) == [True] * 100
    tier.close()


@pytest.fixture
def full(own_redis: Any) -> Generator[RedisTier]:
    """On a server that takes nothing any more, with an old value under `bot:q:1`."""
    tier = RedisTier(RedisLink.from_url(own_redis.url, PATIENT), unknown_s=0.1)
    for number in (1, 2, 3):
        tier.perform(Write(f"bot:q:{number}", _envelope(1, b"old"), 60_000))
    with own_redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
    yield tier
    with own_redis.client() as client:
        client.config_set("maxmemory", 0)
    tier.close()


def test_a_full_server_keeps_no_old_value_for_a_new_one(full: RedisTier):
    writes = [
        Write("bot:q:1", _envelope(2, b"new"), 60_000),
        Write("bot:q:2", _envelope(2, b"new"), 60_000, version=2),
    ]
    for write in writes:
        with pytest.raises(TierUnavailable) as failure:
            full.perform(write)
        assert failure.value.reason == "no_room"
    full.perform(Bury(("bot:q:3",), (tombstone(b"12345678", 1, 1),), 60_000))
    assert full.perform(Read(("bot:q:1", "bot:q:2", "bot:q:3"))) == Found((None, None, None))
    assert (full.link.breaker.is_closed, full.statistics().journal.keys) == (True, 0)


def test_an_epoch_that_a_full_server_cannot_take_is_not_read_until_it_can(
    full: RedisTier, own_redis: Any, until: Callable[..., None]
):
    with pytest.raises(TierUnavailable):
        full.perform(Bump(("bot:@tag:q:x",), 5))
    with pytest.raises(TierUnavailable) as failure:
        full.perform(Read(("bot:q:1",), ("bot:@tag:q:x",)))
    assert failure.value.reason == "journal"
    with own_redis.client() as client:
        client.config_set("maxmemory", 0)
    until(lambda: full.statistics().journal.epochs == 0)
    found = full.perform(Read((), ("bot:@tag:q:x",)))
    assert isinstance(found, Found)
    assert found.epochs[0] > 5


def test_who_may_only_read_reads_what_others_have_written(start_redis: Any):
    server = start_redis()
    with server.client() as client:
        client.acl_setuser("reader", enabled=True, passwords=["+x"], keys=["*"], commands=["+get", "+mget"])
        client.set("bot:q:1", b"theirs")
    tier = RedisTier.from_url(server.url, RemoteSettings(username="reader", password="x", timeout_s=5.0))
    for request in (Write("bot:q:1", b"ours", 1000), Bump(("bot:@all:q",), 1)):
        with pytest.raises(TierUnavailable) as failure:
            tier.perform(request)
        assert failure.value.reason == "no_permission"
    assert tier.perform(Read(("bot:q:1",), ("bot:@all:q",))) == Found((b"theirs",), (0,))
    tier.close()


def test_it_says_how_it_stands_without_the_password(clean_redis: str):
    tier = RedisTier.from_url(clean_redis.replace("redis://", "redis://:hunter2@"))
    assert "hunter2" not in repr(tier)
    tier.close()


def test_nothing_is_left_connected_when_it_is_closed(own_redis: Any):
    tier = RedisTier.from_url(own_redis.url, PATIENT)

    async def use() -> None:
        await tier.perform_async(Claim("bot:@claim:q:1", b"me", 1000))
        assert await tier.ready(1.0)
        await tier.aclose()

    tier.perform(Claim("bot:@claim:q:2", b"me", 1000))
    asyncio.run(use())
    with own_redis.client() as client:
        assert len(client.client_list()) == 1
    with pytest.raises(TierUnavailable):
        tier.perform(Read(("bot:q:1",)))


def test_a_server_that_is_not_there_is_not_ready():
    tier = RedisTier.from_url("redis://127.0.0.1:1/0")
    assert not asyncio.run(tier.ready(0.05))
    tier.close()
