"""What switches the table on and off."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_binance.patches import ROWS


class BinanceInstrumentor(Instrumentor):
    """Orders of python-binance. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_binance"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ("python-binance >= 1.0.36, < 2",)
    tested: ClassVar[tuple[str, ...]] = ("python-binance >= 1.0.36, <= 1.0.37",)
    rows: ClassVar[tuple[Row, ...]] = ROWS
