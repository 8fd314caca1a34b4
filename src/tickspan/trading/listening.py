"""Who hears how orders stand: each state that a registry of this process comes to know, whatever told it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from tickspan.recording import Guard
from tickspan.trading.lifecycle import Order
from tickspan.trading.model import OrderStatus

__all__ = ["OrderListener", "OrderState", "hear", "listen", "version_of"]

_RANKS: Final = {status: rank for rank, status in enumerate(OrderStatus, 1)}
_RANK_SHIFT: Final = 57
_DOUBLE: Final = struct.Struct(">d")
_MOST: Final = float(1 << 500)


class OrderState(NamedTuple):
    """How one order stands, of one venue."""

    venue: str
    order: Order

    @property
    def version(self) -> int:
        """Grows with what is known of the order; see `version_of`."""
        return version_of(self.order.status, self.order.filled)


OrderListener: TypeAlias = Callable[[OrderState], object]
"""Called on the thread that brought the news, outside of locks: it must be quick and must not wait."""

_listeners: tuple[tuple[OrderListener, Guard], ...] = ()


def version_of(status: OrderStatus, filled: Decimal) -> int:
    """A number below 2**61 that never falls in an order's life, and is the same whoever works it out.

    A state of an order is newer than another if its status is further in `OrderStatus`, or if it is the same
    and more is filled. So processes that hear of one order by different ways agree which of them is behind.
    """
    amount = min(max(float(filled), 0.0), _MOST)
    (bits,) = struct.unpack(">Q", _DOUBLE.pack(amount))  # of doubles that are not negative, in their order
    return _RANKS[status] << _RANK_SHIFT | bits >> (64 - _RANK_SHIFT)


def listen(listener: OrderListener) -> Callable[[], None]:
    """Let `listener` hear of every order from now on; returns what stops that. Its errors stop at a guard."""
    global _listeners
    entry = (listener, Guard("listener", "orders"))
    _listeners = (*_listeners, entry)

    def stop() -> None:
        global _listeners
        _listeners = tuple(known for known in _listeners if known is not entry)

    return stop


def hear(venue: str, order: Order) -> None:
    """An order has come to stand so."""
    if _listeners:
        state = OrderState(venue, order)
        for listener, guard in _listeners:
            guard.user(listener, state, default=None)
