"""How tests start programs: in an environment without settings of the one who runs the tests."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_FOREIGN = ("OTEL_", "TICKSPAN_", "PYTHONPATH")
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """The environment without telemetry settings and proxies; programs of this Python's are found first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}


@pytest.fixture
def run(tmp_path: Path, clean_environment: dict[str, str]) -> Callable[..., Ended]:
    """Run a command in an empty folder; keywords are environment variables. Output is text."""

    def run_it(*command: str | Path, **variables: str) -> Ended:
        return subprocess.run(
            command,
            env={**clean_environment, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run_it


@pytest.fixture
def run_python(run: Callable[..., Ended]) -> Callable[..., Ended]:
    """Run a program text with this Python in an empty folder; keywords are environment variables."""

    def run_it(program: str, **variables: str) -> Ended:
        return run(sys.executable, "-c", program, **variables)

    return run_it
