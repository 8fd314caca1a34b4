"""Orders, executions and balances of the one account of a simulated venue: what is true there."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from tickspan.testing.venue.behaviour import Behaviour, Market


class Side(enum.Enum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"


class Status(enum.Enum):
    """Where an order stands. PENDING_CANCEL and the like do not exist here: this venue is decided."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        """Whether more can happen."""
        return self in (Status.NEW, Status.PARTIALLY_FILLED)


class Reason(enum.Enum):
    """Why the venue refuses something, in no dialect."""

    UNKNOWN_SYMBOL = enum.auto()
    PRICE_FILTER = enum.auto()
    LOT_SIZE = enum.auto()
    NOTIONAL = enum.auto()
    FUNDS = enum.auto()
    DUPLICATE_ID = enum.auto()
    WOULD_TAKE = enum.auto()
    UNKNOWN_ORDER = enum.auto()
    NOT_OPEN = enum.auto()
    SCRIPTED = enum.auto()


class RefusedError(Exception):
    """The venue refuses; a dialect turns `reason` into its own code and words."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for: a quantity, or for a market order what to spend or receive of the quote."""

    symbol: str
    side: Side
    type: str  # MARKET, LIMIT, LIMIT_MAKER
    quantity: Decimal | None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    time_in_force: str = "GTC"
    client_id: str = ""
    via: str = "rest"
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order that the venue holds. Ids and states are the venue's, prices and quantities exact."""

    order_id: int
    client_id: str
    symbol: str
    side: Side
    type: str
    time_in_force: str
    quantity: Decimal
    quote_quantity: Decimal  # 0 unless asked for in the quote asset
    price: Decimal  # 0 for a market order
    filled_quantity: Decimal
    filled_quote: Decimal
    status: Status
    created_ms: int
    updated_ms: int
    via: str  # rest, ws_api or contracts
    replaces: int | None  # order id of the one that this order took the place of
    working_price: Decimal  # what it fills at: the market when it arrived, or the limit it rests at
    is_maker: bool  # whether it rests in the book first

    @property
    def leaves_quantity(self) -> Decimal:
        """What is still to be filled."""
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill, as booked at the venue."""

    execution_id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What the account owns of one asset; locked is held for open orders."""

    free: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)


_FIRST_ORDER_ID = 1_000_001
_FIRST_EXECUTION_ID = 5_000_001
_FEE_STEP = Decimal("0.00000001")


class Desk:
    """The venue's books. Every change is one call; what is read from it is immutable.

    Only the venue's loop writes. Reading `orders` and `executions` is safe from any thread.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._markets = {market.id: market for market in behaviour.markets()}
        self._orders: dict[int, VenueOrder] = {}
        self._executions: list[Execution] = []
        self._executions_by_order: defaultdict[int, list[Execution]] = defaultdict(list)
        self._open_by_client_id: dict[str, int] = {}
        self._last_by_client_id: dict[str, int] = {}
        self._balances = {asset: Balance(Decimal(free)) for asset, free in behaviour.balances.items()}

    @property
    def orders(self) -> tuple[VenueOrder, ...]:
        """Every order ever accepted, oldest first."""
        return tuple(self._orders.values())

    @property
    def executions(self) -> tuple[Execution, ...]:
        """Every fill ever booked, oldest first."""
        return tuple(self._executions)

    @property
    def balances(self) -> Mapping[str, Balance]:
        """What the account owns, by asset."""
        return dict(self._balances)

    def executions_of(self, order_id: int) -> tuple[Execution, ...]:
        """The fills of one order, oldest first."""
        return tuple(self._executions_by_order.get(order_id, ()))

    def market(self, symbol: str) -> Market:
        """The market called `symbol` (`BTCUSDT`). Raises RefusedError(UNKNOWN_SYMBOL)."""
        if symbol not in self._markets:
            raise RefusedError(Reason.UNKNOWN_SYMBOL)
        return self._markets[symbol]

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> VenueOrder:
        """The order with that id, or the newest with that client id. Raises RefusedError(UNKNOWN_ORDER)."""
        if order_id is None and client_id is not None:
            order_id = self._last_by_client_id.get(client_id)
        order = self._orders.get(order_id) if order_id is not None else None
        if order is None or order.symbol != symbol:
            raise RefusedError(Reason.UNKNOWN_ORDER)
        return order

    def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Orders that can still fill, oldest first."""
        orders = (self._orders[order_id] for order_id in self._open_by_client_id.values())
        return sorted(
            (order for order in orders if symbol in (None, order.symbol)), key=lambda order: order.order_id
        )

    def check(self, new: NewOrder, best_bid: Decimal, best_ask: Decimal) -> VenueOrder:
        """The order that `new` would become, without booking it. Raises RefusedError."""
        market = self.market(new.symbol)
        touch = best_ask if new.side is Side.BUY else best_bid
        price = new.price or Decimal(0)
        is_marketable = new.type == "MARKET" or (price >= touch if new.side is Side.BUY else price <= touch)
        if new.type == "LIMIT_MAKER" and is_marketable:
            raise RefusedError(Reason.WOULD_TAKE)
        working_price = touch if is_marketable else price
        quantity = new.quantity
        if quantity is None:
            spent = new.quote_quantity or Decimal(0)
            quantity = (spent / working_price).quantize(market.step_size, ROUND_DOWN)
        _check_filters(market, price, quantity, working_price)
        if new.client_id in self._open_by_client_id and not self._behaviour.server_assigned_ids:
            raise RefusedError(Reason.DUPLICATE_ID)
        order = VenueOrder(
            order_id=_FIRST_ORDER_ID + len(self._orders),
            client_id=new.client_id,
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            time_in_force=new.time_in_force,
            quantity=quantity,
            quote_quantity=new.quote_quantity or Decimal(0),
            price=price,
            filled_quantity=Decimal(0),
            filled_quote=Decimal(0),
            status=Status.NEW,
            created_ms=0,
            updated_ms=0,
            via=new.via,
            replaces=new.replaces,
            working_price=working_price,
            is_maker=not is_marketable,
        )
        asset, amount = _held(market, order, order.quantity)
        if self._balance(asset).free < amount:
            raise RefusedError(Reason.FUNDS)
        return order

    def accept(self, order: VenueOrder, now_ms: int) -> VenueOrder:
        """Book an order that `check` returned, and hold what it needs."""
        client_id = order.client_id
        if self._behaviour.server_assigned_ids or not client_id:
            client_id = f"venue{order.order_id:017d}"
        order = replace(order, client_id=client_id, created_ms=now_ms, updated_ms=now_ms)
        asset, amount = _held(self.market(order.symbol), order, order.quantity)
        self._move(asset, free=-amount, locked=amount)
        self._open_by_client_id[client_id] = self._last_by_client_id[client_id] = order.order_id
        self._orders[order.order_id] = order
        return order

    def fill(self, order_id: int, quantity: Decimal, now_ms: int) -> tuple[VenueOrder, Execution]:
        """Book one fill of an open order at its working price: the order after it, and the execution."""
        order = self._orders[order_id]
        market = self.market(order.symbol)
        price = order.working_price
        cost = quantity * price
        received, amount = (market.base, quantity) if order.side is Side.BUY else (market.quote, cost)
        fee = (amount * Decimal(str(self._behaviour.fee_rate))).quantize(_FEE_STEP, ROUND_DOWN)
        fee_asset = self._behaviour.fee_asset or received
        held_asset, held = _held(market, order, quantity)
        paid = cost if order.side is Side.BUY else quantity
        self._move(held_asset, free=held - paid, locked=-held)
        self._move(received, free=amount)
        if fee_asset in self._balances:
            # An asset that the account does not own is charged elsewhere: no balance goes below zero.
            self._move(fee_asset, free=-fee)
        execution = Execution(
            _FIRST_EXECUTION_ID + len(self._executions),
            order_id,
            order.client_id,
            order.symbol,
            order.side,
            quantity,
            price,
            fee,
            fee_asset,
            order.is_maker,
            now_ms,
        )
        self._executions.append(execution)
        self._executions_by_order[order_id].append(execution)
        filled = order.filled_quantity + quantity
        status = Status.FILLED if filled >= order.quantity else Status.PARTIALLY_FILLED
        filled_quote = order.filled_quote + cost
        order = replace(order, filled_quantity=filled, filled_quote=filled_quote, status=status)
        return self._store(order, now_ms), execution

    def amend(
        self,
        order_id: int,
        quantity: Decimal,
        price: Decimal,
        best_bid: Decimal,
        best_ask: Decimal,
        now_ms: int,
    ) -> VenueOrder:
        """Give an open order another quantity and limit; it stays the same order. Raises RefusedError."""
        order = self._orders[order_id]
        if not order.status.is_open:
            raise RefusedError(Reason.NOT_OPEN)
        market = self.market(order.symbol)
        touch = best_ask if order.side is Side.BUY else best_bid
        is_marketable = not price or (price >= touch if order.side is Side.BUY else price <= touch)
        amended = replace(
            order,
            quantity=quantity,
            price=price,
            working_price=touch if is_marketable else price,
            is_maker=not is_marketable,
        )
        _check_filters(market, price, quantity, amended.working_price)
        if quantity <= order.filled_quantity:
            raise RefusedError(Reason.LOT_SIZE)
        asset, amount = _held(market, amended, amended.leaves_quantity)
        _, freed = _held(market, order, order.leaves_quantity)
        if self._balance(asset).free + freed < amount:
            raise RefusedError(Reason.FUNDS)
        self._move(asset, free=freed - amount, locked=amount - freed)
        return self._store(amended, now_ms)

    def end(self, order_id: int, status: Status, now_ms: int) -> VenueOrder:
        """Cancel or expire an open order and give back what it held. Raises RefusedError(NOT_OPEN)."""
        order = self._orders[order_id]
        if not order.status.is_open:
            raise RefusedError(Reason.NOT_OPEN)
        asset, amount = _held(self.market(order.symbol), order, order.leaves_quantity)
        self._move(asset, free=amount, locked=-amount)
        return self._store(replace(order, status=status), now_ms)

    def is_open(self, order_id: int) -> bool:
        """Whether more can happen to the order."""
        return self._orders[order_id].status.is_open

    def order(self, order_id: int) -> VenueOrder:
        """The order as it stands now."""
        return self._orders[order_id]

    def _store(self, order: VenueOrder, now_ms: int) -> VenueOrder:
        order = replace(order, updated_ms=now_ms)
        self._orders[order.order_id] = order
        if not order.status.is_open:
            self._open_by_client_id.pop(order.client_id, None)
        return order

    def _balance(self, asset: str) -> Balance:
        return self._balances.get(asset, Balance())

    def _move(self, asset: str, *, free: Decimal, locked: Decimal = Decimal(0)) -> None:
        balance = self._balance(asset)
        self._balances[asset] = Balance(balance.free + free, balance.locked + locked)


def _held(market: Market, order: VenueOrder, quantity: Decimal) -> tuple[str, Decimal]:
    """What an order holds for `quantity`: the quote for a buy, the base for a sell."""
    if order.side is Side.SELL:
        return market.base, quantity
    return market.quote, quantity * (order.price or order.working_price)


def _check_filters(market: Market, price: Decimal, quantity: Decimal, working_price: Decimal) -> None:
    if not 0 <= price <= market.maximum_price or price % market.tick_size:
        raise RefusedError(Reason.PRICE_FILTER)
    if not 0 < quantity <= market.maximum_quantity or quantity % market.step_size:
        raise RefusedError(Reason.LOT_SIZE)
    if quantity * working_price < market.minimum_notional:
        raise RefusedError(Reason.NOTIONAL)
