"""What the how-to about metrics shows is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.cli.main import build_parser
from tickspan.config import setting_keys
from tickspan.semconv.catalogue import METRICS

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/metrics.md").read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_behind_it(text: str, run_python: RunPython) -> None:
    ((example, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL)
    assert run_python(example).stdout == printed


def test_every_command_is_understood(text: str) -> None:
    commands = re.findall(r"^\$ tickspan (.*)$", text, re.MULTILINE)
    assert len(commands) == 3
    assert {build_parser().parse_args(command.split()).verb for command in commands} == {"metrics"}


def test_every_setting_and_metric_that_it_names_is_there(text: str) -> None:
    settings = {key.name for key in setting_keys()} | {key.variable for key in setting_keys()}
    named = set(re.findall(r"TICKSPAN_[A-Z_]+|`(?:metrics)\.\w+`", text))
    assert {name.strip("`") for name in named} - settings == set()
    metrics = set(re.findall(r"`((?:system|process|tickspan\.measurements)\.[a-z_.]+)`", text))
    assert metrics - METRICS.keys() == set()
