"""What a database connection has going on: statements whose rows are still read, and its open transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.instrumentation.db import STATE, ActiveStatement, DatabaseOperations, Transaction
from tickspan.instrumentation.notices import ConnectionWatch

__all__ = ["ConnectionState", "known_state", "state_in", "state_of"]

_KEY: Final = STATE
"""In SQLAlchemy's `connection.info`, the dictionary for such notes; it lives as long as the connection."""


@dataclass(slots=True)
class ConnectionState:
    """Notes about one database connection; used by whoever holds the connection, one at a time."""

    transaction: Transaction | None = None
    """The open one, from its first statement on; None in AUTOCOMMIT."""
    pool_wait_ns: int | None = None
    """How long it was waited for, until its first statement takes that along."""
    operations: DatabaseOperations | None = None
    """How its database is told."""
    recorder: object = None
    """By whom: switched off and on again, it is another one."""
    watch: ConnectionWatch | None = None
    """Who listens to what the server says of its statements."""
    open: dict[int, ActiveStatement] = field(default_factory=dict[int, ActiveStatement])
    """Statements whose rows are not all read, by identity."""

    def give_back(self) -> None:
        """The connection goes to its pool: a result left open ends here, when its last row was read."""
        self.transaction = self.pool_wait_ns = None
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
    state: ConnectionState | None = info.get(_KEY)  # pyright: ignore[reportUnknownMemberType] - SQLAlchemy's notes
    return state_in(info) if state is None else state  # pyright: ignore[reportUnknownArgumentType] - the same


def state_in(info: dict[Any, Any]) -> ConnectionState:
    """The state in a connection's `info`, made if there is none."""
    state = info.get(_KEY)
    return info.setdefault(_KEY, ConnectionState()) if state is None else state


def known_state(info: dict[Any, Any]) -> ConnectionState | None:
    """The state in a connection's `info`, if any statement ran on it."""
    return info.get(_KEY)
