"""What the how-to about sessions shows is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.cache.sessions import SessionStore, SyncSessionStore

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/sessions.md").read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_below_it(text: str, run_python: RunPython) -> None:
    ((example, printed),) = re.findall(r"```python\n(.*?)```.*?```text\n(.*?)```", text, re.DOTALL)
    ended = run_python(example)
    assert (ended.stdout, ended.stderr) == (printed, "")


def test_every_call_is_in_the_table_and_both_stores_have_it(text: str) -> None:
    told = set(re.findall(r"^\| `(\w+)\(", text, re.MULTILINE))
    for kind in (SessionStore, SyncSessionStore):
        assert {name for name in vars(kind) if not name.startswith("_")} - {"close"} == told
