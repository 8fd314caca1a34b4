"""The table: which functions of alpaca-py and alpaca-trade-api tell what."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.trading import (
    OrderMethod,
    OrderRequest,
    ReadLoopPatch,
    Stamp,
    orders_of,
)

from tickspan_alpaca import describe, read, stamp, streams, wire
from tickspan_alpaca.streams import Streams, streams_of

REST: Final = "alpaca.common.rest"
TRADING: Final = "alpaca.trading.client"
BROKER: Final = "alpaca.broker.client"
UPDATES: Final = "alpaca.trading.stream"
DATA: Final = "alpaca.data.live.websocket"
OLD_REST: Final = "alpaca_trade_api.rest"
OLD_STREAM: Final = "alpaca_trade_api.stream"

Describe = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], OrderRequest]
ReadAnswer = Callable[[Any, Any], Any]


def _order_call(
    module: str,
    target: str,
    asked: Describe,
    answered: ReadAnswer = read.answers,
    *,
    stamps: Stamp | None = None,
) -> Wrap:
    """A span per order operation, and an entry per order."""

    def make(original: Any, bench: Workbench) -> Any:
        requests, known = wire.wire_of(bench), streams_of(bench)

        def judge(_client: Any, error: BaseException, call: Any) -> Any:
            return read.verdict(error, call, is_doubtful=requests.is_doubtful(error))

        method = OrderMethod(asked, answered, judge, lambda _client: known.recent, stamps)
        return method.around(original, bench, target)

    return Wrap(module, target, make)


def _listed(module: str, target: str, *, is_of_account: bool = False) -> Wrap:
    """Orders that were asked for: reports of those we know, and no span.

    `is_of_account`: the first argument says whose they are.
    """

    def make(original: Any, bench: Workbench) -> Any:
        orders, guard = orders_of(bench), bench.guard(target)

        def report(client: Any, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            given = kwargs.get("account_id", args[0] if args else None) if is_of_account else None
            for update in read.orders(client, result, describe.text_of(given)):
                orders.observe(update)

        @functools.wraps(original)
        def call(client: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(client, *args, **kwargs)
            if bench.is_active:
                guard.own(report, client, result, args, kwargs, default=None)
            return result

        return call

    return Wrap(module, target, make)


def _stream(module: str, base: str, note: streams.Note, *dispatchers: str) -> tuple[Row, ...]:
    """Connection, messages and end of the streams below `base`; `dispatchers` are those that dispatch."""
    return (
        ReadLoopPatch(module, f"{base}._run_forever"),
        Wrap(module, f"{base}._start_ws", streams.starting),
        Wrap(module, f"{base}._connect", streams.after(Streams.connected, "_connect")),
        Wrap(module, f"{base}._consume", streams.consuming),
        *(
            Wrap(module, f"{name}._dispatch", streams.dispatching(note, f"{name}._dispatch"))
            for name in dispatchers or (base,)
        ),
    )


ROWS: Final[tuple[Row, ...]] = (
    Wrap(REST, "RESTClient._request", wire.whole_request),
    Wrap(REST, "RESTClient._one_request", wire.one_request),
    _order_call(TRADING, "TradingClient.submit_order", describe.submit_order, stamps=stamp.in_model(0)),
    _order_call(
        TRADING, "TradingClient.replace_order_by_id", describe.replace_order, stamps=stamp.in_model(1)
    ),
    _order_call(TRADING, "TradingClient.cancel_order_by_id", describe.cancel_order, read.cancel_answers),
    _order_call(TRADING, "TradingClient.cancel_orders", describe.cancel_orders, read.cancel_answers),
    _order_call(TRADING, "TradingClient.get_order_by_id", describe.order_by_id),
    _order_call(TRADING, "TradingClient.get_order_by_client_id", describe.order_by_client_id),
    _order_call(TRADING, "TradingClient.close_position", describe.close_position),
    _order_call(
        TRADING, "TradingClient.close_all_positions", describe.close_all_positions, read.closing_answers
    ),
    _listed(TRADING, "TradingClient.get_orders"),
    _order_call(
        BROKER,
        "BrokerClient.submit_order_for_account",
        describe.submit_order_for_account,
        stamps=stamp.in_model(1),
    ),
    _order_call(
        BROKER,
        "BrokerClient.replace_order_for_account_by_id",
        describe.replace_order_for_account,
        stamps=stamp.in_model(2),
    ),
    _order_call(
        BROKER,
        "BrokerClient.cancel_order_for_account_by_id",
        describe.cancel_order_for_account,
        read.cancel_answers,
    ),
    _order_call(
        BROKER, "BrokerClient.cancel_orders_for_account", describe.cancel_orders, read.cancel_answers
    ),
    _order_call(BROKER, "BrokerClient.get_order_for_account_by_id", describe.order_for_account_by_id),
    _order_call(
        BROKER, "BrokerClient.get_order_for_account_by_client_id", describe.order_for_account_by_client_id
    ),
    _order_call(BROKER, "BrokerClient.close_position_for_account", describe.close_position_for_account),
    _order_call(
        BROKER,
        "BrokerClient.close_all_positions_for_account",
        describe.close_all_positions_for_account,
        read.closing_answers,
    ),
    _listed(BROKER, "BrokerClient.get_orders_for_account", is_of_account=True),
    Wrap(BROKER, "BrokerClient.get_trade_events", streams.broker_events),
    *_stream(UPDATES, "TradingStream", Streams.trade_update),
    *_stream(DATA, "DataStream", Streams.market_data),
    Wrap(DATA, "DataStream._send_subscribe_msg", streams.after(Streams.started, "_send_subscribe_msg")),
    Wrap(DATA, "DataStream._unsubscribe", streams.after(Streams.unsubscribed, "_unsubscribe")),
    Wrap(OLD_REST, "REST._request", wire.whole_request),
    Wrap(OLD_REST, "REST._one_request", wire.one_request),
    _order_call(
        OLD_REST,
        "REST.submit_order",
        describe.submit_order_bare,
        stamps=stamp.bare(describe.SUBMIT_BARE.index("client_order_id")),
    ),
    _order_call(
        OLD_REST,
        "REST.replace_order",
        describe.replace_order_bare,
        stamps=stamp.bare(describe.REPLACE_BARE.index("client_order_id")),
    ),
    _order_call(OLD_REST, "REST.cancel_order", describe.cancel_order, read.cancel_answers),
    _order_call(OLD_REST, "REST.cancel_all_orders", describe.cancel_orders, read.cancel_answers),
    _order_call(OLD_REST, "REST.get_order", describe.order_by_id),
    _order_call(OLD_REST, "REST.get_order_by_client_order_id", describe.order_by_client_id),
    _order_call(OLD_REST, "REST.close_position", describe.close_position_bare),
    _order_call(OLD_REST, "REST.close_all_positions", describe.close_all_positions, read.closing_answers),
    _listed(OLD_REST, "REST.list_orders"),
    *_stream(OLD_STREAM, "TradingStream", Streams.trade_update),
    *_stream(
        OLD_STREAM,
        "_DataStream",
        Streams.market_data,
        "DataStream",
        "CryptoDataStream",
        "NewsDataStream",
    ),
    Wrap(OLD_STREAM, "_DataStream._subscribe_all", streams.after(Streams.started, "_subscribe_all")),
)
