"""What switches the table on and off."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_nautilus.patches import ROWS


class NautilusInstrumentor(Instrumentor):
    """Orders of NautilusTrader. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_nautilus"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ("nautilus_trader >= 1.212, < 2",)
    tested: ClassVar[tuple[str, ...]] = ("nautilus_trader >= 1.212, < 1.232",)
    rows: ClassVar[tuple[Row, ...]] = ROWS
