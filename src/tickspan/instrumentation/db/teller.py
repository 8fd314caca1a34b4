"""Starts spans for one instrumentor: statements and the ends of their transactions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from tickspan.config import DatabaseSettings, SqlCommenter
from tickspan.instrumentation.active import ActiveOperation
from tickspan.instrumentation.causes import cause_of_root
from tickspan.instrumentation.db._impl import parameters as _parameters
from tickspan.instrumentation.db._impl import statements as _statements
from tickspan.instrumentation.db._impl import transaction as _transaction
from tickspan.instrumentation.db.comments import Comments
from tickspan.instrumentation.db.errors import describe_error
from tickspan.instrumentation.db.loops import running_loop
from tickspan.instrumentation.db.operations import DURATION, DatabaseOperations
from tickspan.instrumentation.notices import ConnectionWatch
from tickspan.instrumentation.operation import Attributes, Failure
from tickspan.instrumentation.workbench import Workbench
from tickspan.semconv.common import SERVICE_NAME

ActiveStatement = _statements.ActiveStatement
STATE = _statements.STATE
audible = _statements.audible
LOAD = _statements.LOAD
PENDING = _statements.PENDING
following = _statements.following
Listening = _statements.Listening
Transaction = _transaction.Transaction
keyed_hash = _parameters.keyed_hash
_Told = TypeVar("_Told", bound=ActiveStatement)
_CLIENT: Final = SpanKind.CLIENT
_NS_PER_S: Final = 1e9


class Teller:
    """One per `Workbench`. Settings come from `bench.settings["database"]`."""

    def __init__(self, bench: Workbench) -> None:
        given = bench.settings.get("database")
        self.settings = DatabaseSettings.of(given if isinstance(given, Mapping) else {})
        self._bench = bench
        self._guard = bench.guard("statements")
        self._start_span = bench.tracer.start_span
        self._durations = bench.histogram(DURATION)
        self.starter = _statements.Starter(
            self._guard,
            self._start_span,
            bench.recorder,
            self._durations,
            keyed_hash() if self.settings.params_hash else None,
            int(self.settings.slow_s * _NS_PER_S),
            running_loop(),
        )
        """Which all statements go through."""

    def __repr__(self) -> str:
        return f"<Teller for {self._bench.name}>"

    def comments(self, driver: str) -> Comments | None:
        """What is appended to statements of a driver; None where nothing is."""
        if self.settings.sqlcommenter is SqlCommenter.OFF:
            return None
        resource: Any = getattr(self._bench.tracer, "resource", None)
        service = resource.attributes.get(SERVICE_NAME) if resource is not None else None
        return Comments(self.settings.sqlcommenter, service if isinstance(service, str) else None, driver)

    def start(
        self,
        operations: DatabaseOperations,
        sql: str,
        parameters: Any = None,
        *,
        batch_size: int = 1,
        transaction: Transaction | None = None,
        pool_wait_ns: int | None = None,
        also: Attributes | None = None,
        kind: type[_Told] = ActiveStatement,
        current: Context | None = None,
        is_blocking: bool = False,
        watch: ConnectionWatch | None = None,
        among: dict[int, ActiveStatement] | None = None,
    ) -> _Told:
        """Begin the execution of `sql`; its span is current until `executed`.

        Args:
            operations: of its database.
            sql: the raw text.
            parameters: of one execution; not looked at in a batch.
            batch_size: how many sets of parameters go with it.
            transaction: to which it belongs.
            pool_wait_ns: how long its connection was waited for, if it is the first on it.
            also: further attributes.
            kind: a class derived from `ActiveStatement`.
            current: the current context, where the caller has it at hand.
            is_blocking: whether its driver makes the thread wait for the answer.
            watch: who listens to what the server says on its connection.
            among: where it is noted while its rows are read, see `ActiveStatement.keep`.
        """
        return self.starter.start(
            operations,
            sql,
            parameters,
            batch_size,
            transaction,
            pool_wait_ns,
            also,
            kind,
            current,
            is_blocking,
            watch,
            among,
        )

    def start_end(
        self, operations: DatabaseOperations, verb: str, transaction: Transaction
    ) -> ActiveTransactionEnd:
        """Begin the end of `transaction` by a call of the driver's own; its span is current."""
        transaction.wake(time.perf_counter_ns())
        operation = operations.transaction_end(verb, transaction.counts())
        parent = cause_of_root()
        if parent is not None:
            operation = replace(operation, parent=parent)
        span = self._start_span(
            operation.name,
            parent,
            _CLIENT,
            {**operation.attributes},
            record_exception=False,
            set_status_on_exception=False,
        )
        active = ActiveTransactionEnd(
            operation,
            span,
            self._guard,
            describe_error=describe_error,
            histogram=self._durations,
            duration_keys=DURATION.attributes,
        )
        active.transaction = transaction
        active.resume()
        return active


class ActiveTransactionEnd(ActiveOperation):
    """A COMMIT or ROLLBACK under way. However it ends, it tells how long the transaction has taken."""

    __slots__ = ("transaction",)

    transaction: Transaction

    def _end(self, attributes: Attributes, failure: Failure | None, end_time_ns: int | None) -> None:
        super()._end({**attributes, **self.transaction.times()}, failure, end_time_ns)
