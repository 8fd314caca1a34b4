"""What the how-to about uninstalling names is all that there is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import agent

from scripts.blocks import Command, blocks_of, commands_of

PROGRAM = """
import logging, sqlite3, time
import tickspan
from tickspan.testing.otlp import OtlpServer
import os
with OtlpServer() as server:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint
    tickspan.init({"alerts": {"file": "default"}}, service_name="bot")
    with tickspan.transaction("rebalance"):
        connection = sqlite3.connect(":memory:")
        connection.execute("SELECT 1").fetchall()
        connection.close()
        logging.getLogger("bot").warning("about to go")
    tickspan.record_metric("desk.trades", 3, kind="rate")
    from tickspan_spool import agent
    from tickspan_spool.spool import default_directory
    end = time.monotonic() + 30
    while not agent.status(default_directory(os.environ)).agents and time.monotonic() < end:
        time.sleep(0.05)
"""


@pytest.fixture
def commands(root: Path) -> list[Command]:
    (block,) = [one for one in blocks_of(root / "docs/how-to/uninstall.md") if one.language == "console"]
    return commands_of(block)


@pytest.fixture
def home(tmp_path: Path, clean_environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """An environment whose every folder of the user's is below an empty one."""
    folder = tmp_path / "home"
    (folder / "tmp").mkdir(parents=True)
    environment = {
        key: value for key, value in clean_environment.items() if not key.startswith(("XDG_", "TICKSPAN_"))
    }
    yield {**environment, "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    agent.stop(folder / ".local/state/tickspan/spool")


def written(home: Mapping[str, str]) -> list[str]:
    """What lies below the home directory, two levels above the files."""
    folder = Path(home["HOME"])
    return sorted({str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()})


def test_it_names_every_distribution(distributions: list[Any], commands: list[Command]) -> None:
    (pip,) = [command for command in commands if command.words[0] == "pip"]
    named = {word for word in pip.words[2:] if not word.startswith("-")}
    assert named == {one.project["name"] for one in distributions}


@pytest.mark.integration
def test_nothing_is_left_after_its_commands(home: dict[str, str], commands: list[Command]) -> None:
    """`pip uninstall` apart: it removes the files in a package's RECORD, and no others are the package's."""
    subprocess.run([sys.executable, "-c", PROGRAM], env=home, cwd=home["HOME"], check=True, timeout=120)
    before = written(home)
    for command in commands:
        if command.words[0] != "pip":
            line = re.sub(r"^tickspan", f"{sys.executable} -m tickspan", command.line)
            subprocess.run(["bash", "-c", line], env=home, cwd=home["HOME"], check=True, capture_output=True)
    assert [name for name in before if not name.startswith(".local/state/tickspan/")] == []
    assert len(before) > 1
    assert written(home) == []
    assert list(Path(home["TMPDIR"]).iterdir()) == []
