"""What the how-tos about memory show is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan import memory
from tickspan.config import setting_keys
from tickspan.semconv import memory as names
from tickspan.semconv.catalogue import METRICS

RunPython = Callable[..., subprocess.CompletedProcess[str]]
PAGES = ("memory.md", "high-memory.md")


@pytest.fixture(params=PAGES)
def text(request: pytest.FixtureRequest, root: Path) -> str:
    return (root / "docs/how-to" / request.param).read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_examples_print_what_stands_behind_them(root: Path, run_python: RunPython) -> None:
    page = (root / "docs/how-to/memory.md").read_text(encoding="utf-8")
    examples, printed = zip(
        *re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", page, re.DOTALL), strict=True
    )
    ended = run_python("\n".join(examples))
    assert (ended.stdout, ended.stderr) == ("".join(printed), "")


@pytest.mark.integration
def test_the_calls_for_a_process_that_grows_can_be_made(root: Path, run_python: RunPython) -> None:
    page = (root / "docs/how-to/high-memory.md").read_text(encoding="utf-8")
    ended = run_python("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    lines = ended.stdout.splitlines()
    assert (ended.stderr, lines[0].startswith("memory: "), " bytes, " in ended.stdout) == ("", True, True)


def test_every_call_that_it_shows_is_there(text: str) -> None:
    called = set(re.findall(r"\bmemory\.([a-z_]+)\(", text))
    assert called
    assert called - set(memory.__all__) == set()


def test_every_name_that_it_tells_is_there(text: str) -> None:
    told = set(re.findall(r"`((?:tickspan|process)\.(?:gc|memory|asyncio|usage)[a-z_.]*)`", text))
    known = set(METRICS) | {value for value in vars(names).values() if isinstance(value, str)}
    settings = {key.name for key in setting_keys()}
    assert told
    assert told - known - settings == set()
