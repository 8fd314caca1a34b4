"""The mux against a real server: many tasks, one connection, no reply for somebody else."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import random
import ssl
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import uvloop
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as LateError

from scripts import servers
from tickspan.cache.remote.link import RedisLink
from tickspan.cache.remote.mux import Mux
from tickspan.cache.remote.replies import MuxOverloadedError
from tickspan.cache.remote.settings import RemoteSettings

pytestmark = pytest.mark.integration

PATIENT = RemoteSettings(timeout_s=5.0, connect_timeout_s=5.0)


def _mux(url: str, settings: RemoteSettings = PATIENT) -> Mux:
    return Mux(settings.with_url(url))


def test_ten_thousand_cancelled_callers_leave_no_reply_to_anybody_else(clean_redis: str):
    chance = random.Random(8)
    keys = [f"k{number}" for number in range(500)]

    async def reader(mux: Mux, wrong: list[str]) -> None:
        while True:
            key = chance.choice(keys)
            value = await mux.get(key)
            if value != key.encode():
                wrong.append(key)

    async def scene() -> tuple[int, list[str], int]:
        mux = _mux(clean_redis)
        await asyncio.gather(*(mux.set(key, key) for key in keys))
        wrong: list[str] = []
        cancelled = 0
        steady = [asyncio.create_task(reader(mux, wrong)) for _ in range(20)]
        while cancelled < 10_000:
            victims = [asyncio.create_task(reader(mux, wrong)) for _ in range(200)]
            for victim in victims:
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
                victim.cancel()
            done = await asyncio.gather(*victims, return_exceptions=True)
            cancelled += sum(isinstance(each, asyncio.CancelledError) for each in done)
        for task in steady:
            task.cancel()
        await asyncio.gather(*steady, return_exceptions=True)
        answers = await asyncio.gather(*(mux.get(key) for key in keys))
        assert answers == [key.encode() for key in keys]
        connects = mux.statistics().connects
        await mux.aclose()
        return cancelled, wrong, connects

    cancelled, wrong, connects = asyncio.run(scene())
    assert (cancelled >= 10_000, wrong, connects) == (True, [], 1)


@pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_it_speaks_redis(clean_redis: str, make_loop: Callable[[], asyncio.AbstractEventLoop]):
    async def scene() -> list[Any]:
        mux = _mux(clean_redis)
        told = [
            await mux.set("a", "1"),
            await mux.get("a"),
            await mux.get("nothing"),
            await mux.incrby("a", 41),
            await mux.mget("a", "nothing"),
            await mux.set("b", b"\x00\xff", ttl_s=10),
            await mux.call("PTTL", "b") > 9000,
            await mux.expire("a", 10),
            await mux.exists("a", "b", "c"),
            await mux.delete("a", "b"),
            await mux.call("hset", "h", "f", "v"),
            await mux.call(b"HGETALL", "h"),
            await mux.publish("channel", "message"),
        ]
        with pytest.raises(ResponseError):
            await mux.get("h")
        with pytest.raises(ValueError, match="MULTI"):
            mux.call("MULTI")
        await mux.aclose()
        return told

    with asyncio.Runner(loop_factory=make_loop) as runner:
        told = runner.run(scene())
    assert told == [
        *(b"OK", b"1", None, 42, [b"42", None], b"OK", True, 1, 2, 2),
        *(1, {b"f": b"v"}, 0),
    ]


def test_it_is_five_times_as_fast_as_redis_asyncio_with_a_hundred_tasks(clean_redis: str):
    async def rate(call: Callable[..., Any], number: int) -> float:
        async def one() -> None:
            for _ in range(number):
                await call("GET", "k")

        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await asyncio.gather(*(one() for _ in range(100)))
        return 100 * number / (loop.time() - begun_s)

    async def scene() -> float:
        mux, client = _mux(clean_redis), redis.asyncio.Redis.from_url(clean_redis)
        await mux.set("k", "v" * 20)
        ratios = [await rate(mux.call, 200) / await rate(client.execute_command, 20) for _ in range(3)]
        await client.aclose()
        await mux.aclose()
        return max(ratios)

    assert asyncio.run(scene()) >= 5


def test_large_values_go_over_connections_of_their_own(clean_redis: str):
    big = b"x" * 300_000

    async def scene() -> tuple[Any, ...]:
        mux = _mux(clean_redis)
        told = await asyncio.gather(*(mux.set(f"big{number}", big) for number in range(5)))
        values = await asyncio.gather(*(mux.get(f"big{number}") for number in range(5)))
        assert values == [big] * 5
        with pytest.raises(ResponseError):
            await mux.call("SET", "big", big, "WHAT")
        cancelled = asyncio.ensure_future(mux.set("big9", big))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert await mux.set("big8", big) == b"OK"
        large = mux.statistics().large
        await mux.aclose()
        return told, large

    assert asyncio.run(scene()) == ([b"OK"] * 5, 8)


def test_too_many_are_refused_and_the_others_answered(clean_redis: str):
    async def scene() -> tuple[int, int, int]:
        mux = _mux(clean_redis, RemoteSettings(timeout_s=5.0, connect_timeout_s=5.0, max_pending=100))
        await mux.set("k", "v")
        replies = await asyncio.gather(*(mux.get("k") for _ in range(150)), return_exceptions=True)
        refused = sum(isinstance(reply, MuxOverloadedError) for reply in replies)
        counted = mux.statistics().refused
        assert await mux.get("k") == b"v"
        await mux.aclose()
        return replies.count(b"v"), refused, counted

    assert asyncio.run(scene()) == (100, 50, 50)


def test_a_loop_that_ends_takes_its_connections_along(clean_redis: str):
    mux = _mux(clean_redis)

    async def use() -> None:
        await mux.set("k", "x" * 100_000)
        await mux.get("k")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make_loop in (asyncio.new_event_loop, uvloop.new_event_loop):
            with asyncio.Runner(loop_factory=make_loop) as runner:
                runner.run(use())
            gc.collect()
        assert (mux.statistics().loops, mux.statistics().connects) == (0, 2)
        loop = asyncio.new_event_loop()  # closed without a word to anybody
        loop.run_until_complete(use())
        loop.close()
        del loop
        mux.close()
        gc.collect()
    with redis.Redis.from_url(clean_redis) as client:
        assert len(client.client_list()) == 1


def test_a_mux_that_is_forgotten_closes_its_connections(clean_redis: str):
    async def forget() -> None:
        mux = _mux(clean_redis)
        await mux.set("k", "v")
        del mux
        gc.collect()
        await asyncio.sleep(0.01)
        with redis.Redis.from_url(clean_redis) as client:
            assert len(client.client_list()) == 1

    asyncio.run(forget())


def test_each_thread_with_a_loop_has_a_connection(clean_redis: str):
    mux = _mux(clean_redis)
    told: list[Any] = []

    def work(number: int) -> None:
        async def use() -> None:
            await mux.set(f"k{number}", number)
            told.append((number, await mux.get(f"k{number}")))

        asyncio.run(use())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    mux.close()
    assert sorted(told) == [(number, b"%d" % number) for number in range(4)]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own(clean_redis: str):
    mux = _mux(clean_redis)

    async def use(key: str) -> bytes | None:
        await mux.set(key, key)
        return await mux.get(key)

    def child(answers: Any) -> None:
        asyncio.set_event_loop(None)
        answers.put(asyncio.run(use("child")))

    async def parent() -> tuple[Any, ...]:
        before = await use("before")
        fork = multiprocessing.get_context("fork")
        answers = fork.SimpleQueue()
        process = fork.Process(target=child, args=(answers,))
        process.start()
        await asyncio.to_thread(process.join, 10)
        return before, answers.get(), await use("after"), mux.statistics().connects

    told = asyncio.run(parent())
    mux.close()
    assert told == (b"before", b"child", b"after", 1)


def test_a_server_that_was_killed_is_found_again_when_it_is_back(own_redis: Any):
    async def scene() -> tuple[Any, ...]:
        mux = _mux(own_redis.url)
        await mux.set("k", "v")
        own_redis.kill()
        lost = await asyncio.gather(*(mux.get("k") for _ in range(3)), return_exceptions=True)
        own_redis.start()
        found = await mux.get("k")
        told = mux.statistics()
        await mux.aclose()
        return [isinstance(each, LostError) for each in lost], found, told.connects

    assert asyncio.run(scene()) == ([True] * 3, None, 2)


def test_a_server_that_stops_is_left_and_late_replies_are_nobodys(own_redis: Any):
    async def scene() -> tuple[Any, ...]:
        mux = _mux(own_redis.url, RemoteSettings(timeout_s=0.05, connect_timeout_s=0.2))
        await mux.set("a", "1")
        own_redis.stop()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        late = await asyncio.gather(*(mux.incrby("a") for _ in range(3)), return_exceptions=True)
        took_s = loop.time() - begun_s
        await asyncio.sleep(0.1)
        own_redis.go_on()
        values = await asyncio.gather(*(mux.call("ECHO", str(number)) for number in range(50)))
        lost = mux.statistics().lost
        await mux.aclose()
        return [type(each) for each in late], took_s, values, lost

    late, took_s, values, lost = asyncio.run(scene())
    assert late == [LateError] * 3
    assert took_s < 0.15
    assert (values, lost) == ([b"%d" % number for number in range(50)], 1)


def test_it_logs_in_as_a_user_of_an_acl_and_asks_a_provider_at_each_connection(start_redis: Any):
    server = start_redis("--requirepass", "default password")
    with server.client(password="default password") as client:
        client.acl_setuser("bot", enabled=True, passwords=["+secret"], keys=["*"], commands=["+get", "+set"])
    asked: list[str] = []

    class Provider(CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            asked.append("now")
            return "bot", "secret"

        async def get_credentials_async(self) -> tuple[str, str]:
            return self.get_credentials()

    async def use(**login: Any) -> bytes | None:
        mux = Mux(RemoteSettings(port=server.port, timeout_s=5.0, connect_timeout_s=5.0, **login))
        try:
            await mux.set("k", "v")
            return await mux.get("k")
        finally:
            await mux.aclose()

    assert asyncio.run(use(password="default password")) == b"v"
    assert asyncio.run(use(username="bot", password="secret")) == b"v"
    assert asyncio.run(use(credential_provider=Provider())) == b"v"
    assert asked == ["now"]
    with pytest.raises(LostError):
        asyncio.run(use(username="bot", password="wrong"))
    with pytest.raises(LostError):
        asyncio.run(use())


def test_a_server_without_hello_is_spoken_to_as_before_redis_6(start_redis: Any):
    server = start_redis("--rename-command", "HELLO", "", "--requirepass", "secret")

    async def use() -> Any:
        mux = Mux(
            RemoteSettings(port=server.port, db=3, password="secret", timeout_s=5.0, connect_timeout_s=5.0)
        )
        await mux.call("HSET", "h", "f", "v")
        answer = await mux.call("HGETALL", "h")
        await mux.aclose()
        return answer

    assert asyncio.run(use()) == [b"f", b"v"]
    url = f"redis://:secret@127.0.0.1:{server.port}/3"
    link = RedisLink.from_url(url, PATIENT)
    assert [link.call("HGETALL", "h"), link.call("HGETALL", "h")] == [[b"f", b"v"]] * 2
    link.close()


def test_it_speaks_over_a_unix_socket(start_redis: Any, tmp_path: Path):
    path = tmp_path / "s"
    start_redis("--unixsocket", str(path))

    async def use() -> Any:
        mux = _mux(f"unix://{path}?db=1")
        await mux.set("k", "v")
        answer = await mux.get("k")
        await mux.aclose()
        return answer

    assert asyncio.run(use()) == b"v"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_file = tmp_path / "c.pem", tmp_path / "k.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, key_file


def test_it_speaks_tls_and_checks_who_answers(start_redis: Any, certificate: tuple[Path, Path]):
    pem, key_file = certificate
    port = servers.free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", str(pem), "--tls-key-file", str(key_file))
    try:
        start_redis(*tls, "--tls-ca-cert-file", str(pem), "--tls-auth-clients", "no")
    except servers.ServerError:
        pytest.skip("this redis-server was built without TLS")

    async def use(url: str) -> Any:
        mux = _mux(url)
        try:
            await mux.set("k", "v")
            await mux.set("k", "x" * 100_000)
            return len(await mux.get("k") or b"")
        finally:
            await mux.aclose()

    trusted = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={pem}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(use(trusted)) == 100_000
        gc.collect()
    with pytest.raises(LostError) as refused:
        asyncio.run(use(f"rediss://127.0.0.1:{port}/0"))
    assert isinstance(refused.value.__cause__, ssl.SSLCertVerificationError)


def test_a_loop_that_is_closed_under_a_tls_connection_leaks_nothing(
    start_redis: Any, certificate: tuple[Path, Path]
):
    pem, key_file = certificate
    port = servers.free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", str(pem), "--tls-key-file", str(key_file))
    try:
        start_redis(*tls, "--tls-ca-cert-file", str(pem), "--tls-auth-clients", "no")
    except servers.ServerError:
        pytest.skip("this redis-server was built without TLS")
    mux = _mux(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={pem}")

    async def use() -> None:
        await mux.set("k", "v")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use())
        loop.close()
        del loop
        mux.close()
        gc.collect()


def test_a_sentinel_names_the_primary(start_redis: Any, tmp_path: Path, redis_executable: Path):
    primary = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(primary.port))
    port = servers.free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n"
    )
    command = [redis_executable, config, "--sentinel"]

    async def use() -> Any:
        mux = _mux(f"redis+sentinel://127.0.0.1:{servers.free_port()},127.0.0.1:{port}/main/0")
        await mux.set("k", "x" * 100_000)
        answer = await mux.call("ROLE")
        await mux.aclose()
        return answer[0]

    log = tmp_path / "sentinel.log"
    with servers.running(command, log=log, is_ready=lambda: servers.accepts(port)):
        assert asyncio.run(use()) == b"master"
        link = RedisLink.from_url(f"redis+sentinel://127.0.0.1:{port}/main/0", PATIENT)
        assert link.call("ROLE")[0] == b"master"
        link.close()
    assert replica.pid
