"""A library of caches as the benchmarks use it: what it can do, each ability a function that sets it up.

Everything is set up as the library's documentation does it for a program that wants lifetimes, a bound and,
where there are any, counts of hits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Run: TypeAlias = Callable[[Awaitable[Any]], Any]
"""Runs a coroutine on the process's one event loop, and returns what it returned."""
Values: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reader:
    """A call that reads a cache in memory which holds all values; in an event loop it is awaited."""

    get: Callable[[str], Any]
    is_async: bool = False
    hits: Callable[[], int] | None = None
    """What the library has counted; None: it does not count."""


@dataclass(frozen=True, slots=True)
class Store:
    """A cache in one place: read, write, and give back what it holds open."""

    get: Callable[[str], Any]
    set: Callable[[str, Any], Any]
    close: Callable[[], Any]
    is_async: bool = False
    peek: Callable[[str], Any] | None = None
    """Reads memory alone, without waiting; only where there is such a call."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where stores can be."""

    url: str
    """Of Redis."""
    folder: Path
    run: Run


@dataclass(frozen=True, slots=True)
class Library:
    """What a library can do."""

    version: str
    readers: Mapping[str, Callable[[Values, Run], Reader]] = field(
        default_factory=dict[str, Callable[[Values, Run], Reader]]
    )
    """By operation: `get`, `await get`, `decorated`, `decorated, async`, …"""
    stores: Mapping[str, Callable[[Places], Store]] = field(
        default_factory=dict[str, Callable[[Places], Store]]
    )
    """By tier: `memory`, `Redis`, `disk`, `near`; the names of those that block end in `, blocking`."""
    shielded: Callable[[Callable[[str], Any]], Callable[[str], Any]] | None = None
    """A blocking loader as a call that is protected against stampedes."""
    shielded_async: Callable[[Callable[[str], Awaitable[Any]]], Callable[[str], Awaitable[Any]]] | None = None
    """The same of a loader that is awaited."""
    shielded_both: (
        Callable[
            [Callable[[str], Any], Callable[[str], Awaitable[Any]]],
            tuple[Callable[[str], Any], Callable[[str], Awaitable[Any]]],
        ]
        | None
    ) = None
    """Both at once, for callers of one cache."""
    replays: Mapping[str, Callable[[int], Callable[[int], bool]]] = field(
        default_factory=dict[str, Callable[[int], Callable[[int], bool]]]
    )
    """By policy: a cache of so many entries as a function that asks for a key, keeps it if it is not there,
    and tells whether it was."""


def loader_of(values: Values) -> Callable[[str], Any]:
    """A function that a decorator takes."""

    def quote(symbol: str) -> Any:
        return values[symbol]

    return quote


def async_loader_of(values: Values) -> Callable[[str], Awaitable[Any]]:
    """A coroutine function that a decorator takes."""

    async def quote(symbol: str) -> Any:
        return values[symbol]

    return quote


def fill(call: Callable[[str, Any], Any], values: Values, run: Run | None = None) -> None:
    """Write all values; `run` where `call` is awaited."""
    for key, value in values.items():
        done = call(key, value)
        if run is not None:
            run(done)


def warm(call: Callable[[str], Any], values: Values, run: Run | None = None) -> None:
    """Have all values loaded; `run` where `call` is awaited."""
    for key in values:
        done = call(key)
        if run is not None:
            run(done)
