"""The kernels of this process, and what of ours hangs on each, from its construction to its end."""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from tickspan.instrumentation import Guard, Workbench, is_suppressed
from tickspan.trading import feeds_of, orders_of, set_current_tick

from tickspan_nautilus import describe
from tickspan_nautilus.backtests import BACKTEST, Backtest
from tickspan_nautilus.bus import Handler, Wire
from tickspan_nautilus.desk import Desk
from tickspan_nautilus.flights import Later
from tickspan_nautilus.market import Market

# An attribute of the library's own Python objects, which have a `__dict__`; the name is ours alone. What is
# kept there goes with its owner: a table of ours would keep both, since a bus holds its kernel.
_OURS: Final = "_tickspan"

_ANSWERS: Final = ("reconcile_execution_report", "reconcile_report")
"""The execution engine's method for reports that were asked for; the second is its name before 1.220."""


class Watched:
    """One kernel with our wire on its bus."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.desk: Desk | None = None
        """Where its orders are told one by one; None if they are only counted."""
        self.market: Market | None = None
        self.backtest: Backtest | None = None
        """Its runs, if it replays history."""


def kernels_of(bench: Workbench) -> Kernels:
    """The kernels that all rows of one instrumentor share."""
    known = _kernels.get(bench)
    if known is None:
        known = _kernels[bench] = Kernels(bench)
        bench.on_undo(known.release)
    return known


def watched_of(owner: Any) -> Watched | None:
    """What is kept of a kernel, or of the kernel that a live engine belongs to."""
    return getattr(owner, _OURS, None)


class Kernels:
    """Every kernel that was made while the instrumentor was on; they are held weakly."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._alive: weakref.WeakSet[Any] = weakref.WeakSet()

    def adopt(self, kernel: Any) -> None:
        """Hang our wire on the bus of a kernel that has just been made."""
        environment = kernel.environment.value
        clients = getattr(kernel._config, "exec_clients", None) or {}  # noqa: SLF001 - no public name
        environment_at = functools.partial(describe.environment_of, environment, clients)
        watched = Watched()
        setattr(kernel, _OURS, watched)
        self._alive.add(kernel)
        if environment == BACKTEST:
            self._replay(kernel, watched, environment_at)
        else:
            self._trade(kernel, watched, environment_at)

    def started(self, kernel: Any) -> Backtest | None:
        """A kernel is about to start; if it replays history, a run of it begins."""
        watched = watched_of(kernel)
        if watched is None or watched.backtest is None or is_suppressed():
            return None
        self._end(kernel, watched, complete=False)
        venues = [str(client_id).lower() for client_id in kernel.exec_engine.registered_clients]
        watched.backtest.begin(venues, kernel.clock.timestamp_ns(), kernel.data_engine.data_count)
        if watched.desk is not None:
            watched.desk.trade_as(f"{kernel.instance_id}/{watched.backtest.number}")
        return watched.backtest

    def failed(self, kernel: Any, error: BaseException) -> None:
        """A kernel's start raised."""
        watched = watched_of(kernel)
        if watched is not None:
            self._end(kernel, watched, complete=False, error=error)

    def looked_at(self, kernel: Any) -> None:
        """Somebody has asked for the kernel's cache.

        The engine does, to count orders for its report, as soon as its traders stand still and its venues
        have worked off what was left. It is an extension type: nothing else tells that a run is over.
        """
        watched = watched_of(kernel)
        backtest = watched.backtest if watched is not None else None
        if watched is not None and backtest is not None and backtest.is_running and kernel.trader.is_stopped:
            self._end(kernel, watched, complete=True)

    def disposed(self, kernel: Any) -> None:
        """A kernel is about to be thrown away."""
        watched = watched_of(kernel)
        if watched is not None:
            self._end(kernel, watched, complete=False)

    def release(self) -> None:
        """Take our wires off every bus."""
        guard = self._bench.guard("release")
        for kernel in tuple(self._alive):
            guard.closing(self._released, kernel, default=None)
        # A blocking program has one context: what was its tick would outlive us there.
        set_current_tick(None)

    def _released(self, kernel: Any) -> None:
        watched: Watched = kernel.__dict__.pop(_OURS)
        watched.wire.cut(kernel.msgbus)
        for engine in (kernel.risk_engine, kernel.exec_engine, kernel.data_engine):
            if watched_of(engine) is watched:
                delattr(engine, _OURS)
        self._end(kernel, watched, complete=False)

    def _end(
        self, kernel: Any, watched: Watched, *, complete: bool, error: BaseException | None = None
    ) -> None:
        if watched.desk is not None:
            watched.desk.close()
        if watched.market is not None:
            watched.market.close()
        if watched.backtest is not None:
            now_ns, messages = kernel.clock.timestamp_ns(), kernel.data_engine.data_count
            watched.backtest.end(now_ns, messages, complete=complete, error=error)

    def _trade(self, kernel: Any, watched: Watched, environment_at: Callable[[str], str | None]) -> None:
        bus, execution, bench = kernel.msgbus, kernel.exec_engine, self._bench
        market = watched.market = Market(orders_of(bench).clock, feeds_of(bench), kernel, environment_at)
        later = _later(kernel.loop, bench.guard("deadline"))
        desk = watched.desk = Desk(bench, kernel.cache, market, environment_at, later=later)
        self._tell_orders(watched.wire, kernel, desk, market)
        for name in _ANSWERS:
            if hasattr(execution, name):
                watched.wire.around(bus, f"ExecEngine.{name}", getattr(execution, name), desk.reconciled)
        for engine in (kernel.risk_engine, execution, kernel.data_engine):
            setattr(engine, _OURS, watched)

    def _replay(self, kernel: Any, watched: Watched, environment_at: Callable[[str], str | None]) -> None:
        bus, wire, bench = kernel.msgbus, watched.wire, self._bench
        is_told = orders_of(bench).settings.backtest_traces
        if is_told:
            market = watched.market = Market(orders_of(bench).clock, None, kernel, environment_at)
            desk = watched.desk = Desk(bench, kernel.cache, market, environment_at)
            self._tell_orders(wire, kernel, desk, market)
        backtest = watched.backtest = Backtest(bench, is_counting=not is_told)
        wire.around(bus, "ExecEngine.execute", kernel.exec_engine.execute, backtest.tally.passed)
        wire.listen(bus, "events.order.*", backtest.tally.told)

    def _tell_orders(self, wire: Wire, kernel: Any, desk: Desk, market: Market) -> None:
        bus, risk, execution = kernel.msgbus, kernel.risk_engine, kernel.exec_engine
        wire.around(bus, "RiskEngine.execute", risk.execute, desk.asked)
        wire.around(bus, "ExecEngine.execute", execution.execute, desk.passed)
        wire.around(bus, "ExecEngine.process", execution.process, desk.heard)
        wire.listen(bus, "events.order.*", self._handler(desk.told, "events.order.*"))
        wire.listen(bus, "data.*", self._handler(market.delivered, "data.*"))

    def _handler(self, tell: Handler, name: str) -> Handler:
        """`tell` behind a guard: an exception on the bus ends a live program."""
        bench, guard = self._bench, self._bench.guard(name)

        def handle(message: Any) -> None:
            if bench.is_active:
                guard.own(tell, message, default=None)

        return handle


def _later(loop: asyncio.AbstractEventLoop, guard: Guard) -> Later:
    def later(delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        # In a context of its own: the caller's is not to be kept for so long.
        handle = loop.call_later(delay_s, lambda: guard.own(action, default=None), context=Context())
        return handle.cancel

    return later


_kernels: Final[weakref.WeakKeyDictionary[Workbench, Kernels]] = weakref.WeakKeyDictionary()
