"""What TWS tells its clients, in the layout of server version 176. Pure: values in, messages out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from tickspan.testing.venue.orders import Balance, Execution, Side, Status, VenueOrder
from tickspan.testing.venue.prices import Prices, Tick
from tickspan.testing.venue.tws.contracts import Instrument
from tickspan.testing.venue.tws.orders import ApiOrder
from tickspan.testing.venue.tws.refusals import Refusal
from tickspan.testing.venue.tws.requests import Contract
from tickspan.testing.venue.tws.wire import UNSET, Message, Value

BID, ASK, LAST, HIGH, LOW, VOLUME, CLOSE, OPEN = 1, 2, 4, 6, 7, 8, 9, 14
"""Types of ticks."""

_ADDED, _REMOVED = 1, 2
_PENNY: Final = Decimal("0.01")


def notice(refusal: Refusal, about: int = -1) -> Message:
    """An error, or what TWS calls one; `about` is an order's or a request's number."""
    return 4, 2, about, refusal.code, refusal.text, ""


def managed_accounts(account: str) -> Message:
    """The accounts of this login."""
    return 15, 1, account


def next_valid_id(order_id: int) -> Message:
    """The first number that the client may give an order."""
    return 9, 1, order_id


def current_time(now_ms: int) -> Message:
    """The venue's clock, which has seconds only."""
    return 49, 1, now_ms // 1_000


def order_status(order: ApiOrder, booked: VenueOrder | None, state: str | None = None) -> Message:
    """Where an order stands; `booked` is the venue's word."""
    filled = booked.filled_quantity if booked is not None else Decimal(0)
    return (
        *(3, order.order_id, state or state_of(booked), filled, order.asked.quantity - filled),
        *(average_price(booked), order.perm_id, order.asked.parent_id),
        booked.working_price if booked is not None and filled else Decimal(0),
        *(order.client_id, "", Decimal(0)),
    )


def open_order(order: ApiOrder, state: str, margin: Decimal | None = None) -> Message:
    """All of an order; with `margin` the answer to what it would take."""
    is_what_if = margin is not None
    margins = (0, 0, 0, *(margin,) * 3, *(margin,) * 3) if is_what_if else (UNSET,) * 9
    fee: tuple[Value, ...] = (
        (_PENNY, "", "", order.instrument.market.quote) if is_what_if else ("", "", "", "")
    )
    return (
        *(5, order.order_id),
        *_contract(order.asked.contract, order.instrument),
        *_terms(order),
        *(order.client_id, order.perm_id),
        *(0, 0, 0, "", "", "", "", "", ""),  # outside hours to financial advisor's profile
        *("", "", "", "", "", 0, "", -1),  # model code to exempt code
        *(0, "", "", "", "", "", "", 0, 0, 0, "", 3, 0, 0, ""),  # auction to national best price cap
        *(order.asked.parent_id, 0, "", 0),
        *_NO_DELTA_NEUTRAL,
        *(0, 0, "", "", "", "", ""),  # continuous update to legs' description
        *(0, 0, 0),  # legs, their prices, routing parameters
        *("", "", "", ""),  # scale, hedge
        *(0, "", "IB", 0, 0, "", 0),  # smart routing to solicited
        is_what_if,
        state,
        *margins,
        *fee,
        "",
        *(0, 0, 0),  # random size and price, conditions
        *("None", UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, 0),  # adjustments
        *("", "", "", 0, 1, 0, 0, 0),  # soft dollars to price management
        *("", "", 0),  # duration, post to ATS, cancel with parent
        *("", "", "", "", ""),  # minimum quantities, offsets
    )


def completed_order(order: ApiOrder, booked: VenueOrder) -> Message:
    """An order that is over."""
    return (
        101,
        *_contract(order.asked.contract, order.instrument),
        *_terms(order),
        order.perm_id,
        *(0, 0, 0, "", "", "", "", ""),  # outside hours to financial advisor's profile
        *("", "", "", "", "", 0, "", -1),  # model code to exempt code
        *("", "", "", "", "", "", 0, 0, "", 3, 0, "", 0),  # starting price to volatility type
        *("", ""),  # delta neutral
        *(0, 0, "", "", ""),  # continuous update to legs' description
        *(0, 0, 0),  # legs, their prices, routing parameters
        *("", "", "", ""),  # scale, hedge
        *("", "IB", 0, 0, "", 0),  # clearing to solicited
        state_of(booked),
        *(0, 0, 0),  # random size and price, conditions
        *(UNSET, UNSET, 0, 1, 0, ""),  # trailing stop to automatic cancel date
        booked.filled_quantity,
        *("", 0, "", 0, 0, ""),  # futures' contract to parent
        *(_time(booked.updated_ms), state_of(booked)),
        *("", "", "", "", ""),  # minimum quantities, offsets
    )


def execution(order: ApiOrder, booked: VenueOrder, fill: Execution, request_id: int = -1) -> Message:
    """One fill; `booked` is the order's state after it."""
    return (
        *(11, request_id, order.order_id),
        *_contract(order.asked.contract, order.instrument),
        *(execution_id(fill), _time(fill.time_ms), order.account, order.instrument.exchange),
        "BOT" if fill.side is Side.BUY else "SLD",
        *(fill.quantity, fill.price, booked.order_id, order.client_id, 0),
        *(booked.filled_quantity, average_price(booked), order.asked.order_ref, "", "", ""),
        _ADDED if fill.is_maker else _REMOVED,
    )


def execution_id(fill: Execution) -> str:
    """TWS's name of a fill; the last part counts its corrections."""
    return f"0000e0d5.{fill.execution_id:08x}.01.01"


def commission(fill: Execution) -> Message:
    """What a fill has cost."""
    return 59, 1, execution_id(fill), fill.fee, fill.fee_asset, UNSET, UNSET, ""


def position(account: str, instrument: Instrument, balances: Mapping[str, Balance]) -> Message:
    """What the account holds of an instrument."""
    held, cost = _held(instrument, balances), instrument.market.start_price
    return 61, 3, account, *_listed(instrument), held, cost


def portfolio(
    account: str, instrument: Instrument, balances: Mapping[str, Balance], price: Decimal
) -> Message:
    """What that is worth."""
    held, cost = _held(instrument, balances), instrument.market.start_price
    return 7, 8, *_listed(instrument), held, price, held * price, cost, held * (price - cost), 0, account


def account_values(balances: Mapping[str, Balance]) -> list[tuple[str, Decimal, str]]:
    """Tag, value and currency of what the account owns in money."""
    owned = [(asset, balance.free + balance.locked) for asset, balance in balances.items()]
    return [("CashBalance", amount, asset) for asset, amount in owned]


def contract_details(request_id: int, instrument: Instrument) -> Message:
    """All of an instrument."""
    market, name = instrument.market, f"{instrument.market.base} in {instrument.market.quote}"
    return (
        *(10, request_id, market.base, instrument.kind, "", 0, "", "SMART", market.quote),
        *(instrument.local_symbol, instrument.trading_class, instrument.trading_class, instrument.con_id),
        *(market.tick_size, "", "LMT,MKT", f"SMART,{instrument.exchange}", 1, 0, name, instrument.exchange),
        *("", "", "", "", "UTC", "", "", "", 0, 0),  # month to identifiers
        *(1, "", "", "26", "", "COMMON" if instrument.kind == "STK" else ""),
        *(market.step_size, market.step_size, market.step_size),
    )


def ticks(request_id: int, tick: Tick) -> list[Message]:
    """One step of a market on a subscription: bid, ask, last, volume."""
    return [
        (1, 6, request_id, BID, *tick.best_bid, 1),
        (1, 6, request_id, ASK, *tick.best_ask, 1),
        (1, 6, request_id, LAST, tick.trade.price, tick.trade.quantity, 0),
        (2, 6, request_id, VOLUME, tick.day.volume),
    ]


def snapshot(request_id: int, prices: Prices) -> list[Message]:
    """A market as it stands."""
    day = prices.day
    return [
        (1, 6, request_id, BID, *prices.best_bid, 1),
        (1, 6, request_id, ASK, *prices.best_ask, 1),
        (1, 6, request_id, LAST, day.close, prices.trades[-1].quantity, 0),
        (1, 6, request_id, OPEN, day.open, 0, 0),
        (1, 6, request_id, HIGH, day.high, 0, 0),
        (1, 6, request_id, LOW, day.low, 0, 0),
        (1, 6, request_id, CLOSE, day.open, 0, 0),
    ]


def bar(request_id: int, tick: Tick) -> Message:
    """One step of a market as a bar, which at TWS takes five seconds."""
    price, size = tick.trade.price, tick.trade.quantity
    return 50, 3, request_id, tick.time_ms // 1_000, price, price, price, price, size, price, 1


def tick_by_tick(request_id: int, kind: str, tick: Tick) -> Message:
    """One step of a market, as trade, as best prices or as their middle."""
    seconds = tick.time_ms // 1_000
    (bid, bid_size), (ask, ask_size) = tick.best_bid, tick.best_ask
    if kind == "BidAsk":
        return 99, request_id, 3, seconds, bid, ask, bid_size, ask_size, 0
    if kind == "MidPoint":
        return 99, request_id, 4, seconds, (bid + ask) / 2
    number = 1 if kind == "Last" else 2
    return 99, request_id, number, seconds, tick.trade.price, tick.trade.quantity, 0, "SMART", ""


def state_of(booked: VenueOrder | None) -> str:
    """TWS's word for where an order stands; None: the venue does not have it."""
    return _STATES[booked.status] if booked is not None else "PendingSubmit"


def average_price(booked: VenueOrder | None) -> Decimal:
    """What the filled part has cost per unit; 0 before a fill."""
    return booked.filled_quote / booked.filled_quantity if booked and booked.filled_quantity else Decimal(0)


_STATES: Final = {
    Status.NEW: "Submitted",
    Status.PARTIALLY_FILLED: "Submitted",
    Status.FILLED: "Filled",
    Status.CANCELED: "Cancelled",
    Status.EXPIRED: "Cancelled",
}
_NO_DELTA_NEUTRAL: Final[tuple[Value, ...]] = ("None", "", 0, "", "", "", "?", 0, 0, "")


def _terms(order: ApiOrder) -> tuple[Value, ...]:
    """What was ordered: action to reference."""
    asked = order.asked
    price = asked.limit_price or Decimal(0)
    return (
        *(asked.action, asked.quantity, asked.type, price, Decimal(0), asked.time_in_force),
        *("", order.account, "", 0, asked.order_ref),
    )


def _contract(asked: Contract, instrument: Instrument) -> tuple[Value, ...]:
    """An instrument where its client wants it traded."""
    exchange = asked.exchange or instrument.exchange
    return (
        *(instrument.con_id, instrument.market.base, instrument.kind, "", 0, "?", ""),
        *(exchange, instrument.market.quote, instrument.local_symbol, instrument.trading_class),
    )


def _listed(instrument: Instrument) -> tuple[Value, ...]:
    """An instrument where it is listed."""
    return (
        *(instrument.con_id, instrument.market.base, instrument.kind, "", 0, "", ""),
        *(instrument.exchange, instrument.market.quote, instrument.local_symbol, instrument.trading_class),
    )


def _held(instrument: Instrument, balances: Mapping[str, Balance]) -> Decimal:
    balance = balances.get(instrument.market.base, Balance())
    return balance.free + balance.locked


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y%m%d %H:%M:%S UTC")
