"""Every statement that reaches a driver becomes a span: a listener to SQLAlchemy's dialect events.

`do_execute` and its two sisters are called with the final SQL, for every dialect, engine, API and each batch
of `insertmanyvalues`, sync or inside an async engine's greenlet. Our listener starts the span, then does what
SQLAlchemy would have done without it: asks the listeners registered after ours, else calls the dialect.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.db import Listening, Transaction

from tickspan_sqlalchemy.comments import Commenting
from tickspan_sqlalchemy.connections import ConnectionState, state_of
from tickspan_sqlalchemy.orm import attributes_of_load
from tickspan_sqlalchemy.recorder import Recorder

__all__ = ["Listeners"]


@dataclass(frozen=True, slots=True)
class Listeners:
    """The row that listens to all engines, those made earlier included."""

    module: str = "sqlalchemy"
    """Not `sqlalchemy.engine`: events need the whole package imported."""

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen on the class `Engine`; the very same listeners are removed on undo."""
        from sqlalchemy import engine, event

        del module
        recorder, guard = Recorder.of(bench), bench.guard("statements")
        comments = Commenting.of(recorder.teller)
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            listener = Listening(
                name, recorder, guard, comments, state_of, _begin, attributes_of_load
            ).listener()
            event.listen(engine.Engine, name, listener)
            bench.on_undo(lambda name=name, fn=listener: event.remove(engine.Engine, name, fn))


def _begin(state: ConnectionState, connection: Any) -> Transaction | None:
    """The transaction that the next statement opens; none in AUTOCOMMIT."""
    if connection._is_autocommit_isolation():  # noqa: SLF001 - SQLAlchemy asks itself the same
        return None
    state.transaction = Transaction(time.perf_counter_ns())
    return state.transaction
