"""What the how-to about logs shows is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.cli.main import build_parser
from tickspan.config import setting_keys
from tickspan.semconv import logs as names

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/logs.md").read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_behind_it(text: str, run_python: RunPython) -> None:
    ((example, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL)
    ended = run_python(example)
    assert (ended.stdout, ended.stderr) == (printed, "o-8 rejected\n")


def test_every_setting_that_it_names_is_there(text: str) -> None:
    named = set(re.findall(r"`(logs\.[a-z_]+)`", text))
    assert named
    assert named - {key.name for key in setting_keys()} == set()


def test_every_name_of_telemetry_is_there(text: str) -> None:
    told = set(re.findall(r"`(tickspan\.(?:log|audit)\.[a-z_.]+)`", text))
    assert told
    assert told - {value for value in vars(names).values() if isinstance(value, str)} == set()


def test_every_command_is_understood(text: str) -> None:
    commands = re.findall(r"`tickspan ([a-z][^`]*)`", text)
    assert {build_parser().parse_args(command.split()).action for command in commands} == {
        "search",
        "tail",
        "verify",
    }
