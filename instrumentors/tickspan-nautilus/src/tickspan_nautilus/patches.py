"""The table: which functions of NautilusTrader tell what.

Its engines are extension types and take no wrappers. What is wrapped is the kernel, which is plain Python and
has them on one message bus, and the queues of their live versions.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.trading import ReadLoopPatch, quiet

from tickspan_nautilus.kernels import Watched, kernels_of, watched_of

KERNEL: Final = "nautilus_trader.system.kernel"
LIVE_DATA: Final = "nautilus_trader.live.data_engine"
LIVE_RISK: Final = "nautilus_trader.live.risk_engine"
LIVE_EXECUTION: Final = "nautilus_trader.live.execution_engine"


def _making(original: Any, bench: Workbench) -> Any:
    kernels, guard = kernels_of(bench), bench.guard("NautilusKernel.__init__")

    @functools.wraps(original)
    def init(kernel: Any, *args: Any, **kwargs: Any) -> None:
        original(kernel, *args, **kwargs)
        if bench.is_active:
            guard.own(kernels.adopt, kernel, default=None)

    return init


def _starting(original: Any, bench: Workbench) -> Any:
    kernels, guard = kernels_of(bench), bench.guard("NautilusKernel.start")

    @functools.wraps(original)
    def start(kernel: Any) -> Any:
        backtest = guard.own(kernels.started, kernel, default=None) if bench.is_active else None
        if backtest is None:
            return original(kernel)
        try:
            result = original(kernel)
        except BaseException as error:
            guard.own(kernels.failed, kernel, error, default=None)
            raise
        backtest.is_running = True
        return result

    return start


def _looking(original: Any, bench: Workbench) -> Any:
    kernels, guard = kernels_of(bench), bench.guard("NautilusKernel.cache")

    def cache(kernel: Any) -> Any:
        if bench.is_active:
            guard.own(kernels.looked_at, kernel, default=None)
        return original.fget(kernel)

    return property(functools.wraps(original.fget)(cache), doc=original.__doc__)


def _disposing(original: Any, bench: Workbench) -> Any:
    kernels, guard = kernels_of(bench), bench.guard("NautilusKernel.dispose")

    @functools.wraps(original)
    def dispose(kernel: Any) -> Any:
        if bench.is_active:
            guard.own(kernels.disposed, kernel, default=None)
        return original(kernel)

    return dispose


def _checking(original: Any, bench: Workbench) -> Any:
    guard = bench.guard("LiveRiskEngine._execute_command")

    @functools.wraps(original)
    def check(engine: Any, command: Any) -> Any:
        watched = _watched(engine, bench)
        if watched is not None and watched.desk is not None:
            guard.own(watched.desk.checking, command, engine, default=None)
        return original(engine, command)

    return check


def _sending(original: Any, bench: Workbench) -> Any:
    """What the execution client starts here belongs to the order call, and carries nothing of ours."""
    guard = bench.guard("LiveExecutionEngine._execute_command")

    @functools.wraps(original)
    def send(engine: Any, command: Any) -> Any:
        watched = _watched(engine, bench)
        desk = watched.desk if watched is not None else None
        flight = guard.own(desk.sending, command, default=None) if desk is not None else None
        if flight is None:
            return original(engine, command)
        guard.own(flight.call.resume, default=None)
        try:
            with quiet():
                return original(engine, command)
        finally:
            guard.own(flight.call.release, default=None)

    return send


def _stopping(original: Any, bench: Workbench) -> Any:
    guard = bench.guard("LiveDataEngine._on_stop")

    @functools.wraps(original)
    def stop(engine: Any) -> Any:
        watched = _watched(engine, bench)
        if watched is not None and watched.market is not None:
            guard.own(watched.market.close, default=None)
        return original(engine)

    return stop


def _watched(engine: Any, bench: Workbench) -> Watched | None:
    return watched_of(engine) if bench.is_active else None


ROWS: Final[tuple[Row, ...]] = (
    Wrap(KERNEL, "NautilusKernel.__init__", _making),
    Wrap(KERNEL, "NautilusKernel.start", _starting),
    Wrap(KERNEL, "NautilusKernel.cache", _looking),
    Wrap(KERNEL, "NautilusKernel.dispose", _disposing),
    Wrap(LIVE_RISK, "LiveRiskEngine._execute_command", _checking),
    Wrap(LIVE_EXECUTION, "LiveExecutionEngine._execute_command", _sending),
    Wrap(LIVE_DATA, "LiveDataEngine._on_stop", _stopping),
    ReadLoopPatch(LIVE_DATA, "LiveDataEngine._on_start"),
    ReadLoopPatch(LIVE_RISK, "LiveRiskEngine._on_start"),
    ReadLoopPatch(LIVE_EXECUTION, "LiveExecutionEngine._on_start"),
)
