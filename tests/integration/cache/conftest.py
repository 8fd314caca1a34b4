"""Redis servers of a test's own, which it may stop, kill, fill and start again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from scripts import servers


@dataclass
class OwnRedis:
    """A server that keeps nothing on disk, at a port of its own."""

    executable: Path
    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=servers.free_port)
    _running: ExitStack = field(default_factory=ExitStack)
    pid: int = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            self.executable,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--dir", str(self.folder), *self.options),
        ]
        log = self.folder / f"redis-{self.port}.log"
        running = servers.running(command, log=log, is_ready=lambda: servers.accepts(self.port))
        self.pid = self._running.enter_context(running).pid

    def stop(self) -> None:
        """It neither reads nor answers, but is there."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGCONT)
        self._running.close()

    def client(self, **options: Any) -> redis.Redis:
        return redis.Redis(port=self.port, **options)

    def close(self) -> None:
        if self.pid:
            self._try_to_go_on()
        self._running.close()

    def _try_to_go_on(self) -> None:
        try:
            self.go_on()
        except ProcessLookupError:
            return


@pytest.fixture(scope="session")
def redis_executable(redis_server: str) -> Path:
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        return Path(client.info("server")["executable"])


@pytest.fixture
def start_redis(redis_executable: Path, tmp_path: Path) -> Generator[Callable[..., OwnRedis]]:
    """Starts a server with options."""
    with ExitStack() as stack:

        def start(*options: str, port: int | None = None) -> OwnRedis:
            server = OwnRedis(redis_executable, tmp_path, options, port or servers.free_port())
            stack.callback(server.close)
            server.start()
            return server

        yield start


@pytest.fixture
def own_redis(start_redis: Callable[..., OwnRedis]) -> OwnRedis:
    """A server for this test alone."""
    return start_redis()


@pytest.fixture
def clean_redis(redis_server: str) -> str:
    """The URL of the session's server, empty."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
    return redis_server


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition."""

    def wait(is_so: Callable[[], Any], limit_s: float = 5.0) -> None:
        end_s = time.monotonic() + limit_s
        while not is_so():
            assert time.monotonic() < end_s, f"not so within {limit_s} s"
            time.sleep(0.002)

    return wait


@contextmanager
def _cluster_node(executable: Path, folder: Path) -> Generator[tuple[int, int]]:
    port, bus = servers.free_port(), servers.free_port()
    command = [
        executable,
        *("--port", str(port), "--cluster-port", str(bus), "--bind", "127.0.0.1"),
        *("--cluster-enabled", "yes", "--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]
    with servers.running(command, log=folder / "redis.log", is_ready=lambda: servers.accepts(port)):
        yield port, bus


@pytest.fixture(scope="session")
def redis_cluster(redis_executable: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of a cluster of two primaries without replicas."""
    slots = 16_384
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(_cluster_node(redis_executable, tmp_path_factory.mktemp(f"node{number}")))
            for number in range(2)
        ]
        clients = [stack.enter_context(redis.Redis(port=port, decode_responses=True)) for port, _ in nodes]
        clients[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, slots // 2 - 1)
        clients[1].execute_command("CLUSTER", "ADDSLOTSRANGE", slots // 2, slots - 1)
        clients[1].execute_command("CLUSTER", "MEET", "127.0.0.1", *nodes[0])
        end_s = time.monotonic() + 30
        while not all(_is_joined(client) for client in clients):
            assert time.monotonic() < end_s, "the cluster did not come up within 30 s"
            time.sleep(0.05)
        yield f"redis+cluster://127.0.0.1:{nodes[0][0]}"


def _is_joined(client: redis.Redis) -> bool:
    state: Any = client.execute_command("CLUSTER INFO")
    return (state["cluster_state"], state["cluster_known_nodes"]) == ("ok", "2")
