"""What a command of NautilusTrader asks of the venue: an `OrderRequest`. Pure: no span, no clock, no I/O.

Classes are told by their names: the library is never imported from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tickspan.trading import OrderOperation, OrderRequest, decimal_of

LIBRARY: Final = "nautilus_trader"

OPERATIONS: Final = {
    "SubmitOrder": OrderOperation.SUBMIT,
    "SubmitOrderList": OrderOperation.SUBMIT,
    "ModifyOrder": OrderOperation.REPLACE,
    "CancelOrder": OrderOperation.CANCEL,
    "CancelAllOrders": OrderOperation.CANCEL,
    "BatchCancelOrders": OrderOperation.CANCEL,
    "QueryOrder": OrderOperation.QUERY,
}
"""Commands about orders, by the name of their class."""

_TYPES: Final = {
    "MARKET": "market",
    "LIMIT": "limit",
    "STOP_MARKET": "stop",
    "STOP_LIMIT": "stop_limit",
    "TRAILING_STOP_MARKET": "trailing_stop",
}
_TIMES_IN_FORCE: Final = {
    "GTC": "good_till_cancel",
    "IOC": "immediate_or_cancel",
    "FOK": "fill_or_kill",
    "GTD": "good_till_date",
    "DAY": "day",
    "AT_THE_OPEN": "at_the_open",
    "AT_THE_CLOSE": "at_the_close",
}
_KERNELS: Final = {"backtest": "backtest", "sandbox": "simulated"}
_TESTNET_FLAGS: Final = ("testnet", "is_testnet")
_PAPER_FLAGS: Final = ("demo", "is_demo")
_PAPER_WORDS: Final = ("demo", "paper", "sandbox")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the orders of one instrument go, and whose they are."""

    venue: str
    instrument: str
    environment: str | None = None
    account: str | None = None
    venue_symbol: str | None = None
    instrument_class: str | None = None


def operation_of(command: Any) -> OrderOperation | None:
    """What `command` asks about orders; None if it is about something else."""
    return OPERATIONS.get(type(command).__name__)


def submit(order: Any, place: Place) -> OrderRequest:
    """A new order, also one that an execution algorithm has cut off another."""
    spawned_by = _text(getattr(order, "exec_spawn_id", None))
    client_id = str(order.client_order_id)
    return _request(
        OrderOperation.SUBMIT,
        place,
        order.strategy_id,
        client_id=client_id,
        parent_id=_text(order.parent_order_id) or (spawned_by if spawned_by != client_id else None),
        list_id=_text(order.order_list_id),
        **_kind(order),
        **_sizes(order),
    )


def submit_list(requests: Sequence[OrderRequest]) -> OrderRequest:
    """Several new orders by one command."""
    first = requests[0]
    return OrderRequest(
        OrderOperation.SUBMIT,
        first.venue,
        first.library,
        environment=first.environment,
        account=first.account,
        strategy=first.strategy,
        instrument=first.instrument,
        venue_symbol=first.venue_symbol,
        instrument_class=first.instrument_class,
        list_id=first.list_id,
        batch=tuple(requests),
    )


def modify(command: Any, place: Place, order: Any) -> OrderRequest:
    """A change of an order that keeps its client id; what is not to change is as `order` has it."""
    known = _sizes(order) if order is not None else {}
    asked = {
        "quantity": number(command.quantity),
        "price": number(command.price),
        "stop_price": number(command.trigger_price),
    }
    return _request(
        OrderOperation.REPLACE,
        place,
        command.strategy_id,
        original_client_id=_text(command.client_order_id),
        venue_id=_text(command.venue_order_id),
        **_kind(order),
        **{**known, **{name: value for name, value in asked.items() if value is not None}},
    )


def cancel(command: Any, place: Place) -> OrderRequest:
    """`CancelOrder`; also an order, which has the same names."""
    return _about(OrderOperation.CANCEL, command, place)


def cancel_many(command: Any, place: Place, targets: Sequence[Any]) -> OrderRequest:
    """One command about several orders: `targets` are orders, or commands about one each."""
    batch = tuple(cancel(target, place) for target in targets)
    return _request(OrderOperation.CANCEL, place, command.strategy_id, batch=batch)


def query(command: Any, place: Place) -> OrderRequest:
    """`QueryOrder`."""
    return _about(OrderOperation.QUERY, command, place)


def denied(event: Any, place: Place) -> OrderRequest:
    """The order that was refused before there was a command for it."""
    return _request(OrderOperation.SUBMIT, place, event.strategy_id, client_id=_text(event.client_order_id))


def place_of(instrument_id: Any, instrument: Any, *, environment: str | None, account: str | None) -> Place:
    """Where orders of `instrument_id` go; `instrument` is its definition, if that is known."""
    raw_symbol = _text(getattr(instrument, "raw_symbol", None))
    symbol = str(instrument_id.symbol)
    return Place(
        venue_of(instrument_id),
        symbol,
        environment,
        account,
        raw_symbol if raw_symbol != symbol else None,
        _word(getattr(instrument, "instrument_class", None)),
    )


def venue_of(instrument_id: Any) -> str:
    """The venue as other libraries write it: in lower case."""
    return str(instrument_id.venue).lower()


def environment_of(kernel: str, clients: Mapping[str, Any], venue: str) -> str | None:
    """What is at stake at `venue`, by the kernel's environment and its execution clients' configurations.

    None where neither says that it is not real money.
    """
    known = _KERNELS.get(kernel)
    if known is not None:
        return known
    named = {name.lower(): config for name, config in clients.items()}
    only = next(iter(named.values())) if len(named) == 1 else None
    return _environment_of_client(named.get(venue, only))


def order_type(order: Any) -> str | None:
    """FIX's word for the order's type, where it has one."""
    return _TYPES.get(order.type_string())


def type_word(order_type: Any) -> str | None:
    """The same of a member of the library's enumeration."""
    return _TYPES.get(getattr(order_type, "name", ""))


def number(value: Any) -> Any:
    """A price or quantity of the library's, exactly."""
    return decimal_of(value.as_decimal()) if value is not None else None


def _environment_of_client(config: Any) -> str | None:
    if type(config).__name__ == "SandboxExecutionClientConfig":
        return "simulated"
    word = str(getattr(config, "environment", "")).lower()
    if "testnet" in word or any(getattr(config, flag, False) is True for flag in _TESTNET_FLAGS):
        return "testnet"
    if any(part in word for part in _PAPER_WORDS) or any(
        getattr(config, flag, False) is True for flag in _PAPER_FLAGS
    ):
        return "paper"
    return None


def _about(operation: OrderOperation, named: Any, place: Place) -> OrderRequest:
    return _request(
        operation,
        place,
        named.strategy_id,
        original_client_id=_text(named.client_order_id),
        venue_id=_text(named.venue_order_id),
    )


def _request(operation: OrderOperation, place: Place, strategy: Any, **known: Any) -> OrderRequest:
    return OrderRequest(
        operation,
        place.venue,
        LIBRARY,
        environment=place.environment,
        account=place.account,
        strategy=_text(strategy),
        instrument=place.instrument,
        venue_symbol=place.venue_symbol,
        instrument_class=place.instrument_class,
        **known,
    )


def _kind(order: Any) -> dict[str, str | None]:
    if order is None:
        return {}
    word = order_type(order)
    return {
        "side": order.side_string().lower(),
        "type": word,
        "type_raw": order.type_string() if word is None else None,
        "time_in_force": _TIMES_IN_FORCE.get(order.tif_string()),
    }


def _sizes(order: Any) -> dict[str, Any]:
    return {
        "quantity": number(order.quantity),
        "price": number(order.price) if order.has_price else None,
        "stop_price": number(order.trigger_price) if order.has_trigger_price else None,
    }


def _word(member: Any) -> str | None:
    """`spot` of an enumeration's member, whether it is Python's or an integer of Cython's."""
    name = getattr(member, "name", None)
    return name.lower() if isinstance(name, str) else None


def _text(value: Any) -> str | None:
    return str(value) if value is not None else None
