"""A statement under way, from execution to its last row: started, counted, ended.

Interpreted or compiled from this one file (Cython's pure Python mode); every statement passes through it.
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false
# pyright: reportUnboundVariable=false, reportArgumentType=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportUninitializedInstanceVariable=false
# pyright: reportUnnecessaryComparison=false, reportAssignmentType=false, reportOptionalOperand=false
# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ANN204, C901, F821, FBT003, PLR0912, PLR0915, SIM102, SLF001
# C types are the compiler's, and what `cython.declare` gives an attribute is known to it alone.

from __future__ import annotations

import sys
import time

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation import _SPAN_KEY

from tickspan.instrumentation.active import note_failure
from tickspan.instrumentation.causes import _finders, cause_of_root
from tickspan.instrumentation.db.callers import caller_attributes
from tickspan.instrumentation.db.errors import describe_error
from tickspan.instrumentation.db.loops import BLOCKING_CALL
from tickspan.instrumentation.faults import failure_of
from tickspan.instrumentation.operation import NO_ATTRIBUTES
from tickspan.instrumentation.suppression import ASKED, SILENCE
from tickspan.semconv.common import ERROR_TYPE
from tickspan.semconv.db import (
    DB_RESPONSE_RETURNED_ROWS,
    TICKSPAN_DB_FETCH_DURATION,
    TICKSPAN_DB_FINDINGS,
    TICKSPAN_DB_PARAMS_HASH,
    TICKSPAN_DB_POOL_WAIT,
    TICKSPAN_DB_ROWS_AFFECTED,
    TICKSPAN_DB_TRANSACTION_ID,
)

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.contextvars import (
        PyContextVar_CheckExact,
        PyContextVar_Reset,
        PyContextVar_Set,
        get_value,
    )
    from cython.cimports.cpython.dict import PyDict_SetItem
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec
else:
    PyDict_SetItem = dict.__setitem__

MAX_OPEN = 64
"""Results of one connection that are neither read to the end nor closed."""
EACH_IS_TIMED = 16
"""Single rows of a result of which each is timed; of further ones, one in so many."""
_each = cython.declare(cython.int, EACH_IS_TIMED)
_ns_per_s = cython.declare(cython.double, 1e9)
_unknown = cython.declare(cython.int, -1)
if not cython.compiled:
    _each, _ns_per_s, _unknown = EACH_IS_TIMED, 1e9, -1
_CLIENT = SpanKind.CLIENT
_perf_counter_ns = time.perf_counter_ns
_is_linux = cython.declare(cython.bint, False)
_is_linux = sys.platform == "linux"
_runtime = otel_context._RUNTIME_CONTEXT  # no public name
_variable = _runtime._current_context if type(_runtime) is ContextVarsRuntimeContext else None
"""Which holds the current context; None where the runtime keeps it elsewhere."""
_is_variable = cython.declare(cython.bint, False)
if cython.compiled:
    _is_variable = PyContextVar_CheckExact(_variable)
_silence: dict = SILENCE
_asked: str = ASKED[0]
_asked_too: str = ASKED[1]
_span_key: str = _SPAN_KEY


@cython.cfunc
@cython.inline
def _now_ns() -> cython.longlong:
    """As `time.perf_counter_ns`, which reads this clock on Linux."""
    if cython.compiled:
        if _is_linux:
            now: timespec
            clock_gettime(CLOCK_MONOTONIC, cython.address(now))
            return now.tv_sec * cython.cast(cython.longlong, 1_000_000_000) + now.tv_nsec
    return _perf_counter_ns()


@cython.cfunc
def _current() -> object:
    if cython.compiled:
        if _is_variable:
            return get_value(_variable)
    return _runtime.get_current()


def audible():
    """The current context; None where it asks for silence."""
    return _audible()


@cython.cfunc
def _audible() -> object:
    context = _current()
    return None if context.get(_asked) or context.get(_asked_too) else context


@cython.cfunc
def _silent_below(span: object, parent: object) -> object:
    """`parent` in which `span` is current and instrumentation keeps silent.

    Made in one step: the API copies the whole context for each key that it sets.
    """
    context = Context(parent)
    PyDict_SetItem(context, _span_key, span)
    for key, value in _silence.items():
        PyDict_SetItem(context, key, value)
    return context


@cython.cclass
class ActiveStatement:
    """Made current by its maker; `executed` takes it out of the current context.

    It has the methods of `ActiveOperation`. The span ends with `succeed` or `fail`, at the time of the last
    row that was fetched. The histogram is given execution plus the time inside fetches, not the time that the
    rows lay in between.
    """

    span = cython.declare(object, visibility="readonly")
    told = cython.declare(object, visibility="readonly")
    started_ns = cython.declare(cython.longlong, visibility="readonly")
    _guard = cython.declare(object, visibility="readonly")
    _histogram: object
    _transaction: object
    _context: object
    _token: object
    _among: dict
    _is_batch: cython.bint
    _is_over: cython.bint
    _is_kept: cython.bint
    _is_preset: cython.bint
    _rows: cython.longlong
    _slow_ns: cython.longlong
    _executed_ns: cython.longlong
    _spent_ns: cython.longlong
    _last_ns: cython.longlong

    if not cython.compiled:
        _token = None
        _is_over = False
        _is_kept = False
        _is_preset = False
        _rows = _unknown
        _executed_ns = 0
        _spent_ns = 0

    def __repr__(self) -> str:
        return f"<ActiveStatement {self.told.name!r} {'over' if self._is_over else 'running'}>"

    @property
    def context(self):
        """The context in which its span is current and instrumentation below keeps silent."""
        return self._context

    @property
    def is_over(self):
        """Whether it has ended."""
        return bool(self._is_over)

    def resume(self):
        """Make the span current until `release`."""
        if self._token is None:
            self._attach()

    @cython.cfunc
    @cython.inline
    def _attach(self) -> cython.int:
        if cython.compiled:
            if _is_variable:
                self._token = PyContextVar_Set(_variable, self._context)
                return 0
        self._token = otel_context.attach(self._context)
        return 0

    def release(self):
        """Stop being current; the span goes on."""
        self._release()

    @cython.cfunc
    @cython.inline
    def _release(self) -> cython.int:
        if self._token is None:
            return 0
        try:
            if cython.compiled:
                if _is_variable:
                    PyContextVar_Reset(_variable, self._token)
                else:
                    _runtime.detach(self._token)
            else:  # `opentelemetry.context.detach` would log a traceback here
                _runtime.detach(self._token)
        except ValueError:  # another context or thread than the one that made it current, which releases it
            return 0
        self._token = None
        return 0

    def join(self, transaction, attributes=NO_ATTRIBUTES):
        """Say to which transaction it belongs, where only the driver's answer could tell."""
        self._transaction = transaction
        transaction.busy_until_ns = max(transaction.busy_until_ns, self._last_ns)
        if attributes:
            self.span.set_attributes({**attributes})

    def executed(self):
        """The database has answered; rows may follow."""
        self._executed()

    @cython.cfunc
    def _executed(self) -> cython.int:
        now_ns: cython.longlong = _now_ns()
        self._last_ns = now_ns
        self._spent_ns = self._executed_ns = now_ns - self.started_ns
        if self._transaction is not None:
            self._transaction.busy_until_ns = now_ns
        self._release()
        if self._spent_ns > self._slow_ns:
            self._guard.own(self._place, default=None)
        return 0

    def keep(self):
        """Rows may follow: note it among those open. Of too many left open, the oldest is taken as read."""
        self._keep()

    @cython.cfunc
    def _keep(self) -> cython.int:
        if self._among is not None:
            self._is_kept = True
            self._among[id(self)] = self
            if len(self._among) > MAX_OPEN:
                self._among.pop(next(iter(self._among))).succeed(is_late=True)
        return 0

    def fetched(self, rows, since_ns=None, weight=1):
        """`rows` more are here; `since_ns` is the `perf_counter_ns` at which they were asked for.

        Where not each fetch is timed, one stands for `weight` of them.
        """
        self._count(rows, 0 if since_ns is None else since_ns, weight)

    @cython.cfunc
    @cython.inline
    def _count(self, rows: cython.longlong, since_ns: cython.longlong, weight: cython.longlong) -> cython.int:
        """`since_ns` of 0: not timed."""
        self._rows = rows if self._rows == _unknown else self._rows + rows
        if since_ns:
            now_ns: cython.longlong = _now_ns()
            self._last_ns = now_ns
            self._spent_ns += (now_ns - since_ns) * weight
            if self._transaction is not None:
                self._transaction.busy_until_ns = now_ns
        return 0

    def succeed(self, attributes=NO_ATTRIBUTES, *, end_time_ns=None, rows_affected=None, is_late=False):
        """End it; `is_late` when the last row is some time ago."""
        self._succeed(attributes, end_time_ns, rows_affected, is_late)

    @cython.cfunc
    def _succeed(
        self, attributes: object, end_time_ns: object, rows_affected: object, is_late: cython.bint
    ) -> cython.int:
        if self._is_over:
            return 0
        late: dict = {**attributes} if attributes else {}
        if self._rows != _unknown:
            late[DB_RESPONSE_RETURNED_ROWS] = self._rows
            fetching_ns: cython.longlong = self._spent_ns - self._executed_ns
            if fetching_ns:
                late[TICKSPAN_DB_FETCH_DURATION] = fetching_ns / _ns_per_s
                if self._spent_ns > self._slow_ns >= self._executed_ns and not is_late:
                    self._guard.own(self._place, default=None)
        if rows_affected is not None:
            late[TICKSPAN_DB_ROWS_AFFECTED] = rows_affected
        self._finish(late, None, self._last_time_ns() if is_late else end_time_ns)
        return 0

    def fail(self, error, *, end_time_ns=None):
        """End it with the caller's own exception, which is only read."""
        failure = self._guard.own(describe_error, error, default=None) or failure_of(error)
        self._guard.own(note_failure, self.span, failure, error, default=None)
        self._finish(failure.attributes, failure, end_time_ns)

    @cython.cfunc
    def _finish(self, attributes: object, failure: object, end_time_ns: object) -> cython.int:
        if self._is_over:
            return 0
        self._is_over = True
        if self._is_kept:
            self._among.pop(id(self), None)
        self._release()
        try:
            span = self.span
            if attributes and self._is_preset and failure is None:
                span.end_with(attributes, end_time_ns)
            else:
                if attributes:
                    span.set_attributes(attributes)
                span.end(end_time_ns)
            spent_ns: cython.longlong = self._spent_ns
            if not spent_ns:
                spent_ns = _now_ns() - self.started_ns
            told = self.told
            if failure is None:
                record = told.batch_series if self._is_batch else told.series
                if record is None:
                    record = told.measuring(self._histogram, is_batch=bool(self._is_batch))
                record(spent_ns / _ns_per_s, self._context)
            else:
                known = told.measured(is_batch=bool(self._is_batch))
                self._histogram.record(
                    spent_ns / _ns_per_s, {**known, ERROR_TYPE: failure.error_type}, self._context
                )
        except Exception as error:  # noqa: BLE001 - what `Guard.closing` does, two frames shorter
            self._guard.caught(error)
        return 0

    def _place(self):
        """Tell the line of a slow one; the stack is still that of the call."""
        if self.span.is_recording():
            self.span.set_attributes({**caller_attributes()})

    @cython.cfunc
    def _last_time_ns(self) -> object:
        started = getattr(self.span, "start_time", None)
        return None if started is None else started + (self._last_ns - self.started_ns)


@cython.cclass
class Starter:
    """Starts statements for one instrumentor."""

    _guard: object
    _start_span: object
    _start_preset: object
    _recorder: object
    _histogram: object
    _hash: object
    _hash_of_none: object
    _slow_ns: cython.longlong
    _running_loop: object
    _span_class: object

    def __init__(self, guard, start_span, recorder, histogram, hash_parameters, slow_ns, running_loop):
        """Take what statements need.

        Args:
            guard: against faults of ours.
            start_span: the tracer's.
            recorder: the tracer's `SpanRecorder`; None where it has none.
            histogram: of durations.
            hash_parameters: see `db.parameters`; None for no hashes.
            slow_ns: from how many nanoseconds on a statement tells its line.
            running_loop: see `db.loops`.
        """
        self._guard = guard
        self._start_span = start_span
        self._recorder = recorder
        self._start_preset = None if recorder is None else recorder.start_preset
        self._histogram = histogram
        self._hash = hash_parameters
        self._hash_of_none = None if hash_parameters is None else hash_parameters(None, "")
        self._slow_ns = slow_ns
        self._running_loop = running_loop
        self._span_class = None if recorder is None else recorder.span_class

    def start(
        self,
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
    ):
        """See `Teller.start`."""
        return self._start(
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

    @cython.cfunc
    def _start(
        self,
        operations: object,
        sql: object,
        parameters: object,
        size: cython.Py_ssize_t,
        transaction: object,
        pool_wait_ns: object,
        also: object,
        kind: object,
        current: object,
        is_blocking: cython.bint,
        watch: object,
        among: object,
    ) -> object:
        told = operations.recent.get(sql)
        if told is None:
            told = operations.told(sql)
        recorder, preset = told.preset
        if recorder is not self._recorder:
            preset = told.preset_for(self._recorder)
        attributes: dict = told.attributes.copy() if preset is None else {}
        if transaction is not None:
            attributes[TICKSPAN_DB_TRANSACTION_ID] = transaction.id
        if size > 1:
            attributes.update(told.batch(size))
        elif self._hash is not None:
            hashed = self._hash_of_none
            if told.has_literals:
                hashed = self._hash(parameters, sql)
            elif parameters:
                hashed = self._hash(parameters, "")
            if hashed is not None:
                attributes[TICKSPAN_DB_PARAMS_HASH] = hashed
        if pool_wait_ns is not None:
            attributes[TICKSPAN_DB_POOL_WAIT] = pool_wait_ns / _ns_per_s
        if also:
            attributes.update(also)
        is_held_up: cython.bint = is_blocking and self._running_loop() is not None
        if is_held_up:
            attributes[TICKSPAN_DB_FINDINGS] = told.with_finding(BLOCKING_CALL)
        parent = cause_of_root() if _finders else None
        if preset is not None and also is None and not is_held_up:
            span = self._start_preset(told.name, parent, _CLIENT, preset, attributes)
        elif preset is not None:
            span = self._start_preset(told.name, parent, _CLIENT, preset, {})
            span.set_attributes(attributes)
        else:
            span = self._start_span(
                told.name,
                parent,
                _CLIENT,
                attributes,
                record_exception=False,
                set_status_on_exception=False,
            )
        if not told.is_placed and span.is_recording():
            place = caller_attributes()
            if place:  # not in a thread of the driver's own
                told.is_placed = True
                span.set_attributes({**place})
        active: ActiveStatement = kind.__new__(kind)
        active.span = span
        active.told = told
        active._guard = self._guard
        active._histogram = self._histogram
        active._transaction = transaction
        active._among = among
        active._is_batch = size > 1
        active._is_preset = preset is not None and type(span) is self._span_class
        active._slow_ns = self._slow_ns
        active._rows = _unknown
        if parent is None:
            parent = current if current is not None else _current()
        active._context = _silent_below(span, parent)
        active._attach()
        active.started_ns = active._last_ns = _now_ns()
        if transaction is not None and not told.is_control:
            transaction.begin_statement(active.started_ns, told.is_write)
        if watch is not None:
            self._guard.own(watch.started, told.statement.fingerprint, span.get_span_context(), default=None)
        return active


@cython.cclass
class CountedRows:
    """Stands before what fetches the rows of a result, and ends their statement with the last one.

    It has the interface of SQLAlchemy's `ResultFetchStrategy`. No `__getattr__`: with one, each look-up of
    an attribute, found or not, takes a longer way.
    """

    _inner: object
    _statement: ActiveStatement
    _is_fetching: cython.bint
    _is_closed: cython.bint
    _singles: cython.longlong

    if not cython.compiled:
        _is_fetching = False
        _is_closed = False
        _singles = 0

    def __repr__(self) -> str:
        return f"<CountedRows {self._statement!r} before {self._inner!r}>"

    @property
    def alternate_cursor_description(self):
        """The real one's."""
        return self._inner.alternate_cursor_description

    def handle_exception(self, result, dbapi_cursor, err):
        """What the real one makes of an error."""
        return self._inner.handle_exception(result, dbapi_cursor, err)

    def fetchone(self, result, dbapi_cursor, hard_close=False):
        """The next row, or None."""
        self._is_fetching = True
        self._singles += 1
        is_one_of_many: cython.bint = self._singles > _each
        started_ns: cython.longlong = 0
        if not is_one_of_many or self._singles % _each == 0:
            started_ns = _now_ns()
        try:
            row = self._inner.fetchone(result, dbapi_cursor, hard_close)
        except BaseException as error:
            self._fail(error)
            raise
        self._is_fetching = False
        self._statement._count(row is not None, started_ns, _each if is_one_of_many else 1)
        if self._is_closed:
            self._statement._succeed(NO_ATTRIBUTES, None, None, False)
        return row

    def fetchmany(self, result, dbapi_cursor, size=None):
        """Up to `size` rows."""
        return self._fetch_several(self._inner.fetchmany, (result, dbapi_cursor, size))

    def fetchall(self, result, dbapi_cursor):
        """All rows that are left."""
        return self._fetch_several(self._inner.fetchall, (result, dbapi_cursor))

    def yield_per(self, result, dbapi_cursor, num):
        """Go over to buffered reading: the strategy is replaced, and ours stands before the new one."""
        self._inner.yield_per(result, dbapi_cursor, num)
        if result.cursor_strategy is not self:
            self._inner = result.cursor_strategy
            result.cursor_strategy = self

    def soft_close(self, result, dbapi_cursor):
        """No rows are left, or none are wanted."""
        self._close(self._inner.soft_close, result, dbapi_cursor)

    def hard_close(self, result, dbapi_cursor):
        """The result is closed by its user."""
        self._close(self._inner.hard_close, result, dbapi_cursor)

    @cython.cfunc
    def _fetch_several(self, fetch: object, args: tuple) -> object:
        self._is_fetching = True
        started_ns: cython.longlong = _now_ns()
        try:
            rows = fetch(*args)
        except BaseException as error:
            self._fail(error)
            raise
        self._is_fetching = False
        self._statement._count(len(rows), started_ns, 1)
        if self._is_closed:
            self._statement._succeed(NO_ATTRIBUTES, None, None, False)
        return rows

    @cython.cfunc
    def _close(self, close: object, result: object, dbapi_cursor: object) -> cython.int:
        self._is_closed = True
        close(result, dbapi_cursor)
        if not self._is_fetching:
            self._statement._succeed(NO_ATTRIBUTES, None, None, True)
        return 0

    @cython.cfunc
    def _fail(self, error: object) -> cython.int:
        self._is_fetching = False
        self._statement.fail(error)
        return 0


PENDING = "_tickspan_statement"
"""On an execution context: the statement whose result is about to be made. Not asked of its `__dict__`: from
then on all its attributes would be found by a longer way."""
STATE = "tickspan"
"""In SQLAlchemy's `connection.info`, the dictionary for notes: the connection's state."""
LOAD = "tickspan_load"
"""The execution option with the path of the relationship that is loaded."""
_UPSTREAMS_SPAN = "_otel_span"
_ROWS_SEEN = "_tickspan_rows_seen"


def end_of_batch(context):
    """End the earlier of a context's statements: a batch of `insertmanyvalues`, the query of a default."""
    found = getattr(context, PENDING, None)
    if found is not None:
        setattr(context, PENDING, None)
        rows = getattr(context, "_insertmanyvalues_rows", None)
        if rows is not None:  # one list for the rows of all batches, each before the next batch runs
            found.fetched(len(rows) - getattr(context, _ROWS_SEEN, 0))
            setattr(context, _ROWS_SEEN, len(rows))
        found.succeed()


@cython.cfunc
def _follow(statement: ActiveStatement, context: object, result: object) -> cython.int:
    """Count the rows of `result`, which belongs to the pending `statement` of `context`."""
    if getattr(context, "_insertmanyvalues_rows", None) is not None:
        end_of_batch(context)
        return 0
    setattr(context, PENDING, None)
    rows = getattr(context, "returned_default_rows", None)
    if rows is not None:
        statement._count(len(rows), 0, 1)
    if rows is not None or result._soft_closed:  # says whether the cursor is still open
        statement._succeed(NO_ATTRIBUTES, None, None, False)
    else:
        statement._count(0, 0, 1)
        rows_of: CountedRows = CountedRows.__new__(CountedRows)
        rows_of._inner = result.cursor_strategy
        rows_of._statement = statement
        result.cursor_strategy = rows_of
    return 0


def following(original, guard):
    """`DefaultExecutionContext._setup_result_proxy`, which makes a result, with its rows counted."""

    def _setup_result_proxy(self):
        pending = getattr(self, PENDING, None)
        if pending is None:
            return original(self)
        try:
            result = original(self)
        except BaseException as error:
            pending.fail(error)
            raise
        try:
            _follow(pending, self, result)
        except Exception as error:  # noqa: BLE001 - what `Guard.own` does, a frame shorter
            guard.caught(error)
        return result

    return _setup_result_proxy


@cython.cclass
class Listening:
    """What listens to one of SQLAlchemy's dialect events."""

    _event: str
    _recorder: object
    _bench: object
    _guard: object
    _starter: Starter
    _comments: object
    _state_of: object
    _begin: object
    _attributes_of_load: object
    _is_many: cython.bint
    _has_parameters: cython.bint

    def __init__(self, event, recorder, guard, comments, state_of, begin, attributes_of_load):
        """Take what it asks.

        Args:
            event: its name.
            recorder: which engines are told, and by whom.
            guard: against faults of ours.
            comments: what adds a comment to its arguments; None for none.
            state_of: a connection to its `ConnectionState`.
            begin: (state, connection) to the transaction that begins now; None in AUTOCOMMIT.
            attributes_of_load: the path of a loaded relationship to attributes.
        """
        self._event = event
        self._recorder = recorder
        self._bench = recorder.bench
        self._guard = guard
        self._starter = recorder.teller.starter
        self._comments = comments
        self._state_of = state_of
        self._begin = begin
        self._attributes_of_load = attributes_of_load
        self._is_many = event == "do_executemany"
        self._has_parameters = event == "do_execute"

    def listener(self):
        """The listener: one function object, to listen with, to be recognised by, and to be removed."""

        def listener(*args):
            """`(cursor, statement[, parameters], context)`."""
            return self._hear(listener, args)

        return listener

    @cython.cfunc
    def _hear(self, listener: object, args: tuple) -> object:
        if self._guard.is_disabled or not self._bench.is_active:
            return None
        try:
            found = self._start(args)
        except Exception as error:  # noqa: BLE001 - what `Guard.own` does, a frame shorter
            self._guard.caught(error)
            return None
        if found is None:
            return None  # SQLAlchemy goes on as if we were not there
        started: ActiveStatement = found
        passed: tuple = args
        if self._comments is not None:
            passed = self._guard.own(self._comments.added, started, args, default=args)
        try:
            _pass_on(self._event, listener, passed)
        except BaseException as error:
            started.fail(error)
            raise
        started._executed()
        cursor = args[0]
        try:
            if cursor.description is None:
                started._succeed(NO_ATTRIBUTES, None, _rows_affected(started, cursor), False)
            else:  # its result carries it on
                started._keep()
                setattr(args[len(args) - 1], PENDING, started)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.caught(error)
        return True

    @cython.cfunc
    def _start(self, args: tuple) -> object:
        context = args[len(args) - 1]
        current = _audible()
        if current is None or context is None:
            return None
        recorder = self._recorder
        dialect = context.dialect
        if recorder.selected is not None and not recorder.covers(dialect):
            return None
        if getattr(context, PENDING, None) is not None:
            end_of_batch(context)
        if getattr(context, _UPSTREAMS_SPAN, None) is not None:
            # OpenTelemetry's own instrumentor has started its span before us. One that is never ended is
            # never exported, and its later listeners find none to end.
            setattr(context, _UPSTREAMS_SPAN, None)
        connection = context.root_connection
        fairy = connection._dbapi_connection  # `connection.info` asks for it by two properties
        state = None
        try:
            if fairy is not None and type(fairy.info) is dict:
                state = fairy.info.get(STATE)
        except (AttributeError, NotImplementedError):  # the stand-in of a dialect's first questions
            pass
        if state is None:
            state = self._state_of(connection)
        wait_ns = state.pool_wait_ns
        if wait_ns is not None:
            state.pool_wait_ns = None
        operations = state.operations
        if operations is None or state.recorder is not recorder:
            operations = recorder.operations(state, connection.engine, args[0])
        transaction = state.transaction
        if transaction is None:
            transaction = self._begin(state, connection)
        path = context.execution_options.get(LOAD)
        return self._starter._start(
            operations,
            args[1],
            args[2] if self._has_parameters else None,
            len(args[2]) if self._is_many else 1,
            transaction,
            wait_ns,
            None if path is None else self._attributes_of_load(path),
            ActiveStatement,
            current,
            not dialect.is_async,
            state.watch,
            state.open,
        )


@cython.cfunc
def _rows_affected(started: ActiveStatement, cursor: object) -> object:
    count = cursor.rowcount if started.told.is_write else None
    return count if isinstance(count, int) and count >= 0 else None


@cython.cfunc
def _pass_on(event: object, listener: object, args: tuple) -> cython.int:
    """What SQLAlchemy does behind us: the listeners registered later, or, if none takes over, the dialect."""
    dialect = args[len(args) - 1].dialect
    known = getattr(dialect.dispatch, event)
    usual = getattr(known, "parent_listeners", None)  # those of all engines
    if not usual or usual[len(usual) - 1] is not listener or getattr(known, "listeners", True):
        listeners = iter(known)
        for other in listeners:
            if other is listener:
                break
        for later in listeners:
            if later(*args):
                return 0
    getattr(dialect, event)(*args)
    return 0
