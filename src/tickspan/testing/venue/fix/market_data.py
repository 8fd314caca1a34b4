"""Market data: who subscribed to what, and what a tick tells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.fix import reports
from tickspan.testing.venue.fix.requests import market_of, required
from tickspan.testing.venue.fix.session import Session
from tickspan.testing.venue.fix.tags import MsgType, Tag
from tickspan.testing.venue.fix.wire import Message
from tickspan.testing.venue.orders import RefusedError
from tickspan.testing.venue.prices import Tick

_SNAPSHOT_AND_UPDATES: Final = "1"
_UNSUBSCRIBE: Final = "2"
_INCREMENTAL: Final = "1"


@dataclass(frozen=True, slots=True)
class _Subscription:
    session: Session
    request_id: str
    symbol: str
    entry_types: tuple[str, ...]
    is_incremental: bool

    @property
    def request(self) -> tuple[str, str, tuple[str, ...]]:
        """What was asked for: the request's id, the symbol, the entry types."""
        return self.request_id, self.symbol, self.entry_types


class MarketData:
    """Handles V. Lives on the venue's loop. A subscription ends with its connection."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._subscriptions: list[_Subscription] = []

    def subscribe(self, session: Session, message: Message) -> None:
        """MarketDataRequest (V): a snapshot, a subscription, or its end. Raises SessionRefusedError.

        Who asks for one entry type gets messages that an engine without a data dictionary can read.
        """
        request_id, kind = required(message, Tag.MD_REQ_ID), message.get(Tag.SUBSCRIPTION_REQUEST_TYPE)
        required(message, Tag.SYMBOL)
        if kind == _UNSUBSCRIBE:
            self._drop(session, request_id)
            return
        symbols = message.all(Tag.SYMBOL)
        if not all(self._has(symbol) for symbol in symbols):
            session.send(MsgType.MARKET_DATA_REJECT, reports.market_data_reject(request_id))
            return
        wanted = [kind for kind in message.all(Tag.MD_ENTRY_TYPE) if kind in reports.ENTRY_TYPES]
        entry_types = tuple(wanted) or reports.ENTRY_TYPES
        is_incremental = message.get(Tag.MD_UPDATE_TYPE) == _INCREMENTAL
        for symbol in symbols:
            subscription = _Subscription(session, request_id, symbol, entry_types, is_incremental)
            self._send_snapshot(subscription)
            if kind == _SNAPSHOT_AND_UPDATES:
                self._subscriptions.append(subscription)

    def forget(self, session: Session) -> None:
        """The connection of `session` has ended."""
        self._subscriptions = [one for one in self._subscriptions if one.session is not session]

    def on_tick(self, tick: Tick) -> None:
        """Tell subscribers what has changed."""
        for subscription in self._subscriptions:
            if market_of(subscription.symbol) != tick.market.id:
                continue
            if subscription.is_incremental:
                body = reports.refresh(*subscription.request, tick)
                subscription.session.send(MsgType.MARKET_DATA_REFRESH, body, is_kept=False)
            else:
                self._send_snapshot(subscription)

    def _send_snapshot(self, subscription: _Subscription) -> None:
        prices = self._exchange.prices(market_of(subscription.symbol))
        body = reports.snapshot(*subscription.request, prices)
        subscription.session.send(MsgType.MARKET_DATA_SNAPSHOT, body, is_kept=False)

    def _drop(self, session: Session, request_id: str) -> None:
        self._subscriptions = [
            one for one in self._subscriptions if (one.session, one.request_id) != (session, request_id)
        ]

    def _has(self, symbol: str) -> bool:
        try:
            self._exchange.prices(market_of(symbol))
        except RefusedError:
            return False
        return True
