"""Redis as the tests see it: clients on an empty database, a small cluster, spans without stack traces."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from scripts import servers
from tickspan.testing import Capture, RecordedSpan
from tickspan_redis import RedisInstrumentor

SLOTS = 16_384
NODES = 3


@pytest.fixture
def url(redis_server: str) -> str:
    """A server whose database is empty."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def place(url: str) -> Mapping[str, Any]:
    """What every span of a call to the server carries."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    return {
        "db.system.name": "redis",
        "db.namespace": "0",
        "server.address": "127.0.0.1",
        "server.port": port,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": port,
    }


@pytest.fixture
def instrumented(telemetry: Capture) -> Generator[Capture]:
    """The instrumentor, on."""
    RedisInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    yield telemetry
    RedisInstrumentor().uninstrument()


@pytest.fixture
def stories(instrumented: Capture) -> Callable[[], list[RecordedSpan]]:
    """The finished spans, each exception event without its stack trace, which differs by version."""

    def told() -> list[RecordedSpan]:
        return [
            replace(span, events=tuple(_without_stack(e) for e in span.events))
            for span in instrumented.spans()
        ]

    return told


def _without_stack(event: Any) -> Any:
    kept = {name: value for name, value in event.attributes.items() if name != "exception.stacktrace"}
    return replace(event, attributes=kept)


class OwnServer:
    """A server that a test may stop, kill and start again on the same port."""

    def __init__(self, executable: Path, folder: Path) -> None:
        self.port = servers.free_port()
        self._command: list[str | Path] = [
            executable,
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        ]
        self._log = folder / "redis.log"
        self._stack = ExitStack()

    def start(self) -> None:
        """Listen."""
        self._stack.enter_context(
            servers.running(self._command, log=self._log, is_ready=lambda: servers.accepts(self.port))
        )

    def stop(self) -> None:
        """End, and close every connection."""
        self._stack.close()


@pytest.fixture
def own_server(redis_server: str, tmp_path: Path) -> Generator[OwnServer]:
    """A server of this test's, which runs."""
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        executable = Path(client.info("server")["executable"])
    server = OwnServer(executable, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[int]:
    """A cluster of three nodes without replicas; the port of the first."""
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        executable = Path(client.info("server")["executable"])
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(_node(executable, tmp_path_factory.mktemp(f"node{number}")))
            for number in range(NODES)
        ]
        _join(nodes)
        yield nodes[0][0]


@contextmanager
def _node(executable: Path, folder: Path) -> Generator[tuple[int, int]]:
    """A node's ports: for clients, and for other nodes."""
    port, bus = servers.free_port(), servers.free_port()
    command = [
        executable,
        *("--port", str(port), "--cluster-port", str(bus), "--bind", "127.0.0.1"),
        *("--cluster-enabled", "yes", "--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]
    with servers.running(command, log=folder / "redis.log", is_ready=lambda: servers.accepts(port)):
        yield port, bus


def _join(nodes: list[tuple[int, int]]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(redis.Redis(port=port, decode_responses=True)) for port, _ in nodes]
        for number, client in enumerate(clients):
            first, last = SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for client in clients[1:]:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", *nodes[0])
        deadline = time.monotonic() + 30
        while not all(_is_ready(client) for client in clients):
            assert time.monotonic() < deadline, "the cluster did not come up within 30 s"
            time.sleep(0.05)


def _is_ready(client: redis.Redis) -> bool:
    state: Any = client.execute_command("CLUSTER INFO")
    return (state["cluster_state"], state["cluster_known_nodes"]) == ("ok", str(NODES))
