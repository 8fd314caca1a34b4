"""What really happened at the venue, as values: requests received, orders, executions, and what it lacked."""

from __future__ import annotations

import enum
import json
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, TypeVar

from tickspan.testing.venue.orders import Execution, Side, Status, VenueOrder

_KEPT_REQUESTS = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """Something a client sent: an HTTP request, or a message on a WebSocket (method `WS`).

    `headers` keeps each name as it was written; a WebSocket message has none of its own.
    """

    method: str
    path: str  # of a WebSocket message: its method, such as order.place or SUBSCRIBE
    query: str
    headers: tuple[tuple[str, str], ...]
    body: str
    received_ms: int


@dataclass(frozen=True, slots=True)
class Unimplemented:
    """Something a client asked for that this venue does not have."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything, at one moment."""

    orders: tuple[VenueOrder, ...]
    executions: tuple[Execution, ...]
    requests: tuple[Request, ...]
    unimplemented: tuple[Unimplemented, ...]
    requests_dropped: int  # requests beyond the bound, of which only the number is known

    def to_json(self) -> str:
        """Text that `from_json` reads; decimals are strings."""
        return json.dumps(
            {
                "orders": [_row(order) for order in self.orders],
                "executions": [_row(execution) for execution in self.executions],
                "requests": [_row(request) for request in self.requests],
                "unimplemented": [_row(unimplemented) for unimplemented in self.unimplemented],
                "requests_dropped": self.requests_dropped,
            },
            default=_plain,
        )

    @classmethod
    def from_json(cls, text: str) -> Truth:
        """The value that `to_json` wrote."""
        read = json.loads(text)
        return cls(
            tuple(_revive(VenueOrder, row) for row in read["orders"]),
            tuple(_revive(Execution, row) for row in read["executions"]),
            tuple(_revive(Request, row) for row in read["requests"]),
            tuple(_revive(Unimplemented, row) for row in read["unimplemented"]),
            read["requests_dropped"],
        )


class Witness:
    """Writes down requests, up to a bound. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._unimplemented: list[Unimplemented] = []
        self._dropped = 0

    def saw(self, request: Request) -> None:
        """Remember a request."""
        with self._lock:
            if len(self._requests) < _KEPT_REQUESTS:
                self._requests.append(request)
            else:
                self._dropped += 1

    def lacked(self, unimplemented: Unimplemented) -> None:
        """Remember what was asked for in vain, once each."""
        with self._lock:
            if unimplemented not in self._unimplemented:
                self._unimplemented.append(unimplemented)

    def truth(self, orders: tuple[VenueOrder, ...], executions: tuple[Execution, ...]) -> Truth:
        """All that is known now."""
        with self._lock:
            requests, unimplemented = tuple(self._requests), tuple(self._unimplemented)
            return Truth(orders, executions, requests, unimplemented, self._dropped)


def fetch_truth(url: str, *, timeout_s: float = 10.0) -> Truth:
    """Ask the venue at `url` (`http://127.0.0.1:8080`), which may be another process, for its truth.

    Raises OSError when nobody answers.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is near
    with opener.open(f"{url}/_venue/truth", timeout=timeout_s) as response:
        return Truth.from_json(response.read().decode())


def _row(value: VenueOrder | Execution | Request | Unimplemented) -> dict[str, object]:
    # `dataclasses.asdict` copies each value deeply, which is ten times as slow.
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    assert isinstance(value, enum.Enum)
    return value.value


def _pairs(rows: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in rows)


def _as_it_is(value: object) -> object:
    return value


_Row = TypeVar("_Row", VenueOrder, Execution, Request, Unimplemented)
_REVIVERS: Mapping[str, Any] = {
    "Decimal": Decimal,
    "Side": Side,
    "Status": Status,
    "tuple[tuple[str, str], ...]": _pairs,
}


def _revive(kind: type[_Row], row: dict[str, Any]) -> _Row:
    # Annotations are text here (PEP 563), which is what says how a field was written.
    values = {
        field.name: _REVIVERS.get(str(field.type), _as_it_is)(row[field.name]) for field in fields(kind)
    }
    return kind(**values)
