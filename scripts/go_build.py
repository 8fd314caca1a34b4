"""Go build: programs compiled from Go modules into a folder of the cache, each whole or not there.

Needs Go and, when its caches are cold, the Go module proxy and minutes of two cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MODULES = Path(__file__).resolve().parent / "go"
_VERSION_VARIABLE = "github.com/prometheus/common/version.Version"
_NICE = ("nice", "-n", "10")
_LOG_TAIL_CHARACTERS = 2_000


class GoBuildError(Exception):
    """A build failed; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Go:
    """The command `go` as builds use it: at low priority, statically linked, everything said in one log."""

    command: str
    log: Path
    environment: Mapping[str, str]

    def run(self, arguments: Sequence[str], folder: Path) -> int:
        """Run it in a folder; returns its exit status."""
        with self.log.open("ab") as output:
            return subprocess.run(
                [*_NICE, self.command, *arguments],
                cwd=folder,
                env={**self.environment, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode

    def log_tail(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]


@dataclass(frozen=True, slots=True)
class GoBuild:
    """How programs are built.

    Attributes:
        recipe: the file that says what they are made of; a copy of it stands beside the programs.
        packages: by the name of the executable, as paths from the main module or of an import.
        flags: of `go build`.
        prepare: makes the main module, given Go and an empty folder, and returns its folder.
    """

    recipe: Path
    packages: Mapping[str, str]
    flags: Sequence[str]
    prepare: Callable[[Go, Path], Path]

    def is_built(self, folder: Path) -> bool:
        """Whether `folder` holds all programs as today's recipe makes them."""
        copy = folder / self.recipe.name
        return (
            all((folder / name).is_file() for name in self.packages)
            and copy.is_file()
            and copy.read_bytes() == self.recipe.read_bytes()
        )

    def build(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Build the programs into `folder`, where they appear whole, beside recipe and log.

        Raises:
            GoBuildError: Go is missing, or a step of the build failed.
        """
        names = " and ".join(self.packages)
        command = shutil.which("go", path=environment.get("PATH"))
        if command is None:
            raise GoBuildError(f"{names} cannot be built: there is no `go` in PATH")
        folder.mkdir(parents=True, exist_ok=True)
        go = Go(command, folder / "build.log", {**os.environ, **environment})
        go.log.write_bytes(b"")
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as workspace:
            sources = self.prepare(go, Path(workspace))
            for name, package in self.packages.items():
                arguments = ("build", "-trimpath", *self.flags, "-o", name, package)
                if go.run(arguments, sources) != 0:
                    raise GoBuildError(f"{name} could not be compiled:\n{go.log_tail()}")
            for name in self.packages:
                (sources / name).replace(folder / name)
            shutil.copy(self.recipe, folder)


def from_module(module: str, version: str, *packages: str, tags: str = "") -> GoBuild:
    """A build of published packages, whose versions are fixed by a module of ours.

    Args:
        module: of `scripts/go`, without ending.
        version: that the programs shall tell, in the way of Prometheus's family.
        packages: import paths; an executable is named as the last part.
        tags: of the build.
    """
    recipe = _MODULES / f"{module}.mod"

    def copy_recipe(_: Go, workspace: Path) -> Path:
        shutil.copy(recipe, workspace / "go.mod")
        return workspace

    return GoBuild(
        recipe,
        {package.rpartition("/")[2]: package for package in packages},
        ("-mod=mod", f"-ldflags=-s -w -X {_VERSION_VARIABLE}={version}", "-tags", tags),
        copy_recipe,
    )
