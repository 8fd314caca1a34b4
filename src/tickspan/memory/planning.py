"""The plan for the garbage collector that the settings ask for: applied once the program has warmed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tickspan.config import MemoryPlan, MemorySettings
from tickspan.memory.governor import Governor, Plan, governor
from tickspan.recording.ticker import Ticker, ticker

__all__ = ["begin"]

_SOONEST_S: Final = 0.001
_PLANS: Final[Mapping[MemoryPlan, Callable[[Governor], Plan]]] = {
    MemoryPlan.HFT: Governor.optimize_for_high_frequency_trading,
    MemoryPlan.DATASETS: Governor.optimize_for_large_datasets,
}


def begin(
    settings: MemorySettings,
    clock: Callable[[], Ticker] = ticker,
    govern: Callable[[], Governor] = governor,
) -> Callable[[], None]:
    """Apply `memory.optimize` after `memory.warm_up_s`; returns what takes that back, or the plan.

    A plan that the program has asked for until then is left alone.
    """
    apply = _PLANS.get(settings.optimize)
    if apply is None:
        return _nothing
    applied: list[Plan] = []

    def warmed_up() -> None:
        if govern().current is None:
            applied.append(apply(govern()))

    cancel = clock().once(max(_SOONEST_S, settings.warm_up_s), warmed_up)

    def stop() -> None:
        cancel()
        while applied:
            applied.pop().revert()

    return stop


def _nothing() -> None:
    """No plan was asked for."""
