"""Margin and contracts: the same books under the paths of the other APIs, contracts in their own words.

There are no positions and no leverage here: an order of any market is one of the account's only orders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import parse_qsl

from tickspan.testing.venue.binance import messages, operations
from tickspan.testing.venue.binance.errors import BinanceError, illegal, refusal
from tickspan.testing.venue.binance.messages import Json, text
from tickspan.testing.venue.binance.operations import OPERATIONS, Call, Operation, Security
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.orders import Reason, RefusedError

VIA = "contracts"
"""How orders of contracts came, by which their reports are told apart."""

_PATH = re.compile(r"/(?P<api>sapi|fapi|dapi|papi)/v\d+/(?:(?P<market>margin|um|cm)/)?(?P<rest>\w+)")
_STREAM_PATH = re.compile(r"/[fd]stream(?:/(?:public|market|private|pm))?(?P<rest>/(?:ws|stream)(?:/.*)?)")
_LISTEN_KEYS = frozenset({"listenKey"})


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An operation under the path of another API than spot's."""

    operation: Operation
    is_contract: bool


def find(method: str, path: str) -> Elsewhere | None:
    """The operation at `path`; None if this venue has none there."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    api, market, asked = found["api"], found["market"], f"{method} {found['rest']}"
    if market == "margin":
        name = _MARGIN.get(asked)
        return Elsewhere(OPERATIONS[name], is_contract=False) if name is not None else None
    operation = _CONTRACTS.get(asked) if api != "sapi" else None
    return Elsewhere(operation, is_contract=True) if operation is not None else None


def is_listen_key(path: str) -> bool:
    """Whether keys of user data streams are handed out there."""
    found = _PATH.fullmatch(path)
    return found is not None and found["rest"] in _LISTEN_KEYS


def stream_path(path: str, query: str) -> tuple[str, bool]:
    """The path that a stream of contracts would have at spot, and whether it is one of contracts."""
    found = _STREAM_PATH.fullmatch(path)
    if found is None:
        return path, False
    listen_key = dict(parse_qsl(query)).get("listenKey")
    return (f"{found['rest']}/{listen_key}" if listen_key else found["rest"]), True


_MARGIN = {
    "POST order": "order.place",
    "DELETE order": "order.cancel",
    "GET order": "order.status",
    "GET openOrders": "openOrders.status",
    "DELETE openOrders": "openOrders.cancelAll",
    "GET allOrders": "allOrders",
    "GET myTrades": "myTrades",
}


async def _place(call: Call) -> Json:
    return order_row(await operations.place(call))


async def _place_several(call: Call) -> list[Json]:
    """One answer for each, in the order of the request: an order or an error."""
    call.parameters.required("batchOrders")
    wanted = _listed(call.parameters, "batchOrders")
    return [await _place_one_of_several(call, one) for one in wanted if isinstance(one, dict)]


def _listed(parameters: Parameters, name: str) -> list[object]:
    try:
        values = json.loads(parameters.text(name, "[]"))
    except ValueError:
        raise illegal(name) from None
    if not isinstance(values, list):
        raise illegal(name)
    return values


async def _place_one_of_several(call: Call, wanted: Mapping[str, object]) -> Json:
    parameters = Parameters({name: str(value) for name, value in wanted.items()})
    try:
        return await _place(replace(call, parameters=parameters))
    except RefusedError as refused:
        return refusal(refused.reason).body()
    except BinanceError as error:
        return error.body()


async def _modify(call: Call) -> Json:
    """Quantity and price of an open limit order; it stays the same order."""
    order = operations.find_order(call, "orderId", "origClientOrderId", Reason.UNKNOWN_ORDER)
    quantity, price = call.parameters.decimal("quantity"), call.parameters.decimal("price")
    accepted = await call.exchange.amend(order, quantity or order.quantity, price or order.price)
    return order_row(messages.order_row(accepted.order))


def _cancel(call: Call) -> Json:
    return order_row(operations.cancel(call))


def _cancel_several(call: Call) -> list[Json]:
    """One answer for each, in the order of the request: an order or an error."""
    symbol = call.parameters.required("symbol")
    # python-binance writes the lists' names in lower case.
    lists = (("orderId", "orderIdList"), ("origClientOrderId", "origClientOrderIdList"))
    return [
        _cancel_one_of_several(call, {"symbol": symbol, name: str(one)})
        for name, list_name in lists
        for spelling in (list_name, list_name.lower())
        for one in _listed(call.parameters, spelling)
    ]


def _cancel_one_of_several(call: Call, named: Mapping[str, str]) -> Json:
    try:
        return _cancel(replace(call, parameters=Parameters(named)))
    except RefusedError as refused:
        return refusal(refused.reason).body()


def _cancel_all(call: Call) -> Json:
    """No error when there is nothing to cancel, unlike spot."""
    for order in call.exchange.desk.open_orders(call.parameters.required("symbol")):
        call.exchange.cancel(order, order.client_id)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _status(call: Call) -> Json:
    return order_row(operations.order_status(call))


def _open_orders(call: Call) -> list[Json]:
    return [order_row(row) for row in operations.open_orders(call)]


def _all_orders(call: Call) -> list[Json]:
    return [order_row(row) for row in operations.all_orders(call)]


def _user_trades(call: Call) -> list[Json]:
    return [{**row, "maker": row["isMaker"], "buyer": row["isBuyer"]} for row in operations.my_trades(call)]


_SIGNED = Security.SIGNED
_CONTRACTS: Mapping[str, Operation] = {
    "GET ping": OPERATIONS["ping"],
    "GET time": OPERATIONS["time"],
    "POST order": Operation(_place, _SIGNED, orders=1),
    "POST batchOrders": Operation(_place_several, _SIGNED, weight=5, orders=5),
    "PUT order": Operation(_modify, _SIGNED, orders=1),
    "DELETE order": Operation(_cancel, _SIGNED),
    "DELETE batchOrders": Operation(_cancel_several, _SIGNED),
    "DELETE allOpenOrders": Operation(_cancel_all, _SIGNED),
    "GET order": Operation(_status, _SIGNED),
    "GET openOrder": Operation(_status, _SIGNED),
    "GET openOrders": Operation(_open_orders, _SIGNED),
    "GET allOrders": Operation(_all_orders, _SIGNED, weight=5),
    "GET userTrades": Operation(_user_trades, _SIGNED, weight=5),
}


def order_row(spot: Json) -> Json:
    """An order of contracts, out of the same order as spot tells it."""
    filled, spent = Decimal(str(spot["executedQty"])), Decimal(str(spot["cummulativeQuoteQty"]))
    # A cancel of contracts has no id of its own: spot's answer has the order's under another name then.
    client_id = spot.get("origClientOrderId", spot["clientOrderId"])
    return {
        **{name: spot[name] for name in _SHARED},
        "clientOrderId": client_id,
        "avgPrice": text(spent / filled if filled else Decimal(0)),
        "cumQuote": text(spent),
        "origType": spot["type"],
        "positionSide": "BOTH",
        "reduceOnly": False,
        "closePosition": False,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "updateTime": spot.get("updateTime", spot.get("transactTime")),
    }


_SHARED = (
    "symbol",
    "orderId",
    "price",
    "origQty",
    "executedQty",
    "status",
    "timeInForce",
    "type",
    "side",
)


def order_trade_update(report: Report) -> Json:
    """`ORDER_TRADE_UPDATE` of the user data stream."""
    order, execution = report.order, report.execution
    nothing = "0"
    average = order.filled_quote / order.filled_quantity if order.filled_quantity else Decimal(0)
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": report.time_ms,
        "T": execution.time_ms if execution else order.updated_ms,
        "o": {
            "s": order.symbol,
            "c": order.client_id,
            "S": order.side.value,
            "o": order.type,
            "f": order.time_in_force,
            "q": text(order.quantity),
            "p": text(order.price),
            "ap": text(average),
            "sp": nothing,
            "x": report.kind,
            "X": order.status.value,
            "i": order.order_id,
            "l": text(execution.quantity) if execution else nothing,
            "z": text(order.filled_quantity),
            "L": text(execution.price) if execution else nothing,
            "N": execution.fee_asset if execution else None,
            "n": text(execution.fee) if execution else nothing,
            "T": execution.time_ms if execution else order.updated_ms,
            "t": execution.execution_id if execution else 0,
            "m": execution.is_maker if execution else False,
            "R": False,
            "ot": order.type,
            "ps": "BOTH",
            "cp": False,
            "rp": nothing,
        },
    }


def account_update(report: Report) -> Json:
    """`ACCOUNT_UPDATE`: the balances that the order changed."""
    return {
        "e": "ACCOUNT_UPDATE",
        "E": report.time_ms,
        "T": report.time_ms,
        "a": {
            "m": "ORDER",
            "B": [
                {"a": asset, "wb": text(balance.free), "cw": text(balance.free), "bc": "0"}
                for asset, balance in report.balances.items()
            ],
            "P": [],
        },
    }
