"""Sessions in a real Redis: expiry by the server, many callers and processes at once, and its loss."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from scripts import servers
from tickspan.cache import Cache
from tickspan.cache.sessions import SessionConflict, SessionStore, SessionStoreUnavailable
from tickspan.cache.sessions.tokens import digest_of, hidden

pytestmark = pytest.mark.integration

Make = Callable[..., Any]


@pytest.fixture
def url(redis_server: str) -> str:
    """A server whose database is empty."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def make(url: str) -> Generator[Make]:
    """Stores, each over a cache of its own."""
    caches: list[Cache] = []

    def store(**options: Any) -> Any:
        cache = Cache.from_url(options.pop("url", url), namespace="bot")
        caches.append(cache)
        return SessionStore(cache, **options)

    yield store
    for cache in caches:
        cache.close()


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so within 5 s."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.01)
    return False


def life(store: Any) -> list[Any]:
    """What one login goes through, blocking."""
    token, session = store.create("alice", {"step": 1, "raw": b"\0"})
    session.data["step"] = 2
    store.save(session)
    stale = store.get(token)
    renewed, new = store.rotate(token)
    new.data["step"] = 3
    store.save(new)
    with pytest.raises(SessionConflict):
        store.save(stale)
    answers = [store.get(token).data, store.get(renewed).data]
    answers += [[one.data["step"] for one in store.list_user("alice")]]
    answers += [store.revoke(renewed), store.get(renewed), store.get(token), store.get("x" * 43)]
    store.create("alice", {})
    store.create("alice", {})
    return [*answers, store.revoke_user("alice"), store.list_user("alice")]


async def life_async(store: Any) -> list[Any]:
    token, session = await store.create("alice", {"step": 1, "raw": b"\0"})
    session.data["step"] = 2
    await store.save(session)
    stale = await store.get(token)
    renewed, new = await store.rotate(token)
    new.data["step"] = 3
    await store.save(new)
    with pytest.raises(SessionConflict):
        await store.save(stale)
    answers: list[Any] = [(await store.get(token)).data, (await store.get(renewed)).data]
    answers += [[one.data["step"] for one in await store.list_user("alice")]]
    answers += [await store.revoke(renewed), await store.get(renewed), await store.get(token)]
    answers += [await store.get("x" * 43)]
    await store.create("alice", {})
    await store.create("alice", {})
    return [*answers, await store.revoke_user("alice"), await store.list_user("alice")]


LIFE = [{"step": 2, "raw": b"\0"}, {"step": 3, "raw": b"\0"}, [3], True, None, None, None, 2, []]


def test_a_login_lives_in_redis_for_blocking_and_for_asynchronous_callers(make: Make) -> None:
    store = make()
    assert life(store.sync) == asyncio.run(life_async(store)) == LIFE


def test_two_programs_see_one_login(make: Make) -> None:
    token, _ = make().sync.create("alice", {"n": 1})
    assert make().sync.get(token).data == {"n": 1}


def test_the_server_ends_what_nobody_uses_and_keeps_what_is_used(make: Make) -> None:
    store = make(idle_ttl_s=0.4, absolute_ttl_s=60).sync
    used, _ = store.create("alice", {})
    idle, _ = store.create("alice", {})
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        assert store.get(used) is not None
        time.sleep(0.02)
    assert (store.get(idle), store.get(used).user_id) == (None, "alice")


def test_a_login_in_use_ends_at_its_absolute_time(make: Make) -> None:
    store = make(idle_ttl_s=0.5, absolute_ttl_s=0.5).sync
    token, _ = store.create("alice", {})
    assert eventually(lambda: store.get(token) is None)


def test_reading_renews_the_servers_expiry_after_a_tenth(make: Make, url: str) -> None:
    store = make(idle_ttl_s=100, absolute_ttl_s=1000).sync
    token, _ = store.create("alice", {})
    name = f"bot:@session:{(digest_of(token) or b'').hex()}"
    with redis.Redis.from_url(url) as client:
        client.pexpire(name, 95_000)
        store.get(token)
        unchanged = client.pttl(name)
        client.pexpire(name, 80_000)
        store.get(token)
        renewed = client.pttl(name)
    assert unchanged <= 95_000 < renewed


def test_of_many_who_save_at_once_exactly_one_wins(make: Make) -> None:
    stores = [make().sync for _ in range(4)]
    token, _ = stores[0].create("alice", {"n": 0})
    read = [(store, store.get(token)) for store in stores * 4]

    def save(numbered: tuple[int, Any]) -> int | None:
        number, (store, session) = numbered
        session.data["n"] = number
        try:
            store.save(session)
        except SessionConflict:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        won = [number for number in pool.map(save, enumerate(read)) if number is not None]
    assert [stores[0].get(token).data["n"]] == won


def test_of_many_tasks_that_rotate_at_once_exactly_one_wins(make: Make) -> None:
    async def main() -> tuple[int, list[str]]:
        store = make()
        token, _ = await store.create("alice", {})
        tried = await asyncio.gather(*(store.rotate(token) for _ in range(20)), return_exceptions=True)
        won = [one for one in tried if not isinstance(one, BaseException)]
        lost = {type(one).__name__ for one in tried if isinstance(one, BaseException)}
        return len(won) + len(await store.list_user("alice")), sorted(lost)

    assert asyncio.run(main()) == (2, ["SessionConflict"])


COUNT_UP = """
import sys
from tickspan.cache import Cache
from tickspan.cache.sessions import SessionConflict

cache = Cache.from_url(sys.argv[1], namespace="bot")
store, times = cache.sessions.sync, 0
while times < 50:
    session = store.get(sys.argv[2])
    session.data["n"] += 1
    try:
        store.save(session)
        times += 1
    except SessionConflict:
        continue
cache.close()
"""


def test_two_processes_lose_no_change(make: Make, url: str) -> None:
    store = make().sync
    token, _ = store.create("alice", {"n": 0})
    processes = [subprocess.Popen([sys.executable, "-c", COUNT_UP, url, token]) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert (store.get(token).data, store.get(token).version) == ({"n": 100}, 101)


def test_over_his_limit_a_users_oldest_login_ends_whoever_logs_in(make: Make) -> None:
    ticks = count(time.time_ns() // 1_000_000)
    stores = [make(max_per_user=3, now_ms=lambda: next(ticks)).sync for _ in range(2)]
    tokens = [store.create("alice", {})[0] for store in stores * 3]
    assert [stores[0].get(token) is not None for token in tokens] == [False] * 3 + [True] * 3


def test_who_logs_in_many_times_at_once_does_not_get_over_his_limit(make: Make) -> None:
    async def main() -> int:
        stores = [make(max_per_user=3) for _ in range(3)]
        await asyncio.gather(*(store.create("alice", {}) for store in stores * 4))
        return len(await stores[0].list_user("alice"))

    assert 1 <= asyncio.run(main()) <= 3


def test_an_index_is_repaired_when_it_is_read(make: Make, url: str) -> None:
    store = make().sync
    store.create("alice", {})
    index = f"bot:@sessions:{hidden('alice')}"
    with redis.Redis.from_url(url) as client:
        client.zadd(index, {b"o" * 32: time.time() * 1000 - 120_000, b"p" * 32: time.time() * 1000})
        assert len(store.list_user("alice")) == 1
        assert (client.zcard(index), 0 < client.ttl(index) <= 86_460) == (2, True)


def test_names_in_redis_hold_neither_tokens_nor_users(make: Make, url: str) -> None:
    store = make().sync
    token, _ = store.create("alice", {})
    with redis.Redis.from_url(url) as client:
        names = list(client.scan_iter("*"))
        values = [client.get(name) for name in client.scan_iter("*:@session:*")]
    assert (len(names), len(values)) == (2, 1)
    assert token not in repr(names + values)
    assert "alice" not in repr(names)


def test_a_value_of_another_kind_under_a_sessions_name_is_a_broken_store(make: Make, url: str) -> None:
    token = "x" * 43
    with redis.Redis.from_url(url) as client:
        client.rpush(f"bot:@session:{(digest_of(token) or b'').hex()}", "foreign")
    with pytest.raises(SessionStoreUnavailable):
        make().sync.get(token)


@pytest.fixture
def own_url(redis_server: str, tmp_path: Path) -> Generator[tuple[str, Callable[[], None]]]:
    """A server of this test's, and what ends it."""
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        executable = Path(client.info("server")["executable"])
    port = servers.free_port()
    command = [
        executable,
        *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)),
    ]
    running = servers.running(command, log=tmp_path / "log", is_ready=lambda: servers.accepts(port))
    running.__enter__()
    ended: list[bool] = []

    def end() -> None:
        if not ended:
            ended.append(True)
            running.__exit__(None, None, None)

    yield f"redis://127.0.0.1:{port}/0", end
    end()


def test_without_its_server_a_store_says_that_it_does_not_know(
    make: Make, own_url: tuple[str, Callable[[], None]]
) -> None:
    url, end = own_url
    store = make(url=url)
    token, session = store.sync.create("alice", {})
    end()
    calls: list[Callable[[], Any]] = [
        lambda: store.sync.get(token),
        lambda: store.sync.save(session),
        lambda: store.sync.rotate(token),
        lambda: store.sync.revoke(token),
        lambda: store.sync.revoke_user("alice"),
        lambda: store.sync.list_user("alice"),
        lambda: store.sync.create("alice", {}),
        lambda: asyncio.run(store.get(token)),
        lambda: asyncio.run(store.create("alice", {})),
    ]
    slowest = 0.0
    for call in calls:
        began = time.monotonic()
        with pytest.raises(SessionStoreUnavailable):
            call()
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1
    assert store.sync.get("no token") is None


def test_a_cache_has_a_store_of_its_own(url: str) -> None:
    cache = Cache.from_url(url, namespace="bot")
    token, _ = cache.sessions.sync.create("alice", {})
    assert cache.sessions is cache.sessions
    assert cache.sessions.sync.get(token) is not None
    cache.close()


def test_beside_a_disk_sessions_are_in_a_file(tmp_path: Path) -> None:
    cache: Any = Cache.from_settings(_on_disk(tmp_path / "cache"))
    token, _ = cache.sessions.sync.create("alice", {"n": 1})
    cache.close()
    again: Any = Cache.from_settings(_on_disk(tmp_path / "cache"))
    found = again.sessions.sync.get(token).data
    again.close()
    assert (found, (tmp_path / "cache" / "tickspan-sessions-1.db").stat().st_mode & 0o777) == (
        {"n": 1},
        0o600,
    )


def _on_disk(folder: Path) -> Any:
    from tickspan.cache import CacheSettings

    return CacheSettings(disk=folder)
