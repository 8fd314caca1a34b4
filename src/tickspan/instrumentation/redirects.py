"""Clients that follow redirects by themselves: context for the first host stays away from a foreign next one.

Their instrumentation sees one call; the next hop gets a copy of its headers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tickspan.instrumentation.instrumentor import Instrumentor
from tickspan.instrumentation.patch import Row, Wrap
from tickspan.instrumentation.workbench import Workbench
from tickspan.version import __version__

Withdraw = Callable[[object, str], None]
"""`(headers, host)`: take what was injected out of headers, if the host is a foreign one."""


class RedirectWatch(Instrumentor):
    """Switched on with the rules of propagation, not by name: it tells nothing."""

    scope = "tickspan.redirects"
    version = __version__
    dependencies = ()
    rows: ClassVar[tuple[Row, ...]] = ()

    def __init__(self, withdraw: Withdraw) -> None:
        super().__init__()
        self._withdraw = withdraw

    def table(self, bench: Workbench) -> tuple[Row, ...]:
        """What of each client knows headers and address of the next hop."""
        del bench
        return (
            Wrap(
                "requests.sessions", "SessionRedirectMixin.rebuild_auth", self._around_requests, optional=True
            ),
            Wrap(
                "aiohttp.client_reqrep", "ClientRequest.update_headers", self._around_aiohttp, optional=True
            ),
        )

    def _around_requests(self, original: Any, bench: Workbench) -> Any:
        guard = bench.guard("requests")

        @functools.wraps(original)
        def rebuild_auth(session: Any, prepared_request: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(session, prepared_request, *args, **kwargs)
            if bench.is_active:
                guard.own(self._next_of_requests, prepared_request, default=None)
            return result

        return rebuild_auth

    def _next_of_requests(self, request: Any) -> None:
        self._withdraw(request.headers, urlsplit(request.url).hostname or "")

    def _around_aiohttp(self, original: Any, bench: Workbench) -> Any:
        guard = bench.guard("aiohttp")

        @functools.wraps(original)
        def update_headers(request: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(request, *args, **kwargs)
            if bench.is_active:
                guard.own(self._hop_of_aiohttp, request, default=None)
            return result

        return update_headers

    def _hop_of_aiohttp(self, request: Any) -> None:
        self._withdraw(request.headers, request.url.host or "")
