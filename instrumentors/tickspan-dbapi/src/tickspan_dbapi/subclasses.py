"""What our subclasses of drivers' C types share: methods of C types cannot be wrapped, but overridden."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tickspan.instrumentation import Attributes, Guard, is_suppressed
from tickspan.instrumentation.db import ActiveTransactionEnd

from tickspan_dbapi.calls import text_of
from tickspan_dbapi.links import Driver, DriverStatement, Recorder

__all__ = ["BELOW", "Telling", "named_as"]

BELOW: Final[Any] = object
"""The base of a class whose `super()` is a C type that is put behind it later."""


class Telling:
    """Tells for the connections and cursors of one driver; each of our subclasses has it as `_tickspan`."""

    def __init__(self, driver: Driver, recorder: Recorder, guard: Guard) -> None:
        self.driver = driver
        self._recorder = recorder
        self._bench = recorder.bench
        self._guard = guard

    def __repr__(self) -> str:
        return f"<Telling {self.driver.name}>"

    def run(
        self,
        cursor: Any,
        query: Any,
        execute: Callable[[], Any],
        executed: Callable[[DriverStatement], None],
        *,
        parameters: Any = None,
        batch_size: int = 1,
        also: Attributes | None = None,
    ) -> Any:
        """`execute()` as one statement; `executed(statement)` comes after it, and may end the statement."""
        statement: DriverStatement | None = None
        if self._bench.is_active and not is_suppressed():
            statement = self._guard.own(
                self._start, cursor, query, parameters, batch_size, also, default=None
            )
        if statement is None:
            return execute()
        try:
            result = execute()
        except BaseException as error:
            statement.fail(error)
            raise
        statement.executed()
        self._guard.own(executed, statement, default=None)
        return result

    def end(self, connection: Any, verb: str, end: Callable[[], Any]) -> Any:
        """`end()` as the end of the connection's transaction, if one is open."""
        active: ActiveTransactionEnd | None = None
        if self._bench.is_active and not is_suppressed():
            active = self._guard.own(self._start_end, connection, verb, default=None)
        if active is None:
            return end()
        try:
            result = end()
        except BaseException as error:
            active.fail(error)
            raise
        active.succeed()
        return result

    def _start(
        self, cursor: Any, query: Any, parameters: Any, batch_size: int, also: Attributes | None
    ) -> DriverStatement | None:
        connection = cursor.connection
        link = self._recorder.link(self.driver, connection)
        sql = text_of(query, connection)
        return self._recorder.start(
            link, connection, cursor, sql, parameters, batch_size=batch_size, also=also
        )

    def _start_end(self, connection: Any, verb: str) -> ActiveTransactionEnd | None:
        link = self._recorder.known_link(connection)
        return None if link is None else self._recorder.start_end(link, connection, verb)


def named_as(base: Any, ours: tuple[Any, ...], telling: Telling, below: tuple[str, ...] = ()) -> Any:
    """A class of `ours` before `base` that looks like `base`.

    Methods of `base` that `below` names are also there as `_tickspan_below_NAME`: found sooner than by
    `super()`.
    """
    members = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "_tickspan": telling,
        **{f"_tickspan_below_{name}": getattr(base, name) for name in below},
    }
    return type(base.__name__, (*ours, base), members)
