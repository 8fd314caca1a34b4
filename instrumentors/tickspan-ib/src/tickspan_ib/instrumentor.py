"""What switches the table on and off."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_ib.patches import ROWS


class IbInstrumentor(Instrumentor):
    """Orders of ib_async and ib_insync. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_ib"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ()
    tested: ClassVar[tuple[str, ...]] = ("ib_async == 2.0.1", "ib_insync == 0.9.86")
    rows: ClassVar[tuple[Row, ...]] = ROWS
