"""Connection pools of engines: which are measured, and the waits that their statements tell."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.instrumentation.pooling.on_sqlalchemy import (
    SQLALCHEMY_HEARERS,
    SQLALCHEMY_POOL_ROWS,
    sqlalchemy_counts,
)

from tickspan_sqlalchemy.connections import known_state, state_in
from tickspan_sqlalchemy.databases import database_of
from tickspan_sqlalchemy.recorder import Recorder

__all__ = ["POOL_ROWS"]


def _watching_the_pool(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `Engine.raw_connection`, where an engine meets its pool: `dispose()` gives it another."""
    guard = bench.guard("pools")
    recorder = Recorder.of(bench)
    book = recorder.pools

    def watch(engine: Any) -> None:
        if recorder.covers(engine.dialect):
            book.watch(engine.pool, _name_of(engine), sqlalchemy_counts)

    @functools.wraps(original)
    def raw_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        if bench.is_active and not book.knows(self.pool):
            guard.own(watch, self, default=None)
        return original(self, *args, **kwargs)

    return raw_connection


def _name_of(engine: Any) -> str:
    given = getattr(engine.pool, "_orig_logging_name", None)
    return given if isinstance(given, str) and given else database_of(engine).place


@dataclass(frozen=True, slots=True)
class Waits:
    """The row that hears how long a connection was waited for, and when it goes back."""

    module: str = "sqlalchemy"

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen to whoever measures the pools."""
        del module

        def heard(record: Any, wait_ns: int | None) -> None:
            if wait_ns is not None:
                state_in(record.info).pool_wait_ns = wait_ns
            else:
                _given_back(record)

        SQLALCHEMY_HEARERS.add(bench, heard)


def _given_back(record: Any) -> None:
    """What is still open on the connection ends."""
    state = known_state(record.info)
    if state is not None:
        state.give_back()


POOL_ROWS: Final[tuple[Row, ...]] = (
    Wrap("sqlalchemy.engine.base", "Engine.raw_connection", _watching_the_pool),
    *SQLALCHEMY_POOL_ROWS,
    Waits(),
)
