"""Orders from the tick that caused them to the fill that ended them: registry, lifecycle, helpers, rows."""

from tickspan.config import Quantities, TradingSettings
from tickspan.trading.calls import OrderCall, open_call
from tickspan.trading.latency import Point
from tickspan.trading.manual import decision, order_span, own_orders, risk_check, strategy, transaction
from tickspan.trading.messages import Message, open_message
from tickspan.trading.model import (
    Execution,
    OrderKey,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    Trigger,
    decimal_of,
)
from tickspan.trading.moments import Clock
from tickspan.trading.patches import (
    Make,
    MessagePatch,
    OrderCallPatch,
    OrderMethod,
    PerClass,
    ReadLoopPatch,
    ReportPatch,
    Verdict,
    detaching,
    orders_of,
    reporting,
)
from tickspan.trading.registry import Orders, OrderStatistics, shutdown
from tickspan.trading.ticks import (
    RecentTicks,
    TickKind,
    TickRef,
    current_tick,
    set_current_tick,
    tick_scope,
)
from tickspan.trading.venues import VenueProfile, client_id_in, profile_of, reject_of_code

__all__ = [
    "Clock",
    "Execution",
    "Make",
    "Message",
    "MessagePatch",
    "OrderCall",
    "OrderCallPatch",
    "OrderKey",
    "OrderMethod",
    "OrderOperation",
    "OrderRequest",
    "OrderStatistics",
    "OrderStatus",
    "OrderUpdate",
    "Orders",
    "PerClass",
    "Point",
    "Quantities",
    "ReadLoopPatch",
    "RecentTicks",
    "Reject",
    "RejectOrigin",
    "RejectReason",
    "ReportPatch",
    "Source",
    "TickKind",
    "TickRef",
    "TradingSettings",
    "Trigger",
    "VenueProfile",
    "Verdict",
    "client_id_in",
    "current_tick",
    "decimal_of",
    "decision",
    "detaching",
    "open_call",
    "open_message",
    "order_span",
    "orders_of",
    "own_orders",
    "profile_of",
    "reject_of_code",
    "reporting",
    "risk_check",
    "set_current_tick",
    "shutdown",
    "strategy",
    "tick_scope",
    "transaction",
]
