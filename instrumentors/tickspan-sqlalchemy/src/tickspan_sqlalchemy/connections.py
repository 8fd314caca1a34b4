"""What a database connection has going on: statements whose rows are still read, and its open transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, cast

from tickspan.instrumentation.db import ActiveStatement, Kind, Statement, changes_rows

__all__ = ["ConnectionState", "known_state", "state_of"]

_KEY: Final = "tickspan"
"""In SQLAlchemy's `connection.info`, the dictionary for such notes; it lives as long as the connection."""

_MAX_OPEN: Final = 64
"""Results of one connection that are neither read to the end nor closed."""


@dataclass(slots=True)
class ConnectionState:
    """Notes about one database connection; used by whoever holds the connection, one at a time."""

    statements: int = 0
    """In the open transaction."""
    writes: int = 0
    open: dict[int, ActiveStatement] = field(default_factory=dict[int, ActiveStatement])
    """Statements whose rows are not all read, by identity."""

    def count(self, statement: Statement) -> None:
        """One more statement in the transaction."""
        if statement.kind is not Kind.TX:
            self.statements += 1
            self.writes += changes_rows(statement)

    def begin(self, statement: ActiveStatement) -> None:
        """Rows of `statement` may follow. Of too many results left open, the oldest is taken as read."""
        self.open[id(statement)] = statement
        if len(self.open) > _MAX_OPEN:
            self.open.pop(next(iter(self.open))).succeed(is_late=True)

    def end(self, statement: ActiveStatement) -> None:
        """Nothing more will come of `statement`."""
        self.open.pop(id(statement), None)

    def end_transaction(self) -> None:
        """The next statement begins another one."""
        self.statements = self.writes = 0

    def give_back(self) -> None:
        """The connection goes to its pool: a result left open ends here, when its last row was read."""
        self.end_transaction()
        while self.open:
            self.open.popitem()[1].succeed(is_late=True)


def state_of(connection: Any) -> ConnectionState:
    """The state of a SQLAlchemy `Connection`, made at its first statement.

    The stand-in on which a dialect asks its first questions keeps no notes: SQLAlchemy 2 says so, 1.4 hands
    out what the driver has under that name.
    """
    try:
        info: Any = connection.info
    except (AttributeError, NotImplementedError):
        return ConnectionState()
    if not isinstance(info, dict):
        return ConnectionState()
    notes = cast("dict[Any, Any]", info)
    state = notes.get(_KEY)
    return notes.setdefault(_KEY, ConnectionState()) if state is None else state


def known_state(info: dict[Any, Any]) -> ConnectionState | None:
    """The state in a connection's `info`, if any statement ran on it."""
    return info.get(_KEY)
