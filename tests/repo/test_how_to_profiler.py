"""What the how-to about the profiler shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import tickspan_spool

import tickspan
from tickspan import profiler
from tickspan.analysis.bottlenecks import Finding
from tickspan.cli.main import build_parser
from tickspan.cli.profile.files import ENDINGS
from tickspan.profiler import State

RunPython = Callable[..., subprocess.CompletedProcess[str]]
SOURCES = os.pathsep.join(str(Path(str(one.__file__)).parents[1]) for one in (tickspan, tickspan_spool))


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/profiler.md").read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_behind_it(text: str, run_python: RunPython) -> None:
    ((example, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL)
    ended = run_python(example, PYTHONPATH=SOURCES)
    assert (ended.stdout, ended.stderr) == (printed, "")


def test_every_name_that_it_calls_is_there(text: str) -> None:
    named = set(re.findall(r"profiler\.(\w+)\(", text)) | set(re.findall(r"`(\w+)\(\)`", text))
    assert named >= {"start", "stop", "watch", "section", "get_performance_report"}
    assert named - set(profiler.__all__) == set()


def test_every_state_and_every_ending_is_told(text: str) -> None:
    section = text.partition("## What a sample says")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE) == [state.value for state in State]
    assert [ending for ending in ENDINGS if f"`{ending}`" not in text] == []


def test_every_kind_of_finding_is_told(text: str) -> None:
    section = text.partition("## What holds the program up")[2].partition("\n## ")[0]
    assert set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)))
    ) == set(re.findall(r"`(\w+)`", (Finding.__doc__ or "").partition("kind: ")[2].partition("where:")[0]))


def test_every_command_is_understood(text: str) -> None:
    commands = re.findall(r"`tickspan ([a-z][^`]*)`", text)
    assert [build_parser().parse_args(command.split()).verb for command in commands] == ["profile"] * 6
