"""Collector build: the OpenTelemetry Collector with the components of `collector-config/manifest.yaml`.

Needs Go and, when its caches are cold, the Go module proxy and about ten minutes on two cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent.parent / "collector-config" / "manifest.yaml"
VERSION = "0.158.0"

_BUILDER = f"go.opentelemetry.io/collector/cmd/builder@v{VERSION}"
_NICE = ("nice", "-n", "10")
_LOG_TAIL_CHARACTERS = 2_000


class CollectorBuildError(Exception):
    """The build failed; the message ends with the last lines of its log."""


def is_built(folder: Path) -> bool:
    """Whether `folder` holds a collector of today's manifest."""
    manifest = folder / MANIFEST.name
    return (
        (folder / "otelcol").is_file()
        and manifest.is_file()
        and manifest.read_bytes() == MANIFEST.read_bytes()
    )


def build_collector(folder: Path, environment: Mapping[str, str]) -> Path:
    """Build the collector into `folder` and return its executable.

    The executable appears there at once and whole, beside a copy of its manifest and the log of the build.

    Raises:
        CollectorBuildError: Go is missing, or a step of the build failed.
    """
    go = shutil.which("go", path=environment.get("PATH"))
    if go is None:
        raise CollectorBuildError("the collector cannot be built: there is no `go` in PATH")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    log.write_bytes(b"")
    with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as name:
        built = _build(go, Path(name), log, environment)
        shutil.copy(MANIFEST, folder)
        return built.replace(folder / "otelcol")


def _build(go: str, workspace: Path, log: Path, environment: Mapping[str, str]) -> Path:
    settings = {**os.environ, **environment, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}
    sources = workspace / "_build"  # `output_path` of the manifest
    generate = (go, "run", _BUILDER, "--config", str(MANIFEST), "--skip-compilation")
    _run(generate, workspace, log, settings)
    # The builder's last step downloads the modules of every platform and may fail for one that is not ours.
    if not (sources / "go.mod").is_file() or not (sources / "go.sum").is_file():
        raise CollectorBuildError(f"the collector's sources could not be generated:\n{_tail(log)}")
    compile_ = (go, "build", "-trimpath", "-ldflags=-s -w", "-tags", "grpcnotrace", "-o", "otelcol", ".")
    if _run(compile_, sources, log, settings) != 0:
        raise CollectorBuildError(f"the collector could not be compiled:\n{_tail(log)}")
    return sources / "otelcol"


def _run(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> int:
    with log.open("ab") as output:
        return subprocess.run(
            [*_NICE, *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]
