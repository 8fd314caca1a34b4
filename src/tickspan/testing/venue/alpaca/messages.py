"""Alpaca's messages: pure functions from the venue's values to the JSON objects of its documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from tickspan.testing.venue.alpaca import names
from tickspan.testing.venue.alpaca.packing import Moment
from tickspan.testing.venue.behaviour import Market
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.orders import Balance, Execution, Side, Status, VenueOrder
from tickspan.testing.venue.prices import Candle, Level, Prices, Tick, Trade

Json = dict[str, object]

AT_THE_OPENING: Final = "OPG"
PENDING_CANCEL: Final = "PENDING_CANCEL"
PENDING_REPLACE: Final = "PENDING_REPLACE"

_STATUSES: Final = {
    Status.NEW: "new",
    Status.PARTIALLY_FILLED: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELED: "canceled",
    Status.EXPIRED: "expired",
}
_PENDING: Final = {PENDING_CANCEL: "pending_cancel", PENDING_REPLACE: "pending_replace"}
_EXCHANGE: Final = "V"  # IEX
_TAPE: Final = "C"


def text(number: Decimal) -> str:
    """A number as Alpaca writes it: plain, without trailing zeros."""
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def status_of(order: VenueOrder, replaced_by: int | None = None) -> str:
    """Alpaca's word for where an order stands."""
    if order.status is Status.CANCELED and replaced_by is not None:
        return "replaced"
    if order.status is Status.EXPIRED and order.time_in_force == AT_THE_OPENING:
        return "rejected"  # the market is open at all times: such an order comes too late
    return _STATUSES[order.status]


def order_row(
    order: VenueOrder, market: Market, replaced_by: int | None = None, status: str | None = None
) -> Json:
    """An order as every answer and every update shows it."""
    state = status or status_of(order, replaced_by)
    has_filled = order.filled_quantity > 0
    is_notional = order.quote_quantity > 0
    ended = Moment(order.updated_ms * 1_000_000)
    kind = order.type.lower()
    return {
        "id": names.order_uuid(order.order_id),
        "client_order_id": order.client_id,
        "created_at": Moment(order.created_ms * 1_000_000),
        "updated_at": ended,
        "submitted_at": Moment(order.created_ms * 1_000_000),
        "filled_at": ended if state == "filled" else None,
        "expired_at": ended if state == "expired" else None,
        "canceled_at": ended if state == "canceled" else None,
        "failed_at": ended if state == "rejected" else None,
        "replaced_at": ended if state == "replaced" else None,
        "replaced_by": names.order_uuid(replaced_by) if replaced_by is not None else None,
        "replaces": names.order_uuid(order.replaces) if order.replaces is not None else None,
        "asset_id": names.asset_uuid(market),
        "symbol": names.symbol_of(market),
        "asset_class": _asset_class(market),
        "notional": text(order.quote_quantity) if is_notional else None,
        "qty": None if is_notional else text(order.quantity),
        "filled_qty": text(order.filled_quantity),
        "filled_avg_price": text(order.filled_quote / order.filled_quantity) if has_filled else None,
        "order_class": "",
        "order_type": kind,
        "type": kind,
        "side": order.side.value.lower(),
        "position_intent": "buy_to_open" if order.side is Side.BUY else "sell_to_close",
        "time_in_force": order.time_in_force.lower(),
        "limit_price": text(order.price) if kind == "limit" else None,
        "stop_price": None,
        "status": state,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def event_of(report: Report, replaced_by: int | None) -> str:
    """Alpaca's word for what happened."""
    if report.kind == "TRADE":
        return "fill" if report.order.status is Status.FILLED else "partial_fill"
    return _PENDING.get(report.kind) or status_of(report.order, replaced_by)


def trade_update(report: Report, market: Market, replaced_by: int | None) -> Json:
    """A message of the stream `trade_updates`."""
    event, execution = event_of(report, replaced_by), report.execution
    data: Json = {
        "event": event,
        "timestamp": Moment(report.time_ms * 1_000_000),
        "order": order_row(report.order, market, replaced_by, _PENDING.get(report.kind)),
    }
    if execution is not None:
        position = report.balances[market.base]
        data |= {
            "execution_id": names.execution_uuid(execution.execution_id),
            "price": text(execution.price),
            "qty": text(execution.quantity),
            "position_qty": text(position.free + position.locked),
        }
    return {"stream": "trade_updates", "data": data}


def account(currency: str, cash: Balance, positions_worth: Decimal, now_ms: int) -> Json:
    """`account`."""
    owned = cash.free + cash.locked
    equity = text(owned + positions_worth)
    return {
        "id": names.ACCOUNT_ID,
        "account_number": names.ACCOUNT_NUMBER,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": currency,
        "buying_power": text(cash.free),
        "regt_buying_power": text(cash.free),
        "non_marginable_buying_power": text(cash.free),
        "cash": text(owned),
        "accrued_fees": "0",
        "portfolio_value": equity,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "created_at": Moment(now_ms * 1_000_000),
        "trade_suspended_by_user": False,
        "multiplier": "1",
        "shorting_enabled": False,
        "equity": equity,
        "last_equity": equity,
        "long_market_value": text(positions_worth),
        "short_market_value": "0",
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "sma": "0",
    }


def position(market: Market, balance: Balance, entry_price: Decimal, price: Decimal) -> Json:
    """One row of `positions`."""
    quantity = balance.free + balance.locked
    cost, worth = quantity * entry_price, quantity * price
    return {
        "asset_id": names.asset_uuid(market),
        "symbol": names.symbol_of(market),
        "exchange": _listed_at(market),
        "asset_class": _asset_class(market),
        "asset_marginable": False,
        "avg_entry_price": text(entry_price),
        "qty": text(quantity),
        "qty_available": text(balance.free),
        "side": "long",
        "market_value": text(worth),
        "cost_basis": text(cost),
        "unrealized_pl": text(worth - cost),
        "unrealized_plpc": text((worth - cost) / cost) if cost else "0",
        "unrealized_intraday_pl": text(worth - cost),
        "unrealized_intraday_plpc": text((worth - cost) / cost) if cost else "0",
        "current_price": text(price),
        "lastday_price": text(market.start_price),
        "change_today": text(price / market.start_price - 1),
    }


def entry_price(market: Market, executions: Iterable[Execution]) -> Decimal:
    """What the account paid on average; the price at the opening for what it owned before."""
    bought = [
        (execution.quantity, execution.price)
        for execution in executions
        if execution.symbol == market.id and execution.side is Side.BUY
    ]
    total = sum((quantity for quantity, _ in bought), Decimal(0))
    paid = sum((quantity * price for quantity, price in bought), Decimal(0))
    return (paid / total).quantize(market.tick_size) if total else market.start_price


def asset(market: Market) -> Json:
    """One row of `assets`."""
    return {
        "id": names.asset_uuid(market),
        "class": _asset_class(market),
        "exchange": _listed_at(market),
        "symbol": names.symbol_of(market),
        "name": market.base,
        "status": "active",
        "tradable": True,
        "marginable": False,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": True,
        "min_order_size": text(market.step_size),
        "min_trade_increment": text(market.step_size),
        "price_increment": text(market.tick_size),
    }


def clock(now_ms: int) -> Json:
    """`clock`: the market of a simulation never closes."""
    day_ms = 86_400_000
    midnight = Moment((now_ms // day_ms + 1) * day_ms * 1_000_000)
    return {
        "timestamp": Moment(now_ms * 1_000_000),
        "is_open": True,
        "next_open": midnight,
        "next_close": midnight,
    }


def trade_core(trade: Trade) -> Json:
    """A trade of somebody else, as history has it."""
    return {
        "t": Moment(trade.time_ms * 1_000_000),
        "x": _EXCHANGE,
        "p": float(trade.price),
        "s": float(trade.quantity),
        "c": ["@"],
        "i": trade.id,
        "z": _TAPE,
    }


def quote_core(best_bid: Level, best_ask: Level, at: Moment) -> Json:
    """The best bid and ask, as history has them."""
    return {
        "t": at,
        "ax": _EXCHANGE,
        "ap": float(best_ask[0]),
        "as": float(best_ask[1]),
        "bx": _EXCHANGE,
        "bp": float(best_bid[0]),
        "bs": float(best_bid[1]),
        "c": ["R"],
        "z": _TAPE,
    }


def bar_core(candle: Candle) -> Json:
    """A candle, as history has it."""
    average = candle.quote_volume / candle.volume if candle.volume else candle.close
    return {
        "t": Moment(candle.open_ms * 1_000_000),
        "o": float(candle.open),
        "h": float(candle.high),
        "l": float(candle.low),
        "c": float(candle.close),
        "v": float(candle.volume),
        "n": candle.trades,
        "vw": float(average),
    }


def trade_message(symbol: str, tick: Tick, at: Moment) -> Json:
    """A message of the channel `trades`; `at` is the moment it was printed, to the nanosecond."""
    return {"T": "t", "S": symbol, **trade_core(tick.trade), "t": at}


def quote_message(symbol: str, tick: Tick, at: Moment) -> Json:
    """A message of the channel `quotes`."""
    return {"T": "q", "S": symbol, **quote_core(tick.best_bid, tick.best_ask, at)}


def bar_message(symbol: str, kind: str, candle: Candle) -> Json:
    """A message of the channels `bars` (kind `b`) and `dailyBars` (`d`)."""
    return {"T": kind, "S": symbol, **bar_core(candle)}


def orderbook_message(symbol: str, tick: Tick, at: Moment) -> Json:
    """A message of the channel `orderbooks`: the levels that changed."""
    return {
        "T": "o",
        "S": symbol,
        "t": at,
        "b": _levels(tick.changed_bids),
        "a": _levels(tick.changed_asks),
    }


def whole_orderbook(symbol: str, prices: Prices, at: Moment) -> Json:
    """The first message of that channel: all levels."""
    return {
        "T": "o",
        "S": symbol,
        "t": at,
        "b": _levels(prices.bids),
        "a": _levels(prices.asks),
        "r": True,
    }


def subscription(channels: Mapping[str, Iterable[str]]) -> Json:
    """The answer to a change of what a data stream carries."""
    return {"T": "subscription", **{channel: list(symbols) for channel, symbols in channels.items()}}


def _levels(levels: Iterable[Level]) -> list[Json]:
    return [{"p": float(price), "s": float(quantity)} for price, quantity in levels]


def _asset_class(market: Market) -> str:
    return "crypto" if names.is_crypto(market) else "us_equity"


def _listed_at(market: Market) -> str:
    return "CRYPTO" if names.is_crypto(market) else "NASDAQ"
