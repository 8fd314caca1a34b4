"""Tests against other versions of the libraries that members instrument, and others' instrumentors.

Each generation is a set of packages, installed without further dependencies into `.generations/<name>` and
laid over the environment by PYTHONPATH; all else stays what it is. `python scripts/generations.py run` runs
all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_FOLDER: Final = _ROOT / ".generations"
_INSTALLED: Final = ".installed"


@dataclass(frozen=True, slots=True)
class Generation:
    """One version of a library, and the tests that it runs."""

    name: str
    requirement: str
    """What is laid over the environment: more than one, by blanks, where versions hang together."""
    tests: str
    """Folder, from the root."""

    @property
    def member(self) -> str | None:
        """The distribution whose tests they are; None where they are nobody's."""
        parts = Path(self.tests).parts
        return parts[1] if parts[0] == "instrumentors" else None

    @property
    def folder(self) -> Path:
        """Where it is installed."""
        return _FOLDER / self.name


_UPSTREAM: Final = "0.66b1"
_INBOUND: Final = " ".join(
    (
        *(
            f"opentelemetry-{name}=={_UPSTREAM}"
            for name in (
                "instrumentation-asgi",
                "instrumentation-fastapi",
                "instrumentation-flask",
                "instrumentation-wsgi",
                "util-http",
            )
        ),
        "fastapi==0.165.0 starlette==1.10.0 annotated-doc==0.0.7",
        "flask==3.1.3 werkzeug==3.1.9 blinker==1.9.0 itsdangerous==2.2.0 jinja2==3.1.6 markupsafe==3.0.4",
    )
)

GENERATIONS: Final = (
    Generation("sqlalchemy-1.4", "sqlalchemy==1.4.54", "instrumentors/tickspan-sqlalchemy/tests"),
    Generation("sqlalchemy-2.0", "sqlalchemy==2.0.58", "instrumentors/tickspan-sqlalchemy/tests"),
    Generation("redis-5", "redis==5.0.8", "instrumentors/tickspan-redis/tests"),
    Generation("redis-6", "redis==6.4.0", "instrumentors/tickspan-redis/tests"),
    Generation("redis-7", "redis==7.4.0", "instrumentors/tickspan-redis/tests"),
    Generation("python-binance-1.0.36", "python-binance==1.0.36", "instrumentors/tickspan-binance/tests"),
    Generation("alpaca-py-0.30", "alpaca-py==0.30.0 websockets==13.1", "instrumentors/tickspan-alpaca/tests"),
    Generation(
        "alpaca-trade-api-3",
        "alpaca-trade-api==3.2.0 websockets==10.4 deprecation==2.1.0",
        "instrumentors/tickspan-alpaca/tests",
    ),
    Generation("inbound", _INBOUND, "tests/inbound"),
)


class GenerationError(Exception):
    """A generation cannot be installed; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when every generation passed, 1 when one failed, 2 when one could not be installed."""
    options, pytest_arguments = _parser().parse_known_args(arguments)
    chosen = [one for one in GENERATIONS if options.only in (None, one.name)]
    if options.verb == "list":
        print("\n".join(f"{one.name:16} {one.requirement:20} {one.tests}" for one in chosen))
        return 0
    try:
        for one in chosen:
            _install(one)
    except GenerationError as error:
        print(error, file=sys.stderr)
        return 2
    if options.verb == "install":
        return 0
    outcomes = [(one, _run_tests(one, pytest_arguments)) for one in chosen]
    for one, status in outcomes:
        print(
            f"generation {one.name}: {'passed' if status == 0 else f'FAILED (pytest exit status {status})'}"
        )
    return int(any(status for _, status in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Further arguments go to pytest.")
    parser.add_argument("verb", choices=("run", "install", "list"))
    parser.add_argument("--only", choices=[one.name for one in GENERATIONS], help="one generation")
    return parser


def _install(generation: Generation) -> None:
    """Install what is not there yet; a half-finished folder is made anew."""
    mark = generation.folder / _INSTALLED
    if mark.exists() and mark.read_text() == generation.requirement:
        return
    shutil.rmtree(generation.folder, ignore_errors=True)
    command = [
        *_installer(),
        "--no-deps",
        "--target",
        str(generation.folder),
        *generation.requirement.split(),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise GenerationError(f"{' '.join(command)} failed:\n{done.stderr}")
    mark.write_text(generation.requirement)


def _installer() -> list[str]:
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    raise GenerationError(f"expected uv on PATH or pip in {sys.executable}: install one of them")


def _run_tests(generation: Generation, pytest_arguments: Sequence[str]) -> int:
    print(f"--- {generation.name}: {generation.requirement}", flush=True)
    overlay = os.pathsep.join(filter(None, (str(generation.folder), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "pytest", "-q", generation.tests, *pytest_arguments]
    return subprocess.run(
        command, check=False, cwd=_ROOT, env={**os.environ, "PYTHONPATH": overlay}
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
