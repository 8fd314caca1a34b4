"""The table: which functions of ccxt tell what."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.trading import (
    Make,
    MessagePatch,
    OrderMethod,
    PerClass,
    ReadLoopPatch,
    detaching,
    orders_of,
    reporting,
)

from tickspan_ccxt import describe, read, wire
from tickspan_ccxt.feeds import Feeds

BASE: Final = "ccxt.base.exchange"
CLIENT: Final = "ccxt.async_support.base.ws.client"
FUTURE: Final = "ccxt.async_support.base.ws.future"

ORDER_CALLS: Final = {
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
_EDITS: Final = frozenset({"edit_order", "edit_order_ws"})


def rows(bench: Workbench) -> tuple[Row, ...]:
    """All rows. Exchange classes (sync, async and pro) hang from one base; the sockets are ccxt.pro's."""
    feeds = Feeds(orders_of(bench))
    return (
        PerClass(BASE, "BaseExchange", _methods(feeds), camelcase),
        MessagePatch(CLIENT, "Client.handle_message"),
        ReadLoopPatch(CLIENT, "Client.connect"),
        Wrap(CLIENT, "Client.create_connection", wire.connecting),
        Wrap(CLIENT, "Client.send", wire.sending),
        Wrap(CLIENT, "Client.resolve", functools.partial(_resolving, feeds)),
        Wrap(CLIENT, "Client.reject", functools.partial(_rejecting, feeds)),
        Wrap(FUTURE, "Future.race", functools.partial(_racing, feeds)),
        Wrap(FUTURE, "Future.__await__", functools.partial(_awaiting, feeds)),
    )


def camelcase(name: str) -> str:
    """The second name that ccxt's `__init__` binds on the class: `create_order` as `createOrder`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _methods(feeds: Feeds) -> dict[str, Make]:
    order_calls = {name: _order_call(name, asked, feeds) for name, asked in ORDER_CALLS.items()}
    return {
        **order_calls,
        "sign": wire.signing,
        "fetch": wire.fetching,
        "on_rest_response": wire.answered,
        "safe_order": _reports(read.order_update, "safe_order"),
        "safe_trade": _reports(read.trade_update, "safe_trade"),
        "safe_ticker": _after(feeds.polled, "safe_ticker"),
        "parse_order_book": _after(feeds.polled, "parse_order_book"),
        "watch": _after(lambda _exchange, future: feeds.expected(future), "watch"),
        "watch_multiple": _after(lambda _exchange, future: feeds.expected(future), "watch_multiple"),
        "delay": lambda original, _owner, bench: detaching(original, bench),
    }


def _order_call(name: str, asked: Any, feeds: Feeds) -> Make:
    method = OrderMethod(asked, read.answers, read.verdict, feeds.recent)
    in_two = OrderMethod(describe.edit_order_in_two, read.answers, read.verdict, feeds.recent)

    def make(original: Any, owner: type, bench: Workbench) -> Any:
        is_composite = name in _EDITS and owner.__module__.endswith(".base.exchange")
        return (in_two if is_composite else method).around(original, bench, name)

    return make


def _reports(reader: Any, name: str) -> Make:
    def make(original: Any, _owner: type, bench: Workbench) -> Any:
        return reporting(original, reader, bench, name)

    return make


def _after(note: Callable[[Any, Any], None], name: str) -> Make:
    """`note(exchange, result)` after each call of a plain function."""

    def make(original: Any, _owner: type, bench: Workbench) -> Any:
        guard = bench.guard(name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if bench.is_active:
                guard.own(note, args[0], result, default=None)
            return result

        return call

    return make


def _resolving(feeds: Feeds, original: Any, bench: Workbench) -> Any:
    guard = bench.guard("Client.resolve")

    @functools.wraps(original)
    def resolve(client: Any, result: Any, message_hash: Any) -> Any:
        if bench.is_active and message_hash in client.futures:
            guard.own(feeds.resolved, client, result, message_hash, default=None)
        return original(client, result, message_hash)

    return resolve


def _rejecting(feeds: Feeds, original: Any, bench: Workbench) -> Any:
    guard = bench.guard("Client.reject")

    @functools.wraps(original)
    def reject(client: Any, result: Any, message_hash: Any = None) -> Any:
        if bench.is_active and message_hash in client.futures:
            guard.own(feeds.rejected, client, message_hash, default=None)
        return original(client, result, message_hash)

    return reject


def _racing(feeds: Feeds, original: Any, bench: Workbench) -> Any:
    guard = bench.guard("Future.race")

    @functools.wraps(original)
    def race(cls: Any, futures: Any) -> Any:
        future = original(cls, futures)
        if bench.is_active:
            guard.own(feeds.raced, future, futures, default=None)
        return future

    return race


def _awaiting(feeds: Feeds, original: Any, bench: Workbench) -> Any:
    guard = bench.guard("Future.__await__")

    @functools.wraps(original)
    def wait(future: Any) -> Generator[Any, Any, Any]:
        result = yield from original(future)
        if bench.is_active:
            guard.own(feeds.delivered, future, default=None)
        return result

    return wait
