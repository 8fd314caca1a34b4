"""The table: where requests, httpx and aiohttp send, and where their answers come."""

from __future__ import annotations

from typing import Final

from tickspan.instrumentation import Row, Wrap

from tickspan_http import wire

ROWS: Final[tuple[Row, ...]] = (
    Wrap("requests.sessions", "Session.send", wire.requests_sending),
    Wrap("urllib3.connectionpool", "HTTPConnectionPool._make_request", wire.urllib3_attempting),
    Wrap("httpx._client", "Client.send", wire.httpx_sending),
    Wrap("httpx._client", "AsyncClient.send", wire.httpx_sending),
    Wrap("httpx._client", "Client._send_single_request", wire.httpx_attempting),
    Wrap("httpx._client", "AsyncClient._send_single_request", wire.httpx_attempting),
    Wrap("aiohttp.client", "ClientSession._request", wire.aiohttp_sending),
    Wrap("aiohttp.client_reqrep", "ClientRequest.send", wire.aiohttp_attempting),
    Wrap("aiohttp.client_reqrep", "ClientResponse.start", wire.aiohttp_heading),
    Wrap("aiohttp.client_reqrep", "ClientResponse.read", wire.aiohttp_reading),
    Wrap("aiohttp.client_reqrep", "ClientResponse.release", wire.aiohttp_leaving),
    Wrap("aiohttp.client_reqrep", "ClientResponse.close", wire.aiohttp_leaving),
)
