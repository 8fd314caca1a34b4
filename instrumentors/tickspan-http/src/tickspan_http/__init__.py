"""requests, httpx and aiohttp under OpenTelemetry: one trace per order."""

from tickspan_http.instrumentor import HttpInstrumentor

__all__ = ["HttpInstrumentor"]
