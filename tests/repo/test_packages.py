"""What a package offers is what its `__all__` says."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def public_packages(sources: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each `__init__.py` that names anything, with its dotted name."""
    found: list[tuple[str, Path]] = []
    for path in sources:
        if path.name == "__init__.py" and "__all__" in path.read_text():
            parts = path.parent.parts
            found.append((".".join(parts[len(parts) - parts[::-1].index("src") :]), path))
    return found


def bound_names(path: Path) -> set[str]:
    """Public names that an `__init__.py` binds at its top: imports, definitions, constants."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")} - {"annotations"}


def lazily_offered(module: ModuleType) -> bool:
    return hasattr(module, "__getattr__")


@pytest.fixture(scope="module")
def packages(sources: Sequence[Path]) -> list[tuple[str, Path]]:
    return public_packages(sources)


def test_all_is_sorted_and_without_repetition(packages: Sequence[tuple[str, Path]]) -> None:
    offered = {name: list(importlib.import_module(name).__all__) for name, _ in packages}
    assert {name: names for name, names in offered.items() if len(set(names)) != len(names)} == {}


def test_every_offered_name_is_there(packages: Sequence[tuple[str, Path]]) -> None:
    modules = {name: importlib.import_module(name) for name, _ in packages}
    missing = [
        f"{name}.{offered}"
        for name, module in modules.items()
        for offered in module.__all__
        if not hasattr(module, offered)
    ]
    assert missing == []


def test_every_public_name_is_offered(packages: Sequence[tuple[str, Path]]) -> None:
    hidden: dict[str, Any] = {}
    for name, path in packages:
        module = importlib.import_module(name)
        if not lazily_offered(module):
            hidden[name] = sorted(bound_names(path) - set(module.__all__))
    assert {name: names for name, names in hidden.items() if names} == {}


def test_an_init_defines_nothing_itself(sources: Sequence[Path]) -> None:
    """It only re-exports; a lazy facade may define the `__getattr__` and `__dir__` that do so."""
    defined = [
        f"{path}:{node.lineno} {node.name}"
        for path in sources
        if path.name == "__init__.py"
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("__")
    ]
    assert defined == []


def test_every_module_says_what_it_is_for(sources: Sequence[Path]) -> None:
    silent = [
        str(path)
        for path in sources
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
