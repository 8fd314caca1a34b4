"""How tests start programs: in an environment without settings of the one who runs the tests."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tickspan_spool import agent

DELIVERY_TIMEOUT_S = 5.0
_FOREIGN = ("OTEL_", "TICKSPAN_", "PYTHONPATH")
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment without telemetry settings and proxies; programs of this Python's are found first.

    Records go to a spool of the session's, whose agent ends with it.
    """
    spool = tmp_path_factory.mktemp("spool")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    yield {**kept, "PATH": path, "TICKSPAN_SPOOL_DIR": str(spool)}
    agent.stop(spool)


@pytest.fixture
def run(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Callable[..., Ended]]:
    """Run a command in an empty folder; keywords are environment variables. Output is text.

    What the command left in its spool is delivered when the call returns.
    """
    spool = tmp_path / "spool"

    def run_it(*command: str | Path, **variables: str) -> Ended:
        ended = subprocess.run(
            command,
            env={**clean_environment, "TICKSPAN_SPOOL_DIR": str(spool), **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        is_sent = "--endpoint" in command or any(name.startswith("OTEL_EXPORTER_") for name in variables)
        if is_sent and spool.exists():
            agent.drain(spool, DELIVERY_TIMEOUT_S)
        return ended

    yield run_it
    if spool.exists():
        agent.stop(spool)


@pytest.fixture
def run_python(run: Callable[..., Ended]) -> Callable[..., Ended]:
    """Run a program text with this Python in an empty folder; keywords are environment variables."""

    def run_it(program: str, **variables: str) -> Ended:
        return run(sys.executable, "-c", program, **variables)

    return run_it
