"""Orders, reports and ticks as attributes of spans and events: what is absent stays absent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tickspan.config import Quantities, TradingSettings
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading.kinds import OrderKind
from tickspan.trading.lifecycle import Order, Told, ratio
from tickspan.trading.model import Attributes, AttributeValue, OrderRequest, OrderStatus, Reject
from tickspan.trading.privacy import quantity_attributes, reject_text
from tickspan.trading.ticks import TickRef


def of_request(kind: OrderKind, request: OrderRequest, settings: TradingSettings) -> Attributes:
    """What is known before the first byte leaves."""
    known: Attributes = dict(kind.of_call)
    if request.client_id is not None:
        known[names.ORDER_CLIENT_ID] = request.client_id
    if request.original_client_id is not None:
        known[names.ORDER_ORIGINAL_CLIENT_ID] = request.original_client_id
    if request.venue_id is not None:
        known[names.ORDER_VENUE_ID] = request.venue_id
    if request.parent_id is not None:
        known[names.ORDER_PARENT_ID] = request.parent_id
    if request.list_id is not None:
        known[names.ORDER_LIST_ID] = request.list_id
    if request.batch:
        known[names.ORDER_BATCH_SIZE] = len(request.batch)
    if settings.quantities is not Quantities.OFF:
        known |= _request_quantities(request, settings)
    return known


def of_answer(order: Order) -> Attributes:
    """What the answer to an order call added."""
    known = _ids(order)
    known[names.ORDER_STATUS] = order.status._value_
    if order.revision:
        known[names.ORDER_REVISION] = order.revision
    return known


def of_new(kind: OrderKind, order: Order, request: OrderRequest, settings: TradingSettings) -> Attributes:
    """An order that is about to be sent."""
    known = of_request(kind, request, settings)
    if order.client_ids:
        known[names.ORDER_CLIENT_ID] = order.client_ids[0]
    if order.root_client_id is not None:
        known[names.ORDER_ROOT_CLIENT_ID] = order.root_client_id
    if order.original_client_id is not None:
        known[names.ORDER_ORIGINAL_CLIENT_ID] = order.original_client_id
    if order.revision:
        known[names.ORDER_REVISION] = order.revision
    return known


def of_order(kind: OrderKind, order: Order) -> Attributes:
    """Which order, and how it stands."""
    known = kind.of_order | _ids(order)
    known[names.ORDER_STATUS] = order.status._value_
    return known


def of_event(kind: OrderKind, order: Order, told: Told, settings: TradingSettings) -> Attributes:
    """One report of an order."""
    update, execution = told.update, told.execution
    known = kind.of_order | _ids(order)
    known[names.ORDER_STATUS] = told.status._value_
    known[names.ORDER_EVENT_SOURCE] = update.source._value_
    filled_ratio = ratio(told.filled, order.total)
    if filled_ratio is not None:
        known[names.ORDER_FILLED_RATIO] = filled_ratio
    if told.late:
        known[names.ORDER_LATE] = True
    if update.venue_time_ns is not None:
        known[names.VENUE_TIME_UNIX_NANO] = update.venue_time_ns
    if update.status_raw is not None:
        known[names.ORDER_STATUS_RAW] = update.status_raw
    if execution is not None:
        known[names.EXECUTION_ID] = execution.id
        if execution.liquidity is not None:
            known[names.EXECUTION_LIQUIDITY] = execution.liquidity
    if settings.quantities is not Quantities.OFF:
        known |= _event_quantities(told, order, settings)
    return known | of_reject(update.reject, settings) if update.reject is not None else known


def of_life(kind: OrderKind, order: Order, settings: TradingSettings, *, complete: bool) -> Attributes:
    """The whole of an order, when it is over or when we are."""
    known = of_order(kind, order)
    known[names.ORDER_EXECUTIONS] = len(order.executions)
    known[names.ORDER_COMPLETE] = complete
    filled_ratio = order.filled_ratio
    if filled_ratio is not None:
        known[names.ORDER_FILLED_RATIO] = filled_ratio
    if order.revision:
        known[names.ORDER_REVISION] = order.revision
    if settings.quantities is not Quantities.OFF:
        sizes = {
            names.ORDER_QUANTITY: order.total,
            names.ORDER_PRICE: order.price,
            names.ORDER_FILLED_QUANTITY: order.filled,
            names.ORDER_LEAVES_QUANTITY: order.leaves,
            names.ORDER_AVERAGE_PRICE: order.average_price,
        }
        known |= quantity_attributes(sizes, settings.quantities)
    has_failed = order.status is OrderStatus.REJECTED and order.reject is not None
    return known | of_reject(order.reject, settings) if has_failed and order.reject is not None else known


def of_reject(reject: Reject, settings: TradingSettings) -> Attributes:
    """A refusal; `error.type` makes it an error."""
    message = reject_text(reject.message, settings.quantities) if reject.message is not None else None
    known: dict[str, AttributeValue | None] = {
        ERROR_TYPE: reject.error_type,
        names.ORDER_REJECT_CODE: reject.code,
        names.ORDER_REJECT_REASON: reject.reason.value,
        names.ORDER_REJECT_ORIGIN: reject.origin.value,
        names.ORDER_REJECT_MESSAGE: message,
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


def _ids(order: Order) -> Attributes:
    known: Attributes = {}
    if order.client_ids:
        known[names.ORDER_CLIENT_ID] = order.client_ids[0]
    if order.root_client_id is not None:
        known[names.ORDER_ROOT_CLIENT_ID] = order.root_client_id
    if order.venue_id is not None:
        known[names.ORDER_VENUE_ID] = order.venue_id
    return known


def _request_quantities(request: OrderRequest, settings: TradingSettings) -> dict[str, str]:
    sizes = {
        names.ORDER_QUANTITY: request.quantity,
        names.ORDER_PRICE: request.price,
        names.ORDER_STOP_PRICE: request.stop_price,
    }
    return quantity_attributes(sizes, settings.quantities)


def _event_quantities(told: Told, order: Order, settings: TradingSettings) -> dict[str, str]:
    sizes: dict[str, Decimal | None] = {
        names.ORDER_FILLED_QUANTITY: told.filled,
        names.ORDER_AVERAGE_PRICE: order.average_price,
    }
    if told.execution is not None:
        sizes[names.EXECUTION_QUANTITY] = told.execution.quantity
        sizes[names.EXECUTION_PRICE] = told.execution.price
    known = quantity_attributes(sizes, settings.quantities)
    if (
        told.execution is not None
        and told.execution.fee is not None
        and settings.quantities is Quantities.FULL
    ):
        known[names.EXECUTION_FEE] = told.execution.fee
    return known


def _present(known: Mapping[str, AttributeValue | None]) -> Attributes:
    return {key: value for key, value in known.items() if value is not None}
