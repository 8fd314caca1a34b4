"""The link against servers that are gone, silent, or themselves: every call ends in time."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.credentials import CredentialProvider
from tickspan_redis import RedisInstrumentor

from scripts import servers
from tickspan.cache.remote.breaker import BreakerState
from tickspan.cache.remote.link import RedisLink
from tickspan.cache.remote.scripts import RELEASE, Script
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.tiers import TierUnavailable
from tickspan.testing import Capture

pytestmark = pytest.mark.integration

PATIENT = RemoteSettings(timeout_s=5.0, connect_timeout_s=5.0)


@pytest.fixture
def link(clean_redis: str) -> Generator[RedisLink]:
    link = RedisLink.from_url(clean_redis, PATIENT)
    yield link
    link.close()


@pytest.fixture
def silent_port() -> Generator[int]:
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


class _Page(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        if self.request.recv(1000):
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@pytest.fixture
def web_port() -> Generator[int]:
    """Takes connections, and answers in words of the web."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _blocking(link: RedisLink) -> Any:
    return link.call("GET", "k")


def _on_a_loop(link: RedisLink) -> Any:
    return asyncio.run(link.call_async("GET", "k"))


def _failure(call: Callable[[], Any]) -> tuple[str, float]:
    """The reason why a call fails, and how long that took."""
    begun_s = time.perf_counter()
    with pytest.raises(TierUnavailable) as failure:
        call()
    return failure.value.reason, time.perf_counter() - begun_s


def test_blocking_callers_and_loops_get_the_same_replies(link: RedisLink):
    async def ask() -> list[Any]:
        return [
            await link.call_async("SET", "k", "v"),
            await link.call_async("HSET", "h", "f", "v"),
            await link.call_async("HGETALL", "h"),
            await link.call_async("GET", "nothing"),
            await link.script_async(RELEASE, ["k"], ["not mine"]),
        ]

    told = asyncio.run(ask())
    assert told == [b"OK", 1, {b"f": b"v"}, None, 0]
    link.call("DEL", "h")
    assert told == [
        link.call("SET", "k", "v"),
        link.call("HSET", "h", "f", "v"),
        link.call("HGETALL", "h"),
        link.call("GET", "nothing"),
        link.script(RELEASE, ["k"], ["not mine"]),
    ]


def test_a_server_that_does_not_know_a_script_learns_it(link: RedisLink):
    script = Script("add", "return tonumber(ARGV[1]) + 1")
    assert [link.script(script, [], [1]), link.script(script, [], [2])] == [2, 3]
    link.call("SCRIPT", "FLUSH")
    assert asyncio.run(link.script_async(script, [], [3])) == 4
    assert link.call("SCRIPT", "EXISTS", script.digest) == [1]


def test_an_error_of_the_server_is_a_word_and_no_outage(link: RedisLink):
    link.call("SET", "k", "v")
    for _ in range(7):
        reasons = {_failure(lambda: link.call("HGET", "k", "f"))[0]}
        reasons.add(_failure(lambda: asyncio.run(link.call_async("HGET", "k", "f")))[0])
        assert reasons == {"error"}
    assert (link.breaker.state, link.statistics().failures) == (BreakerState.CLOSED, {"error": 14})


def test_verbs_that_callers_cannot_share_a_connection_for_are_refused(link: RedisLink):
    with pytest.raises(ValueError, match="BLPOP"):
        link.call("BLPOP", "k", 0)
    with pytest.raises(ValueError, match="MULTI"):
        asyncio.run(link.call_async("MULTI"))


def test_a_closed_link_refuses(link: RedisLink):
    link.close()
    assert [_failure(lambda: _blocking(link))[0], _failure(lambda: _on_a_loop(link))[0]] == ["closed"] * 2
    assert not link.is_available


@pytest.mark.parametrize("ask", [_blocking, _on_a_loop])
def test_a_server_that_is_gone_costs_five_calls_and_then_nothing(ask: Callable[[RedisLink], Any]):
    link = RedisLink.from_url(f"redis://127.0.0.1:{servers.free_port()}/0")
    told: list[tuple[str, str]] = []
    link.breaker.observe(lambda before, after: told.append((before, after)))
    failures = [_failure(lambda: ask(link)) for _ in range(7)]
    assert [reason for reason, _ in failures] == ["connection"] * 5 + ["breaker_open"] * 2
    assert (told, link.is_available, link.statistics().bypassed) == ([("closed", "open")], False, 2)
    link.close()


@pytest.mark.parametrize("ask", [_blocking, _on_a_loop])
def test_a_server_without_the_database_is_an_outage(clean_redis: str, ask: Callable[[RedisLink], Any]):
    link = RedisLink(RemoteSettings(port=urlsplit(clean_redis).port or 0, db=99))
    reasons = [_failure(lambda: ask(link))[0] for _ in range(6)]
    assert reasons == ["connection"] * 5 + ["breaker_open"]
    link.close()


@pytest.mark.parametrize("ask", [_blocking, _on_a_loop])
def test_a_server_of_another_protocol_is_an_outage(web_port: int, ask: Callable[[RedisLink], Any]):
    link = RedisLink(RemoteSettings(port=web_port, timeout_s=1, connect_timeout_s=1, breaker_failures=3))
    reasons = [_failure(lambda: ask(link))[0] for _ in range(4)]
    assert reasons == ["connection"] * 3 + ["breaker_open"]
    link.close()


@pytest.mark.parametrize("ask", [_blocking, _on_a_loop])
def test_a_silent_server_holds_no_call_past_its_limits(ask: Callable[[RedisLink], Any], silent_port: int):
    link = RedisLink(
        RemoteSettings(port=silent_port, timeout_s=0.1, connect_timeout_s=0.1, breaker_failures=3)
    )
    failures = [_failure(lambda: ask(link)) for _ in range(4)]
    assert [reason for reason, _ in failures] == ["timeout"] * 3 + ["breaker_open"]
    assert sorted(took_s for _, took_s in failures)[2] <= 0.12
    link.close()


@pytest.mark.parametrize("ask", [_blocking, _on_a_loop])
def test_a_server_that_stops_holds_no_call_past_its_limits(own_redis: Any, ask: Callable[[RedisLink], Any]):
    settings = RemoteSettings(timeout_s=0.1, connect_timeout_s=0.1, breaker_failures=3)
    link = RedisLink.from_url(own_redis.url, settings)
    ask(link)
    own_redis.stop()
    failures = [_failure(lambda: ask(link)) for _ in range(4)]
    own_redis.go_on()
    assert [reason for reason, _ in failures] == ["timeout"] * 3 + ["breaker_open"]
    assert sorted(took_s for _, took_s in failures)[2] <= 0.12
    link.close()


def test_while_the_breaker_is_open_a_call_takes_no_time():
    link = RedisLink.from_url(f"redis://127.0.0.1:{servers.free_port()}/0")
    for _ in range(5):
        _failure(lambda: _blocking(link))

    async def many() -> list[float]:
        took: list[float] = []
        for _ in range(300):
            begun_s = time.perf_counter()
            try:
                await link.call_async("GET", "k")
            except TierUnavailable:
                took.append(time.perf_counter() - begun_s)
        return took

    blocking: list[float] = []
    for _ in range(300):
        begun_s = time.perf_counter()
        try:
            link.call("GET", "k")
        except TierUnavailable:
            blocking.append(time.perf_counter() - begun_s)
    on_a_loop = asyncio.run(many())
    assert [len(blocking), len(on_a_loop)] == [300, 300]
    assert max(sorted(blocking)[150], sorted(on_a_loop)[150]) < 20e-6
    link.close()


def test_a_server_that_is_back_is_used_again(own_redis: Any, until: Callable[..., None]):
    settings = RemoteSettings(timeout_s=1.0, connect_timeout_s=1.0, breaker_failures=2, breaker_min_s=0.1)
    link = RedisLink.from_url(own_redis.url, settings)
    told: list[tuple[str, str]] = []
    link.breaker.observe(lambda before, after: told.append((before, after)))
    link.call("SET", "k", "v")
    own_redis.kill()
    assert [_failure(lambda: _blocking(link))[0] for _ in range(3)] == ["connection"] * 2 + ["breaker_open"]
    own_redis.start()
    until(lambda: link.is_available)
    assert (link.call("GET", "k"), asyncio.run(link.call_async("GET", "k"))) == (None, None)
    assert told == [("closed", "open"), ("open", "probing"), ("probing", "closed")]
    link.close()


def test_a_cancelled_probe_lets_the_next_one_go(own_redis: Any, until: Callable[..., None]):
    settings = RemoteSettings(timeout_s=2.0, connect_timeout_s=2.0, breaker_failures=1, breaker_min_s=0.05)
    link = RedisLink.from_url(own_redis.url, settings)
    own_redis.kill()
    _failure(lambda: _blocking(link))
    own_redis.start()
    until(lambda: link.is_available)
    own_redis.stop()

    async def give_up() -> None:
        probe = asyncio.create_task(link.call_async("GET", "k"))
        await asyncio.sleep(0.02)
        assert link.breaker.state is BreakerState.PROBING
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)

    asyncio.run(give_up())
    own_redis.go_on()
    assert (link.is_available, link.call("GET", "k"), link.breaker.is_closed) == (True, None, True)
    link.close()


def test_a_server_that_loads_or_became_a_replica_is_an_outage(own_redis: Any):
    link = RedisLink.from_url(own_redis.url, RemoteSettings(timeout_s=1.0, connect_timeout_s=1.0))
    link.call("SET", "k", "v")
    with own_redis.client() as client:
        client.replicaof("127.0.0.1", servers.free_port())
    reasons = [_failure(lambda: link.call("SET", "k", "v"))[0]]
    reasons += [_failure(lambda: asyncio.run(link.call_async("SET", "k", "v")))[0] for _ in range(4)]
    assert (reasons, link.breaker.state) == (["read_only"] * 5, BreakerState.OPEN)
    link.close()


def test_too_few_connections_are_no_outage_of_the_server(clean_redis: str):
    link = RedisLink.from_url(clean_redis, RemoteSettings(timeout_s=5.0, max_connections=1))
    nodes: Any = link._nodes
    held = nodes._lines.take()
    reasons = [_failure(lambda: _blocking(link))[0] for _ in range(6)]
    nodes._lines.give_back(held)
    assert (reasons, link.call("GET", "k")) == (["no_connection_free"] * 6, None)
    link.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_asks_for_itself(link: RedisLink):
    link.call("SET", "k", "v")

    def child(answers: Any) -> None:
        answers.put((link.call("GET", "k"), asyncio.run(link.call_async("GET", "k"))))

    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    process = fork.Process(target=child, args=(answers,))
    process.start()
    process.join(10)
    assert (answers.get(), link.call("GET", "k")) == ((b"v", b"v"), b"v")


def test_it_makes_no_spans_of_its_own_reads(link: RedisLink, telemetry: Capture):
    RedisInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    try:
        link.call("GET", "k")
        asyncio.run(link.call_async("GET", "k"))
        link.script(RELEASE, ["k"], ["x"])
    finally:
        RedisInstrumentor().uninstrument()
    assert telemetry.spans() == []


def test_a_cluster_is_asked_through_the_cluster_client(redis_cluster: str, telemetry: Capture):
    RedisInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    link = RedisLink.from_url(redis_cluster, PATIENT)
    try:
        for number in range(20):
            link.call("SET", f"k{number}", number)

        async def ask() -> list[Any]:
            return [await link.call_async("GET", f"k{number}") for number in range(20)]

        assert asyncio.run(ask()) == [b"%d" % number for number in range(20)]
        assert link.script(RELEASE, ["k1"], ["1"]) == 1
        assert asyncio.run(link.script_async(RELEASE, ["k2"], ["2"])) == 1
    finally:
        RedisInstrumentor().uninstrument()
        link.close()
    assert telemetry.spans() == []
    with pytest.raises(ValueError, match="cluster"):
        _ = link.mux


@pytest.mark.parametrize("ask", [_blocking, _on_a_loop])
def test_a_credential_provider_that_fails_is_an_outage_and_no_error_of_the_caller(
    clean_redis: str, ask: Callable[[RedisLink], Any]
):
    class Broken(CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            raise LookupError

        async def get_credentials_async(self) -> tuple[str, str]:
            raise LookupError

    link = RedisLink.from_url(clean_redis, RemoteSettings(credential_provider=Broken(), breaker_failures=2))
    reasons = [_failure(lambda: ask(link))[0] for _ in range(3)]
    assert (reasons[2], link.breaker.state) == ("breaker_open", BreakerState.OPEN)
    assert set(reasons[:2]) <= {"authentication", "connection"}
    link.close()


def test_what_is_no_command_is_the_callers_error(link: RedisLink):
    nothing: Any = None
    with pytest.raises(TypeError):
        link.call("SET", "k", nothing)
    with pytest.raises(TypeError):
        asyncio.run(link.call_async("SET", "k", nothing))
    assert (link.breaker.state, link.statistics().failures) == (BreakerState.CLOSED, {})
