"""What each request of a TWS client gets for an answer: one table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tickspan.testing.venue.tws import messages, refusals, requests
from tickspan.testing.venue.tws.client import Client, Subscription
from tickspan.testing.venue.tws.contracts import Instrument
from tickspan.testing.venue.tws.requests import Fields


@dataclass(frozen=True, slots=True)
class Answer:
    """A request by its name, and what answers it; raises UnreadableError."""

    name: str
    give: Callable[[Client, Fields], None]


def _market_data(client: Client, fields: Fields) -> None:
    fields.skip(1)
    request_id = fields.whole()
    instrument = _found(client, fields, request_id)
    if instrument is None:
        return
    fields.skip(2)  # no delta neutral contract, generic ticks
    is_snapshot = fields.flag()
    shown = messages.snapshot(request_id, client.gateway.exchange.prices(instrument.market.id))
    if is_snapshot:
        client.send([*shown, (57, 1, request_id)])
        return
    client.subscriptions[request_id] = Subscription(instrument, messages.ticks)
    client.send([(58, 1, request_id, 1), *shown])


def _no_market_data(client: Client, fields: Fields) -> None:
    fields.skip(1)
    client.subscriptions.pop(fields.whole(), None)


def _tick_by_tick(client: Client, fields: Fields) -> None:
    request_id = fields.whole()
    instrument = _found(client, fields, request_id)
    if instrument is not None:
        kind = fields.text()
        client.subscriptions[request_id] = Subscription(
            instrument, lambda request_id, tick: [messages.tick_by_tick(request_id, kind, tick)]
        )


def _bars(client: Client, fields: Fields) -> None:
    fields.skip(1)
    request_id = fields.whole()
    instrument = _found(client, fields, request_id)
    if instrument is not None:
        client.subscriptions[request_id] = Subscription(
            instrument, lambda request_id, tick: [messages.bar(request_id, tick)]
        )


def _no_tick_by_tick(client: Client, fields: Fields) -> None:
    client.subscriptions.pop(fields.whole(), None)


def _contract_details(client: Client, fields: Fields) -> None:
    fields.skip(1)
    request_id = fields.whole()
    instrument = _found(client, fields, request_id)
    if instrument is not None:
        client.send([messages.contract_details(request_id, instrument), (52, 1, request_id)])


def _found(client: Client, fields: Fields, request_id: int) -> Instrument | None:
    instrument = client.gateway.instruments.find(requests.read_contract(fields))
    if instrument is None:
        client.send([messages.notice(refusals.UNKNOWN_CONTRACT, request_id)])
    return instrument


def _place_order(client: Client, fields: Fields) -> None:
    placing = asyncio.create_task(client.gateway.floor.place(client.id, requests.read_placement(fields)))
    client.orders_under_way.add(placing)
    placing.add_done_callback(client.orders_under_way.discard)


def _cancel_order(client: Client, fields: Fields) -> None:
    fields.skip(1)
    order_id = fields.whole()
    _behind_orders(lambda: client.gateway.floor.cancel(client.id, order_id))


def _cancel_all(client: Client, _fields: Fields) -> None:
    _behind_orders(client.gateway.floor.cancel_all)


def _open_orders(client: Client, _fields: Fields) -> None:
    _behind_orders(lambda: client.send([*client.gateway.floor.open_orders(client.id), (53, 1)]))


def _all_open_orders(client: Client, _fields: Fields) -> None:
    _behind_orders(lambda: client.send([*client.gateway.floor.open_orders(None), (53, 1)]))


def _completed_orders(client: Client, _fields: Fields) -> None:
    _behind_orders(lambda: client.send([*client.gateway.floor.completed_orders(client.id), (102,)]))


def _executions(client: Client, fields: Fields) -> None:
    fields.skip(1)
    request_id = fields.whole()
    end = (55, 1, request_id)
    _behind_orders(lambda: client.send([*client.gateway.floor.executions(client.id, request_id), end]))


def _behind_orders(action: Callable[[], None]) -> None:
    """Run `action` once the orders that came before it are booked: their tasks have yet to start."""
    asyncio.get_running_loop().call_soon(action)


def _positions(client: Client, _fields: Fields) -> None:
    client.watches_positions = True
    client.send([*map(client.position, client.gateway.instruments), (62, 1)])


def _no_positions(client: Client, _fields: Fields) -> None:
    client.watches_positions = False


def _account_updates(client: Client, fields: Fields) -> None:
    fields.skip(1)
    if not fields.flag():
        return
    account, exchange = client.gateway.account, client.gateway.exchange
    balances = exchange.desk.balances
    values = [(6, 2, *value, account) for value in messages.account_values(balances)]
    held = [
        messages.portfolio(account, one, balances, exchange.prices(one.market.id).best_bid[0])
        for one in client.gateway.instruments
    ]
    now = time.strftime("%H:%M", time.gmtime(exchange.now_ms() / 1_000))
    client.send([*values, *held, (8, 1, now), (54, 1, account)])


def _account_updates_multi(client: Client, fields: Fields) -> None:
    fields.skip(1)
    request_id, account = fields.whole(), client.gateway.account
    values = messages.account_values(client.gateway.exchange.desk.balances)
    client.send([*((73, 1, request_id, account, "", *value) for value in values), (74, 1, request_id)])


def _account_summary(client: Client, fields: Fields) -> None:
    fields.skip(1)
    request_id, account = fields.whole(), client.gateway.account
    values = messages.account_values(client.gateway.exchange.desk.balances)
    client.send([*((63, 1, request_id, account, *value) for value in values), (64, 1, request_id)])


def _accounts(client: Client, _fields: Fields) -> None:
    client.send([messages.managed_accounts(client.gateway.account)])


def _ids(client: Client, _fields: Fields) -> None:
    client.send([messages.next_valid_id(client.gateway.floor.next_id(client.id))])


def _time(client: Client, _fields: Fields) -> None:
    client.send([messages.current_time(client.gateway.exchange.now_ms())])


def _nothing(_client: Client, _fields: Fields) -> None:
    """The request changes nothing here and gets no answer."""


ANSWERS: Final[Mapping[int, Answer]] = {
    1: Answer("reqMktData", _market_data),
    2: Answer("cancelMktData", _no_market_data),
    3: Answer("placeOrder", _place_order),
    4: Answer("cancelOrder", _cancel_order),
    5: Answer("reqOpenOrders", _open_orders),
    6: Answer("reqAccountUpdates", _account_updates),
    7: Answer("reqExecutions", _executions),
    8: Answer("reqIds", _ids),
    9: Answer("reqContractDetails", _contract_details),
    14: Answer("setServerLogLevel", _nothing),
    15: Answer("reqAutoOpenOrders", _nothing),
    16: Answer("reqAllOpenOrders", _all_open_orders),
    17: Answer("reqManagedAccts", _accounts),
    49: Answer("reqCurrentTime", _time),
    50: Answer("reqRealTimeBars", _bars),
    51: Answer("cancelRealTimeBars", _no_market_data),
    58: Answer("reqGlobalCancel", _cancel_all),
    59: Answer("reqMarketDataType", _nothing),
    61: Answer("reqPositions", _positions),
    62: Answer("reqAccountSummary", _account_summary),
    63: Answer("cancelAccountSummary", _nothing),
    64: Answer("cancelPositions", _no_positions),
    71: Answer("startApi", _nothing),
    76: Answer("reqAccountUpdatesMulti", _account_updates_multi),
    77: Answer("cancelAccountUpdatesMulti", _nothing),
    97: Answer("reqTickByTickData", _tick_by_tick),
    98: Answer("cancelTickByTickData", _no_tick_by_tick),
    99: Answer("reqCompletedOrders", _completed_orders),
}
"""By the id of the request's message."""
