"""Notebooks run from top to bottom in one process, and are kept without what they printed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))

CELLS = """
import ast, asyncio, json, os, sys
os.chdir({folder!r})
for cell in json.load(open({name!r}, encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        code = compile("".join(cell["source"]), cell["id"], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        waiting = eval(code, vars(sys.modules["__main__"]))
        if waiting is not None:
            asyncio.run(waiting)
"""
"""As a kernel does it: each cell in the namespace of `__main__`, and a cell may await."""


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def test_a_notebook_has_the_form_of_version_4_5(notebook: dict[str, Any]) -> None:
    ids = [cell["id"] for cell in notebook["cells"]]
    kinds = {cell["cell_type"]: sorted(cell) for cell in notebook["cells"]}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert sorted(notebook) == ["cells", "metadata", "nbformat", "nbformat_minor"]
    assert kinds == {
        "code": ["cell_type", "execution_count", "id", "metadata", "outputs", "source"],
        "markdown": ["cell_type", "id", "metadata", "source"],
    }
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[\w-]{1,64}", name)] == []


def test_a_notebook_is_kept_without_what_it_printed(notebook: dict[str, Any]) -> None:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.integration
def test_the_back_test_is_explained(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    folder = ROOT / "docs/notebooks"
    ended = run_python(CELLS.format(folder=str(folder), name="backtest.ipynb"), PYTHONDONTWRITEBYTECODE="1")
    assert (ended.stderr, ended.returncode) == ("", 0)
    lines = ended.stdout.splitlines()
    fills = int(re.findall(r"^2000 bars, (\d+) fills, digest [0-9a-f]{64}$", lines[0])[0])
    assert [line for line in lines if re.match(r" *trading\.order\.submit paper +█", line)]
    assert [line.split()[-3] for line in lines if line.startswith("INSERT fills ")] == [str(fills)]
    assert sum(float(line.split()[-1]) for line in lines if line.startswith("backtest.orders{")) == fills
