"""Requests and reports as programs make them at run time, made fit to be worked with. Nothing here raises.

Readers of members are typed and need little of this; a program's own code may hand in what it likes.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from tickspan.trading import unparsed
from tickspan.trading.model import (
    Execution,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    decimal_of,
    status_of,
)

_WORDS: Final = {status.value: status for status in OrderStatus}
_MAX_ID: Final = 256
"""Characters of an id that are kept."""


def sound_request(request: OrderRequest) -> OrderRequest:
    """`request`, with what cannot be read left out."""
    ids = (request.client_id, request.venue_id, request.original_client_id)
    if _are_ids(ids) and _are_numbers((request.quantity, request.price, request.stop_price)):
        return request
    return replace(
        request,
        client_id=_id(request.client_id),
        venue_id=_id(request.venue_id),
        original_client_id=_id(request.original_client_id),
        quantity=decimal_of(request.quantity),
        price=decimal_of(request.price),
        stop_price=decimal_of(request.stop_price),
    )


def sound_update(update: OrderUpdate) -> OrderUpdate:
    """`update`, with what cannot be read left out; a status that nobody knows is `unknown` with its word."""
    if (
        (update.status is None or type(update.status) is OrderStatus)
        and _are_ids((update.venue_id, update.client_id, update.original_client_id))
        and _are_numbers((update.quantity, update.filled_quantity, update.average_price))
        and (not update.executions or all(map(_is_sound, update.executions)))
    ):
        return update
    status, word = _status(update.status)
    return replace(
        update,
        status=status,
        status_raw=word if word is not None else update.status_raw,
        venue_id=_id(update.venue_id),
        client_id=_id(update.client_id),
        original_client_id=_id(update.original_client_id),
        quantity=decimal_of(update.quantity),
        filled_quantity=decimal_of(update.filled_quantity),
        average_price=decimal_of(update.average_price),
        executions=tuple(filter(None, map(_execution, update.executions))),
    )


def _are_ids(values: tuple[object, ...]) -> bool:
    for value in values:  # noqa: SIM110 - a generator costs more than all the looks
        if value is not None and type(value) is not str:
            return False
    return True


def _are_numbers(values: tuple[object, ...]) -> bool:
    for value in values:
        if value is not None and not (type(value) is Decimal and value.is_finite()):
            return False
    return True


def _is_sound(execution: Execution) -> bool:
    return (
        type(execution) is Execution
        and type(execution.id) is str
        and _are_numbers((execution.quantity, execution.price))
    )


def _status(value: object) -> tuple[OrderStatus | None, str | None]:
    return (value, None) if isinstance(value, OrderStatus) else status_of(_WORDS, value)


def _id(value: object) -> str | None:
    """An id as text; numbers are ids too."""
    if value is None:
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)[:_MAX_ID]
    unparsed.note("id")
    return None


def _execution(given: object) -> Execution | None:
    """A fill; None for one without an id, by which it could be told from others."""
    if not isinstance(given, Execution):
        unparsed.note("id")
        return None
    name = _id(given.id)
    if name is None:
        return None
    return replace(given, id=name, quantity=decimal_of(given.quantity), price=decimal_of(given.price))
