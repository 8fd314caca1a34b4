"""Where orders of other processes, and of this program's earlier runs, can be looked up.

A store is filled by whoever reads the audit stream: the events `trading.order.*` carry the ids, the span
context and the state that `StoredOrder` holds. It is asked off the hot path, once for each unknown id that a
venue pushes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tickspan.trading.model import OrderKey, OrderOperation, OrderStatus


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """What a store knows of one order. Sizes are absent where privacy kept them out of the audit stream."""

    venue: str
    trace_id: int
    span_id: int
    """Of the call that created the order."""
    trace_flags: int = 1
    submitted_unix_ns: int = 0
    """When the call began."""
    status: OrderStatus = OrderStatus.PENDING_NEW
    venue_id: str | None = None
    client_ids: tuple[str, ...] = ()
    root_client_id: str | None = None
    revision: int = 0
    account_hash: str | None = None
    """As it was exported, with the salt of the settings; None where there is no salt."""
    environment: str | None = None
    library: str = ""
    strategy: str | None = None
    instrument: str | None = None
    operation: OrderOperation = OrderOperation.SUBMIT
    side: str | None = None
    type: str | None = None
    quantity: Decimal | None = None
    filled: Decimal | None = None
    executions: tuple[str, ...] = ()
    """Ids of the fills that were told."""


class OrderStore(Protocol):
    """Finds orders that this process did not place. May be slow and may fail: neither is felt by an order."""

    def find(self, key: OrderKey) -> StoredOrder | None:
        """The order that `key` names.

        `key.account` is the exported hash of the account, which is the same in all processes with the same
        `trading.salt`, or None without a salt. An order matches if venue and id do, and the accounts unless
        one of them is None.
        """
        ...


_process_store: OrderStore | None = None


def use_store(store: OrderStore | None) -> None:
    """Ask `store` from now on, in all registries that have none of their own; None: ask nobody."""
    global _process_store
    _process_store = store


def process_store() -> OrderStore | None:
    """The store that `use_store` has set."""
    return _process_store
