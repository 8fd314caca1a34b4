"""Every public name tells what it is for, and a page of the API reference lists it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, get_origin

from scripts.docs import PUBLIC_MODULES

FEWEST_WORDS: Final = 3
"""A docstring of fewer says no more than the name."""


def public_names() -> list[tuple[str, str, Any]]:
    return [
        (module, name, getattr(importlib.import_module(module), name))
        for module in PUBLIC_MODULES
        for name in importlib.import_module(module).__all__
    ]


def is_alias(value: object) -> bool:
    """A type made of others, such as `Mapping[str, Value]`, has no docstring of its own."""
    is_typing = type(value).__module__ in {"typing", "types"} and not isinstance(value, ModuleType)
    return get_origin(value) is not None or (is_typing and not inspect.isroutine(value))


def members(value: object) -> Iterator[tuple[str, Any]]:
    """What a class of ours defines itself and does not hide: functions and properties."""
    if not isinstance(value, type) or not value.__module__.startswith("tickspan"):
        return
    for name, member in vars(value).items():
        if name.startswith("_"):
            continue
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if inspect.isfunction(function) or isinstance(function, property):
            yield name, function


def docstring(value: object) -> str:
    """Its own; a data class without one has its signature there, which tells nothing."""
    text = getattr(value, "__doc__", None) or ""
    is_signature = isinstance(value, type) and text.startswith(f"{value.__name__}(")
    return "" if is_signature else text


def tells_nothing(value: object) -> bool:
    return len(re.findall(r"\w+", docstring(value))) < FEWEST_WORDS


def test_every_public_name_has_a_docstring() -> None:
    silent = [
        f"{module}.{name}"
        for module, name, value in public_names()
        if not isinstance(value, str) and not is_alias(value) and tells_nothing(value)
    ]
    assert silent == []


def test_every_member_of_a_public_class_has_a_docstring() -> None:
    silent = {
        f"{value.__module__}.{value.__qualname__}.{name}"
        for _, _, value in public_names()
        for name, member in members(value)
        if tells_nothing(member) and not inspect.getdoc(member)
    }
    assert sorted(silent) == []


def test_every_public_module_says_what_it_is_for() -> None:
    assert [name for name in PUBLIC_MODULES if tells_nothing(importlib.import_module(name))] == []


def test_every_public_module_has_a_page_and_every_page_a_module(root: Path) -> None:
    pages = {path.stem for path in (root / "docs/reference/api").glob("*.md")} - {"README"}
    assert pages == set(PUBLIC_MODULES)
