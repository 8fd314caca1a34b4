"""The end of a transaction: COMMIT, ROLLBACK and the two phases, which go to the driver without a text.

SAVEPOINT, RELEASE and ROLLBACK TO are statements like others, and are told as such. The methods wrapped here
are those that SQLAlchemy calls for a transaction of its user, not `dialect.do_rollback`, which is also called
when a connection goes back to the pool.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from tickspan.instrumentation import Workbench, Wrap
from tickspan.instrumentation.db import ActiveTransactionEnd

from tickspan_sqlalchemy.connections import state_of
from tickspan_sqlalchemy.recorder import Recorder

__all__ = ["TRANSACTION_ROWS"]

_MODULE: Final = "sqlalchemy.engine.base"
_PREPARE: Final = "PREPARE TRANSACTION"


_VerbOf = Callable[[tuple[Any, ...]], str]


def _told(verb_of: _VerbOf) -> Callable[[Callable[..., Any], Workbench], Callable[..., Any]]:
    """Make for a `Wrap` around a `Connection` method: its call is one span, named by what it sends."""

    def make(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
        guard = bench.guard("transactions")
        recorder = Recorder.of(bench)

        @functools.wraps(original)
        def end(self: Any, *args: Any, **kwargs: Any) -> Any:
            active = guard.own(_start, recorder, self, verb_of, args, default=None)
            if active is None:
                return original(self, *args, **kwargs)
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                active.fail(error)
                raise
            active.succeed()
            return result

        return end

    return make


def _start(
    recorder: Recorder, connection: Any, verb_of: _VerbOf, args: tuple[Any, ...]
) -> ActiveTransactionEnd | None:
    """None where nothing goes to the server, or nothing was done on it."""
    if not (recorder.tells(connection.dialect) and _reaches_the_server(connection)):
        return None
    state = state_of(connection)
    transaction = state.transaction
    if transaction is None or not transaction.statements:
        return None
    verb = verb_of(args)
    operations = recorder.operations(state, connection.engine)
    if verb != _PREPARE:
        state.transaction = None
    return recorder.teller.start_end(operations, verb, transaction)


def _reaches_the_server(connection: Any) -> bool:
    """Not from a broken connection, and not in AUTOCOMMIT. SQLAlchemy asks itself the same."""
    is_open: bool = connection._still_open_and_dbapi_connection_is_valid  # noqa: SLF001 - see above
    return is_open and not connection._is_autocommit_isolation()  # noqa: SLF001 - see above


def _always(verb: str) -> _VerbOf:
    return lambda _args: verb


def _second_phase(verb: str) -> _VerbOf:
    """Of `(xid, is_prepared)`: without a first phase it is an ordinary end."""
    return lambda args: f"{verb} PREPARED" if args[1:2] == (True,) else verb


TRANSACTION_ROWS = (
    Wrap(_MODULE, "Connection._commit_impl", _told(_always("COMMIT"))),
    Wrap(_MODULE, "Connection._rollback_impl", _told(_always("ROLLBACK"))),
    Wrap(_MODULE, "Connection._prepare_twophase_impl", _told(_always(_PREPARE))),
    Wrap(_MODULE, "Connection._commit_twophase_impl", _told(_second_phase("COMMIT"))),
    Wrap(_MODULE, "Connection._rollback_twophase_impl", _told(_second_phase("ROLLBACK"))),
)
