"""Servers to measure: those that are named, one of our own for a while, or those that are there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from tickspan.cli.bench import redis
from tickspan.cli.errors import CommandError

__all__ = ["NO_POSTGRESQL", "NO_REDIS", "postgresql_url", "redis_url"]

NO_REDIS: Final = "start redis-server or give --redis"
NO_POSTGRESQL: Final = "give --database or DATABASE_URL"
_REDIS_PORT: Final = 6379
_POSTGRESQL: Final = "postgresql"
_ANY_DATABASE: Final = f"{_POSTGRESQL}+psycopg:///postgres"
_START_S: Final = 10.0
_STOP_S: Final = 5.0
_LOOK_S: Final = 0.02


@contextmanager
def redis_url(named: str | None) -> Generator[str | None]:
    """The server that is named; else one that is started for as long; else one that is there.

    Its URL, or None when there is none.

    Raises:
        CommandError: the server that was started does not answer.
    """
    program = shutil.which("redis-server")
    if named is not None:
        yield named
    elif program is not None:
        with _started(program) as url:
            yield url
    else:
        yield redis.URL if _accepts(_REDIS_PORT) else None


@contextmanager
def _started(program: str) -> Generator[str]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="tickspan-bench-") as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - found on PATH
        try:
            _await(server, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    until_s = time.monotonic() + _START_S
    while not _accepts(port):
        if server.poll() is not None or time.monotonic() > until_s:
            raise CommandError("redis-server was started and does not answer: give --redis", 1)
        time.sleep(_LOOK_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def postgresql_url(named: str | None) -> str | None:
    """The URL that is named, that of DATABASE_URL, or of a server that lets this user in by itself.

    None when there is none. A URL without a driver gets psycopg, where that is what is installed.
    """
    url = named or os.environ.get("DATABASE_URL", "")
    if url.startswith(f"{_POSTGRESQL}://") and find_spec("psycopg2") is None:
        return f"{_POSTGRESQL}+psycopg{url.removeprefix(_POSTGRESQL)}"
    return url or (_ANY_DATABASE if _lets_in() else None)


def _lets_in() -> bool:
    """Whether libpq's own defaults, PGHOST and its like included, lead to a server."""
    try:
        import psycopg
    except ImportError:
        return False
    try:
        psycopg.connect("dbname=postgres", connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True
