"""The server tells what changes, and it is noticed when it does not any more."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
import redis
from redis.credentials import CredentialProvider

from scripts import servers
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.tier import RedisTier
from tickspan.cache.remote.tracking import Tracking
from tickspan.recording.guard import strict

pytestmark = pytest.mark.integration

PATIENT = RemoteSettings(timeout_s=5.0, connect_timeout_s=5.0)


class _Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def invalidated(self, keys: Sequence[str], /) -> None:
        self.told.extend(keys)

    def flushed(self) -> None:
        self.told.append("flushed")

    def lost(self, is_lost: bool, /) -> None:
        self.told.append("lost" if is_lost else "back")

    def forget(self) -> None:
        self.told.clear()


@pytest.fixture
def tracking(own_redis: Any) -> Generator[Tracking]:
    tracking = Tracking(PATIENT.with_url(own_redis.url))
    yield tracking
    tracking.close()


@pytest.fixture
def listener(tracking: Tracking, until: Callable[..., None]) -> _Listener:
    """Hears of `bot:q:`."""
    listener = _Listener()
    assert tracking.listen("bot:q:", listener)
    until(lambda: tracking.is_settled)
    until(lambda: listener.told == ["lost", "flushed", "back"])
    listener.forget()
    return listener


def test_changes_below_a_prefix_are_told(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    with own_redis.client() as client:
        client.set("bot:p:other", 1)
        client.get("bot:q:1")
        client.set("bot:q:1", 1)
        until(lambda: len(listener.told) == 1)
        client.set("bot:q:2", 1, px=30)
        until(lambda: len(listener.told) == 3)  # it expires
        client.delete("bot:q:1")
        until(lambda: len(listener.told) == 4)
        client.delete("bot:q:1")
        client.set("bot:q:last", 1)
        until(lambda: len(listener.told) == 5)
    assert listener.told == ["bot:q:1", "bot:q:2", "bot:q:2", "bot:q:1", "bot:q:last"]
    assert tracking.statistics().pushes == 5


def test_a_names_generation_grows_with_its_changes(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    before = tracking.generation("bot:q:1")
    with own_redis.client() as client:
        client.set("bot:q:1", 1)
        until(lambda: listener.told)
        changed = tracking.generation("bot:q:1")
        client.flushall()
        until(lambda: "flushed" in listener.told)
    assert before < changed < tracking.generation("bot:q:1")


def test_a_flush_may_have_changed_anything(own_redis: Any, listener: _Listener, until: Callable[..., None]):
    with own_redis.client() as client:
        client.set("bot:q:1", 1)
        until(lambda: listener.told == ["bot:q:1"])
        client.flushall()
    until(lambda: listener.told == ["bot:q:1", "flushed"])


def test_more_prefixes_and_listeners_come_later(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    second = _Listener()
    assert tracking.listen("bot:q:", second)
    assert tracking.listen("bot:@tag:q:", second)
    until(lambda: second.told[-2:] == ["flushed", "back"])
    second.forget()
    with own_redis.client() as client:
        client.set("bot:@tag:q:usd", 1)
        client.set("bot:q:1", 1)
    until(lambda: listener.told == ["bot:q:1"])
    until(lambda: second.told == ["bot:@tag:q:usd", "bot:q:1"])
    assert tracking.statistics().connects == 1


def test_who_listens_no_longer_is_told_nothing_more(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    second = _Listener()
    tracking.listen("bot:p:", second)
    until(lambda: second.told == ["lost", "flushed", "back"])
    tracking.unlisten("bot:q:", listener)
    until(lambda: second.told[3:] == ["lost", "flushed", "back"])  # prefixes are given up by connecting anew
    with own_redis.client() as client:
        client.set("bot:q:1", 1)
        client.set("bot:p:1", 1)
    until(lambda: second.told[-1] == "bot:p:1")
    assert (listener.told, tracking.statistics().pushes) == ([], 1)


@pytest.mark.parametrize("prefix", ["bot:q", "bot:", "bot:q:sub:"])
def test_prefixes_that_reach_into_one_another_are_refused(
    tracking: Tracking, listener: _Listener, prefix: str
):
    with pytest.raises(ValueError, match="prefix"):
        tracking.listen(prefix, listener)


def test_a_server_that_stops_is_noticed_within_about_a_second(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    before = tracking.generation("bot:q:1")
    own_redis.stop()
    begun_s = time.monotonic()
    until(lambda: listener.told == ["lost"])
    took_s = time.monotonic() - begun_s
    assert (tracking.is_settled, tracking.lag_s) == (False, None)
    own_redis.go_on()
    until(lambda: listener.told == ["lost", "flushed", "back"])
    assert took_s < 1.3
    assert tracking.generation("bot:q:1") > before


def test_a_server_that_was_killed_is_listened_to_again(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    own_redis.kill()
    until(lambda: listener.told == ["lost"])
    own_redis.start()
    until(lambda: listener.told == ["lost", "flushed", "back"])
    listener.forget()
    with own_redis.client() as client:
        client.set("bot:q:1", 1)
    until(lambda: listener.told == ["bot:q:1"])
    assert (tracking.statistics().connects, tracking.statistics().lost) == (2, 1)


def test_a_connection_that_somebody_kills_is_made_anew(
    own_redis: Any, listener: _Listener, until: Callable[..., None]
):
    with own_redis.client() as client:
        client.client_kill_filter(skipme=True)
        until(lambda: listener.told == ["lost", "flushed", "back"])
        client.set("bot:q:1", 1)
    until(lambda: listener.told[-1] == "bot:q:1")


def test_a_server_that_comes_later_is_found(start_redis: Any, until: Callable[..., None]):
    port = servers.free_port()
    tracking, listener = Tracking(RemoteSettings(port=port)), _Listener()
    assert tracking.listen("bot:q:", listener)
    until(lambda: listener.told == ["lost"])
    start_redis(port=port)
    until(lambda: listener.told == ["lost", "flushed", "back"])
    tracking.close()


def test_who_may_not_track_is_told_why(start_redis: Any, until: Callable[..., None]):
    server = start_redis()
    with server.client() as client:
        client.acl_setuser("bot", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all", "-client"])
    tier = RedisTier.from_url(server.url, RemoteSettings(username="bot", password="x", timeout_s=5.0))
    listener = _Listener()
    tier.listen("bot:q:", listener)
    until(lambda: tier.tracking_refused)
    assert (tier.tracking_refused, tier.listen("bot:q:", listener)) == ("no_permission", False)
    assert (set(listener.told), tier.lag_s) == ({"lost"}, None)
    tier.close()


def test_a_server_without_resp3_cannot_tell(start_redis: Any, until: Callable[..., None]):
    server = start_redis("--rename-command", "HELLO", "")
    tracking, listener = Tracking(PATIENT.with_url(server.url)), _Listener()
    tracking.listen("bot:q:", listener)
    until(lambda: tracking.refused)
    assert (tracking.refused, listener.told, tracking.is_settled) == ("resp2", ["lost"], True)
    tracking.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_to_listen_when_it_asks(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    def child(answers: Any) -> None:
        before = list(listener.told)
        tracking.generation("bot:q:1")
        until(lambda: listener.told == ["lost", "flushed", "back"])
        with own_redis.client() as client:
            client.set("bot:q:1", 1)
        until(lambda: listener.told[-1] == "bot:q:1")
        answers.put((before, threading.active_count()))
        tracking.close()

    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    process = fork.Process(target=child, args=(answers,))
    process.start()
    process.join(20)
    until(lambda: listener.told == ["bot:q:1"])  # the parent goes on hearing
    assert (answers.get(), process.exitcode) == (([], 2), 0)


def test_an_invalidation_is_told_soon_and_the_lag_is_known(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None]
):
    heard = threading.Event()
    took_s: list[float] = []

    def hear(keys: Sequence[str], /) -> None:
        heard.set()

    listener.invalidated = hear
    with own_redis.client() as client:
        for number in range(200):
            heard.clear()
            begun_s = time.perf_counter()
            client.set("bot:q:1", number)
            assert heard.wait(5.0)
            took_s.append(time.perf_counter() - begun_s)
    until(lambda: tracking.lag_s is not None)
    assert sorted(took_s)[100] < 0.005
    assert tracking.lag_s is not None
    assert 0 < tracking.lag_s < 0.4


def test_every_primary_of_a_cluster_tells(redis_cluster: str, until: Callable[..., None]):
    tier, listener = RedisTier.from_url(redis_cluster, PATIENT), _Listener()
    tier.listen("bot:q:", listener)
    until(lambda: listener.told == ["lost", "flushed", "back"])
    listener.forget()
    keys = [f"bot:q:{number}" for number in range(20)]
    for key in keys:
        tier.link.call("SET", key, 1)
    until(lambda: sorted(listener.told) == sorted(keys))
    tier.close()


def test_a_listener_that_breaks_harms_no_other(
    own_redis: Any, tracking: Tracking, listener: _Listener, until: Callable[..., None], telemetry: Any
):
    class Broken(_Listener):
        def invalidated(self, keys: Sequence[str], /) -> None:
            raise RuntimeError

    with strict(value=False):
        broken, after = Broken(), _Listener()
        tracking.listen("bot:q:", broken)
        tracking.listen("bot:q:", after)
        until(lambda: after.told == ["lost", "flushed", "back"])
        with redis.Redis(port=own_redis.port) as client:
            client.set("bot:q:1", 1)
        until(lambda: after.told[-1] == "bot:q:1")
    assert listener.told == ["bot:q:1"]


def test_a_credential_provider_that_fails_once_is_asked_again(own_redis: Any, until: Callable[..., None]):
    class Late(CredentialProvider):
        asked = 0

        def get_credentials(self) -> tuple[str, str]:
            raise NotImplementedError

        async def get_credentials_async(self) -> tuple[str, str]:
            self.asked += 1
            if self.asked == 1:
                raise LookupError
            return "default", ""

    with own_redis.client() as client:
        client.acl_setuser(
            "default", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all"]
        )
    with strict(value=False):
        tracking = Tracking(RemoteSettings(port=own_redis.port, credential_provider=Late()))
        listener = _Listener()
        tracking.listen("bot:q:", listener)
        until(lambda: listener.told == ["lost", "flushed", "back"])
    tracking.close()
