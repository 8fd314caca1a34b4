"""What Binance says of orders: answers to requests and reports of user data streams. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tickspan.trading import (
    Execution,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
    decimal_of,
    profile_of,
    reject_of_code,
    status_of,
)

from tickspan_binance.describe import LIBRARY, TIMES_IN_FORCE, TYPES, Place
from tickspan_binance.values import Message, above_zero, first, first_whole, items, lower, nanoseconds, text

_STATUSES: Final = {
    "PENDING_NEW": OrderStatus.PENDING_NEW,
    "NEW": OrderStatus.NEW,
    "ACCEPTED": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "CANCELLED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "TRIGGERING": OrderStatus.NEW,
    "TRIGGERED": OrderStatus.NEW,
}
_STATUS_NAMES: Final = ("status", "algoStatus", "strategyStatus")
_VENUE_IDS: Final = ("orderId", "algoId", "strategyId")
_CLIENT_IDS: Final = ("clientOrderId", "clientAlgoId", "newClientStrategyId")
_TIMES: Final = ("transactTime", "updateTime", "time", "workingTime")


def order_update(place: Place, order: Any, source: Source = Source.POLL) -> OrderUpdate | None:
    """An order as requests return it, of any market; None if it names none."""
    if not isinstance(order, Mapping):
        return None
    venue_id, client_id = first(order, _VENUE_IDS), first(order, ("origClientOrderId", *_CLIENT_IDS))
    if venue_id is None and client_id is None:
        return None
    filled = decimal_of(order.get("executedQty"))
    status, raw = status_of(_STATUSES, first(order, _STATUS_NAMES))
    return OrderUpdate(
        place.venue,
        source,
        status,
        library=LIBRARY,
        environment=place.environment,
        account=place.account,
        client_id=client_id,
        venue_id=venue_id,
        instrument=text(order.get("symbol")),
        side=lower(order.get("side")),
        type=TYPES.get(str(order.get("type"))),
        time_in_force=TIMES_IN_FORCE.get(str(order.get("timeInForce"))),
        quantity=above_zero(order.get("origQty")),
        price=above_zero(order.get("price")),
        filled_quantity=filled,
        average_price=_average(order, filled),
        executions=_fills(order.get("fills")),
        venue_time_ns=nanoseconds(first_whole(order, _TIMES)),
        status_raw=raw,
    )


def _average(order: Message, filled: Decimal | None) -> Decimal | None:
    average = above_zero(order.get("avgPrice"))
    spent = decimal_of(order.get("cummulativeQuoteQty"))  # the venue's spelling
    return average if average is not None or not filled or not spent else spent / filled


def _fills(fills: Any) -> tuple[Execution, ...]:
    named = (fill for fill in items(fills) if fill.get("tradeId") is not None)
    return tuple(
        Execution(
            str(fill["tradeId"]),
            decimal_of(fill.get("qty")),
            decimal_of(fill.get("price")),
            "taker",  # only what trades at once is in an answer
            _fee(fill.get("commission"), fill.get("commissionAsset")),
        )
        for fill in named
    )


def trade_update(place: Place, trade: Message) -> OrderUpdate | None:
    """One of the account's own trades; None for the public's, which name no order."""
    venue_id, execution_id = text(trade.get("orderId")), text(trade.get("id"))
    if venue_id is None or execution_id is None:
        return None
    is_maker = trade.get("isMaker", trade.get("maker"))
    is_buyer = trade.get("isBuyer", trade.get("buyer"))
    execution = Execution(
        execution_id,
        decimal_of(trade.get("qty")),
        decimal_of(trade.get("price")),
        _liquidity(is_maker),
        _fee(trade.get("commission"), trade.get("commissionAsset")),
    )
    return OrderUpdate(
        place.venue,
        Source.POLL,
        library=LIBRARY,
        environment=place.environment,
        account=place.account,
        venue_id=venue_id,
        instrument=text(trade.get("symbol")),
        side=("buy" if is_buyer else "sell") if isinstance(is_buyer, bool) else None,
        executions=(execution,),
        venue_time_ns=nanoseconds(trade.get("time")),
    )


def answers(place: Place, result: Any, source: Source) -> Sequence[OrderUpdate]:
    """What an order request returned: an order, both halves of a replacement, a list, a batch."""
    updates = (_answer(place, part, source) for part in _parts(result))
    return [update for update in updates if update is not None]


def _parts(result: Any) -> Iterable[Message]:
    for part in items(result if isinstance(result, list) else [result]):
        if "newOrderResponse" in part:
            yield from items([part["newOrderResponse"]])
        elif "amendedOrder" in part:
            yield from items([part["amendedOrder"]])
        elif "orders" in part and "orderListId" in part:
            yield from items(part.get("orderReports") or part["orders"])
        else:
            yield part


def _answer(place: Place, part: Message, source: Source) -> OrderUpdate | None:
    """An order; or in a batch, the refusal of one."""
    update = order_update(place, part, source)
    code = part.get("code")
    if update is not None or not isinstance(code, int) or code >= 0:
        return update
    reject = reject_of_code(profile_of(place.venue), str(code), text(part.get("msg")))
    return OrderUpdate(place.venue, source, OrderStatus.REJECTED, library=LIBRARY, reject=reject)


def polled(place: Place, result: Any) -> Sequence[OrderUpdate]:
    """Orders and trades that were asked for, one or many."""
    rows = items(result if isinstance(result, list) else [result])
    updates = (
        trade_update(place, row) if "status" not in row and "qty" in row else order_update(place, row)
        for row in rows
    )
    return [update for update in updates if update is not None]


def report(place: Place, event: Any) -> OrderUpdate | None:
    """The report of an order in an event of a user data stream; None if it is none."""
    kind = event.get("e") if isinstance(event, Mapping) else None
    if kind == "executionReport":
        return _report(place, event, event.get("E"))
    body = event.get("o") if kind == "ORDER_TRADE_UPDATE" else None
    if isinstance(body, Mapping):
        return _report(place, body, event.get("E"))
    return _report(place, {**event, "x": "TRADE"}, event.get("E")) if kind == "TRADE_LITE" else None


def _report(place: Place, body: Message, told_at: Any) -> OrderUpdate:
    # On a cancel `c` is the cancel's own id and `C` the order's; else `C` is empty, and contracts have none.
    is_cancel = isinstance(body.get("C"), str) and body["C"] != ""
    filled = decimal_of(body.get("z"))
    status, raw = status_of(_STATUSES, body.get("X"))
    return OrderUpdate(
        place.venue,
        Source.USER_STREAM,
        status,
        library=LIBRARY,
        environment=place.environment,
        account=place.account,
        client_id=text(body["C"] if is_cancel else body.get("c")),
        venue_id=text(body.get("i")),
        instrument=text(body.get("s")),
        side=lower(body.get("S")),
        type=TYPES.get(str(body.get("o"))),
        time_in_force=TIMES_IN_FORCE.get(str(body.get("f"))),
        quantity=above_zero(body.get("q")),
        price=above_zero(body.get("p")),
        filled_quantity=filled,
        average_price=_reported_average(body, filled),
        executions=_reported_execution(body),
        reject=_reported_reject(place, body),
        venue_time_ns=nanoseconds(body.get("T", told_at)),
        status_raw=raw,
    )


def _reported_average(body: Message, filled: Decimal | None) -> Decimal | None:
    average, spent = above_zero(body.get("ap")), decimal_of(body.get("Z"))
    return average if average is not None or not filled or not spent else spent / filled


def _reported_execution(body: Message) -> tuple[Execution, ...]:
    if body.get("x") != "TRADE":
        return ()
    execution_id = text(body.get("t"))
    if execution_id is None:
        return ()
    return (
        Execution(
            execution_id,
            decimal_of(body.get("l")),
            decimal_of(body.get("L")),
            _liquidity(body.get("m")),
            _fee(body.get("n"), body.get("N")),
        ),
    )


def _reported_reject(place: Place, body: Message) -> Reject | None:
    if body.get("x") != "REJECTED":
        return None
    code = str(body.get("r"))
    return reject_of_code(profile_of(place.venue), code, None) if _WORD.fullmatch(code) else None


_WORD: Final = re.compile(r"[\w-]{1,40}")


def _liquidity(is_maker: Any) -> str | None:
    return ("maker" if is_maker else "taker") if isinstance(is_maker, bool) else None


def _fee(amount: Any, asset: Any) -> str | None:
    return f"{amount} {asset}" if isinstance(amount, str) and isinstance(asset, str) else None


def server_time_ns(result: Any) -> int | None:
    """The venue's clock in an answer to a question for it."""
    return nanoseconds(result.get("serverTime")) if isinstance(result, Mapping) else None


def instrument_in(result: Any, asked: Any) -> str | None:
    """Of which instrument market data was asked for; None for several."""
    told = result.get("symbol") if isinstance(result, Mapping) else None
    return text(told) or text(asked)
