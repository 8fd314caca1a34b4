"""The way of a request: signed, handed to the transport, answered; and nothing of ours goes with it."""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import (
    OrderCall,
    OrderOperation,
    Point,
    Segment,
    client_id_in,
    clocks_of,
    limits_of,
    open_call,
    profile_of,
    quiet,
)

from tickspan_ccxt.describe import LIBRARY, environment_of, exchange_of, venue_of

_MAX_SEARCHED: Final = 4 * 1024
_sent_ns: Final[ContextVar[int | None]] = ContextVar("tickspan_ccxt_sent", default=None)
"""When this context has last handed a request to the transport."""


def signing(original: Any, _owner: type, bench: Workbench) -> Any:
    """P5, at the end of an exchange's `sign`, and how long it took."""
    guard = bench.guard("sign")

    @functools.wraps(original)
    def sign(*args: Any, **kwargs: Any) -> Any:
        call = open_call()
        if call is None or not bench.is_active:
            return original(*args, **kwargs)
        started_ns = time.monotonic_ns()
        request = original(*args, **kwargs)
        guard.own(_signed, call, started_ns, default=None)
        return request

    return sign


def _signed(call: OrderCall, started_ns: int) -> None:
    call.mark(Point.SIGNED)
    call.waited(Segment.SIGN, (time.monotonic_ns() - started_ns) / 1e9)


def throttling(original: Any, bench: Workbench) -> Any:
    """The blocking `throttle(cost)`, which sleeps; the other waits for its `Throttler`, see `queueing`."""
    guard = bench.guard("throttle")

    @functools.wraps(original)
    def throttle(*args: Any, **kwargs: Any) -> Any:
        call = open_call()
        if call is None or not bench.is_active:
            return original(*args, **kwargs)
        started_ns = time.monotonic_ns()
        result = original(*args, **kwargs)
        guard.own(_throttled, call, started_ns, default=None)
        return result

    return throttle


def queueing(original: Any, bench: Workbench) -> Any:
    """`Throttler.__call__(cost)`: its future is done when the request may go, by REST or WebSocket."""
    guard = bench.guard("Throttler")

    @functools.wraps(original)
    def queue(*args: Any, **kwargs: Any) -> Any:
        started_ns = time.monotonic_ns()
        future = original(*args, **kwargs)
        call = open_call()
        if call is not None and bench.is_active:

            def done(_: Any) -> None:
                guard.own(_throttled, call, started_ns, default=None)

            future.add_done_callback(done)
        return future

    return queue


def _throttled(call: OrderCall, started_ns: int) -> None:
    call.waited(Segment.THROTTLE_WAIT, (time.monotonic_ns() - started_ns) / 1e9)


def fetching(original: Any, _owner: type, bench: Workbench) -> Any:
    """P6, at the start of `fetch(url, method, headers, body)`, sync and async."""
    guard = bench.guard("fetch")

    def note(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        _sent_ns.set(time.monotonic_ns())
        call = open_call()
        if call is not None:
            guard.own(_handed_over, call, args, kwargs, default=None)

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def fetch_async(*args: Any, **kwargs: Any) -> Any:
            if not bench.is_active:
                return await original(*args, **kwargs)
            note(args, kwargs)
            with quiet():
                return await original(*args, **kwargs)

        return fetch_async

    @functools.wraps(original)
    def fetch(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        note(args, kwargs)
        with quiet():
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
    # The name first: the order is written down with it before it may leave.
    if call.operation in (OrderOperation.SUBMIT, OrderOperation.REPLACE):
        sent = query or str(given.get("body") or "")
        call.enrich(client_id=client_id_in(profile_of(venue_of(exchange)), sent[:_MAX_SEARCHED]))
    call.attempt(f"{method} {path}")


def answered(original: Any, _owner: type, bench: Workbench) -> Any:
    """P7, at the start of `on_rest_response`; budgets and the venue's clock stand in the headers."""
    guard, limits, clocks = bench.guard("on_rest_response"), limits_of(bench), clocks_of(bench)

    def note(exchange: Any, status: int, headers: Mapping[str, str]) -> None:
        received_ns = time.monotonic_ns()
        call = open_call()
        if call is not None:
            call.mark(Point.ANSWERED, received_ns)
        venue, environment = venue_of(exchange), environment_of(exchange)
        limits.answered(venue, LIBRARY, environment, status, headers)
        date, sent_ns = headers.get("Date"), _sent_ns.get()
        if date is not None and sent_ns is not None:
            clocks.date(venue, date, sent_ns, received_ns, library=LIBRARY, environment=environment)

    @functools.wraps(original)
    def on_rest_response(
        exchange: Any, code: Any, reason: Any, url: Any, method: Any, headers: Any, *rest: Any
    ) -> Any:
        if bench.is_active:
            guard.own(note, exchange, code, headers, default=None)
        return original(exchange, code, reason, url, method, headers, *rest)

    return on_rest_response


def timing(original: Any, _owner: type, bench: Workbench) -> Any:
    """`load_time_difference()`: ccxt's own measurement, milliseconds that we are ahead of the venue."""
    guard, clocks = bench.guard("load_time_difference"), clocks_of(bench)

    def note(exchange: Any, difference_ms: Any) -> None:
        if isinstance(difference_ms, int | float):
            clocks.offset(
                venue_of(exchange),
                "time_difference",
                -difference_ms / 1e3,
                library=LIBRARY,
                environment=environment_of(exchange),
            )

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def load_async(exchange: Any, *args: Any, **kwargs: Any) -> Any:
            difference_ms = await original(exchange, *args, **kwargs)
            if bench.is_active:
                guard.own(note, exchange, difference_ms, default=None)
            return difference_ms

        return load_async

    @functools.wraps(original)
    def load(exchange: Any, *args: Any, **kwargs: Any) -> Any:
        difference_ms = original(exchange, *args, **kwargs)
        if bench.is_active:
            guard.own(note, exchange, difference_ms, default=None)
        return difference_ms

    return load


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
    params = message.get("params") if isinstance(message, Mapping) else None
    exchange = exchange_of(client)
    is_creating = call.operation in (OrderOperation.SUBMIT, OrderOperation.REPLACE)
    if is_creating and isinstance(params, Mapping) and exchange is not None:
        profile = profile_of(venue_of(exchange))
        ids = {name: params[name] for name in profile.client_id_fields if name in params}
        call.enrich(client_id=client_id_in(profile, json.dumps(ids, default=str)))
    call.mark(Point.SENT)


def connecting(original: Any, bench: Workbench) -> Any:
    """`Client.create_connection`: the handshake carries nothing of ours."""

    @functools.wraps(original)
    def create_connection(*args: Any, **kwargs: Any) -> Any:
        handshake = original(*args, **kwargs)
        return _quietly(handshake) if bench.is_active else handshake

    return create_connection


async def _quietly(handshake: Any) -> Any:
    with quiet():
        return await handshake
