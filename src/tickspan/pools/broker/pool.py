"""Connections to a broker or venue, kept and lent in turn, by threads or by the tasks of an event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Final, Literal

from tickspan.instrumentation import Row, type_name
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.instrumentation.pooling import BROKER, MeasuredPool, PoolCounts, PoolProbe
from tickspan.instrumentation.watch import process_watch
from tickspan.pools.arguments import require_weight
from tickspan.pools.borrowing import Borrowing
from tickspan.pools.broker.breaker import Breaker, BreakerState
from tickspan.pools.broker.budget import Reservation, SharedBucket
from tickspan.pools.broker.effects import (
    Bell,
    Call,
    Logic,
    Make,
    OverdueError,
    Sleep,
    Wait,
    kept,
    run,
    run_async,
)
from tickspan.pools.broker.errors import PoolClosedError, PoolTimeoutError, PoolUnavailableError
from tickspan.pools.broker.ledger import Ledger, Limits, Link, Refusal, Request, Slot, Todo
from tickspan.pools.governor import Policy, PoolGovernor, Wish, jitter, unknown_lane
from tickspan.pools.holders import Who
from tickspan.pools.libraries.library import Borrowed, Library
from tickspan.pools.statistics import PoolStatistics
from tickspan.pools.telling import Teller, meter, on_undo
from tickspan.recording import Guard, diagnostics
from tickspan.semconv.pools import EVENT_POOL_BREAKER_CHANGE, EVENT_POOL_DRAINED, TICKSPAN_POOL_BREAKER_STATE

_NS_PER_S: Final = 1e9
_now_s: Final = time.monotonic
_now_ns: Final = time.perf_counter_ns
_probes: Final[list[PoolProbe]] = []
_abandoned: Final[list[Any]] = []
"""Connections of a parent process: closing them here would close them there, and so would forgetting them."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the application does about its connections; each may be a coroutine function if the factory is."""

    connect: Callable[..., Any]
    """`connect()` or `connect(account)`."""
    ping: Callable[[Any], Any] | None = None
    """`ping(connection)`: False, or an exception, means that it is not well."""
    close: Callable[[Any], Any] | None = None
    """`close(connection)`; by default its own `close()`, where it has one."""
    is_closed: Callable[[Any], bool] | None = None
    """`is_closed(connection)`; by default its own `closed` or `is_closed()`."""
    last_heard_s: Callable[[Any], float] | None = None
    """`last_heard_s(connection)`: when a heartbeat, pong or data came last, by `time.monotonic()`."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the connections of a pool that was drained."""

    closed: int
    """Idle ones, and those that came back in time."""
    forced: int
    """Those that were still out at the deadline."""


class BrokerPool:
    """Connections of one kind under a name.

    Safe from several threads where its factory is a function; of one event loop where it is a coroutine
    function. A forked child begins with an empty pool, and leaves its parent's connections alone.
    """

    def __init__(
        self,
        name: str,
        callbacks: Callbacks,
        limits: Limits,
        *,
        is_async: bool,
        timeout_s: float,
        connect_timeout_s: float,
        max_hold_s: float | None,
        reclaim: Literal["dead"] | None,
        bucket: SharedBucket | None,
    ) -> None:
        self.name = name
        self.limits = limits
        self.is_async = is_async
        self._callbacks = callbacks
        self._takes_account = _takes_argument(callbacks.connect)
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._bucket = bucket
        self._loop: asyncio.AbstractEventLoop | None = _running_loop() if is_async else None
        self._guard = Guard("pools", name)
        self._teller = Teller(name)
        self._begin()
        measured = _probe().watch(self, name, BrokerPool._counts)
        assert measured is not None
        self._measured: MeasuredPool = measured
        self._governor = PoolGovernor(
            _Broker(self, is_async=is_async),
            name,
            Policy(max_hold_s=max_hold_s, reclaim=reclaim),
            self._teller,
        )
        renew_after_fork(self)
        self._is_watched = False
        self._be_watched()
        if limits.min_connections:
            self.look()

    def __repr__(self) -> str:
        counts = self._counts()
        return (
            f"<BrokerPool {self.name}, {counts.used} of {counts.max} used, {counts.idle} idle,"
            f" {self._ledger.waiting} waiting, breaker {self._breaker.state.value}>"
        )

    # What the application calls

    def connection(
        self,
        *,
        timeout_s: float | None = None,
        lane: str | None = None,
        account: str | None = None,
        weight: float = 0,
    ) -> Borrowing:
        """A context with a connection, see `tickspan.pools.get_connection_context`."""
        if lane:
            raise unknown_lane(self.name, lane, {})
        if account is not None and not self._takes_account:
            raise TypeError(f"account: the factory of pool {self.name!r} takes none: `connect(account)`")
        require_weight(weight)
        if weight and self._bucket is None:
            raise TypeError(f"weight: pool {self.name!r} has no budget: create it with `budget=`")
        wanted = self._timeout_s if timeout_s is None else timeout_s
        used = weight or (1 if self._bucket is not None else 0)
        return Borrowing(self, Wish("", wanted, account, used))

    def heard(self, connection: Any) -> None:
        """A heartbeat, a pong or data came on this connection: it is alive."""
        now_s = _now_s()
        with self._lock:
            links = self._ledger.links()
        for link in links:
            if link.connection is connection:
                link.heard_at_s = now_s

    def statistics(self) -> PoolStatistics:
        """Now, and since it was made."""
        counts, measured = self._counts(), self._measured
        lent = measured.lent_count
        return PoolStatistics(
            name=self.name,
            library="broker pool",
            used=counts.used,
            idle=counts.idle,
            max=counts.max,
            pending=len(measured.waiting),
            lent=lent,
            created=measured.created_count,
            timeouts=measured.timeout_count,
            mean_wait_s=measured.wait_ns / lent / _NS_PER_S if lent else 0.0,
            mean_use_s=measured.use_ns / lent / _NS_PER_S if lent else 0.0,
            leaks=self._teller.leaks,
            advised_size=self._governor.advised_size,
            closed=dict(self._teller.closed_by_reason),
            holders=self._governor.holders(),
        )

    @property
    def breaker_state(self) -> BreakerState:
        """Whether connecting is tried."""
        return self._breaker.state

    def drain(self, deadline_s: float = 30.0) -> Any:
        """Lend no more, wait for what is out at most so long, close everything. Returns a `Drained`.

        Of an asynchronous pool it is a coroutine. Requests that wait, and later ones, get `PoolClosedError`.
        """
        return run_async(self._draining(deadline_s)) if self.is_async else run(self._draining(deadline_s))

    # What others call

    def borrow(self, wanted: Wish) -> Borrowed:
        """A lease to enter: with `async with` where the factory is a coroutine function."""
        return _LeaseAsync(self, wanted) if self.is_async else _Lease(self, wanted)

    def look(self) -> None:
        """Once a second: what is old or silent is closed, what is missing is opened, in the background."""
        with self._lock:
            todo = self._ledger.upkeep(_now_s())
        self._guard.own(self._in_background, todo, default=None)

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone."""
        _abandoned.extend(self._ledger.links())
        waiting = self._measured.waiting
        self._begin()
        waiting.clear()
        self._loop = None
        self._is_watched = False

    def reclaim(self, link: Link) -> bool:
        """Close what its holder will not give back."""
        holding, link.holding = link.holding, None
        if holding is not None:
            holding.end()
        with self._lock:
            todo = self._ledger.give_back(link, _now_s(), "dead_holder")
        self._in_background(todo)
        return bool(todo.close)

    # Logic, for threads and tasks alike

    def acquiring(self, wanted: Wish) -> Logic[Link]:
        """Get a connection, and leave of the budget to use it."""
        self._be_watched()
        self._meet_loop()
        started_ns, until_s = _now_ns(), _now_s() + (wanted.timeout_s or 0)
        request = Request(wanted.account)
        bell = Bell(is_async=self.is_async)
        request.wake = bell.ring
        self._measured.waiting.add(request)
        making = _Making()
        try:
            link = yield from self._granted(request, bell, until_s, making)
            yield from self._within_budget(link, wanted.weight, until_s)
        except BaseException as error:
            if isinstance(error, PoolTimeoutError):
                self._measured.timed_out()
            raise
        finally:
            self._measured.waiting.discard(request)
        self._measured.waited(_now_ns() - started_ns - making.elapsed_ns)
        link.lent_ns = _now_ns()
        link.holding = self._governor.lent(link, None, link.lent_ns)
        return link

    def giving_back(self, link: Link, error: BaseException | None) -> Logic[None]:
        """Take a connection back: what is broken, or was left in the middle of something, is closed."""
        holding, link.holding = link.holding, None
        if holding is None:
            return  # it was reclaimed
        self._measured.used(_now_ns() - link.lent_ns)
        reason = self._why_broken(link, error)
        try:
            yield from self._return(link, reason)
        finally:
            holding.end()

    def _granted(self, request: Request, bell: Bell, until_s: float, making: _Making) -> Logic[Link]:
        with self._lock:
            todo = self._ledger.ask(request, _now_s())
        try:
            yield from self._do(todo)
            while True:
                if request.grant is None:
                    yield Wait(bell, until_s - _now_s())
                with self._lock:
                    grant, request.grant = request.grant, None
                    if grant is None:
                        self._ledger.abandon(request, _now_s())
                if grant is None:
                    raise PoolTimeoutError(  # noqa: TRY301 - the handler hands on what was granted
                        f"no connection of pool {self.name!r} came free in time"
                    )
                if isinstance(grant, Refusal):
                    raise self._refused(grant)  # noqa: TRY301 - the same
                if isinstance(grant, Slot):
                    return (yield from self._open(grant, until_s, making))
                if (yield from self._is_well(grant)):
                    return grant
                bell = Bell(is_async=self.is_async)
                request.wake = bell.ring
                with self._lock:
                    todo = self._ledger.ask(request, _now_s())
                yield from self._do(todo)
        except BaseException:
            with self._lock:
                todo = self._ledger.abandon(request, _now_s())
            self._in_background(todo)
            raise

    def _open(self, slot: Slot, until_s: float, making: _Making) -> Logic[Link]:
        """Connect, outside of any lock. A requester that is gone leaves the connection to the next."""
        if slot.instead_of is not None:
            yield from self._close(slot.instead_of, "account", lambda: self._not_connected(slot, None))
        started_ns = _now_ns()

        def late(connection: Any, error: BaseException | None) -> None:
            if error is not None:
                self._not_connected(slot, error)
                return
            link = self._connected(slot, connection, started_ns)
            with self._lock:
                todo = self._ledger.give_back(link, _now_s())
            self._in_background(todo)

        patience_s = max(0.001, until_s - _now_s())
        args = (slot.account,) if self._takes_account else ()
        make = Make(self._callbacks.connect, args, self._connect_timeout_s, patience_s, late)
        try:
            connection = yield make
        except BaseException as error:
            if not make.is_left:
                self._not_connected(slot, error)
            if isinstance(error, OverdueError):
                raise PoolTimeoutError(
                    f"the factory of pool {self.name!r} took longer than connect_timeout_s,"
                    f" {self._connect_timeout_s:g} s"
                ) from None
            if make.is_left and isinstance(error, TimeoutError):
                raise PoolTimeoutError(f"pool {self.name!r} could not connect in time") from error
            raise
        finally:
            making.elapsed_ns += _now_ns() - started_ns
        return self._connected(slot, connection, started_ns)

    def _is_well(self, link: Link) -> Logic[bool]:
        """Ask a connection that has been silent, before it is lent; one that is not well is closed."""
        with self._lock:
            is_due = self._ledger.needs_check(link, _now_s())
        if not is_due and not self._looks_closed(link):
            return True
        try:
            is_well = not self._looks_closed(link) and (yield from self._answers(link))
        except BaseException:
            yield from self._return(link, "unhealthy")
            raise
        if not is_well:
            yield from self._return(link, "unhealthy")
            return False
        link.heard_at_s = _now_s()
        return True

    def _answers(self, link: Link) -> Logic[bool]:
        ping = self._callbacks.ping
        if ping is None:
            return True
        started_s = _now_s()
        try:
            answer = yield Call(ping, (link.connection,), self._connect_timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever it raises, the connection is not to be used
            self._teller.checked(_now_s() - started_s, error)
            return False
        is_well = answer is not False
        self._teller.checked(_now_s() - started_s, None if is_well else ConnectionError())
        return is_well

    def _within_budget(self, link: Link, weight: float, until_s: float) -> Logic[None]:
        bucket = self._bucket
        if bucket is None or not weight:
            return
        reservation: Reservation | None = None
        try:
            reservation = bucket.reserve(weight, until_s)
            if reservation is None:
                raise PoolTimeoutError(  # noqa: TRY301 - the handler gives the connection back
                    f"the budget of pool {self.name!r} leaves no room in time"
                )
            pause_s = reservation.ready_at_s - _now_s()
            if pause_s > 0:
                yield Sleep(pause_s)
        except BaseException:
            if reservation is not None:
                bucket.cancel(reservation)
            with self._lock:
                todo = self._ledger.give_back(link, _now_s())
            self._in_background(todo)
            raise

    def _return(self, link: Link, reason: str | None) -> Logic[None]:
        with self._lock:
            todo = self._ledger.give_back(link, _now_s(), reason)
        if self._returned is not None:
            self._returned.ring()
        yield from self._do(todo)

    def _do(self, todo: Todo) -> Logic[None]:
        """Wake at once, then close, ask and connect; what follows from that too."""
        for request in todo.wake:
            self._wake(request)
        for index, (link, reason) in enumerate(todo.close):
            try:
                yield from self._close(link, reason, lambda link=link: self._in_background(self._gone(link)))
            except BaseException:
                self._in_background(
                    Todo(close=todo.close[index + 1 :], check=todo.check, connect=todo.connect)
                )
                raise
            yield from self._do(self._gone(link))
        for link in todo.check:
            is_well = yield from self._answers(link)
            with self._lock:
                more = self._ledger.checked(link, _now_s(), is_well=is_well)
            yield from self._do(more)
        for slot in todo.connect:
            yield from self._stand_by(slot)

    def _stand_by(self, slot: Slot) -> Logic[None]:
        """Open a connection that nobody has asked for."""
        started_ns = _now_ns()
        args = (None,) if self._takes_account else ()
        try:
            connection = yield Call(self._callbacks.connect, args, self._connect_timeout_s)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: the breaker counts it
            self._not_connected(slot, error)
            return
        except BaseException:
            self._not_connected(slot, None)
            raise
        link = self._connected(slot, connection, started_ns)
        yield from self._return(link, None)

    def _close(self, link: Link, reason: str, late: Callable[[], None]) -> Logic[None]:
        """Whoever is cancelled meanwhile leaves it going; `late` is called once it is closed then."""
        self._teller.closed(reason)
        close = self._callbacks.close or _close_by_itself
        timeout_s = self._connect_timeout_s

        def closed(_answer: Any, _error: BaseException | None) -> None:
            late()

        make = Make(close, (link.connection,), timeout_s, 2 * timeout_s, closed)
        try:
            yield make
        except Exception as error:  # noqa: BLE001 - it is of no use any more, whatever it says
            diagnostics.debug("pool '%s': closing a connection failed with %s", self.name, type_name(error))
        except BaseException:
            if not make.is_left:
                late()
            raise

    def _gone(self, link: Link) -> Todo:
        with self._lock:
            return self._ledger.closed(link, _now_s())

    def _draining(self, deadline_s: float) -> Logic[Drained]:
        until_s = _now_s() + deadline_s
        before = sum(self._teller.closed_by_reason.values())
        with self._lock:
            todo = self._ledger.drain()
        yield from self._do(todo)
        while self._ledger.used and _now_s() < until_s:
            self._returned = Bell(is_async=self.is_async)
            if self._ledger.used:
                yield Wait(self._returned, min(1.0, until_s - _now_s()))
        forced = self._ledger.lent()
        for link in forced:
            holding, link.holding = link.holding, None
            if holding is not None:
                holding.end()
            yield from self._return(link, "drain")
        process_watch().remove(self)
        self._governor.close()
        result = Drained(sum(self._teller.closed_by_reason.values()) - before - len(forced), len(forced))
        body = f"{self.name} is drained: {result.closed} connections closed, {result.forced} of them by force"
        self._teller.event(EVENT_POOL_DRAINED, body, {}, is_warning=bool(result.forced))
        return result

    # Steps without effects

    def _begin(self) -> None:
        self._lock = threading.RLock()  # `last_heard_s` may call `heard` or `statistics`
        self._breaker = Breaker()
        self._ledger = Ledger(self.limits, self._breaker, self._expiry, self._heard_at)
        self._is_busy = False
        self._returned: Bell | None = None

    def _counts(self) -> PoolCounts:
        ledger, limits = self._ledger, self.limits
        with self._lock:
            return PoolCounts(
                ledger.used,
                ledger.idle,
                limits.min_connections,
                limits.max_connections,
                limits.max_connections,
            )

    def _expiry(self, now_s: float) -> float:
        lifetime_s = self.limits.max_lifetime_s
        return float("inf") if lifetime_s is None else now_s + lifetime_s * jitter()

    def _heard_at(self, link: Link) -> float:
        ask = self._callbacks.last_heard_s
        return 0.0 if ask is None else self._guard.user(ask, link.connection, default=0.0)

    def _looks_closed(self, link: Link) -> bool:
        ask = self._callbacks.is_closed or _is_closed_by_itself
        return bool(self._guard.user(ask, link.connection, default=False))

    def _why_broken(self, link: Link, error: BaseException | None) -> str | None:
        """A request without its answer, as after a cancel, leaves a connection in an unknown state."""
        if self._looks_closed(link):
            return "closed"
        if error is None or (isinstance(error, Exception) and not isinstance(error, OSError | EOFError)):
            return None
        return "broken"

    def _refused(self, refusal: Refusal) -> Exception:
        if refusal.retry_after_s is None:
            return PoolClosedError(f"pool {self.name!r} is drained")
        return PoolUnavailableError(
            f"pool {self.name!r} could not connect several times in a row;"
            f" it tries again in {refusal.retry_after_s:.1f} s",
            refusal.retry_after_s,
        )

    def _connected(self, slot: Slot, connection: Any, started_ns: int) -> Link:
        self._measured.created(_now_ns() - started_ns)
        with self._lock:
            is_changed = self._breaker.succeeded()
            link = self._ledger.connected(slot, connection, _now_s())
        if is_changed:
            self._tell_breaker()
        return link

    def _not_connected(self, slot: Slot, error: BaseException | None) -> None:
        before = self._breaker.state
        with self._lock:
            todo = self._ledger.not_connected(slot, _now_s(), is_failure=isinstance(error, Exception))
        if self._breaker.state is BreakerState.OPEN and before is not BreakerState.OPEN:
            self._tell_breaker()
        self._in_background(todo)

    def _tell_breaker(self) -> None:
        state = self._breaker.state
        body = (
            f"{self.name} tries to connect again"
            if state is BreakerState.CLOSED
            else (f"{self.name} could not connect several times in a row and pauses")
        )
        attributes = {TICKSPAN_POOL_BREAKER_STATE: state.value}
        is_warning = state is not BreakerState.CLOSED
        self._teller.event(EVENT_POOL_BREAKER_CHANGE, body, attributes, is_warning=is_warning)

    def _wake(self, request: Request) -> None:
        if not request.wake():
            with self._lock:
                todo = self._ledger.abandon(request, _now_s())
            self._in_background(todo)

    def _in_background(self, todo: Todo) -> None:
        """Wake at once; what may take long is done by a thread, or by a task of the pool's loop."""
        for request in todo.wake:
            self._wake(request)
        rest = Todo(close=todo.close, check=todo.check, connect=todo.connect)
        if self._returned is not None:
            self._returned.ring()
        if not (rest.close or rest.check or rest.connect):
            return
        if not self.is_async:
            threading.Thread(
                target=self._guard.own,
                args=(run, self._do(rest)),
                kwargs={"default": None},
                name=f"tickspan-pool-{self.name}",
                daemon=True,
            ).start()
            return
        loop = self._loop
        if loop is None or loop.is_closed():
            with self._lock:
                for slot in rest.connect:
                    self._ledger.not_connected(slot, _now_s(), is_failure=False)
            return
        with suppress(RuntimeError):  # closed a moment ago, with its connections
            loop.call_soon_threadsafe(lambda: kept(asyncio.ensure_future(run_async(self._do(rest)))))

    def _be_watched(self) -> None:
        """A forked child's watch begins with nothing."""
        if not self._is_watched:
            self._is_watched = True
            process_watch().add(self)

    def _meet_loop(self) -> None:
        """An asynchronous pool belongs to one loop. Connections of a loop that is closed are of no use."""
        if not self.is_async:
            return
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError(f"pool {self.name!r} belongs to another event loop, which is still open")
        if self._loop is not None:
            with self._lock:
                self._ledger = Ledger(self.limits, self._breaker, self._expiry, self._heard_at)
            self._measured.waiting.clear()
        self._loop = loop
        if self.limits.min_connections:
            self.look()


class _Making:
    """How long the making of a connection took, of a request's time."""

    __slots__ = ("elapsed_ns",)

    def __init__(self) -> None:
        self.elapsed_ns = 0


class _Lease(AbstractContextManager[Any]):
    def __init__(self, pool: BrokerPool, wanted: Wish) -> None:
        self._pool = pool
        self._wanted = wanted
        self._link: Link | None = None

    def __enter__(self) -> Any:
        self._link = run(self._pool.acquiring(self._wanted))
        return self._link.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        link, self._link = self._link, None
        if link is not None:
            run(self._pool.giving_back(link, error))


class _LeaseAsync(AbstractAsyncContextManager[Any]):
    def __init__(self, pool: BrokerPool, wanted: Wish) -> None:
        self._pool = pool
        self._wanted = wanted
        self._link: Link | None = None

    async def __aenter__(self) -> Any:
        self._link = await run_async(self._pool.acquiring(self._wanted))
        return self._link.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        link, self._link = self._link, None
        if link is not None:
            task = asyncio.ensure_future(run_async(self._pool.giving_back(link, error)))
            kept(task)
            await asyncio.shield(task)


class _Broker(Library):
    """A broker pool as its governor sees it: leaks, advice."""

    title: ClassVar[str] = "broker pool"
    rows: ClassVar[tuple[Row, ...]] = ()
    tells_invalidations: ClassVar[bool] = True

    def counts(self) -> PoolCounts | None:
        pool: BrokerPool | None = self.stand_in
        return None if pool is None else pool._counts()  # noqa: SLF001 - of this module

    def reclaim(self, thing: Any, who: Who) -> bool:
        del who
        pool: BrokerPool | None = self.stand_in
        return pool is not None and pool.reclaim(thing)


def _probe() -> PoolProbe:
    """The same for all."""
    if not _probes:
        _probes.append(PoolProbe(meter(), Guard("pools", "broker"), BROKER))
        on_undo(_probes.clear)
    return _probes[0]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _takes_argument(factory: Callable[..., Any]) -> bool:
    """Whether it can be called with an account; what has no signature takes none."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in positional and one.default is one.empty for one in parameters)


def _close_by_itself(connection: Any) -> Any:
    close = getattr(connection, "close", None)
    return None if close is None else close()


def _is_closed_by_itself(connection: Any) -> bool:
    """`closed`, or `is_closed()`; what has neither is taken to be open."""
    closed = getattr(connection, "closed", None)
    if isinstance(closed, bool | int):
        return bool(closed)
    ask = getattr(connection, "is_closed", None)
    return ask() is True if callable(ask) else False
