"""What the how-tos about pools show is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan import pools
from tickspan.cli.main import build_parser
from tickspan.semconv import pools as names
from tickspan.semconv.catalogue import METRICS

RunPython = Callable[..., subprocess.CompletedProcess[str]]
PAGES = ("pools.md", "pool-exhaustion.md")


@pytest.fixture(params=PAGES)
def text(request: pytest.FixtureRequest, root: Path) -> str:
    return (root / "docs/how-to" / request.param).read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_behind_it(root: Path, run_python: RunPython) -> None:
    page = (root / "docs/how-to/pools.md").read_text(encoding="utf-8")
    ((example, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", page, re.DOTALL)
    ended = run_python(example)
    assert (ended.stdout, ended.stderr) == (printed, "")


def test_every_name_that_it_calls_is_there(text: str) -> None:
    called = set(
        re.findall(
            r"\b(get_\w+|create_\w+_pool|govern|expect_\w+|PoolTimeoutError|PoolUnavailableError)\b", text
        )
    )
    assert called
    assert called - set(pools.__all__) == set()


def test_every_metric_and_event_that_it_names_is_there(text: str) -> None:
    told = set(re.findall(r"`(tickspan\.(?:pool|db\.transaction)\.[a-z_.]+|db\.client\.[a-z_.]+)`", text))
    known = set(METRICS) | {value for value in vars(names).values() if isinstance(value, str)}
    assert told - known - {"tickspan.db.transaction.idle"} == set()


def test_every_command_is_understood(text: str) -> None:
    for command in re.findall(r"`tickspan ([a-z][^`]*)`", text):
        assert build_parser().parse_args(command.split()).verb == command.split()[0]
