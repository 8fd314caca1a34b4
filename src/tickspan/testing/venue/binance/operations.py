"""What can be asked of the venue: one table for REST and the WebSocket API."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from tickspan.testing.venue.behaviour import Fault
from tickspan.testing.venue.binance import messages
from tickspan.testing.venue.binance.errors import (
    UNKNOWN_OUTCOME,
    BinanceError,
    ConnectionBrokenError,
    illegal,
    missing,
    refusal,
)
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.limits import Budget
from tickspan.testing.venue.orders import (
    NewOrder,
    Reason,
    RefusedError,
    Side,
    VenueOrder,
)
from tickspan.testing.venue.prices import Prices

INTERVALS_MS: Mapping[str, int] = {
    f"{count}{unit}": count * length
    for unit, length, counts in (
        ("s", 1_000, (1,)),
        ("m", 60_000, (1, 3, 5, 15, 30)),
        ("h", 3_600_000, (1, 2, 4, 6, 8, 12)),
        ("d", 86_400_000, (1, 3)),
        ("w", 604_800_000, (1,)),
        ("M", 2_592_000_000, (1,)),  # thirty days
    )
    for count in counts
}
_DEFAULT_ROWS = 500
_MOST_ROWS = 1_000


class Security(enum.Enum):
    """What a request has to prove."""

    NONE = enum.auto()
    SIGNED = enum.auto()


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed its checks."""

    exchange: Exchange
    budget: Budget
    parameters: Parameters
    via: str  # rest, ws_api or contracts


Run = Callable[[Call], object]  # may return an awaitable; raises BinanceError or RefusedError


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked."""

    run: Run
    security: Security = Security.NONE
    weight: int = 1
    orders: int = 0  # how many it counts against the order limits


def _nothing(_call: Call) -> object:
    return {}


def _server_time(call: Call) -> object:
    return {"serverTime": call.exchange.now_ms()}


def _exchange_info(call: Call) -> object:
    parameters = call.parameters
    markets = {market.id: market for market in call.exchange.behaviour.markets()}
    wanted = _wanted_symbols(parameters) or list(markets)
    if not set(wanted) <= markets.keys():
        raise refusal(Reason.UNKNOWN_SYMBOL)
    chosen = [markets[symbol] for symbol in wanted]
    return messages.exchange_info(chosen, call.budget, call.exchange.now_ms())


def _depth(call: Call) -> object:
    limit = call.parameters.whole("limit") or 100
    return messages.depth(_prices(call), limit)


def _trades(call: Call) -> object:
    return [messages.public_trade(trade) for trade in _last(call, _prices(call).trades)]


def _aggregate_trades(call: Call) -> object:
    return [messages.aggregate_trade(trade) for trade in _last(call, _prices(call).trades)]


def _klines(call: Call) -> object:
    interval_ms = INTERVALS_MS.get(call.parameters.required("interval"))
    if interval_ms is None:
        raise BinanceError(400, -1120, "Invalid interval.")
    candles = _prices(call).candles(interval_ms)
    start_ms = call.parameters.whole("startTime") or 0
    later = [candle for candle in candles if candle.open_ms >= start_ms]
    return [messages.kline(candle, interval_ms) for candle in _last(call, later)]


def _average_price(call: Call) -> object:
    day = _prices(call).day
    average = messages.text(day.quote_volume / day.volume)
    return {"mins": 5, "price": average, "closeTime": call.exchange.now_ms()}


def _ticker(render: Callable[[Prices, int], object]) -> Run:
    """One ticker for `symbol`, a list for `symbols` or for neither."""

    def run(call: Call) -> object:
        symbols = _wanted_symbols(call.parameters)
        everything = [market.id for market in call.exchange.behaviour.markets()]
        rows = [
            render(call.exchange.prices(symbol), call.exchange.now_ms()) for symbol in symbols or everything
        ]
        return rows[0] if call.parameters.text("symbol") else rows

    return run


def _account(call: Call) -> object:
    exchange = call.exchange
    return messages.account(exchange.desk.balances, exchange.behaviour.fee_rate, exchange.now_ms())


async def place(call: Call) -> messages.Json:
    """Place an order; the answer comes when its acknowledgement is due."""
    return await _place_order(call, _new_order(call))


async def _place_order(call: Call, new: NewOrder) -> messages.Json:
    accepted = await call.exchange.place(new)
    if accepted.fault is Fault.ACCEPT_THEN_504:
        raise BinanceError(*UNKNOWN_OUTCOME)
    if accepted.fault is Fault.ACCEPT_THEN_RESET:
        raise ConnectionBrokenError
    usual = "ACK" if new.type == "LIMIT_MAKER" else "FULL"
    kind = call.parameters.text("newOrderRespType", usual)
    return messages.order_answer(accepted.order, accepted.executions, kind)


def _test_order(call: Call) -> object:
    new = _new_order(call)
    prices = call.exchange.prices(new.symbol)
    call.exchange.desk.check(new, prices.best_bid[0], prices.best_ask[0])
    return {}


def cancel(call: Call) -> messages.Json:
    """Cancel an open order."""
    return _cancel_order(call, find_order(call, "orderId", "origClientOrderId", Reason.NOT_OPEN))


def _cancel_order(call: Call, order: VenueOrder, client_id_name: str = "newClientOrderId") -> messages.Json:
    client_id = call.parameters.text(client_id_name) or f"cancel{order.order_id:016d}"
    return messages.cancel_answer(call.exchange.cancel(order, client_id), client_id)


def _cancel_all(call: Call) -> object:
    orders = call.exchange.desk.open_orders(call.parameters.required("symbol"))
    if not orders:
        raise refusal(Reason.NOT_OPEN)
    return [_cancel_order(call, order) for order in orders]


async def _cancel_replace(call: Call) -> object:
    """Cancel one order and place another; Binance's -2021 and -2022 tell which half failed."""
    mode = call.parameters.choice(
        "cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"), missing("cancelReplaceMode")
    )
    new = _new_order(call)
    cancelled, replaced = _try_cancel(call)
    if replaced is None and mode == "STOP_ON_FAILURE":
        raise _half_failed(cancelled, None)
    order_id = replaced.order_id if replaced else None
    try:
        placed = await _place_order(call, replace(new, replaces=order_id))
    except RefusedError as refused:
        raise _half_failed(cancelled, refusal(refused.reason).body(), is_cancelled=bool(replaced)) from None
    if replaced is None:
        raise _half_failed(cancelled, placed, is_placed=True)
    return {
        "cancelResult": "SUCCESS",
        "newOrderResult": "SUCCESS",
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }


def _try_cancel(call: Call) -> tuple[object, VenueOrder | None]:
    """What the cancel answers, and the order it ended, if it did."""
    try:
        order = find_order(call, "cancelOrderId", "cancelOrigClientOrderId", Reason.NOT_OPEN)
        return _cancel_order(call, order, "cancelNewClientOrderId"), order
    except RefusedError as refused:
        return refusal(refused.reason).body(), None


def _half_failed(
    cancelled: object, placed: object, *, is_cancelled: bool = False, is_placed: bool = False
) -> BinanceError:
    partly = is_cancelled or is_placed
    data = {
        "cancelResult": "SUCCESS" if is_cancelled else "FAILURE",
        "newOrderResult": "SUCCESS" if is_placed else ("NOT_ATTEMPTED" if placed is None else "FAILURE"),
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }
    if partly:
        return BinanceError(409, -2021, "Order cancel-replace partially failed.", data=data)
    return BinanceError(400, -2022, "Order cancel-replace failed.", data=data)


def order_status(call: Call) -> messages.Json:
    """One order, open or not."""
    return messages.order_row(find_order(call, "orderId", "origClientOrderId", Reason.UNKNOWN_ORDER))


def open_orders(call: Call) -> list[messages.Json]:
    """What can still fill."""
    symbol = call.parameters.text("symbol") or None
    return [messages.order_row(order) for order in call.exchange.desk.open_orders(symbol)]


def all_orders(call: Call) -> list[messages.Json]:
    """Orders of a symbol, oldest first."""
    symbol, since = call.parameters.required("symbol"), call.parameters.whole("startTime") or 0
    first = call.parameters.whole("orderId") or 0
    orders = [
        order
        for order in call.exchange.desk.orders
        if order.symbol == symbol and order.created_ms >= since and order.order_id >= first
    ]
    return [messages.order_row(order) for order in _last(call, orders)]


def my_trades(call: Call) -> list[messages.Json]:
    """The account's fills, oldest first."""
    parameters = call.parameters
    symbol, since = parameters.required("symbol"), parameters.whole("startTime") or 0
    order_id, first = parameters.whole("orderId"), parameters.whole("fromId") or 0
    executions = [
        execution
        for execution in call.exchange.desk.executions
        if execution.symbol == symbol
        and execution.time_ms >= since
        and execution.execution_id >= first
        and order_id in (None, execution.order_id)
    ]
    return [messages.my_trade(execution) for execution in _last(call, executions)]


def _new_order(call: Call) -> NewOrder:
    parameters = call.parameters
    side = parameters.choice("side", ("BUY", "SELL"), BinanceError(400, -1117, "Invalid side."))
    kind = parameters.choice("type", messages.ORDER_TYPES, BinanceError(400, -1116, "Invalid orderType."))
    quantity, quote_quantity = parameters.decimal("quantity"), parameters.decimal("quoteOrderQty")
    if quantity is None and (quote_quantity is None or kind != "MARKET"):
        raise missing("quantity")
    return NewOrder(
        parameters.required("symbol"),
        Side(side),
        kind,
        quantity,
        quote_quantity,
        _limit_price(parameters, kind),
        _time_in_force(parameters, kind),
        parameters.text("newClientOrderId"),
        call.via,
    )


def _limit_price(parameters: Parameters, kind: str) -> Decimal | None:
    price = parameters.decimal("price")
    if kind == "MARKET":
        if price is not None:
            raise BinanceError(400, -1106, "Parameter 'price' sent when not required.")
        return None
    if price is None:
        raise missing("price")
    return price


def _time_in_force(parameters: Parameters, kind: str) -> str:
    if kind != "LIMIT":
        return "GTC"
    return parameters.choice(
        "timeInForce", ("GTC", "IOC", "FOK"), BinanceError(400, -1115, "Invalid timeInForce.")
    )


def find_order(call: Call, id_name: str, client_id_name: str, reason: Reason) -> VenueOrder:
    """The order that the parameters name; `reason` is why an unknown one is refused."""
    parameters = call.parameters
    order_id, client_id = parameters.whole(id_name), parameters.text(client_id_name) or None
    if order_id is None and client_id is None:
        message = f"Param '{client_id_name}' or '{id_name}' must be sent, but both were empty/null!"
        raise BinanceError(400, -1102, message)
    symbol = parameters.required("symbol")
    call.exchange.desk.market(symbol)
    try:
        return call.exchange.desk.find(symbol, order_id, client_id)
    except RefusedError:
        raise RefusedError(reason) from None


def _prices(call: Call) -> Prices:
    return call.exchange.prices(call.parameters.required("symbol"))


def _wanted_symbols(parameters: Parameters) -> list[str]:
    if symbol := parameters.text("symbol"):
        return [symbol]
    if not (listed := parameters.text("symbols")):
        return []
    try:
        symbols = json.loads(listed)
    except ValueError:
        raise illegal("symbols") from None
    if not isinstance(symbols, list):
        raise illegal("symbols")
    return [str(symbol) for symbol in symbols]


_Row = TypeVar("_Row")


def _last(call: Call, rows: Iterable[_Row]) -> Sequence[_Row]:
    limit = max(1, min(call.parameters.whole("limit") or _DEFAULT_ROWS, _MOST_ROWS))
    return list(rows)[-limit:]


_SIGNED = Security.SIGNED
_day_ticker = Operation(_ticker(messages.day_ticker), weight=2)
_account_status = Operation(_account, _SIGNED, weight=20)

OPERATIONS: Mapping[str, Operation] = {
    "ping": Operation(_nothing),
    "time": Operation(_server_time),
    "exchangeInfo": Operation(_exchange_info, weight=20),
    "depth": Operation(_depth, weight=5),
    "trades.recent": Operation(_trades, weight=25),
    "trades.historical": Operation(_trades, weight=25),
    "trades.aggregate": Operation(_aggregate_trades, weight=4),
    "klines": Operation(_klines, weight=2),
    "avgPrice": Operation(_average_price, weight=2),
    "ticker": _day_ticker,
    "ticker.24hr": _day_ticker,
    "ticker.price": Operation(_ticker(lambda prices, _: messages.price_ticker(prices)), weight=2),
    "ticker.book": Operation(_ticker(lambda prices, _: messages.book_ticker(prices)), weight=2),
    "account.status": _account_status,
    "order.place": Operation(place, _SIGNED, orders=1),
    "order.test": Operation(_test_order, _SIGNED),
    "order.cancel": Operation(cancel, _SIGNED),
    "order.cancelReplace": Operation(_cancel_replace, _SIGNED, orders=1),
    "order.status": Operation(order_status, _SIGNED, weight=4),
    "openOrders.status": Operation(open_orders, _SIGNED, weight=6),
    "openOrders.cancelAll": Operation(_cancel_all, _SIGNED),
    "allOrders": Operation(all_orders, _SIGNED, weight=20),
    "myTrades": Operation(my_trades, _SIGNED, weight=20),
}

ROUTES: Mapping[tuple[str, str], str] = {
    ("GET", "ping"): "ping",
    ("GET", "time"): "time",
    ("GET", "exchangeInfo"): "exchangeInfo",
    ("GET", "depth"): "depth",
    ("GET", "trades"): "trades.recent",
    ("GET", "historicalTrades"): "trades.historical",
    ("GET", "aggTrades"): "trades.aggregate",
    ("GET", "klines"): "klines",
    ("GET", "avgPrice"): "avgPrice",
    ("GET", "ticker"): "ticker",
    ("GET", "ticker/24hr"): "ticker.24hr",
    ("GET", "ticker/price"): "ticker.price",
    ("GET", "ticker/bookTicker"): "ticker.book",
    ("GET", "account"): "account.status",
    ("POST", "order"): "order.place",
    ("POST", "order/test"): "order.test",
    ("DELETE", "order"): "order.cancel",
    ("POST", "order/cancelReplace"): "order.cancelReplace",
    ("GET", "order"): "order.status",
    ("GET", "openOrders"): "openOrders.status",
    ("DELETE", "openOrders"): "openOrders.cancelAll",
    ("GET", "allOrders"): "allOrders",
    ("GET", "myTrades"): "myTrades",
}
