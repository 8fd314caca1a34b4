"""What the how-to about lazy rows shows is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan import lazy
from tickspan.semconv.catalogue import METRICS

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/lazy.md").read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_behind_it(text: str, run_python: RunPython) -> None:
    ((example, printed),) = re.findall(r"```python\n((?:(?!```).)*?)```\s+```text\n(.*?)```", text, re.DOTALL)
    ended = run_python(example)
    assert (ended.stdout, ended.stderr) == (printed, "")


def test_every_name_that_it_shows_is_there(text: str) -> None:
    named = set(re.findall(r"lazy\.(\w+)", text)) - {"md"}
    assert named - set(lazy.__all__) == set()
    assert len(named) > 12


def test_every_metric_that_it_names_is_there(text: str) -> None:
    metrics = set(re.findall(r"`((?:tickspan\.dataset|db\.client)\.[a-z_.]+)`", text))
    assert (len(metrics), metrics - METRICS.keys()) == (4, set())
