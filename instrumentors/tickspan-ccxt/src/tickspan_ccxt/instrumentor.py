"""What switches the table on and off."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_ccxt.patches import ROWS


class CcxtInstrumentor(Instrumentor):
    """Orders of ccxt, `ccxt.async_support` and `ccxt.pro`. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_ccxt"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ("ccxt >= 4.4, < 5",)
    tested: ClassVar[tuple[str, ...]] = ("ccxt == 4.5.90",)
    rows: ClassVar[tuple[Row, ...]] = ROWS
