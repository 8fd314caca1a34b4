"""The environment of the stock side: upstream's distribution and instrumentors, installed as documented.

It is made once, in `${XDG_CACHE_HOME:-~/.cache}/tickspan/baseline-…`, and shares no package with ours, since
upstream's SQLAlchemy instrumentor refuses SQLAlchemy 2.1. Other libraries have the versions that we run with.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path

LIKE_OURS = ("aiohttp", "aiosqlite", "ccxt", "greenlet", "redis")
INSTRUMENTED = ("aiohttp-client", "redis", "sqlalchemy")


def requirements() -> list[str]:
    """What `pip install` is told."""
    contrib = version("opentelemetry-instrumentation")
    return [
        "sqlalchemy>=2.0,<2.1",
        *(f"{name}=={version(name)}" for name in LIKE_OURS),
        f"opentelemetry-distro=={contrib}",
        f"opentelemetry-exporter-otlp-proto-http=={version('opentelemetry-exporter-otlp-proto-http')}",
        *(f"opentelemetry-instrumentation-{name}=={contrib}" for name in INSTRUMENTED),
    ]


def environment() -> Path:
    """The folder of the environment's programs; made when it is not there yet.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed; nothing is left behind.
    """
    wanted = requirements()
    home = _cache_root() / f"baseline-{_fingerprint(wanted)}"
    if not (home / "complete").exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        print(f"making the stock environment in {home}, once …", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        try:
            _install(home, wanted)
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise
        (home / "complete").touch()
    return home / "bin"


def versions(programs: Path, distribution: str = "opentelemetry-distro") -> dict[str, str]:
    """Versions of what the comparison is about, by distribution."""
    names = ["sqlalchemy", "redis", "ccxt", "opentelemetry-sdk", distribution]
    program = f"from importlib.metadata import version\nprint(*map(version, {names!r}))"
    with tempfile.TemporaryDirectory() as elsewhere:
        told = subprocess.run(
            [programs / "python", "-c", program], check=True, capture_output=True, text=True, cwd=elsewhere
        )
    return dict(zip(names, told.stdout.split(), strict=True))


def _install(home: Path, wanted: list[str]) -> None:
    uv = shutil.which("uv")
    if uv is None:
        venv.create(home, with_pip=True)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)
        return
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, home], check=True, stdout=sys.stderr)
    target = ["--python", home / "bin" / "python"]
    subprocess.run([uv, "pip", "install", "--quiet", *target, *wanted], check=True, stdout=sys.stderr)


def _fingerprint(wanted: list[str]) -> str:
    return hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:12]


def _cache_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickspan"
