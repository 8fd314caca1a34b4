"""Which form of a hot module runs: its compiled twin where there is one, else its source.

Twins are built from the same files under a package `_compiled` that mirrors the module paths, so both
forms can be loaded in one process and compared. `TICKSPAN_PURE=1` forces the source.
"""

from __future__ import annotations

import functools
import importlib
import os
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Final

_SUFFIX: Final = EXTENSION_SUFFIXES[0]
_CLOCK_GRAIN_S: Final = 1.0
_chosen: Final[dict[str, Twin]] = {}


@dataclass(frozen=True, slots=True)
class Twin:
    """A hot module as it was chosen."""

    name: str
    """The dotted name of the source."""
    module: ModuleType
    is_compiled: bool
    reason: str
    """Why the source runs; empty for a compiled twin."""


def hot(package: str, name: str) -> ModuleType:
    """The module `package.name`, compiled if possible.

    Args:
        package: the top package, whose `_compiled` holds the twins, such as "tickspan".
        name: below it, such as "recording.wire".
    """
    source = f"{package}.{name}"
    if source not in _chosen:
        _chosen[source] = _choose(package, name)
    return _chosen[source].module


def chosen() -> tuple[Twin, ...]:
    """Every hot module that was asked for so far."""
    return tuple(_chosen.values())


def implementation() -> str:
    """`compiled`, `pure`, or `mixed`: what runs in this process."""
    forms = {twin.is_compiled for twin in chosen()}
    if len(forms) > 1:
        return "mixed"
    return "compiled" if forms == {True} else "pure"


def _choose(package: str, name: str) -> Twin:
    source = f"{package}.{name}"
    reason = _reason_for_pure(package)
    if not reason:
        try:
            twin = importlib.import_module(f"{package}._compiled.{name}")
        except ImportError as error:
            reason = str(error)
        else:
            return Twin(source, twin, is_compiled=True, reason="")
    return Twin(source, importlib.import_module(source), is_compiled=False, reason=reason)


@functools.cache
def _reason_for_pure(package: str) -> str:
    """Why no twin of `package` may run. They import one another, so one that is stale spoils all."""
    if os.environ.get("TICKSPAN_PURE") == "1":
        return "TICKSPAN_PURE=1"
    root = importlib.import_module(package).__path__[0]
    for twin in Path(root, "_compiled").rglob("*" + _SUFFIX):
        source = Path(root, twin.relative_to(Path(root, "_compiled"))).with_name(
            twin.name[: -len(_SUFFIX)] + ".py"
        )
        if _is_older(twin, source):
            return f"the compiled twin of {source.stem} is older than its source"
    return ""


def _is_older(twin: Path, source: Path) -> bool:
    """Whether the source was changed after its twin was built, as it may be in a checkout."""
    try:
        return source.stat().st_mtime > twin.stat().st_mtime + _CLOCK_GRAIN_S
    except OSError:  # no source beside it, as in a frozen program
        return False
