"""What the dialect remembers beside the exchange: Alpaca's names, ids that were used, what replaced what."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from tickspan.testing.venue.alpaca import messages, names
from tickspan.testing.venue.alpaca.errors import not_found, not_open, refusal, too_little
from tickspan.testing.venue.behaviour import Market
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.exchange import Accepted, Exchange
from tickspan.testing.venue.orders import (
    Balance,
    NewOrder,
    Reason,
    RefusedError,
    Side,
    Status,
    VenueOrder,
)

_NOTHING = Balance()


class Books:
    """Places, changes and finds orders. Lives on the venue's loop; raises AlpacaError for every refusal."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.symbols = names.Symbols(exchange.behaviour.markets())
        self.currency = self.symbols.markets[0].quote
        self._replaced_by: dict[int, int] = {}
        self._client_ids: set[str] = set()
        self._numbers = itertools.count(1)

    def replaced_by(self, order: VenueOrder) -> int | None:
        """The order that took the place of `order`."""
        return self._replaced_by.get(order.order_id)

    def row(self, order: VenueOrder) -> messages.Json:
        """The order as answers show it."""
        return messages.order_row(order, self.symbols.of(order.symbol), self.replaced_by(order))

    def accepted_row(self, order: VenueOrder) -> messages.Json:
        """The same in the answer to its placement, where a new order is still on its way to the market."""
        status = "pending_new" if order.status is Status.NEW else None
        return messages.order_row(order, self.symbols.of(order.symbol), status=status)

    def update(self, report: Report) -> messages.Json:
        """A report as the trading stream tells it."""
        return messages.trade_update(
            report, self.symbols.of(report.order.symbol), self.replaced_by(report.order)
        )

    def market(self, symbol: str) -> Market:
        """The market that a client calls `symbol`."""
        market = self.symbols.find(symbol)
        if market is None:
            raise refusal(Reason.UNKNOWN_SYMBOL)
        return market

    def order(self, order_id: str) -> VenueOrder:
        """The order with Alpaca's id `order_id`."""
        number = names.order_id_of(order_id)
        try:
            return self.exchange.desk.order(number if number is not None else 0)
        except KeyError:
            raise not_found("order", order_id) from None

    def order_named(self, client_id: str) -> VenueOrder:
        """The newest order that its client called `client_id`."""
        for order in reversed(self.exchange.desk.orders):
            if order.client_id == client_id:
                return order
        raise not_found("order", client_id)

    async def place(self, new: NewOrder) -> Accepted:
        """Take an order; a client id that was ever used is refused."""
        is_named = bool(new.client_id) and not self.exchange.behaviour.server_assigned_ids
        if is_named and new.client_id in self._client_ids:
            raise refusal(Reason.DUPLICATE_ID)
        try:
            accepted = await self._placed(new)
        except RefusedError as refused:
            raise self._refusal(refused.reason, new) from None
        self._client_ids.add(accepted.order.client_id)
        if new.time_in_force == messages.AT_THE_OPENING and accepted.order.status.is_open:
            self._reject(accepted.order)
        return accepted

    def cancel(self, order: VenueOrder) -> None:
        """Cancel an open order."""
        self._require_open(order)
        self._announce(messages.PENDING_CANCEL, order)
        self.exchange.cancel(order, order.client_id)

    async def replace(self, old: VenueOrder, new: NewOrder) -> Accepted:
        """Put a new order in the place of an open one, which stays what it is if the new one is refused."""
        self._require_open(old)
        self._announce(messages.PENDING_REPLACE, old)
        accepted = await self.place(new)
        current = self.exchange.desk.order(old.order_id)
        if not current.status.is_open:  # it was faster
            self.exchange.cancel(accepted.order, accepted.order.client_id)
            raise not_open(messages.status_of(current))
        self._replaced_by[old.order_id] = accepted.order.order_id
        self.exchange.cancel(current, current.client_id)
        return accepted

    def positions(self) -> Iterator[tuple[Market, Balance]]:
        """What the account owns of what can be sold."""
        balances = self.exchange.desk.balances
        for market in self.symbols.markets:
            balance = balances.get(market.base, _NOTHING)
            if balance.free + balance.locked > 0:
                yield market, balance

    def position(self, symbol: str) -> tuple[Market, Balance]:
        """The same of one market."""
        market = self.symbols.find(symbol)
        for owned, balance in self.positions():
            if owned is market:
                return owned, balance
        raise not_found("position", symbol)

    def price(self, market: Market) -> Decimal:
        """What somebody pays now."""
        return self.exchange.prices(market.id).best_bid[0]

    async def _placed(self, new: NewOrder) -> Accepted:
        # Taken at once: the same id may come again before this order is acknowledged.
        named = new if new.client_id else replace(new, client_id=names.client_id(next(self._numbers)))
        self._client_ids.add(named.client_id)
        try:
            return await self.exchange.place(named)
        except RefusedError:
            self._client_ids.discard(named.client_id)
            raise

    def _reject(self, order: VenueOrder) -> None:
        """The market turns an order down that the venue had taken."""
        rejected = self.exchange.desk.end(order.order_id, Status.EXPIRED, self.exchange.now_ms())
        # Soon, not now: the order is acknowledged and announced first.
        asyncio.get_running_loop().call_soon(self._announce, "REJECTED", rejected)

    def _announce(self, kind: str, order: VenueOrder) -> None:
        balances = self.exchange.desk.balances
        market = self.symbols.of(order.symbol)
        owned = {asset: balances.get(asset, _NOTHING) for asset in (market.base, market.quote)}
        report = Report(kind, order, None, order.client_id, self.exchange.now_ms(), owned)
        self.exchange.delivery.deliver(report)

    def _require_open(self, order: VenueOrder) -> None:
        if not order.status.is_open:
            raise not_open(messages.status_of(order, self.replaced_by(order)))

    def _refusal(self, reason: Reason, new: NewOrder) -> Exception:
        if reason is Reason.FUNDS and new.side is Side.SELL:
            market = self.symbols.of(new.symbol)
            available = self.exchange.desk.balances.get(market.base, _NOTHING).free
            return too_little(messages.text(new.quantity or Decimal(0)), messages.text(available))
        return refusal(reason)
