"""How orders stand, kept as the registry of orders hears of it, from any source: answers, sockets, polls.

Each state has a version that only grows in an order's life and that every process works out alike. So a
status that was asked for over REST does not take the place of a newer one, whether this process's socket has
told that one or another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from tickspan.cache.entry import Key
from tickspan.cache.region import Region
from tickspan.trading import OrderState, OrderStatus, listen, version_of

__all__ = ["CachedOrder", "keep_orders", "order_key"]


@dataclass(frozen=True, slots=True)
class CachedOrder:
    """How an order stands, as far as the processes that share the cache have heard."""

    venue: str
    status: OrderStatus
    venue_id: str | None = None
    client_id: str | None = None
    quantity: Decimal | None = None
    """As the venue confirmed it, else as it was asked for."""
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing can become of it any more."""
        return self.status.is_terminal

    @property
    def version(self) -> int:
        """With which it is stored; see `tickspan.trading.version_of`."""
        return version_of(self.status, self.filled)

    @staticmethod
    def of(state: OrderState) -> CachedOrder:
        """What the registry says."""
        order = state.order
        return CachedOrder(
            state.venue,
            order.status,
            venue_id=order.venue_id,
            client_id=order.client_id,
            quantity=order.total,
            filled=order.filled,
            average_price=order.average_price,
        )


def order_key(venue: str, order_id: str) -> Key:
    """Where an order is found, by the venue's id of it or by the client's.

    Client ids must be unique among the accounts of one venue that share a namespace.
    """
    return (venue, order_id)


def keep_orders(region: Region[CachedOrder]) -> Callable[[], None]:
    """Store every state of every order of this process from now on; returns what stops that.

    Memory has it at once, Redis and disk a moment later. Orders of a back-test are left out.
    """

    def keep(state: OrderState) -> None:
        kept, version = CachedOrder.of(state), state.version
        for name in _names(state):
            region.set_nowait(order_key(state.venue, name), kept, version=version)

    return listen(keep)


def _names(state: OrderState) -> Iterator[str]:
    if state.order.venue_id is not None:
        yield state.order.venue_id
    yield from state.order.client_ids
