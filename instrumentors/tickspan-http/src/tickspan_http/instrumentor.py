"""What switches the table on and off."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_http.patches import ROWS


class HttpInstrumentor(Instrumentor):
    """Orders of requests, httpx and aiohttp. Settings: those of `TradingSettings`."""

    scope: ClassVar[str] = "tickspan_http"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ()
    tested: ClassVar[tuple[str, ...]] = ("requests == 2.34.2", "httpx == 0.28.1", "aiohttp == 3.14.5")
    rows: ClassVar[tuple[Row, ...]] = ROWS
