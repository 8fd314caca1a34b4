"""Orders as the audit stream tells them, event by event, put together again. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from decimal import Decimal
from typing import Any, Final

from tickspan.semconv import trading as names
from tickspan.trading.model import OrderOperation, OrderStatus, decimal_of
from tickspan.trading.store import StoredOrder

PREFIX: Final = f"{names.SPAN_ORDER}."
"""How the names of audit events begin."""
MAX_EXECUTIONS: Final = 10_000
"""Of one order, remembered."""
_RANK: Final = {status: rank for rank, status in enumerate(OrderStatus)}
_UNKNOWN_FIELDS: Final = frozenset({"trace_id", "span_id", "trace_flags", "submitted_unix_ns"})

_KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "quantity": Decimal,
    "filled": Decimal,
    "client_ids": tuple,
    "executions": tuple,
    "status": OrderStatus,
    "operation": OrderOperation,
}
"""Fields that JSON has no form for."""

Id = tuple[str, bool]
"""An order's id, and whether it is the venue's."""


def is_of_an_order(event_name: str) -> bool:
    """Whether an event of that name may be of the audit stream."""
    return event_name.startswith(PREFIX)


def told_by(
    attributes: Mapping[str, Any], trace_id: int, span_id: int, trace_flags: int, unix_ns: int
) -> StoredOrder | None:
    """What one event tells of its order; None if it is of none."""
    venue = _text(attributes.get(names.VENUE_NAME))
    if venue is None or not trace_id or not span_id:
        return None
    execution = _text(attributes.get(names.EXECUTION_ID))
    client_id = _text(attributes.get(names.ORDER_CLIENT_ID))
    return StoredOrder(
        venue,
        trace_id,
        span_id,
        trace_flags,
        unix_ns,
        status=_member(OrderStatus, attributes.get(names.ORDER_STATUS)) or OrderStatus.PENDING_NEW,
        venue_id=_text(attributes.get(names.ORDER_VENUE_ID)),
        client_ids=(client_id,) if client_id is not None else (),
        root_client_id=_text(attributes.get(names.ORDER_ROOT_CLIENT_ID)),
        revision=int(attributes.get(names.ORDER_REVISION) or 0),
        account_hash=_text(attributes.get(names.ACCOUNT_HASH)),
        environment=_text(attributes.get(names.VENUE_ENVIRONMENT)),
        library=_text(attributes.get(names.CLIENT_LIBRARY)) or "",
        strategy=_text(attributes.get(names.STRATEGY_ID)),
        instrument=_text(attributes.get(names.INSTRUMENT_SYMBOL)),
        operation=_member(OrderOperation, attributes.get(names.ORDER_OPERATION)) or OrderOperation.SUBMIT,
        side=_text(attributes.get(names.ORDER_SIDE)),
        type=_text(attributes.get(names.ORDER_TYPE)),
        quantity=decimal_of(attributes.get(names.ORDER_QUANTITY)),
        filled=decimal_of(attributes.get(names.ORDER_FILLED_QUANTITY)),
        executions=(execution,) if execution is not None else (),
    )


def joined(known: StoredOrder, told: StoredOrder) -> StoredOrder:
    """What is known of an order after one more event: ids and executions add up, its state only grows."""
    later = {
        field.name: value
        for field in fields(StoredOrder)
        if field.name not in _UNKNOWN_FIELDS and (value := getattr(told, field.name)) not in (None, "", ())
    }
    new_ids = tuple(one for one in told.client_ids if one not in known.client_ids)
    new_executions = tuple(one for one in told.executions if one not in known.executions)
    return replace(
        known,
        **{
            **later,
            "submitted_unix_ns": min(known.submitted_unix_ns, told.submitted_unix_ns),
            "status": max(known.status, told.status, key=_RANK.__getitem__),
            "client_ids": (*known.client_ids, *new_ids),
            "executions": (*known.executions, *new_executions)[-MAX_EXECUTIONS:],
            "revision": max(known.revision, told.revision),
            "filled": max(known.filled or Decimal(0), told.filled or Decimal(0)) or None,
        },
    )


def ids_of(order: StoredOrder) -> tuple[Id, ...]:
    """The names by which an order is found."""
    venue_id = ((order.venue_id, True),) if order.venue_id is not None else ()
    return (*venue_id, *((client_id, False) for client_id in order.client_ids))


def is_same(known: StoredOrder, told: StoredOrder) -> bool:
    """Whether both are one order, given that one call has made both: a batch makes several."""
    names_known, names_told = set(ids_of(known)), set(ids_of(told))
    return not names_known or not names_told or bool(names_known & names_told)


def is_of_account(order: StoredOrder, account: str | None) -> bool:
    """Whether the order may be that account's: who does not tell the account rules nothing out."""
    return order.account_hash is None or account is None or order.account_hash == account


def to_json(order: StoredOrder) -> str:
    """Text that `from_json` reads; absent fields are left out."""
    told = {name: value for name, value in asdict(order).items() if value not in (None, "", ())}
    return json.dumps(told, default=str, separators=(",", ":"))


def from_json(text: str) -> StoredOrder:
    """The order that `to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    told: dict[str, Any] = json.loads(text)
    for name, kind in _KINDS.items():
        if name in told:
            told[name] = kind(told[name])
    return StoredOrder(**told)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _member(kind: Any, value: Any) -> Any:
    return kind(value) if isinstance(value, str) and value in set(kind) else None
