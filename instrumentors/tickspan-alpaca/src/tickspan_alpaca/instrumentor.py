"""What switches the table on and off."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar, Final

from tickspan.instrumentation import Instrumentor, Row

from tickspan_alpaca.describe import ALPACA_PY, TRADE_API
from tickspan_alpaca.patches import ROWS

_OLDER: Final = (f"{TRADE_API} >= 3.0",)


class AlpacaInstrumentor(Instrumentor):
    """Orders of alpaca-py and alpaca-trade-api. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_alpaca"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = (f"{ALPACA_PY} >= 0.30",)
    tested: ClassVar[tuple[str, ...]] = ("alpaca-py >= 0.30, <= 0.44.0", "alpaca-trade-api == 3.2.0")
    rows: ClassVar[tuple[Row, ...]] = ROWS

    def instrumentation_dependencies(self) -> Collection[str]:
        """Either library will do; upstream asks for all that are named, so the one that is there is named."""
        is_older_only = is_installed(TRADE_API) and not is_installed(ALPACA_PY)
        return _OLDER if is_older_only else self.dependencies


def is_installed(name: str) -> bool:
    """Whether a distribution of that name is there."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
