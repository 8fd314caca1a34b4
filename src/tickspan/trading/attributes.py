"""Orders, reports and ticks as span attributes: what is absent stays absent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tickspan.config import TradingSettings
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading.lifecycle import Order, Told
from tickspan.trading.model import OrderRequest, OrderStatus, Reject
from tickspan.trading.privacy import quantity_attributes
from tickspan.trading.ticks import TickRef

AttributeValue = str | bool | int | float
Attributes = dict[str, AttributeValue]

METRIC_KEYS: Final = (
    names.VENUE_NAME,
    names.VENUE_ENVIRONMENT,
    names.CLIENT_LIBRARY,
    names.STRATEGY_ID,
    names.ORDER_OPERATION,
    names.ORDER_TYPE,
)
"""What a measurement keeps of its order: few values each, nothing that names one order or instrument."""


def of_request(request: OrderRequest, account_hash: str | None, settings: TradingSettings) -> Attributes:
    """What is known before the first byte leaves."""
    known = {
        **_place(request.venue, request.environment or settings.environment, request.library),
        names.ACCOUNT_HASH: account_hash,
        names.STRATEGY_ID: request.strategy,
        names.INSTRUMENT_SYMBOL: request.instrument,
        names.INSTRUMENT_VENUE_SYMBOL: request.venue_symbol,
        names.INSTRUMENT_CLASS: request.instrument_class,
        names.ORDER_OPERATION: request.operation.value,
        names.ORDER_CLIENT_ID: request.client_id,
        names.ORDER_ORIGINAL_CLIENT_ID: request.original_client_id,
        names.ORDER_VENUE_ID: request.venue_id,
        names.ORDER_PARENT_ID: request.parent_id,
        names.ORDER_LIST_ID: request.list_id,
        names.ORDER_SIDE: request.side,
        names.ORDER_TYPE: request.type,
        names.ORDER_TYPE_RAW: request.type_raw,
        names.ORDER_TIME_IN_FORCE: request.time_in_force,
        names.ORDER_BATCH_SIZE: len(request.batch) or None,
        names.ORDER_EMULATED: request.emulated or None,
    }
    return {**_present(known), **_request_quantities(request, settings)}


def of_answer(order: Order) -> Attributes:
    """What the answer to an order call added."""
    known = {
        names.ORDER_CLIENT_ID: order.client_ids[0] if order.client_ids else None,
        names.ORDER_ROOT_CLIENT_ID: order.root_client_id,
        names.ORDER_VENUE_ID: order.venue_id,
        names.ORDER_STATUS: order.status.value,
        names.ORDER_REVISION: order.revision or None,
    }
    return _present(known)


def of_event(told: Told, order: Order, settings: TradingSettings) -> Attributes:
    """One report of an order."""
    update, execution = told.update, told.execution
    known = {
        **_identity(order, settings),
        names.ORDER_STATUS: told.status.value,
        names.ORDER_FILLED_RATIO: _ratio(told.filled, order.total),
        names.ORDER_EVENT_SOURCE: update.source.value,
        names.ORDER_LATE: told.late or None,
        names.VENUE_TIME_UNIX_NANO: update.venue_time_ns,
        names.EXECUTION_ID: execution.id if execution is not None else None,
        names.EXECUTION_LIQUIDITY: execution.liquidity if execution is not None else None,
    }
    sizes = {names.ORDER_FILLED_QUANTITY: told.filled, names.ORDER_AVERAGE_PRICE: order.average_price}
    if execution is not None:
        sizes |= {names.EXECUTION_QUANTITY: execution.quantity, names.EXECUTION_PRICE: execution.price}
    reject = of_reject(update.reject) if update.reject is not None else {}
    return {**_present(known), **quantity_attributes(sizes, settings.quantities), **reject}


def of_life(order: Order, settings: TradingSettings, *, complete: bool) -> Attributes:
    """The whole of an order, when it is over or when we are."""
    known = {
        **_identity(order, settings),
        names.ORDER_STATUS: order.status.value,
        names.ORDER_FILLED_RATIO: order.filled_ratio,
        names.ORDER_EXECUTIONS: len(order.executions),
        names.ORDER_REVISION: order.revision or None,
        names.ORDER_COMPLETE: complete,
    }
    sizes = {
        names.ORDER_QUANTITY: order.total,
        names.ORDER_PRICE: order.request.price,
        names.ORDER_FILLED_QUANTITY: order.filled,
        names.ORDER_LEAVES_QUANTITY: order.leaves,
        names.ORDER_AVERAGE_PRICE: order.average_price,
    }
    is_refused = order.reject is not None and order.status is OrderStatus.REJECTED
    reject = of_reject(order.reject) if is_refused and order.reject is not None else {}
    return {**_present(known), **quantity_attributes(sizes, settings.quantities), **reject}


def of_reject(reject: Reject) -> Attributes:
    """A refusal."""
    known = {
        ERROR_TYPE: reject.error_type,
        names.ORDER_REJECT_CODE: reject.code,
        names.ORDER_REJECT_REASON: reject.reason.value,
        names.ORDER_REJECT_ORIGIN: reject.origin.value,
        names.ORDER_REJECT_MESSAGE: reject.message,
    }
    return _present(known)


def of_tick(tick: TickRef) -> Attributes:
    """One message."""
    known = {
        names.VENUE_NAME: tick.venue,
        names.INSTRUMENT_SYMBOL: tick.instrument,
        names.FEED_CHANNEL: tick.channel,
        names.VENUE_TIME_UNIX_NANO: tick.venue_time_ns,
    }
    return _present(known)


def for_metrics(attributes: Mapping[str, AttributeValue]) -> Attributes:
    """The few attributes that a measurement keeps."""
    return {key: attributes[key] for key in METRIC_KEYS if key in attributes}


def _place(venue: str, environment: str, library: str) -> dict[str, AttributeValue | None]:
    return {names.VENUE_NAME: venue, names.VENUE_ENVIRONMENT: environment, names.CLIENT_LIBRARY: library}


def _identity(order: Order, settings: TradingSettings) -> dict[str, AttributeValue | None]:
    request = order.request
    return {
        **_place(request.venue, request.environment or settings.environment, request.library),
        names.STRATEGY_ID: request.strategy,
        names.INSTRUMENT_SYMBOL: request.instrument,
        names.ORDER_OPERATION: request.operation.value,
        names.ORDER_CLIENT_ID: order.client_ids[0] if order.client_ids else None,
        names.ORDER_ROOT_CLIENT_ID: order.root_client_id,
        names.ORDER_VENUE_ID: order.venue_id,
        names.ORDER_SIDE: request.side,
        names.ORDER_TYPE: request.type,
    }


def _request_quantities(request: OrderRequest, settings: TradingSettings) -> dict[str, str]:
    sizes = {
        names.ORDER_QUANTITY: request.quantity,
        names.ORDER_PRICE: request.price,
        names.ORDER_STOP_PRICE: request.stop_price,
    }
    return quantity_attributes(sizes, settings.quantities)


def _ratio(filled: Decimal, total: Decimal | None) -> float | None:
    return float(min(filled / total, Decimal(1))) if total else None


def _present(known: Mapping[str, AttributeValue | None]) -> Attributes:
    return {key: value for key, value in known.items() if value is not None}
