"""Fixtures: a stage for one test, with a receiver that lives, or one that is dead and comes to life later."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from pipeline_stage import Stage

from tickspan.testing.otlp import OtlpServer

SOAK = Path(__file__).parents[3] / "scripts" / "soak.py"
IMPLEMENTATION = {name: os.environ[name] for name in ("TICKSPAN_PURE",) if name in os.environ}
"""`TICKSPAN_PURE=1 pytest tests/e2e/pipeline` runs the programs without compiled modules."""


@pytest.fixture
def stage(tmp_path: Path, clean_environment: Mapping[str, str]) -> Iterator[Stage]:
    """A spool of its own, and a receiver that answers."""
    with OtlpServer() as collector:
        made = Stage(tmp_path, {**clean_environment, **IMPLEMENTATION}, collector)
        yield made
        made.end_agent()
        sys.stdout.write(made.log_of_agents())  # shown for a test that failed


@pytest.fixture
def dead_stage(tmp_path: Path, clean_environment: Mapping[str, str]) -> Iterator[Stage]:
    """A stage whose receiver's address takes connections and never answers, until `collector.start()`."""
    hole = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = hole.getsockname()[1]
    collector = _LateServer(hole, port)
    made = Stage(
        tmp_path,
        {**clean_environment, **IMPLEMENTATION},
        collector,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"},
    )
    yield made
    made.end_agent()
    sys.stdout.write(made.log_of_agents())
    collector.stop()
    hole.close()


class _LateServer(OtlpServer):
    """Takes the place of a black hole when it starts."""

    def __init__(self, hole: socket.socket, port: int) -> None:
        super().__init__(port=port)
        self._hole = hole
        self._port = port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> "_LateServer":
        self._hole.close()
        super().start()
        return self


@contextlib.contextmanager
def _soaking(environment: Mapping[str, str], *words: str) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(SOAK), *words],
        env={**environment, **IMPLEMENTATION},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="session")
def outage(clean_environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """An outage that lasts 20 s of the session."""
    with _soaking(clean_environment, "--seconds", "20", "--rate", "500") as process:
        yield process


@pytest.fixture
def burst(clean_environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program that records 100,000 spans as fast as it can."""
    with _soaking(clean_environment, "--burst", "100000") as process:
        yield process


@pytest.fixture(scope="session", autouse=True)
def _outage_beside_the_others(request: pytest.FixtureRequest) -> None:
    """Begin the outage before the first test of this folder: it is mostly waiting."""
    wanted = (item for item in request.session.items if isinstance(item, pytest.Function))
    if any("outage" in item.fixturenames for item in wanted):
        request.getfixturevalue("outage")
