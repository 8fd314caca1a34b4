"""What can be asked of the venue by REST: one table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final

from tickspan.testing.venue.alpaca import messages, names
from tickspan.testing.venue.alpaca.books import Books
from tickspan.testing.venue.alpaca.errors import (
    AlpacaError,
    ConnectionBrokenError,
    GatewayError,
    invalid,
    missing,
    not_found,
)
from tickspan.testing.venue.alpaca.packing import Moment
from tickspan.testing.venue.behaviour import Fault, Market
from tickspan.testing.venue.exchange import Accepted
from tickspan.testing.venue.orders import Balance, NewOrder, Side

_ACCOUNT_OF_A_BROKER: Final = re.compile(r"/v1/trading/accounts/[0-9a-fA-F-]{36}(?=/)")
_TIMEFRAME: Final = re.compile(r"([1-9][0-9]?)(Min|T|Hour|H|Day|D|Week|W|Month|M)")
_UNITS_MS: Final = {
    "Min": 60_000,
    "T": 60_000,
    "Hour": 3_600_000,
    "H": 3_600_000,
    "Day": 86_400_000,
    "D": 86_400_000,
    "Week": 604_800_000,
    "W": 604_800_000,
    "Month": 2_592_000_000,  # thirty days
    "M": 2_592_000_000,
}
_TYPES: Final = {"market": "MARKET", "limit": "LIMIT"}
_TIMES_IN_FORCE: Final = ("day", "gtc", "ioc", "fok", "opg", "cls")
_USUAL_ORDERS, _MOST_ORDERS = 50, 500
_USUAL_BARS, _MOST_BARS = 1_000, 10_000
_MULTI_STATUS = 207
_MOST_DIGITS = 20  # before or after the point; what is longer is no amount of anything


class UnsupportedError(Exception):
    """The venue knows what is asked, and this one does not have it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed its checks."""

    books: Books
    path: tuple[str, ...]  # what stood in the places of the route's `{}`
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def text(self, name: str, default: str = "") -> str:
        """A field of the body, else of the query."""
        value = self.body.get(name, self.query.get(name))
        return default if value is None else str(value)

    def decimal(self, name: str) -> Decimal | None:
        """An exact number, or None."""
        value = self.text(name)
        if not value:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise invalid(name, value) from None
        if not number.is_finite() or number <= 0 or abs(number.adjusted()) > _MOST_DIGITS:
            raise invalid(name, value)
        return number

    def whole(self, name: str, usual: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self.text(name, str(usual))
        if not value.isdecimal() or not 0 < int(value) <= most:
            raise invalid(name, value)
        return int(value)

    def symbols(self) -> list[str]:
        """The comma-separated `symbols`."""
        return [symbol for symbol in self.text("symbols").split(",") if symbol]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: nothing has no body."""

    body: object
    status: int = 200


Run = Callable[[Call], Any]  # may return an awaitable; raises AlpacaError, GatewayError, UnsupportedError


async def _place(call: Call) -> Answer:
    return _answered(call, await call.books.place(_new_order(call)))


async def _replace(call: Call) -> Answer:
    old = call.books.order(call.path[0])
    kept = NewOrder(
        old.symbol,
        old.side,
        old.type,
        call.decimal("qty") or old.quantity,
        None,
        call.decimal("limit_price") or old.price or None,
        _time_in_force(call, old.time_in_force.lower()),
        call.text("client_order_id"),
        replaces=old.order_id,
    )
    return _answered(call, await call.books.replace(old, kept))


def _answered(call: Call, accepted: Accepted) -> Answer:
    if accepted.fault is Fault.ACCEPT_THEN_504:
        raise GatewayError(504, "Gateway Time-out")
    if accepted.fault is Fault.ACCEPT_THEN_RESET:
        raise ConnectionBrokenError
    return Answer(call.books.accepted_row(accepted.order))


def _cancel(call: Call) -> Answer:
    call.books.cancel(call.books.order(call.path[0]))
    return Answer(None, 204)


def _cancel_all(call: Call) -> Answer:
    orders = call.books.exchange.desk.open_orders()
    for order in orders:
        call.books.cancel(order)
    return Answer(
        [{"id": names.order_uuid(order.order_id), "status": 200} for order in orders], _MULTI_STATUS
    )


def _order(call: Call) -> Answer:
    return Answer(call.books.row(call.books.order(call.path[0])))


def _order_by_client_id(call: Call) -> Answer:
    client_id = call.text("client_order_id")
    if not client_id:
        raise missing("client_order_id")
    return Answer(call.books.row(call.books.order_named(client_id)))


def _orders(call: Call) -> Answer:
    wanted = _choice(call, "status", "open", ("open", "closed", "all"))
    direction = _choice(call, "direction", "desc", ("asc", "desc"))
    markets = {call.books.market(symbol).id for symbol in call.symbols()}
    side = call.text("side").upper()
    found = [
        order
        for order in call.books.exchange.desk.orders
        if wanted == "all" or order.status.is_open is (wanted == "open")
        if not markets or order.symbol in markets
        if side in ("", order.side.value)
    ]
    ordered = found if direction == "asc" else found[::-1]
    limit = call.whole("limit", _USUAL_ORDERS, _MOST_ORDERS)
    return Answer([call.books.row(order) for order in ordered[:limit]])


def _account(call: Call) -> Answer:
    books = call.books
    cash = books.exchange.desk.balances.get(books.currency, Balance())
    worth = sum(
        (
            (balance.free + balance.locked) * books.price(market)
            for market, balance in books.positions()
            if market.quote == books.currency
        ),
        Decimal(0),
    )
    return Answer(messages.account(books.currency, cash, worth, books.exchange.now_ms()))


def _positions(call: Call) -> Answer:
    return Answer([_position_row(call, market, balance) for market, balance in call.books.positions()])


def _position(call: Call) -> Answer:
    return Answer(_position_row(call, *call.books.position(call.path[0])))


def _position_row(call: Call, market: Market, balance: Balance) -> messages.Json:
    books = call.books
    paid = messages.entry_price(market, books.exchange.desk.executions)
    return messages.position(market, balance, paid, books.price(market))


async def _close(call: Call) -> Answer:
    market, balance = call.books.position(call.path[0])
    percentage = call.decimal("percentage")
    quantity = call.decimal("qty") or balance.free * (percentage or 100) / 100
    return _answered(call, await _sell(call, market, quantity))


async def _close_all(call: Call) -> Answer:
    if call.text("cancel_orders").lower() == "true":
        _cancel_all(call)
    rows: list[messages.Json] = []
    for market, balance in list(call.books.positions()):
        symbol = names.symbol_of(market)
        try:
            order = (await _sell(call, market, balance.free)).order
        except AlpacaError as error:
            rows.append({"symbol": symbol, "status": error.status, "body": error.body()})
        else:
            rows.append({"symbol": symbol, "status": 200, "body": call.books.accepted_row(order)})
    return Answer(rows, _MULTI_STATUS)


async def _sell(call: Call, market: Market, quantity: Decimal) -> Accepted:
    rounded = quantity.quantize(market.step_size, ROUND_DOWN)
    return await call.books.place(NewOrder(market.id, Side.SELL, "MARKET", rounded, time_in_force="DAY"))


def _clock(call: Call) -> Answer:
    return Answer(messages.clock(call.books.exchange.now_ms()))


def _assets(call: Call) -> Answer:
    rows = [messages.asset(market) for market in call.books.symbols.markets]
    wanted = call.text("asset_class")
    return Answer([row for row in rows if wanted in ("", row["class"])])


def _asset(call: Call) -> Answer:
    market = call.books.symbols.find(call.path[0])
    if market is None:
        raise not_found("asset", call.path[0])
    return Answer(messages.asset(market))


def _latest(key: str, render: Callable[[Books, Market], messages.Json]) -> Run:
    """The newest trade, quote or bar of each of `symbols`."""

    def run(call: Call) -> Answer:
        wanted = {symbol: call.books.market(symbol) for symbol in call.symbols()}
        return Answer({key: {symbol: render(call.books, market) for symbol, market in wanted.items()}})

    return run


def _latest_of_one(key: str, render: Callable[[Books, Market], messages.Json]) -> Run:
    """The same of the symbol in the path, as older clients ask."""

    def run(call: Call) -> Answer:
        symbol = call.path[0]
        return Answer({"symbol": symbol, key: render(call.books, call.books.market(symbol))})

    return run


def _latest_trade(books: Books, market: Market) -> messages.Json:
    return messages.trade_core(books.exchange.prices(market.id).trades[-1])


def _latest_quote(books: Books, market: Market) -> messages.Json:
    prices, now = books.exchange.prices(market.id), Moment(books.exchange.now_ms() * 1_000_000)
    return messages.quote_core(prices.best_bid, prices.best_ask, now)


def _latest_bar(books: Books, market: Market) -> messages.Json:
    return messages.bar_core(books.exchange.prices(market.id).candles(_UNITS_MS["Min"])[-1])


def _bars(call: Call) -> Answer:
    timeframe = call.text("timeframe", "1Min")
    read = _TIMEFRAME.fullmatch(timeframe)
    if read is None:
        raise invalid("timeframe", timeframe)
    interval_ms = int(read[1]) * _UNITS_MS[read[2]]
    limit = call.whole("limit", _USUAL_BARS, _MOST_BARS)
    wanted = {symbol: call.books.market(symbol) for symbol in call.symbols()}
    candles = {
        symbol: call.books.exchange.prices(market.id).candles(interval_ms)[-limit:]
        for symbol, market in wanted.items()
    }
    rows = {symbol: [messages.bar_core(candle) for candle in kept] for symbol, kept in candles.items()}
    return Answer({"bars": rows, "next_page_token": None})


def _new_order(call: Call) -> NewOrder:
    if not call.text("symbol"):
        raise missing("symbol")
    order_class = call.text("order_class")
    if order_class not in ("", "simple"):
        raise UnsupportedError(f"order_class={order_class}")
    kind = call.text("type")
    if kind not in _TYPES:
        raise UnsupportedError(f"type={kind}") if kind else missing("type")
    quantity, notional = call.decimal("qty"), call.decimal("notional")
    if (quantity is None) == (notional is None):
        raise AlpacaError(422, 40010001, "qty or notional is required, not both")
    price = call.decimal("limit_price")
    if kind == "limit" and price is None:
        raise AlpacaError(422, 40010001, "limit orders require limit price")
    if kind == "market" and price is not None:
        raise AlpacaError(422, 40010001, "market orders require no limit price")
    market = call.books.market(call.text("symbol"))
    side = _choice(call, "side", "", ("buy", "sell"))
    return NewOrder(
        market.id,
        Side(side.upper()),
        _TYPES[kind],
        quantity,
        notional,
        price,
        _time_in_force(call, "day"),
        call.text("client_order_id"),
    )


def _time_in_force(call: Call, usual: str) -> str:
    return _choice(call, "time_in_force", usual, _TIMES_IN_FORCE).upper()


def _choice(call: Call, name: str, usual: str, choices: tuple[str, ...]) -> str:
    value = call.text(name, usual).lower()
    if value not in choices:
        raise invalid(name, value) if value else missing(name)
    return value


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked."""

    method: str
    pattern: re.Pattern[str]
    run: Run
    orders: int = 0  # how many it counts against the order limits


def _routes(table: Iterable[tuple[str, str, Run, int]]) -> tuple[Route, ...]:
    return tuple(
        Route(method, re.compile(path.replace("{}", "(.+)")), run, orders)
        for method, path, run, orders in table
    )


ROUTES: Final = _routes(
    (
        ("POST", "/v2/orders", _place, 1),
        ("GET", "/v2/orders", _orders, 0),
        ("DELETE", "/v2/orders", _cancel_all, 0),
        ("GET", "/v2/orders:by_client_order_id", _order_by_client_id, 0),
        ("GET", "/v2/orders/{}", _order, 0),
        ("PATCH", "/v2/orders/{}", _replace, 1),
        ("DELETE", "/v2/orders/{}", _cancel, 0),
        ("GET", "/v2/account", _account, 0),
        ("GET", "/v2/positions", _positions, 0),
        ("DELETE", "/v2/positions", _close_all, 1),
        ("GET", "/v2/positions/{}", _position, 0),
        ("DELETE", "/v2/positions/{}", _close, 1),
        ("GET", "/v2/clock", _clock, 0),
        ("GET", "/v2/assets", _assets, 0),
        ("GET", "/v2/assets/{}", _asset, 0),
        ("GET", "/v2/stocks/bars", _bars, 0),
        ("GET", "/v2/stocks/trades/latest", _latest("trades", _latest_trade), 0),
        ("GET", "/v2/stocks/quotes/latest", _latest("quotes", _latest_quote), 0),
        ("GET", "/v2/stocks/bars/latest", _latest("bars", _latest_bar), 0),
        ("GET", "/v2/stocks/{}/trades/latest", _latest_of_one("trade", _latest_trade), 0),
        ("GET", "/v2/stocks/{}/quotes/latest", _latest_of_one("quote", _latest_quote), 0),
        ("GET", "/v2/stocks/{}/bars/latest", _latest_of_one("bar", _latest_bar), 0),
        ("GET", "/v1beta3/crypto/us/bars", _bars, 0),
        ("GET", "/v1beta3/crypto/us/latest/trades", _latest("trades", _latest_trade), 0),
        ("GET", "/v1beta3/crypto/us/latest/quotes", _latest("quotes", _latest_quote), 0),
        ("GET", "/v1beta3/crypto/us/latest/bars", _latest("bars", _latest_bar), 0),
    )
)


def route_of(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The route of a request, with what stands in its places.

    A broker's accounts are all the same one here: `/v1/trading/accounts/{id}/orders` is `/v2/orders`.
    """
    plain = _ACCOUNT_OF_A_BROKER.sub("/v2", path)
    for route in ROUTES:
        found = route.pattern.fullmatch(plain) if route.method == method else None
        if found is not None:
            return route, found.groups()
    return None


async def run(route: Route, call: Call) -> Answer:
    """Do what is asked."""
    result = route.run(call)
    return await result if inspect.isawaitable(result) else result
