"""What the trading part may be told: values, never read from the environment here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Quantities(StrEnum):
    """How much of sizes and prices leaves the process: own orders are alpha."""

    OFF = "off"
    BUCKETED = "bucketed"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class TradingSettings:
    """Settings of `tickspan.trading`; times in seconds."""

    environment: str = "live"
    """Where host and flags do not tell: live, paper, testnet, simulated or backtest."""
    quantities: Quantities = Quantities.OFF
    salt: str | None = None
    """Key of `trading.account.hash`; without it the attribute is absent."""
    max_tick_age_s: float = 5.0
    """An older tick is not the cause of an order."""
    inferred_window_s: float = 0.25
    """How young the newest tick of the same instrument must be to be taken for the cause."""
    lifecycle_delay_s: float = 1.0
    """How long after the terminal state the lifecycle span is written, so that late reports are in it."""
    event_window_s: float = 900.0
    """How long events are children of the submit span: tail samplers decide by then. Later ones link."""
    terminal_ttl_s: float = 900.0
    """How long an ended order is remembered."""
    waiting_s: float = 10.0
    """How long a pushed report of an unknown order waits for its acknowledgement."""
    max_orders: int = 20_000
    max_waiting: int = 1_000

    @staticmethod
    def of(values: Mapping[str, Any]) -> TradingSettings:
        """Settings out of a mapping of their names; keys that are not ours are left alone.

        Raises:
            ValueError: `quantities` is none of off, bucketed, full.
        """
        own = {field.name for field in fields(TradingSettings)}
        known = {key: value for key, value in values.items() if key in own and value is not None}
        if "quantities" in known:
            known["quantities"] = _quantities(known["quantities"])
        return TradingSettings(**known)


def _quantities(value: object) -> Quantities:
    try:
        return Quantities(str(value))
    except ValueError:
        expected = ", ".join(Quantities)
        raise ValueError(f"trading.quantities: expected one of {expected}, got {value!r}") from None
