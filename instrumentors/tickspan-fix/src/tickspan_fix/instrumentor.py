"""What switches the table on and off."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_fix.patches import ROWS


class FixInstrumentor(Instrumentor):
    """Orders of QuickFIX and simplefix. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_fix"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ()
    tested: ClassVar[tuple[str, ...]] = ("quickfix-tls == 1.16.0.1rc1", "simplefix == 1.0.17")
    rows: ClassVar[tuple[Row, ...]] = ROWS
