"""An open transaction of one connection: what was done in it, and how long it only waited.

Interpreted or compiled from this one file (Cython's pure Python mode).
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false, reportUninitializedInstanceVariable=false
# pyright: reportMissingImports=false, reportGeneralTypeIssues=false, reportArgumentType=false
# ruff: noqa: ANN001, ANN201, ANN204
# C types are the compiler's, and what `cython.declare` gives an attribute is known to it alone.

from __future__ import annotations

import time

from tickspan.recording import draw_span_id
from tickspan.semconv.db import (
    TICKSPAN_DB_TRANSACTION_DURATION,
    TICKSPAN_DB_TRANSACTION_ID,
    TICKSPAN_DB_TRANSACTION_IDLE,
    TICKSPAN_DB_TRANSACTION_IDLE_MAX,
    TICKSPAN_DB_TRANSACTION_STATEMENTS,
    TICKSPAN_DB_TRANSACTION_WRITES,
)

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

_NS_PER_S = 1e9


@cython.cclass
class Transaction:
    """Begins with its first statement. All times are those of `perf_counter_ns`.

    It is idle while none of its statements runs or is read. Whoever holds the connection uses it, one at a
    time.
    """

    id = cython.declare(object, visibility="readonly")
    statements = cython.declare(cython.long, visibility="readonly")
    writes = cython.declare(cython.long, visibility="readonly")
    busy_until_ns = cython.declare(cython.longlong, visibility="public")
    _began_ns: cython.longlong
    _idle_ns: cython.longlong
    _idle_max_ns: cython.longlong

    def __init__(self, now_ns):
        self.id = f"{draw_span_id():016x}"
        """16 hex digits."""
        self.statements = 0
        self.writes = 0
        self.busy_until_ns = now_ns
        """When the last statement so far was done, or its last row was read."""
        self._began_ns = now_ns
        self._idle_ns = 0
        self._idle_max_ns = 0

    def __repr__(self) -> str:
        return f"<Transaction {self.id} {self.statements} statements, {self.writes} writes>"

    def begin_statement(self, now_ns: cython.longlong, is_write: cython.bint):
        """One more statement."""
        self.statements += 1
        if is_write:
            self.writes += 1
        self._wake(now_ns)

    def wake(self, now_ns):
        """Something happens again on its connection."""
        self._wake(now_ns)

    @cython.cfunc
    def _wake(self, now_ns: cython.longlong) -> cython.int:
        idle_ns: cython.longlong = now_ns - self.busy_until_ns
        if idle_ns > 0:
            self._idle_ns += idle_ns
            self._idle_max_ns = max(self._idle_max_ns, idle_ns)
            self.busy_until_ns = now_ns
        return 0

    def counts(self):
        """What is known when its end begins."""
        return {
            TICKSPAN_DB_TRANSACTION_ID: self.id,
            TICKSPAN_DB_TRANSACTION_STATEMENTS: self.statements,
            TICKSPAN_DB_TRANSACTION_WRITES: self.writes,
        }

    def times(self):
        """How long it has taken, in seconds, when it has ended; the end itself is no idle time."""
        return {
            TICKSPAN_DB_TRANSACTION_DURATION: (time.perf_counter_ns() - self._began_ns) / _NS_PER_S,
            TICKSPAN_DB_TRANSACTION_IDLE: self._idle_ns / _NS_PER_S,
            TICKSPAN_DB_TRANSACTION_IDLE_MAX: self._idle_max_ns / _NS_PER_S,
        }
