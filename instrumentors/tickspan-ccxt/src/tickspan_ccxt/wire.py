"""The way of a request: signed, handed to the transport, answered; and nothing of ours goes with it."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context as otel_context
from tickspan.instrumentation import Workbench
from tickspan.trading import OrderCall, OrderOperation, Point, client_id_in, open_call, profile_of

from tickspan_ccxt.describe import exchange_of, venue_of

_MAX_SEARCHED: Final = 4 * 1024
_METHOD_AT, _HEADERS_AT, _BODY_AT = 1, 2, 3


@contextmanager
def without_http_instrumentation() -> Generator[None]:
    """No span of an HTTP instrumentor, and no `traceparent` or baggage, on what a venue gets."""
    key = otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY  # noqa: SLF001 - it has no public name
    token = otel_context.attach(otel_context.set_value(key, value=True))
    try:
        yield
    finally:
        otel_context.detach(token)


def signing(original: Any, _owner: type, bench: Workbench) -> Any:
    """P5, at the end of an exchange's `sign`."""
    guard = bench.guard("sign")

    @functools.wraps(original)
    def sign(*args: Any, **kwargs: Any) -> Any:
        request = original(*args, **kwargs)
        call = open_call()
        if call is not None and bench.is_active:
            guard.own(call.mark, Point.SIGNED, default=None)
        return request

    return sign


def fetching(original: Any, _owner: type, bench: Workbench) -> Any:
    """P6, at the start of `fetch(url, method, headers, body)`, sync and async."""
    guard = bench.guard("fetch")

    def note(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        call = open_call()
        if call is not None:
            guard.own(_handed_over, call, args, kwargs, default=None)

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def fetch_async(*args: Any, **kwargs: Any) -> Any:
            if not bench.is_active:
                return await original(*args, **kwargs)
            note(args, kwargs)
            with without_http_instrumentation():
                return await original(*args, **kwargs)

        return fetch_async

    @functools.wraps(original)
    def fetch(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        note(args, kwargs)
        with without_http_instrumentation():
            return original(*args, **kwargs)

    return fetch


def _handed_over(call: OrderCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """The order's own request, not one that prepares it: markets, time and accounts are read by GET."""
    exchange, url, *rest = args
    given = {**dict(zip(("method", "headers", "body"), rest, strict=False)), **kwargs}
    method = str(given.get("method", "GET"))
    if method == "GET" and call.operation is not OrderOperation.QUERY:
        return
    path, _, query = str(url).partition("?")
    call.attempt(f"{method} {path}")
    if call.operation in (OrderOperation.SUBMIT, OrderOperation.REPLACE):
        sent = query or str(given.get("body") or "")
        call.enrich(client_id=client_id_in(profile_of(venue_of(exchange)), sent[:_MAX_SEARCHED]))


def answered(original: Any, _owner: type, bench: Workbench) -> Any:
    """P7, at the start of `on_rest_response`."""
    guard = bench.guard("on_rest_response")

    @functools.wraps(original)
    def on_rest_response(*args: Any, **kwargs: Any) -> Any:
        call = open_call()
        if call is not None and bench.is_active:
            guard.own(call.mark, Point.ANSWERED, default=None)
        return original(*args, **kwargs)

    return on_rest_response


def sending(original: Any, bench: Workbench) -> Any:
    """P6 of a request by WebSocket: `Client.send(message)`."""
    guard = bench.guard("Client.send")

    @functools.wraps(original)
    async def send(client: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        call = open_call()
        if call is not None and bench.is_active:
            guard.own(_sent, call, client, message, default=None)
        return await original(client, message, *args, **kwargs)

    return send


def _sent(call: OrderCall, client: Any, message: Any) -> None:
    call.mark(Point.SENT)
    params = message.get("params") if isinstance(message, Mapping) else None
    if not isinstance(params, Mapping) or call.operation not in (
        OrderOperation.SUBMIT,
        OrderOperation.REPLACE,
    ):
        return
    exchange = exchange_of(client)
    if exchange is None:
        return
    profile = profile_of(venue_of(exchange))
    ids = {name: params[name] for name in profile.client_id_fields if name in params}
    call.enrich(client_id=client_id_in(profile, json.dumps(ids, default=str)))


def connecting(original: Any, bench: Workbench) -> Any:
    """`Client.create_connection`: the handshake carries nothing of ours."""

    @functools.wraps(original)
    def create_connection(*args: Any, **kwargs: Any) -> Any:
        handshake = original(*args, **kwargs)
        return _quietly(handshake) if bench.is_active else handshake

    return create_connection


async def _quietly(handshake: Any) -> Any:
    with without_http_instrumentation():
        return await handshake
