"""What tests about the repository look at: its root, its distributions, its tracked files."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution: its folder, its import package, its pyproject."""

    folder: Path
    package: str
    project: Mapping[str, Any]

    @property
    def sources(self) -> Path:
        """The folder of its import package."""
        return self.folder / "src" / self.package


def read_toml(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def distribution(folder: Path) -> Distribution:
    project = read_toml(folder / "pyproject.toml")["project"]
    return Distribution(folder, project["name"].replace("-", "_"), project)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tools() -> Mapping[str, Any]:
    """The `[tool]` table of the root, where all tool configuration is."""
    return read_toml(ROOT / "pyproject.toml")["tool"]


@pytest.fixture(scope="session")
def members() -> list[Distribution]:
    folders = [*ROOT.glob("instrumentors/*/pyproject.toml"), *ROOT.glob("exporters/*/pyproject.toml")]
    return [distribution(path.parent) for path in sorted(folders)]


@pytest.fixture(scope="session")
def distributions(members: Iterable[Distribution]) -> list[Distribution]:
    return [distribution(ROOT), *members]


@pytest.fixture(scope="session")
def sources(distributions: Iterable[Distribution]) -> list[Path]:
    """Every Python file that is shipped."""
    return sorted(path for one in distributions for path in one.sources.rglob("*.py"))


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]
