"""How an instrumentor's table fits what is installed, and who else has a hand on the functions it wraps.

For people who ask why something is not told: rows that found nothing, functions that the program has replaced
before or after us, subclasses that override what is wrapped.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_MAX_LAYERS: Final = 32
"""Functions in functions that are looked through."""
_OURS: Final = "tickspan"


class RowState(StrEnum):
    """What became of a row."""

    WAITING = "waiting"
    """Its module has not been imported."""
    APPLIED = "applied"
    ABSENT = "absent"
    """It is optional, and this version of the library has no such thing."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RowReport:
    """One row of the table."""

    module: str
    target: str
    state: RowState
    detail: str | None = None
    """Why it failed."""

    def __str__(self) -> str:
        return f"{self.module}:{self.target}"


class Meddling(StrEnum):
    """How somebody else has a hand on a wrapped function."""

    BEFORE = "before"
    """It was not the library's own when we wrapped it: we tell calls of what we found."""
    AFTER = "after"
    """It was replaced later: calls are told only if they come through to ours."""
    OVERRIDDEN = "overridden"
    """A subclass has its own: calls of it are told only where it calls the library's."""


@dataclass(frozen=True, slots=True)
class Meddler:
    """Somebody else's hand on a wrapped function."""

    place: str
    """`module:Class.method` of the library."""
    by: str
    """`module.name` of the other function or class."""
    how: Meddling


@dataclass(frozen=True, slots=True)
class InstrumentorReport:
    """How an instrumentor stands."""

    scope: str
    rows: tuple[RowReport, ...]
    meddlers: tuple[Meddler, ...]

    def of_state(self, state: RowState) -> tuple[RowReport, ...]:
        """The rows in that state."""
        return tuple(row for row in self.rows if row.state is state)


@dataclass(frozen=True, slots=True)
class Replacement:
    """One attribute that was replaced: of a class, a module or an object."""

    owner: Any
    name: str
    found: Any
    """What stood there, unbound; None if it was inherited."""
    ours: Any


def meddlers(replacements: Sequence[Replacement]) -> tuple[Meddler, ...]:
    """Who else has a hand on what was replaced, each once."""
    found = (meddler for replacement in replacements for meddler in _of(replacement))
    return tuple(dict.fromkeys(found))


def _of(replacement: Replacement) -> Iterator[Meddler]:
    owner, name = replacement.owner, replacement.name
    if not isinstance(owner, type | ModuleType):
        return
    place, library = f"{_module_of(owner)}:{_named(owner, name)}", _package(_module_of(owner))
    before = _stranger(replacement.found, library, _is_suspect)
    if before is not None:
        yield Meddler(place, before, Meddling.BEFORE)
    current = vars(owner).get(name)
    if current is not None and current is not replacement.ours:
        after = _stranger(current, library, _is_anybody)
        if after is not None:
            yield Meddler(place, after, Meddling.AFTER)
    if isinstance(owner, type):
        for cls in _below(owner):
            if name in vars(cls) and _package(cls.__module__) not in (library, _OURS):
                yield Meddler(place, f"{cls.__module__}.{cls.__qualname__}", Meddling.OVERRIDDEN)


def _stranger(function: Any, library: str, is_suspect: Callable[[str], bool]) -> str | None:
    """The outermost layer of `function` that is not the library's and not ours; None without one."""
    for layer in _layers(function):
        module = _home(layer)
        if _package(module) not in (library, _OURS) and is_suspect(module):
            return f"{module}.{getattr(layer, '__qualname__', type(layer).__qualname__)}"
    return None


def _is_anybody(_module: str) -> bool:
    """Who replaces a function after us is a stranger, whoever it is."""
    return True


def _is_suspect(module: str) -> bool:
    """The program's own, or other instrumentation: a library decorates its functions by other packages."""
    return _is_the_programs(module) or _is_instrumentation(module)


def _layers(function: Any) -> Iterator[Any]:
    """`function` and what it says that it wraps."""
    layer = (
        getattr(function, "__func__", function)
        if isinstance(function, staticmethod | classmethod)
        else function
    )
    for _ in range(_MAX_LAYERS):
        if layer is None:
            return
        yield layer
        layer = getattr(layer, "__wrapped__", None)


def _home(layer: Any) -> str:
    """The module whose source the function stands in, whatever `functools.wraps` has written on it."""
    home = getattr(layer, "__globals__", {}).get("__name__")
    return home if isinstance(home, str) else type(layer).__module__


def _is_instrumentation(module: str) -> bool:
    return module.startswith(
        ("opentelemetry.instrumentation", "ddtrace", "sentry_sdk", "logfire", "newrelic")
    )


def _is_the_programs(module: str) -> bool:
    """Whether the module is neither installed nor Python's own."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if module in sys.builtin_module_names or not isinstance(file, str):
        return module == "__main__"
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return not any(Path(file).is_relative_to(folder) for folder in folders if folder)


def _below(base: type) -> Iterable[type]:
    """Every class that inherits from `base`."""
    pending, seen = [base], set[type]()
    while pending:
        for cls in type.__subclasses__(pending.pop()):
            if cls not in seen:
                seen.add(cls)
                pending.append(cls)
                yield cls


def _module_of(owner: type | ModuleType) -> str:
    return owner.__name__ if isinstance(owner, ModuleType) else owner.__module__


def _named(owner: type | ModuleType, name: str) -> str:
    return name if isinstance(owner, ModuleType) else f"{owner.__qualname__}.{name}"


def _package(module: str) -> str:
    return _OURS if module.startswith(f"{_OURS}_") else module.partition(".")[0]
