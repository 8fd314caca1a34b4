"""Ordering: what is kept of each order, made of every span, event and record that names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.semconv import trading

__all__ = ["Orders"]

_CLIENT_IDS: Final = (
    trading.ORDER_ROOT_CLIENT_ID,
    trading.ORDER_ORIGINAL_CLIENT_ID,
    trading.ORDER_CLIENT_ID,
)
_CLIENT: Final = "c\0"
_OVER: Final = frozenset({"rejected", "expired", "canceled", "replaced", "filled"})
"""Terminal values of `tickspan.trading.model.OrderStatus`: its package takes a third of a second to load."""
_MOST_CACHED: Final = 2_048
_MOST_NAMES: Final = 64
_MOST_TRACES: Final = 256
_COLUMNS: Final = (
    "id, order_id, venue, symbol, side, status, status_ns, service, start_ns, end_ns, trace_id, trace_rank"
)


@dataclass(slots=True, eq=False)
class _Order:
    """One order; `names` are keys of `order_name` to the id as it is shown."""

    number: int
    order_id: str = ""
    venue: str = ""
    symbol: str = ""
    side: str = ""
    status: str = ""
    status_ns: int = 0
    service: str = ""
    start_ns: int = 0
    end_ns: int = 0
    trace_id: bytes = b""
    trace_rank: int = -1
    names: dict[str, str] = field(default_factory=dict[str, str])
    traces: dict[bytes, int] = field(default_factory=dict[bytes, int])
    is_client_named: bool = False


class Orders:
    """The orders of a store, on its writer's connection. What was told is written by `flush`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._by_name: dict[str, _Order] = {}
        self._dirty: dict[int, _Order] = {}
        self._gone: set[int] = set()
        self._next = 0
        self.forget()

    def forget(self) -> None:
        """Nothing was written since the last `flush`, or rows went: begin from the file."""
        self._by_name.clear()
        self._dirty.clear()
        self._gone.clear()
        self._next = self._connection.execute(
            "SELECT coalesce(max(id), 0) + 1 FROM trading_order"
        ).fetchone()[0]

    def tell(self, tellings: Iterable[tuple[int, int, bytes, bytes, Mapping[str, str], bytes]]) -> None:
        """Take in what `walk.Told.orders` has."""
        for start_ns, end_ns, trace_id, service, told, name in tellings:
            names = _names(told, service.decode("utf-8", "replace"))
            if names:
                order = self._order(names)
                _take_in(order, told, start_ns, end_ns, service.decode("utf-8", "replace"))
                _take_trace(order, trace_id, start_ns, _rank(name))

    def flush(self, part: int) -> None:
        """Write what was told since the last time, as told by `part`."""
        run = self._connection.execute
        for number in self._gone:
            run("DELETE FROM trading_order WHERE id = ?", (number,))
        for order in self._dirty.values():
            run(
                f"INSERT OR REPLACE INTO trading_order ({_COLUMNS}, last_part) "  # noqa: S608 - our columns
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    order.number,
                    order.order_id,
                    order.venue,
                    order.symbol,
                    order.side,
                    order.status,
                    order.status_ns,
                    order.service,
                    order.start_ns,
                    order.end_ns,
                    order.trace_id,
                    order.trace_rank,
                    part,
                ),
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO order_name (name, id, place, trading_order) VALUES (?, ?, ?, ?)",
                [
                    (name, order_id, place, order.number)
                    for place, (name, order_id) in enumerate(order.names.items())
                ],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO order_trace (trading_order, trace_id, part, time_ns) "
                "VALUES (?, ?, ?, ?)",
                [(order.number, trace_id, part, time_ns) for trace_id, time_ns in order.traces.items()],
            )
            order.traces.clear()
        self._dirty.clear()
        self._gone.clear()
        if len(self._by_name) > _MOST_CACHED:
            self._by_name.clear()

    def _order(self, names: Mapping[str, str]) -> _Order:
        """The order of these names, one that was two so far, or a new one."""
        found: dict[int, _Order] = {}
        is_named = any(map(_is_clients, names))
        for name in names:
            order = self._by_name.get(name) or self._read(name)
            # A venue that starts anew numbers its orders anew: its id alone makes no two orders one.
            if order is not None and (_is_clients(name) or not (is_named and order.is_client_named)):
                found[order.number] = order
        if found:
            order, *others = sorted(found.values(), key=lambda known: known.number)
            for other in others:
                self._merge(order, other)
        else:
            order = _Order(self._next)
            self._next += 1
        self._dirty[order.number] = order
        for name, order_id in names.items():
            if len(order.names) < _MOST_NAMES:
                order.names.setdefault(name, order_id)
                self._by_name[name] = order
        is_client_named = any(map(_is_clients, order.names))
        if not order.order_id or (is_client_named and not order.is_client_named):
            by_client = (order_id for name, order_id in order.names.items() if _is_clients(name))
            order.order_id = next(by_client, next(iter(order.names.values())))
        order.is_client_named = is_client_named
        return order

    def _read(self, name: str) -> _Order | None:
        row: Any = self._connection.execute(
            f"SELECT {_COLUMNS} FROM trading_order WHERE id = "  # noqa: S608 - our columns
            "(SELECT max(trading_order) FROM order_name WHERE name = ?)",
            (name,),
        ).fetchone()
        if row is None or row[0] in self._gone:
            return None
        order = self._dirty.get(row[0]) or _Order(*row)
        if not order.names:
            order.names = dict(
                self._connection.execute(
                    "SELECT name, id FROM order_name WHERE trading_order = ? ORDER BY place", (order.number,)
                )
            )
            order.is_client_named = any(map(_is_clients, order.names))
        self._by_name |= dict.fromkeys(filter(_is_clients, order.names), order)
        self._by_name[name] = order
        return order

    def _merge(self, order: _Order, other: _Order) -> None:
        """Two that were told apart are one: somebody named both."""
        self._connection.execute(
            "INSERT OR IGNORE INTO order_trace (trading_order, trace_id, part, time_ns) "
            "SELECT ?, trace_id, part, time_ns FROM order_trace WHERE trading_order = ?",
            (order.number, other.number),
        )
        self._connection.execute("DELETE FROM order_trace WHERE trading_order = ?", (other.number,))
        self._connection.execute("DELETE FROM order_name WHERE trading_order = ?", (other.number,))
        order.names |= other.names
        order.traces = {**other.traces, **order.traces}
        order.start_ns = min(order.start_ns, other.start_ns)
        order.end_ns = max(order.end_ns, other.end_ns)
        for name in ("venue", "symbol", "side", "service"):
            setattr(order, name, getattr(order, name) or getattr(other, name))
        if _is_later(order, other.status, other.status_ns):
            order.status, order.status_ns = other.status, other.status_ns
        if other.trace_rank > order.trace_rank:
            order.trace_id, order.trace_rank = other.trace_id, other.trace_rank
        self._by_name |= dict.fromkeys(other.names, order)
        self._dirty.pop(other.number, None)
        self._gone.add(other.number)


def _names(told: Mapping[str, str], service: str) -> dict[str, str]:
    """Keys of an order to its ids. A venue's id is one of its venue and service: others count from 1, too."""
    names = {f"{_CLIENT}{told[key]}": told[key] for key in _CLIENT_IDS if told.get(key)}
    venue_id = told.get(trading.ORDER_VENUE_ID)
    if venue_id:
        names["\0".join(["v", service, told.get(trading.VENUE_NAME, ""), venue_id])] = venue_id
    return names


def _is_clients(name: str) -> bool:
    """Whether a key is an id that the client gave."""
    return name.startswith(_CLIENT)


def _rank(name: bytes) -> int:
    """How well the trace of a record tells the order's story: its life, its submit, anything."""
    text = name.decode("utf-8", "replace")
    if text.startswith(trading.SPAN_ORDER_LIFECYCLE):
        return 2
    return int(text.startswith(f"{trading.SPAN_ORDER}.submit"))


def _take_in(order: _Order, told: Mapping[str, str], start_ns: int, end_ns: int, service: str) -> None:
    order.start_ns = min(order.start_ns or start_ns, start_ns)
    order.end_ns = max(order.end_ns, end_ns)
    order.service = order.service or service
    order.venue = order.venue or told.get(trading.VENUE_NAME, "")
    order.symbol = order.symbol or told.get(trading.INSTRUMENT_SYMBOL, "")
    order.side = order.side or told.get(trading.ORDER_SIDE, "")
    status = told.get(trading.ORDER_STATUS, "")
    if status and _is_later(order, status, end_ns):
        order.status, order.status_ns = status, end_ns


def _take_trace(order: _Order, trace_id: bytes, time_ns: int, rank: int) -> None:
    if not trace_id:
        return
    if len(order.traces) < _MOST_TRACES:
        order.traces.setdefault(trace_id, time_ns)
    if rank > order.trace_rank:
        order.trace_id, order.trace_rank = trace_id, rank


def _is_later(order: _Order, status: str, time_ns: int) -> bool:
    """A state in which an order is over is not taken back by a report that was under way."""
    if (order.status in _OVER) != (status in _OVER):
        return status in _OVER
    return time_ns >= order.status_ns
