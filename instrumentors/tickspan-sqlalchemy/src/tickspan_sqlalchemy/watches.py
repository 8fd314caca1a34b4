"""New connections to PostgreSQL are shown to whoever listens to what the server says of their statements."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.notices import ConnectionWatch, watched, watched_async, watcher

from tickspan_sqlalchemy.connections import state_in
from tickspan_sqlalchemy.recorder import Recorder

__all__ = ["Watches"]

_SYSTEM: Final = "postgresql"


@dataclass(frozen=True, slots=True)
class Watches:
    """The row that hears of each new connection: listening on the class `Pool`, before the dialect does."""

    module: str = "sqlalchemy"

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen on the class `Pool`."""
        from sqlalchemy import event, pool

        del module
        guard = bench.guard("notices")
        recorder = Recorder.of(bench)

        def connect(dbapi_connection: Any, record: Any) -> None:
            if watcher() is not None:
                guard.own(_watch, recorder, dbapi_connection, record, default=None)

        event.listen(pool.Pool, "connect", connect)
        bench.on_undo(lambda: event.remove(pool.Pool, "connect", connect))


def _watch(recorder: Recorder, connection: Any, record: Any) -> None:
    dialect = record._ConnectionRecord__pool._dialect  # noqa: SLF001 - no public names
    if getattr(dialect, "name", None) == _SYSTEM and recorder.tells(dialect):
        state_in(record.info).watch = _watch_of(connection)


def _watch_of(connection: Any) -> ConnectionWatch | None:
    """Asynchronous drivers stand behind an adapter, which waits inside SQLAlchemy's greenlet."""
    run_async = getattr(connection, "run_async", None)
    return watched(connection) if run_async is None else run_async(watched_async)
