"""The way of a request: signed, handed to the transport, answered; and nothing of ours goes with it."""

from __future__ import annotations

import functools
import inspect
import time
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from tickspan.instrumentation import Guard, Workbench
from tickspan.trading import (
    Point,
    Segment,
    clocks_of,
    limits_of,
    open_call,
    orders_of,
    quiet,
)

from tickspan_binance import budgets, read, refusals
from tickspan_binance.describe import (
    LIBRARY,
    place_of,
    request_of,
    ws_contract_request_of,
    ws_request_of,
)
from tickspan_binance.feeds import lines_of
from tickspan_binance.routes import POLLED_ORDERS, POLLED_PRICES, Request

_OFF_TIME: Final = "-1021"


class _Exchange:
    """One request of one client, until its answer has been read."""

    __slots__ = ("client", "place", "received_ns", "request", "sent_ns", "symbol")

    def __init__(self, client: Any, request: Request, symbol: Any) -> None:
        self.client = client
        self.place = place_of(client, request.venue)
        self.request = request
        self.symbol = symbol
        self.sent_ns: int | None = None
        self.received_ns: int | None = None


_exchange: Final[ContextVar[_Exchange | None]] = ContextVar("tickspan_binance_exchange", default=None)


@contextmanager
def _opened(exchange: _Exchange) -> Generator[None]:
    """The request is under way in this context, and bare."""
    token = _exchange.set(exchange)
    try:
        with quiet():
            yield
    finally:
        with suppress(ValueError):  # closed from another context: a coroutine that was thrown away
            _exchange.reset(token)


def talking(original: Any, bench: Workbench) -> Any:
    """`_request(method, uri, ...)`, sync and async."""
    told, guard = _told_of(bench), bench.guard("_request")

    def begin(client: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Exchange:
        request, given = request_of(args, kwargs)
        return _Exchange(client, request, given.get("symbol"))

    return _around(original, bench, begin, told, guard)


def talking_by_socket(original: Any, bench: Workbench) -> Any:
    """`_ws_api_request(method, signed, params)`."""
    told, guard, lines = _told_of(bench), bench.guard("_ws_api_request"), lines_of(bench)

    def begin(client: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Exchange:
        request, given = ws_request_of(args, kwargs)
        lines.owned(client.ws_api, client)
        return _Exchange(client, request, given.get("symbol"))

    return _around(original, bench, begin, told, guard)


def talking_by_contract_socket(original: Any, bench: Workbench) -> Any:
    """`_ws_futures_api_request(method, signed, params)`."""
    told, guard, lines = _told_of(bench), bench.guard("_ws_futures_api_request"), lines_of(bench)

    def begin(client: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Exchange:
        request, given = ws_contract_request_of(args, kwargs)
        lines.owned(client.ws_future, client)
        return _Exchange(client, request, given.get("symbol"))

    return _around(original, bench, begin, told, guard)


def _around(original: Any, bench: Workbench, begin: Any, told: _Told, guard: Guard) -> Any:
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def request_async(client: Any, *args: Any, **kwargs: Any) -> Any:
            exchange = guard.own(begin, client, args, kwargs, default=None) if bench.is_active else None
            if exchange is None:
                return await original(client, *args, **kwargs)
            with _opened(exchange):
                try:
                    result = await original(client, *args, **kwargs)
                except BaseException as error:
                    guard.own(told.failed, exchange, error, default=None)
                    raise
            guard.own(told.succeeded, exchange, result, default=None)
            return result

        return request_async

    @functools.wraps(original)
    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = guard.own(begin, client, args, kwargs, default=None) if bench.is_active else None
        if exchange is None:
            return original(client, *args, **kwargs)
        with _opened(exchange):
            try:
                result = original(client, *args, **kwargs)
            except BaseException as error:
                guard.own(told.failed, exchange, error, default=None)
                raise
        guard.own(told.succeeded, exchange, result, default=None)
        return result

    return request


class _Told:
    """What answers tell besides what they were asked for: orders, prices, clocks, budgets."""

    def __init__(self, bench: Workbench) -> None:
        self._orders = orders_of(bench)
        self._lines = lines_of(bench)
        self._clocks = clocks_of(bench)
        self._limits = limits_of(bench)
        self._offsets_ms: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()

    def succeeded(self, exchange: _Exchange, result: Any) -> None:
        """The library has read the answer."""
        name, place = exchange.request.name, exchange.place
        if name in POLLED_PRICES:
            self._lines.polled(place.venue, read.instrument_in(result, exchange.symbol))
        elif name in POLLED_ORDERS:
            for update in read.polled(place, result):
                self._orders.observe(update)
        elif name in _TELLING:
            _TELLING[name](self, exchange, result)
        offset_ms = getattr(exchange.client, "timestamp_offset", 0)
        if offset_ms != self._offsets_ms.get(exchange.client, 0):
            self._offsets_ms[exchange.client] = offset_ms  # once: it is as old as it is
            self._clocks.offset(
                place.venue,
                "timestamp_offset",
                offset_ms / 1e3,
                library=LIBRARY,
                environment=place.environment,
            )

    def failed(self, exchange: _Exchange, error: BaseException) -> None:
        """The library has raised."""
        place = exchange.place
        if refusals.venue_code(error) == _OFF_TIME:
            self._clocks.suspected(place.venue, library=LIBRARY, environment=place.environment)
        call, (canceled, placed) = open_call(), refusals.halves_done(place, error)
        if placed is not None and call is not None:
            call.enrich(client_id=placed.client_id, venue_id=placed.venue_id)
        for update in (canceled, placed):
            if update is not None:
                self._orders.observe(update)

    def server_time(self, exchange: _Exchange, result: Any) -> None:
        """`{"serverTime": ...}`."""
        told_ns = read.server_time_ns(result)
        if told_ns is None or exchange.sent_ns is None:
            return
        received_ns = exchange.received_ns or self._orders.clock.monotonic_ns()
        self._clocks.told(
            exchange.place.venue,
            "server_time",
            told_ns,
            exchange.sent_ns,
            received_ns,
            library=LIBRARY,
            environment=exchange.place.environment,
        )

    def exchange_info(self, exchange: _Exchange, result: Any) -> None:
        """How large the budgets are."""
        for budget in budgets.budgets_in(result.get("rateLimits") if isinstance(result, Mapping) else None):
            self._limits.used(
                exchange.place.venue,
                budget.name,
                budget.scope,
                used=budget.used,
                limit=budget.limit,
                library=LIBRARY,
                environment=exchange.place.environment,
            )


_tellers: Final[weakref.WeakKeyDictionary[Workbench, _Told]] = weakref.WeakKeyDictionary()


def _told_of(bench: Workbench) -> _Told:
    """What all rows of one instrumentor share."""
    known = _tellers.get(bench)
    if known is None:
        known = _tellers[bench] = _Told(bench)
    return known


_TELLING: Final = {
    "GET time": _Told.server_time,
    "time": _Told.server_time,
    "GET exchangeInfo": _Told.exchange_info,
    "exchangeInfo": _Told.exchange_info,
}


def signing(original: Any, bench: Workbench) -> Any:
    """P5, at the end of what signs a request; how long that took, which with RSA is no small part."""
    guard = bench.guard("sign")

    @functools.wraps(original)
    def sign(*args: Any, **kwargs: Any) -> Any:
        started_s = time.perf_counter()
        signature = original(*args, **kwargs)
        call = open_call()
        if call is not None and bench.is_active:
            guard.own(call.waited, Segment.SIGN, time.perf_counter() - started_s, default=None)
            guard.own(call.mark, Point.SIGNED, default=None)
        return signature

    return sign


def _sent(now_ns: Callable[[], int]) -> None:
    """The request of this context is handed to the transport: one attempt, if it is an order's."""
    exchange, call = _exchange.get(), open_call()
    if exchange is None:
        return
    exchange.sent_ns = now_ns()
    if call is not None and exchange.request.route is not None:
        call.attempt(exchange.request.name)


def handing_over(original: Any, bench: Workbench) -> Any:
    """P6, at the end of `_get_request_kwargs`: the session gets the request next."""
    guard, now_ns = bench.guard("_get_request_kwargs"), orders_of(bench).clock.monotonic_ns

    @functools.wraps(original)
    def get_request_kwargs(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if bench.is_active:
            guard.own(_sent, now_ns, default=None)
        return result

    return get_request_kwargs


def answering(original: Any, bench: Workbench) -> Any:
    """P7, at the start of `_handle_response`: there each of several concurrent requests has its own."""
    orders, limits, clocks = orders_of(bench), limits_of(bench), clocks_of(bench)
    guard = bench.guard("_handle_response")

    def note(response: Any) -> None:
        exchange, call = _exchange.get(), open_call()
        if exchange is None:
            return
        received_ns = exchange.received_ns = orders.clock.monotonic_ns()
        if call is not None and exchange.request.route is not None:
            call.mark(Point.ANSWERED, received_ns)
        place = exchange.place
        status = getattr(response, "status", None) or getattr(response, "status_code", 0)
        limits.answered(place.venue, LIBRARY, place.environment, status, response.headers)
        date = response.headers.get("Date")
        if date is not None and exchange.sent_ns is not None:
            clocks.date(
                place.venue,
                date,
                exchange.sent_ns,
                received_ns,
                library=LIBRARY,
                environment=place.environment,
            )

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def handle_response_async(client: Any, response: Any) -> Any:
            if bench.is_active:
                guard.own(note, response, default=None)
            return await original(client, response)

        return handle_response_async

    @functools.wraps(original)
    def handle_response(response: Any) -> Any:
        if bench.is_active:
            guard.own(note, response, default=None)
        return original(response)

    return handle_response


def requesting(original: Any, bench: Workbench) -> Any:
    """`WebsocketAPI.request(id, payload)`: whose answer the one with this id is."""
    lines, guard = lines_of(bench), bench.guard("WebsocketAPI.request")

    @functools.wraps(original)
    async def request(socket: Any, id: Any, payload: Any) -> Any:  # noqa: A002 - the library's name
        if not bench.is_active:
            return await original(socket, id, payload)
        guard.own(lines.asked, socket, id, default=None)
        try:
            return await original(socket, id, payload)
        finally:
            guard.own(lines.no_longer_asked, socket, id, default=None)

    return request


def sending(original: Any, bench: Workbench) -> Any:
    """P6 of a request by WebSocket: `_ensure_ws_connection` has seen to a connection, and it is sent next."""
    guard, now_ns = bench.guard("_ensure_ws_connection"), orders_of(bench).clock.monotonic_ns

    @functools.wraps(original)
    async def ensure_ws_connection(socket: Any) -> Any:
        result = await original(socket)
        if bench.is_active:
            guard.own(_sent, now_ns, default=None)
        return result

    return ensure_ws_connection
