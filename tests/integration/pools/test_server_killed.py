"""A server that is killed under a governed pool: a clear error, recovery, and counts that are right again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
import redis
import sqlalchemy
from psycopg_pool import ConnectionPool
from sqlalchemy import exc

from scripts import servers
from tickspan.pools import GovernedPool, create_database_pool, get_connection_context, govern
from tickspan.testing import Capture

pytestmark = [pytest.mark.integration, pytest.mark.backends]
SELECT = sqlalchemy.text("SELECT 1")
RECOVERY_S = 10.0


@pytest.fixture(scope="module")
def own_server(postgresql_server: str) -> Generator[str]:
    """A server of this module's, which goes on after its connections were killed."""
    with psycopg.connect(postgresql_server) as connection:
        executable = Path(f"/proc/{connection.info.backend_pid}/exe").readlink()
    with servers.postgresql_server(executable) as server:
        yield server.url


def kill(pid: int) -> None:
    """End a server process without a word: PostgreSQL then ends all connections, and recovers."""
    os.kill(pid, signal.SIGKILL)


def recovered(attempt: Callable[[], Any]) -> Any:
    """What `attempt` returns as soon as it does not raise."""
    deadline_s = time.monotonic() + RECOVERY_S
    while time.monotonic() < deadline_s:
        with suppress(Exception):
            return attempt()
        time.sleep(0.02)
    return attempt()


def is_whole(pool: GovernedPool, told: Capture) -> bool:
    """Whether nothing is out, for the pool, for its gate and for the metrics."""
    gate = pool.governor.gate
    points = told.points("db.client.connection.count")
    used = sum(point.value for point in points if point.attributes["db.client.connection.state"] == "used")
    assert gate is not None
    return (gate.free, used, pool.statistics().used, pool.statistics().holders) == (2, 0, 0, ())


def test_sqlalchemy(told: Capture, own_server: str) -> None:
    pool = create_database_pool(
        "main", own_server.replace("postgresql:", "postgresql+psycopg:"), max_connections=2
    )
    with get_connection_context("main") as connection:
        kill(connection.connection.dbapi_connection.info.backend_pid)
        with pytest.raises(exc.OperationalError):
            connection.execute(SELECT)

    def attempt() -> Any:
        with get_connection_context("main", timeout_s=1) as connection:
            return connection.execute(SELECT).scalar()

    assert recovered(attempt) == 1
    assert is_whole(pool, told)
    assert pool.statistics().closed["broken"] >= 1
    pool.dispose()


def test_psycopg(told: Capture, own_server: str) -> None:
    with ConnectionPool(own_server, min_size=2, max_size=2, name="main", open=False) as made:
        made.wait()
        pool = govern(made, is_fair=True)
        with get_connection_context("main") as connection:
            kill(connection.info.backend_pid)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

        def attempt() -> Any:
            with get_connection_context("main", timeout_s=1) as connection:
                return connection.execute("SELECT 1").fetchone()

        assert recovered(attempt) == (1,)
        recovered(lambda: _must(is_whole(pool, told)))
        assert pool.statistics().closed["broken"] >= 1


def test_asyncpg(told: Capture, own_server: str) -> None:
    async def main() -> None:
        made = await asyncpg.create_pool(own_server, min_size=2, max_size=2)
        pool = govern(made, name="main", is_fair=True)
        async with get_connection_context("main") as connection:
            kill(connection.get_server_pid())
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
                await connection.fetchval("SELECT 1")
        deadline_s, answer = time.monotonic() + RECOVERY_S, None
        while answer is None and time.monotonic() < deadline_s:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                async with get_connection_context("main", timeout_s=1) as connection:
                    answer = await connection.fetchval("SELECT 1")
            await asyncio.sleep(0.02)
        assert answer == 1
        assert is_whole(pool, told)
        await made.close()

    asyncio.run(main())


def test_redis(told: Capture, redis_server: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        executable = Path(client.info("server")["executable"])
    port = servers.free_port()
    command = [
        executable,
        *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)),
    ]

    def running() -> Any:
        return servers.running(command, log=tmp_path / "redis.log", is_ready=lambda: servers.accepts(port))

    made = redis.ConnectionPool(host="127.0.0.1", port=port, max_connections=2)
    pool = govern(made, name="main", is_fair=True)
    with running() as server, get_connection_context("main", timeout_s=1) as client:
        client.ping()
        server.kill()
        server.wait()
        with pytest.raises(redis.ConnectionError):
            client.ping()
    with pytest.raises(redis.ConnectionError), get_connection_context("main", timeout_s=1):
        pass
    assert is_whole(pool, told)
    with running(), get_connection_context("main", timeout_s=1) as client:
        assert client.ping()
    assert is_whole(pool, told)
    made.disconnect()


def _must(claim: bool) -> None:
    if not claim:
        raise AssertionError
