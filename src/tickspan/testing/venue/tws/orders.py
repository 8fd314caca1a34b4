"""Orders as the API knows them: by client and order id, beside the venue's own books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tickspan.testing.venue.tws.contracts import Instrument
from tickspan.testing.venue.tws.requests import Placement


@dataclass(slots=True)
class ApiOrder:
    """An order placed through the API."""

    client_id: int
    asked: Placement
    instrument: Instrument
    account: str
    perm_id: int = 0
    """The venue's number, which the order keeps for ever; 0 while the venue does not have it."""
    is_acknowledged: bool = False
    """From its acknowledgement on its states are told; before it only its fills."""

    @property
    def order_id(self) -> int:
        """The client's own number of it."""
        return self.asked.order_id

    @property
    def name(self) -> str:
        """By which the venue's books know whose it is."""
        return f"{self.client_id}/{self.order_id}"


class ApiOrders:
    """Every order of every client of the API."""

    def __init__(self) -> None:
        self._by_name: dict[str, ApiOrder] = {}
        self._by_perm_id: dict[int, ApiOrder] = {}
        self._last_ids: dict[int, int] = {}
        self._spent: set[str] = set()

    def __iter__(self) -> Iterator[ApiOrder]:
        return iter(self._by_name.values())

    def add(self, order: ApiOrder) -> None:
        """Know `order` by the name that its client gave it."""
        self._by_name[order.name] = order
        self._last_ids[order.client_id] = max(order.order_id, self._last_ids.get(order.client_id, 0))

    def forget(self, order: ApiOrder) -> None:
        """The order was refused, or canceled while it was held back; its number stays used."""
        self._by_name.pop(order.name, None)
        self._spent.add(order.name)

    def is_spent(self, client_id: int, order_id: int) -> bool:
        """Whether that number was an order's that was refused or never transmitted."""
        return f"{client_id}/{order_id}" in self._spent

    def booked(self, order: ApiOrder, perm_id: int) -> None:
        """The venue has `order`."""
        order.perm_id = perm_id
        self._by_perm_id[perm_id] = order

    def find(self, perm_id: int, name: str) -> ApiOrder | None:
        """The order with the venue's number, or with this name."""
        return self._by_perm_id.get(perm_id) or self._by_name.get(name)

    def of_client(self, client_id: int, order_id: int) -> ApiOrder | None:
        """The order that a client knows by this number."""
        return self._by_name.get(f"{client_id}/{order_id}")

    def next_id(self, client_id: int) -> int:
        """A number above all that this client has used, for refused orders too."""
        return self._last_ids.get(client_id, 0) + 1
