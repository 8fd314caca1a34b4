"""What is known of one connection of a driver: where it leads, its open transaction, its pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.trace import get_current_span
from tickspan.instrumentation import Workbench
from tickspan.instrumentation.db import (
    ActiveStatement,
    ActiveTransactionEnd,
    Comments,
    Database,
    DatabaseOperations,
    Teller,
    Transaction,
)
from tickspan.instrumentation.notices import known_watch
from tickspan.semconv.db import TICKSPAN_DB_TRANSACTION_ID

__all__ = ["Driver", "DriverStatement", "Link", "Recorder"]

_UPSTREAM: Final = "opentelemetry.instrumentation."

_MAX_DATABASES: Final = 1_000
"""Databases of one process whose statements are remembered; the table is emptied when it is full."""


@dataclass(frozen=True, slots=True)
class Driver:
    """What must be asked of a driver, each by a function of its connection."""

    name: str
    database: Callable[[Any], Database]
    is_in_transaction: Callable[[Any], bool]
    """As far as the driver has heard from the server: no call goes there."""
    is_prepared: Callable[[Any], bool]
    """Whether it may keep a prepared statement for a text."""
    doubles_percent: bool = False
    """Whether a text with parameters is a format string."""
    is_blocking: bool = True
    """Whether its calls make their thread wait for the database."""


class Link:
    """One connection. Whoever holds the connection uses it, one at a time."""

    __slots__ = (
        "__weakref__",
        "driver",
        "operations",
        "pool_wait_ns",
        "transaction",
        "watch",
    )

    def __init__(self, driver: Driver, operations: DatabaseOperations, connection: Any) -> None:
        self.driver = driver
        self.operations = operations
        self.transaction: Transaction | None = None
        """The open one, from its first statement on."""
        self.watch = known_watch(connection)
        """Who listens to what the server says of its statements."""
        self.pool_wait_ns: int | None = None
        """How long it was waited for, until its first statement takes that along."""

    def __repr__(self) -> str:
        return f"<Link {self.driver.name} {self.transaction!r}>"

    def open_transaction(self, connection: Any) -> Transaction | None:
        """The open transaction; one that ended unheard, as by a reset, is forgotten here."""
        if self.transaction is not None and not self.driver.is_in_transaction(connection):
            self.transaction = None
        return self.transaction

    def settle(self, statement: ActiveStatement, connection: Any) -> None:
        """The driver has answered: has the statement begun a transaction, or ended the open one?"""
        is_open = self.driver.is_in_transaction(connection)
        transaction = self.transaction
        if transaction is None:
            if is_open and not statement.told.ends_transaction:
                self.transaction = transaction = Transaction(statement.started_ns)
                if not statement.told.is_control:
                    transaction.begin_statement(statement.started_ns, statement.told.is_write)
                statement.join(transaction, {TICKSPAN_DB_TRANSACTION_ID: transaction.id})
        elif not is_open or statement.told.ends_transaction:
            self.transaction = None
            if statement.told.ends_transaction:
                statement.join(transaction, {**transaction.counts(), **transaction.times()})


class DriverStatement(ActiveStatement):
    """A statement that asks its driver about the transaction once there is an answer."""

    __slots__ = ("_connection", "_is_settled", "_link", "source")

    source: Any
    """The cursor or connection that was called."""

    def bind(self, link: Link, connection: Any, source: Any) -> None:
        """Say whose it is."""
        self._link = link
        self._connection = connection
        self._is_settled = False
        self.source = source

    def executed(self) -> None:
        """The database has answered; rows may follow."""
        super().executed()
        self._settle()

    def fail(self, error: BaseException, *, end_time_ns: int | None = None) -> None:
        """End it with the caller's own exception."""
        self._settle()
        super().fail(error, end_time_ns=end_time_ns)

    def _settle(self) -> None:
        if not (self._is_settled or self.is_over):
            self._is_settled = True
            self._guard.own(self._link.settle, self, self._connection, default=None)
        self._connection = None


class Recorder:
    """What the rows share while the instrumentor is on. One per `Workbench`."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.teller = Teller(bench)
        self._links: WeakKeyDictionary[Any, Link] = WeakKeyDictionary()
        self._databases: dict[Database, DatabaseOperations] = {}

    def __repr__(self) -> str:
        return f"<Recorder {len(self._links)} connections, {len(self._databases)} databases>"

    @staticmethod
    def of(bench: Workbench) -> Recorder:
        """The recorder of a workbench, made once."""
        found = _recorders.get(bench)
        return _recorders.setdefault(bench, Recorder(bench)) if found is None else found

    def link(self, driver: Driver, connection: Any) -> Link:
        """What is known of a connection, asked at its first statement."""
        known = self._links.get(connection)
        if known is None:
            operations = self.operations(driver.database(connection))
            known = self._links[connection] = Link(driver, operations, connection)
        return known

    def known_link(self, connection: Any) -> Link | None:
        """The same, of a connection that has had a statement."""
        return self._links.get(connection)

    def operations(self, database: Database) -> DatabaseOperations:
        """How a database is told; connections to the same one share it."""
        known = self._databases.get(database)
        if known is None:
            if len(self._databases) >= _MAX_DATABASES:
                self._databases.clear()
            known = self._databases[database] = DatabaseOperations(database)
        return known

    def start(
        self,
        link: Link,
        connection: Any,
        source: Any,
        sql: str,
        parameters: Any = None,
        *,
        batch_size: int = 1,
        also: Any = None,
    ) -> DriverStatement | None:
        """Begin a statement on a connection; None where upstream's instrumentor has begun to tell it."""
        scope = getattr(get_current_span(), "instrumentation_scope", None)
        if scope is not None and scope.name == _UPSTREAM + link.driver.name:
            return None
        wait_ns, link.pool_wait_ns = link.pool_wait_ns, None
        started = self.teller.start(
            link.operations,
            sql,
            parameters,
            batch_size=batch_size,
            transaction=link.open_transaction(connection),
            pool_wait_ns=wait_ns,
            also=also,
            kind=DriverStatement,
            is_blocking=link.driver.is_blocking,
            watch=link.watch,
        )
        started.bind(link, connection, source)
        return started

    def start_end(self, link: Link, connection: Any, verb: str) -> ActiveTransactionEnd | None:
        """Begin the end of the open transaction; None where none is open, or nothing was done in it."""
        transaction = link.open_transaction(connection)
        if transaction is None or not transaction.statements:
            return None
        link.transaction = None
        return self.teller.start_end(link.operations, verb, transaction)

    def comments(self, driver: Driver) -> Comments | None:
        """What is appended to statements of a driver; None where nothing is."""
        return self.teller.comments(driver.name)


_recorders: Final[WeakKeyDictionary[Workbench, Recorder]] = WeakKeyDictionary()
