"""Collector build: the OpenTelemetry Collector with the components of `collector-config/manifest.yaml`.

It takes about ten minutes on two cores when Go's caches are cold.
"""

from __future__ import annotations

from pathlib import Path

if __package__:
    from .go_build import Go, GoBuild, GoBuildError
else:  # run as a program
    from go_build import Go, GoBuild, GoBuildError

MANIFEST = Path(__file__).resolve().parent.parent / "collector-config" / "manifest.yaml"
VERSION = "0.158.0"

_BUILDER = f"go.opentelemetry.io/collector/cmd/builder@v{VERSION}"


def _generate(go: Go, workspace: Path) -> Path:
    """Let the builder write the collector's sources."""
    sources = workspace / "_build"  # `output_path` of the manifest
    go.run(("run", _BUILDER, "--config", str(MANIFEST), "--skip-compilation"), workspace)
    # The builder's last step downloads the modules of every platform and may fail for one that is not ours.
    if not (sources / "go.mod").is_file() or not (sources / "go.sum").is_file():
        raise GoBuildError(f"the collector's sources could not be generated:\n{go.log_tail()}")
    return sources


COLLECTOR = GoBuild(MANIFEST, {"otelcol": "."}, ("-ldflags=-s -w", "-tags", "grpcnotrace"), _generate)
