"""Pools and connections: how long somebody waits for one, how long it takes to make, how long it is used.

What makes a connection does not know for which pool: it is the one that has lent it, or the next to do so.
"""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.pooling import MeasuredPool
from tickspan.instrumentation.wrapping import wrapped
from tickspan.semconv.common import SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.redis import CLOSE_REASON_APPLICATION, CLOSE_REASON_ERROR, CLOSE_REASON_HEALTH

from tickspan_redis.errors import is_of_transport
from tickspan_redis.meters import LENT, POOL, Meters
from tickspan_redis.others import CONNECTION_ADVANCED, native_groups

_now_ns: Final = time.perf_counter_ns
_MOST_NODES: Final = 1_000
"""Of clusters, whose series are at hand; then they are looked up anew."""


class _Request:
    """Somebody asks a pool for a connection."""

    __slots__ = ("_meters", "_started_ns", "measured")

    def __init__(self, meters: Meters, measured: MeasuredPool) -> None:
        self._meters = meters
        self.measured = measured
        measured.waiting.add(self)
        self._started_ns = _now_ns()

    def resume(self) -> None:
        """Nothing is current meanwhile."""

    def release(self) -> None:
        """Nothing was."""

    def fulfilled(self, connection: Any) -> None:
        """Here it is."""
        now_ns = _now_ns()
        measured, meters = self.measured, self._meters
        measured.waiting.discard(self)
        wait_ns = now_ns - self._started_ns
        if MADE in connection.__dict__:
            wait_ns -= self._made(connection)
        if CONNECTION_ADVANCED not in native_groups():
            measured.waited(wait_ns)
        connection.__dict__[LENT] = (meters, measured, now_ns)

    def fail(self, error: BaseException) -> None:
        """There is none."""
        self._meters.guard.closing(self._failed, error, default=None)

    def _made(self, connection: Any) -> int:
        """How much of the waiting was for making it, which did not know for which pool."""
        within_ns = 0
        for started_ns, elapsed_ns in connection.__dict__.pop(MADE):
            self._meters.created(self.measured, elapsed_ns)
            within_ns += elapsed_ns if started_ns >= self._started_ns else 0
        return within_ns

    def _failed(self, error: BaseException) -> None:
        self.measured.waiting.discard(self)
        if is_pool_timeout(error):
            self._meters.timed_out(self.measured)


class _Silent:
    """Something begun that is not current meanwhile, and of whose failure there is nothing to tell."""

    __slots__ = ()

    def resume(self) -> None:
        """Nothing is current."""

    def release(self) -> None:
        """Nothing was."""

    def fail(self, error: BaseException) -> None:
        """Told elsewhere."""


class _Making(_Silent):
    """A connection is being made."""

    __slots__ = ("connection", "started_ns")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        _being_made.add(connection)
        self.started_ns = _now_ns()

    def fail(self, error: BaseException) -> None:
        """It was not made; `disconnect` is told of the error."""
        del error
        _being_made.discard(self.connection)

    def done(self, meters: Meters) -> None:
        """It was made, for whoever has lent it, or will."""
        _being_made.discard(self.connection)
        elapsed_ns = _now_ns() - self.started_ns
        measured = meters.lender(self.connection)
        if measured is not None:
            meters.created(measured, elapsed_ns)
            return
        notes = self.connection.__dict__.setdefault(MADE, [])
        if len(notes) < _MOST_NOTES:
            notes.append((self.started_ns, elapsed_ns))


class _Acquiring(_Silent):
    """A node of a cluster is asked for a connection."""

    __slots__ = ("node",)

    def __init__(self, node: Any) -> None:
        self.node = node


MADE: Final = "_tickspan_redis_made"
"""Where is noted when a connection was made, and how long that took, until it is lent."""
_MOST_NOTES: Final = 16
_being_made: Final[WeakSet[Any]] = WeakSet()


def lending(original: Any, bench: Workbench) -> Any:
    """`get_connection` of a pool, measured.

    redis-py 6 decorates its asynchronous one with a plain function, so that only its coroutine tells when it
    is done: `wrapped` follows what a call returns, not what it is declared as.
    """
    meters, guard = Meters.of(bench), bench.guard("pools")

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Request | None:
        del kwargs
        measured = guard.own(meters.pool, args[0], default=None) if meters.is_on else None
        return None if measured is None else _Request(meters, measured)

    def finish(request: _Request, connection: Any) -> None:
        guard.closing(request.fulfilled, connection, default=None)

    if is_asynchronous(original):
        return wrapped(original, begin, finish)

    # The same as `wrapped` does, with fewer calls: a blocking client comes here before each command.
    @functools.wraps(original)
    def lend(self: Any, *args: Any, **kwargs: Any) -> Any:
        note = self.__dict__.get(POOL)
        if note is not None and note[0] is meters:
            measured = note[1] if meters.is_on else None
        else:
            measured = guard.own(meters.pool, self, default=None) if meters.is_on else None
        if measured is None:
            return original(self, *args, **kwargs)
        request = _Request(meters, measured)
        try:
            connection = original(self, *args, **kwargs)
        except BaseException as error:
            request.fail(error)
            raise
        try:
            request.fulfilled(connection)
        except Exception as error:  # noqa: BLE001 - what `Guard.closing` does, on a hot path
            guard.caught(error)
        return connection

    return lend


def giving_back(original: Any, bench: Workbench) -> Any:
    """`release` of a pool, measured; each use counts once, whatever calls what."""
    meters, guard = Meters.of(bench), bench.guard("pools")

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if meters.is_on:
            connection = args[1] if len(args) > 1 else kwargs.get("connection")
            guard.own(meters.given_back, connection, _now_ns(), default=None)

    if is_asynchronous(original):
        return wrapped(original, begin, _nothing)

    @functools.wraps(original)
    def give_back(*args: Any, **kwargs: Any) -> Any:
        if meters.is_on:
            connection = args[1] if len(args) > 1 else kwargs.get("connection")
            guard.own(meters.given_back, connection, _now_ns(), default=None)
        return original(*args, **kwargs)

    return give_back


def connecting(original: Any, bench: Workbench) -> Any:
    """What makes a connection, measured with its retries; one that is open is not made."""
    meters, guard = Meters.of(bench), bench.guard("pools")

    def start(connection: Any) -> _Making | None:
        return None if connection in _being_made else _Making(connection)

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Making | None:
        del kwargs
        return guard.own(start, args[0], default=None)

    def finish(making: _Making, result: Any) -> None:
        del result
        guard.closing(making.done, meters, default=None)

    making = wrapped(original, begin, finish)

    def chosen(connection: Any) -> Any:
        is_idle = not meters.is_on or guard.own(is_open, connection, default=True)
        return original if is_idle else making

    @functools.wraps(original)
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A pool asks for a connection before each command, mostly for nothing.
        known = original if getattr(self, "_sock", None) is not None else chosen(self)
        return known(self, *args, **kwargs)

    @functools.wraps(original)
    async def connect_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await chosen(self)(self, *args, **kwargs)

    return connect_async if inspect.iscoroutinefunction(original) else connect


def closing(original: Any, bench: Workbench) -> Any:
    """`disconnect` of a connection, counted; and the error that it is closed for, which a retry may hide."""
    meters, guard = Meters.of(bench), bench.guard("pools")

    def tell(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        connection, error = args[0], error_of(args, kwargs)
        if is_open(connection):
            lender = meters.lender(connection)
            meters.closed(reason_of(kwargs, error), None if lender is None else lender.name, error)
        if error is not None:
            meters.failed(error, _server(connection), is_internal=True)

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if meters.is_on:
            guard.own(tell, args, kwargs, default=None)

    return wrapped(original, begin, _nothing)


def acquiring(original: Any, bench: Workbench) -> Any:
    """`acquire_connection` of a node of an asynchronous cluster: it never waits, and knows its node."""
    meters, guard = Meters.of(bench), bench.guard("pools")
    nodes: dict[str, MeasuredPool] = {}

    def note(node: Any, connection: Any) -> None:
        name = f"{node.name}/0"
        measured = nodes.get(name)
        if measured is None:
            if len(nodes) >= _MOST_NODES:
                nodes.clear()
            measured = nodes[name] = meters.unwatched(name)
        meters.lent(connection, measured, _now_ns())

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Acquiring | None:
        del kwargs
        return _Acquiring(args[0]) if meters.is_on else None

    def finish(acquiring: _Acquiring, connection: Any) -> None:
        guard.own(note, acquiring.node, connection, default=None)

    return wrapped(original, begin, finish)


def is_asynchronous(original: Any) -> bool:
    """Whether a method is one of redis-py's asynchronous half, whatever decorates it."""
    return inspect.iscoroutinefunction(original) or ".asyncio" in original.__module__


def is_open(connection: Any) -> bool:
    """Whether a connection, blocking or not, has a socket."""
    try:
        return connection._sock is not None  # noqa: SLF001 - the blocking kind has no other sign
    except AttributeError:
        return bool(getattr(connection, "is_connected", False))


def is_pool_timeout(error: BaseException) -> bool:
    """Whether a pool has given up waiting: it raises `ConnectionError` as for a lost server."""
    causes = (type(error.__cause__), type(error.__context__))
    return type(error).__name__ == "ConnectionError" and any(
        cause.__name__ in {"Empty", "TimeoutError"} and cause.__module__.partition(".")[0] != "redis"
        for cause in causes
    )


def error_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BaseException | None:
    """For which error a connection is closed: given by redis-py 7 and later, or being handled right now.

    Of what is being handled only faults of the transport count: an application may close in its own handler.
    """
    given = kwargs.get("error") or next((arg for arg in args[1:] if isinstance(arg, BaseException)), None)
    if given is not None:
        return given
    handled = sys.exc_info()[1]
    return handled if handled is not None and is_of_transport(handled) else None


def reason_of(kwargs: Mapping[str, Any], error: BaseException | None) -> str:
    """Why a connection is closed, in redis-py's own words."""
    if error is None:
        return CLOSE_REASON_APPLICATION
    return CLOSE_REASON_HEALTH if kwargs.get("health_check_failed") else CLOSE_REASON_ERROR


def _server(connection: Any) -> dict[str, Any]:
    host, port = getattr(connection, "host", None), getattr(connection, "port", None)
    if host is None:
        path = getattr(connection, "path", None)
        return {} if path is None else {SERVER_ADDRESS: str(path)}
    return {SERVER_ADDRESS: str(host), SERVER_PORT: int(port or 0)}


def _nothing(_running: Any, _result: Any) -> None:
    """Such a call has begun nothing."""
