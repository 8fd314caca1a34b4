"""Client ids for orders that would leave without one: the setting `stamp_client_id`. Pure.

Alpaca gives such an order an id of its own, each time it is sent: what is tried again is a second order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tickspan.trading import Stamp, StampedArguments, with_argument

from tickspan_alpaca.describe import Arguments, text_of

_FIELD: Final = "client_order_id"


def in_model(position: int) -> Stamp:
    """For methods that take a model, `order_data`, at `position`; they get a copy of it."""

    def stamp(
        _client: Any, args: tuple[Any, ...], kwargs: Arguments, new_id: Callable[[], str]
    ) -> StampedArguments | None:
        order: Any = args[position] if position < len(args) else kwargs.get("order_data")
        if _FIELD not in getattr(type(order), "model_fields", ()) or _is_named(getattr(order, _FIELD)):
            return None
        named = order.model_copy(update={_FIELD: new_id()})
        return with_argument(args, kwargs, position, "order_data", named)

    return stamp


def bare(position: int) -> Stamp:
    """For methods whose argument at `position` is `client_order_id`."""

    def stamp(
        _client: Any, args: tuple[Any, ...], kwargs: Arguments, new_id: Callable[[], str]
    ) -> StampedArguments | None:
        given = args[position] if position < len(args) else kwargs.get(_FIELD)
        return None if _is_named(given) else with_argument(args, kwargs, position, _FIELD, new_id())

    return stamp


def _is_named(client_id: Any) -> bool:
    return text_of(client_id) is not None
