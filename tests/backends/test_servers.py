"""The servers that the fixtures give are real, and are gone when they are stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pymysql
import pytest
import redis

from scripts import backends, servers


@pytest.mark.integration
def test_the_redis_server_answers(redis_server: str):
    with redis.Redis.from_url(redis_server) as client:
        client.set("order", "1")
        assert client.get("order") == b"1"


@pytest.mark.backends
def test_the_postgresql_server_answers(postgresql_server: str):
    with psycopg.connect(postgresql_server) as connection:
        assert connection.execute("SELECT 6 * 7").fetchall() == [(42,)]


@pytest.mark.backends
def test_the_postgresql_server_for_plans_has_its_modules(hypopg_server: servers.DatabaseServer):
    with psycopg.connect(hypopg_server.url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS hypopg")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT count(*) FROM pg_stat_statements")
        assert connection.execute("SELECT count(*) FROM hypopg_list_indexes").fetchall() == [(0,)]
        assert connection.execute("SHOW auto_explain.log_analyze").fetchall() == [("off",)]


@pytest.mark.backends
def test_the_mariadb_server_answers(mariadb_server: servers.DatabaseServer):
    server = mariadb_server
    with pymysql.connect(
        host=server.host, port=server.port, user=server.user, database=server.database
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 6 * 7")
        assert cursor.fetchall() == ((42,),)


@pytest.mark.integration
def test_a_server_is_gone_when_its_block_ends(tmp_path: Path):
    port = servers.free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with servers.running(command, log=tmp_path / "log", is_ready=lambda: servers.accepts(port)) as server:
        pid = server.pid
    assert not servers.accepts(port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)


@pytest.mark.integration
def test_a_server_that_ends_at_once_shows_its_log(tmp_path: Path):
    command = [sys.executable, "-c", "print('no such option'); raise SystemExit(3)"]
    with (
        pytest.raises(servers.ServerError, match=r"(?s)ended with status 3:\nno such option"),
        servers.running(command, log=tmp_path / "log", is_ready=lambda: False),
    ):
        pass


@pytest.mark.integration
def test_a_server_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(servers, "_STOP_TIMEOUT_S", 0.2)
    code = "from signal import *; signal(SIGTERM, SIG_IGN); print('up', flush=True); pause()"
    log = tmp_path / "log"
    with servers.running(
        [sys.executable, "-c", code], log=log, is_ready=lambda: "up" in servers.log_tail(log)
    ) as server:
        pass
    assert server.returncode == -signal.SIGKILL


def test_a_missing_program_says_where_it_was_sought_and_what_to_do(tmp_path: Path):
    code = "import backends, sys; sys.exit(backends.main(['redis-server', 'otelcol']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(servers.__file__).parent,
        env={"PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path), "TICKSPAN_TEST_REDIS_SERVER": "/no/redis"},
        capture_output=True,
        text=True,
        check=False,
    )
    advice = "TICKSPAN_TEST_INSTALL=1 installs or builds it"
    cache = tmp_path / "tickspan" / "backends" / "otelcol-0.158.0"
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"  redis-server is missing: searched TICKSPAN_TEST_REDIS_SERVER=/no/redis; {advice}",
        f"  otelcol is missing: searched TICKSPAN_TEST_OTELCOL, PATH, {cache}; {advice}",
        "backends: redis-server MISSING, otelcol MISSING",
    ]


def test_a_program_without_its_companions_is_missing_and_says_which(tmp_path: Path):
    executable = tmp_path / "bin" / "postgres"
    executable.parent.mkdir()
    executable.touch()
    variable = f"TICKSPAN_TEST_HYPOPG={executable}"
    lacking = "../lib/hypopg.so, ../lib/auto_explain.so, ../lib/pg_stat_statements.so"
    found = backends.backend("hypopg", {"TICKSPAN_TEST_HYPOPG": str(executable)})
    assert found == backends.Missing("hypopg", (f"{variable} ({executable} is there, not {lacking})",))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("required", "status", "outcome"),
    [("", 0, "backends: redis-server MISSING, 1 skipped"), ("all", 1, "TICKSPAN_TEST_REQUIRE=all")],
)
def test_a_missing_server_is_a_skip_that_is_told_or_a_failure(required: str, status: int, outcome: str):
    test = f"{__file__}::{test_the_redis_server_answers.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=Path(servers.__file__).parents[1],
        env={**os.environ, "TICKSPAN_TEST_REDIS_SERVER": "/no", "TICKSPAN_TEST_REQUIRE": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert outcome in done.stdout
