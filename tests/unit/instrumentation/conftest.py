"""A library to instrument, and an instrumentor for it."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType

import pytest

Library = Callable[..., ModuleType]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A folder on `sys.path`; what was imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def write(shelf: Path) -> Callable[[str, str], None]:
    """Put a module on the shelf: `write("lib/client.py", source)`."""

    def write(path: str, source: str = "") -> None:
        file = shelf / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    return write
