"""The venue in 100 lines is one: installed as the page says, its orders are told as the page prints."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.blocks import blocks_of, commands_of

MOST_LINES = 100


@pytest.fixture
def files(root: Path, tmp_path: Path) -> dict[str, str]:
    """The page's files by name; they lie in the working directory."""
    blocks = blocks_of(root / "docs/how-to/venue-in-100-lines.md")
    files = {block.text.split()[1]: block.text for block in blocks if block.text.startswith("# ")}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return files


def install(files: dict[str, str], folder: Path) -> None:
    """What `pip install -e .` leaves: the distribution's name and its entry points."""
    project = tomllib.loads(files["pyproject.toml"])["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "\n".join(f"{name} = {place}" for name, place in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups))


@pytest.mark.integration
def test_its_orders_are_told_as_the_page_prints(
    root: Path, tmp_path: Path, files: dict[str, str], run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    install(files, tmp_path)
    shown = [
        command.printed
        for block in blocks_of(root / "docs/how-to/venue-in-100-lines.md")
        if block.language == "console"
        for command in commands_of(block)
        if command.words == ("python", "try_house.py")
    ]
    ended = run(sys.executable, "-W", "error", "try_house.py")
    assert ([ended.stdout], ended.stderr) == (shown, "")


def test_it_has_no_more_lines_than_it_says(files: dict[str, str]) -> None:
    lines = sum(len(text.splitlines()) for text in files.values())
    assert (sorted(files), lines <= MOST_LINES) == (
        ["house_venue.py", "pyproject.toml", "try_house.py"],
        True,
    )
