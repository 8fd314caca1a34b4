"""Every statement that reaches a driver becomes a span: a listener to SQLAlchemy's dialect events.

`do_execute` and its two sisters are called with the final SQL, for every dialect, engine, API and each batch
of `insertmanyvalues`, sync or inside an async engine's greenlet. Our listener starts the span, then does what
SQLAlchemy would have done without it: asks the listeners registered after ours, else calls the dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from tickspan.instrumentation import Guard, Workbench
from tickspan.instrumentation.db import ActiveStatement, changes_rows, start_statement

from tickspan_sqlalchemy.connections import known_state, state_of
from tickspan_sqlalchemy.recorder import Recorder
from tickspan_sqlalchemy.results import end_of_batch, set_pending

__all__ = ["Listeners"]

_UPSTREAMS_SPAN: Final = "_otel_span"


@dataclass(frozen=True, slots=True)
class Listeners:
    """The row that listens to all engines, those made earlier included."""

    module: str = "sqlalchemy"
    """Not `sqlalchemy.engine`: events need the whole package imported."""

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen on the classes `Engine` and `Pool`; the very same listeners are removed on undo."""
        from sqlalchemy import engine, event, pool

        del module
        told = _Executions(Recorder.of(bench), bench.guard("statements"))
        for target, name, listener in (
            (engine.Engine, "do_execute", told.do_execute),
            (engine.Engine, "do_executemany", told.do_executemany),
            (engine.Engine, "do_execute_no_params", told.do_execute_no_params),
            (pool.Pool, "checkin", told.checkin),
        ):
            event.listen(target, name, listener)
            bench.on_undo(lambda target=target, name=name, fn=listener: event.remove(target, name, fn))


class _Executions:
    """The listeners. Each is one function object, to listen with, to be recognised by, and to be removed."""

    def __init__(self, recorder: Recorder, guard: Guard) -> None:
        self._recorder = recorder
        self._guard = guard
        self.do_execute = self._listener("do_execute")
        self.do_executemany = self._listener("do_executemany")
        self.do_execute_no_params = self._listener("do_execute_no_params")

    def _listener(self, event: str) -> Callable[..., bool | None]:
        guard = self._guard

        def listener(*args: Any) -> bool | None:
            """`(cursor, statement[, parameters], context)`."""
            started = guard.own(self._start, event, args, default=None)
            if started is None:
                return None  # SQLAlchemy goes on as if we were not there
            try:
                _pass_on(event, listener, args)
            except BaseException as error:
                guard.own(started.fail, error, default=None)
                raise
            guard.own(_executed, started, args[0], args[-1], default=None)
            return True

        return listener

    def _start(self, event: str, args: tuple[Any, ...]) -> ActiveStatement | None:
        cursor, sql, context = args[0], args[1], args[-1]
        if context is None or not self._recorder.tells(context.dialect):
            return None
        end_of_batch(context)
        _drop_upstreams_span(context)
        connection = context.root_connection
        operations = self._recorder.operations(connection.engine, cursor)
        batch_size = len(args[2]) if event == "do_executemany" else 1
        state = state_of(connection)
        started = start_statement(self._recorder.bench, operations, sql, batch_size)
        state.count(started.statement)
        return started

    def checkin(self, _dbapi_connection: Any, record: Any) -> None:
        """A connection comes back to its pool."""
        state = known_state(record.info)
        if state is not None:
            self._guard.own(state.give_back, default=None)


def _executed(started: ActiveStatement, cursor: Any, context: Any) -> None:
    """Without rows the statement is done; else its result carries it on."""
    started.executed()
    if cursor.description is None:
        started.succeed(_rows_affected(started, cursor))
    else:
        state_of(context.root_connection).begin(started)
        set_pending(context, started)


def _rows_affected(started: ActiveStatement, cursor: Any) -> int | None:
    count = cursor.rowcount if changes_rows(started.statement) else None
    return count if isinstance(count, int) and count >= 0 else None


def _pass_on(event: str, listener: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What SQLAlchemy does behind us: the listeners registered later, or, if none takes over, the dialect."""
    dialect = args[-1].dialect
    listeners = iter(getattr(dialect.dispatch, event))
    for other in listeners:
        if other is listener:
            break
    if not any(later(*args) for later in listeners):
        getattr(dialect, event)(*args)


def _drop_upstreams_span(context: Any) -> None:
    """Leave one story where OpenTelemetry's own instrumentor listens, too.

    It has started its span before us, on the context; a span that is never ended is never exported, and its
    later listeners find none to end.
    """
    if getattr(context, _UPSTREAMS_SPAN, None) is not None:
        setattr(context, _UPSTREAMS_SPAN, None)
