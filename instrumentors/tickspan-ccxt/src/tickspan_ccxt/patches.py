"""The table: which functions of ccxt tell what."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.trading import (
    Make,
    OrderMethod,
    OrderRequest,
    PerClass,
    ReadLoopPatch,
    Stamp,
    detaching,
    open_call,
    reporting,
)
from tickspan.trading.patches import ReadReport

from tickspan_ccxt import describe, read, stamp, streams, wire
from tickspan_ccxt.deliveries import deliveries_of, expected

BASE: Final = "ccxt.base.exchange"
CLIENT: Final = "ccxt.async_support.base.ws.client"
FUTURE: Final = "ccxt.async_support.base.ws.future"
THROTTLER: Final = "ccxt.async_support.base.throttler"

Describe = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], OrderRequest]

ORDER_CALLS: Final[Mapping[str, Describe]] = {
    "create_order": describe.create_order,
    "create_order_ws": describe.create_order,
    "create_orders": describe.create_orders,
    "create_orders_ws": describe.create_orders,
    "edit_order": describe.edit_order,
    "edit_order_ws": describe.edit_order,
    "cancel_order": describe.cancel_order,
    "cancel_order_ws": describe.cancel_order,
    "cancel_orders": describe.cancel_orders,
    "cancel_orders_ws": describe.cancel_orders,
    "cancel_all_orders": describe.cancel_all_orders,
    "cancel_all_orders_ws": describe.cancel_all_orders,
    "fetch_order": describe.fetch_order,
    "fetch_order_ws": describe.fetch_order,
    "close_position": describe.close_position,
}
STAMPS: Final[Mapping[str, Stamp]] = {
    "create_order": stamp.create_order,
    "create_order_ws": stamp.create_order,
    "create_orders": stamp.create_orders,
    "create_orders_ws": stamp.create_orders,
}
POLLS: Final = (
    "fetch_bids_asks",
    "fetch_ohlcv",
    "fetch_order_book",
    "fetch_ticker",
    "fetch_tickers",
    "fetch_trades",
)
"""What reads market data by a request."""
_CAPITALS: Final = {"ohlcv": "OHLCV", "le": "LE", "be": "BE", "adl": "ADL"}
"""Words that ccxt's second names spell otherwise."""
_EDITS: Final = frozenset({"edit_order", "edit_order_ws"})


def camelcase(name: str) -> str:
    """The second name that ccxt's `__init__` binds on the class: `create_order` as `createOrder`."""
    first, *rest = name.split("_")
    return first + "".join(_CAPITALS.get(part, part.capitalize()) for part in rest)


def _order_call(name: str, asked: Describe) -> Make:
    def make(original: Any, owner: type, bench: Workbench) -> Any:
        is_composite = name in _EDITS and owner.__module__.endswith(".base.exchange")
        describes = describe.edit_order_in_two if is_composite else asked
        answers = read.ws_answers if name.endswith("_ws") else read.answers
        recent = deliveries_of(bench).recent
        method = OrderMethod(describes, answers, read.verdict, recent, STAMPS.get(name))
        return method.around(original, bench, name)

    return make


def _reports(reader: ReadReport, name: str) -> Make:
    return lambda original, _owner, bench: reporting(original, reader, bench, name)


def _polling(original: Any, _owner: type, bench: Workbench) -> Any:
    """Reads market data by a request, plainly or as a coroutine."""
    deliveries, guard = deliveries_of(bench), bench.guard("market data by request")

    def told(exchange: Any, result: Any) -> Any:
        if bench.is_active:
            guard.own(deliveries.polled, exchange, result, default=None)
        return result

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return told(args[0], original(*args, **kwargs))

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return told(args[0], await original(*args, **kwargs))

    return call_async if inspect.iscoroutinefunction(original) else call


def _expecting(original: Any, _owner: type, bench: Workbench) -> Any:
    """A subscription or a request over a WebSocket."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        future = original(*args, **kwargs)
        order_call = open_call()
        if order_call is not None and future is not None and bench.is_active:
            expected(future, order_call)
        return future

    return call


def _resolving(original: Any, bench: Workbench) -> Any:
    deliveries, guard = deliveries_of(bench), bench.guard("Client.resolve")

    @functools.wraps(original)
    def resolve(client: Any, result: Any, message_hash: Any) -> Any:
        if bench.is_active and not guard.is_disabled:
            try:
                deliveries.resolved(client, result, message_hash)
            except Exception as error:  # noqa: BLE001 - as the guard's `own`, without its call
                guard.caught(error)
        return original(client, result, message_hash)

    return resolve


def _rejecting(original: Any, bench: Workbench) -> Any:
    deliveries, guard = deliveries_of(bench), bench.guard("Client.reject")

    @functools.wraps(original)
    def reject(client: Any, result: Any, message_hash: Any = None) -> Any:
        if bench.is_active and message_hash in client.futures:
            guard.own(deliveries.rejected, client, result, message_hash, default=None)
        return original(client, result, message_hash)

    return reject


def _racing(original: Any, bench: Workbench) -> Any:
    deliveries, guard = deliveries_of(bench), bench.guard("Future.race")

    @functools.wraps(original)
    def race(cls: Any, futures: Any) -> Any:
        future = original(cls, futures)
        if bench.is_active:
            guard.own(deliveries.raced, future, futures, default=None)
        return future

    return race


def _awaiting(original: Any, bench: Workbench) -> Any:
    deliveries, guard = deliveries_of(bench), bench.guard("Future.__await__")

    @functools.wraps(original)
    def wait(future: Any) -> Generator[Any, Any, Any]:
        return delivering(future, original(future))

    def delivering(future: Any, waiting: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        result = yield from waiting
        if bench.is_active and not guard.is_disabled:
            try:
                deliveries.delivered(future)
            except Exception as error:  # noqa: BLE001 - as the guard's `own`, without its call
                guard.caught(error)
        return result

    return wait


def _forgetting(original: Any, _owner: type, bench: Workbench) -> Any:
    known, guard = streams.streams_of(bench), bench.guard("clean_cache")

    @functools.wraps(original)
    def clean_cache(exchange: Any, subscription: Any) -> Any:
        if bench.is_active:
            guard.own(known.forgotten, exchange, subscription, default=None)
        return original(exchange, subscription)

    return clean_cache


METHODS: Final[Mapping[str, Make]] = {
    **{name: _order_call(name, asked) for name, asked in ORDER_CALLS.items()},
    "sign": wire.signing,
    "fetch": wire.fetching,
    "on_rest_response": wire.answered,
    "safe_order": _reports(read.order_update, "safe_order"),
    "safe_trade": _reports(read.trade_update, "safe_trade"),
    **dict.fromkeys(POLLS, _polling),
    "watch": _expecting,
    "watch_multiple": _expecting,
    "load_time_difference": wire.timing,
    "clean_cache": _forgetting,
    "close": streams.leaving,
    "delay": lambda original, _owner, bench: detaching(original, bench),
}
"""What is wrapped on exchange classes: sync, async and pro hang from one base."""
NUMBERED: Final[Mapping[str, Make]] = {
    "handle_order_book": streams.numbering,
    "handle_trade": streams.numbering,
}
"""What is wrapped on classes whose venues number their messages."""

ROWS: Final[tuple[Row, ...]] = (
    PerClass(BASE, ("BaseExchange", "Exchange"), METHODS, camelcase),
    PerClass("ccxt.pro.binance", ("binance",), NUMBERED, camelcase),
    Wrap(CLIENT, "Client.handle_message", streams.hearing),
    ReadLoopPatch(CLIENT, "Client.connect"),
    Wrap(CLIENT, "Client.connect", streams.dialling),
    Wrap(CLIENT, "Client.open", streams.opening),
    Wrap(CLIENT, "Client.on_error", streams.breaking),
    Wrap(CLIENT, "Client.on_close", streams.ending),
    Wrap(CLIENT, "Client.close", streams.closing),
    Wrap(CLIENT, "Client.create_connection", wire.connecting),
    Wrap(CLIENT, "Client.send", wire.sending),
    Wrap(CLIENT, "Client.resolve", _resolving),
    Wrap(CLIENT, "Client.reject", _rejecting),
    Wrap(BASE, "Exchange.throttle", wire.throttling),
    Wrap(THROTTLER, "Throttler.__call__", wire.queueing),
    Wrap(FUTURE, "Future.race", _racing),
    Wrap(FUTURE, "Future.__await__", _awaiting),
)
