"""Trading names: orders from the tick to the last fill, where no OpenTelemetry convention covers them.

Order values are FIX values in words (`partially_filled`). Quantities and prices are decimal strings: an audit
must not round. Durations are seconds.
"""

from typing import Final

VENUE_NAME: Final = "trading.venue.name"
VENUE_ENVIRONMENT: Final = "trading.venue.environment"
VENUE_TIME_UNIX_NANO: Final = "trading.venue.time_unix_nano"
CLIENT_LIBRARY: Final = "trading.client.library"
STRATEGY_ID: Final = "trading.strategy.id"
ACCOUNT_HASH: Final = "trading.account.hash"

INSTRUMENT_SYMBOL: Final = "trading.instrument.symbol"
INSTRUMENT_VENUE_SYMBOL: Final = "trading.instrument.venue_symbol"
INSTRUMENT_CLASS: Final = "trading.instrument.class"

ORDER_CLIENT_ID: Final = "trading.order.client_id"
ORDER_ORIGINAL_CLIENT_ID: Final = "trading.order.original_client_id"
ORDER_ROOT_CLIENT_ID: Final = "trading.order.root_client_id"
ORDER_VENUE_ID: Final = "trading.order.venue_id"
ORDER_PARENT_ID: Final = "trading.order.parent_id"
ORDER_LIST_ID: Final = "trading.order.list_id"

ORDER_OPERATION: Final = "trading.order.operation"
ORDER_SIDE: Final = "trading.order.side"
ORDER_TYPE: Final = "trading.order.type"
ORDER_TYPE_RAW: Final = "trading.order.type_raw"
ORDER_TIME_IN_FORCE: Final = "trading.order.time_in_force"
ORDER_STATUS: Final = "trading.order.status"

ORDER_QUANTITY: Final = "trading.order.quantity"
ORDER_PRICE: Final = "trading.order.price"
ORDER_STOP_PRICE: Final = "trading.order.stop_price"
ORDER_FILLED_QUANTITY: Final = "trading.order.filled_quantity"
ORDER_LEAVES_QUANTITY: Final = "trading.order.leaves_quantity"
ORDER_AVERAGE_PRICE: Final = "trading.order.average_price"
ORDER_FILLED_RATIO: Final = "trading.order.filled_ratio"

ORDER_REJECT_CODE: Final = "trading.order.reject.code"
ORDER_REJECT_REASON: Final = "trading.order.reject.reason"
ORDER_REJECT_ORIGIN: Final = "trading.order.reject.origin"
ORDER_REJECT_MESSAGE: Final = "trading.order.reject.message"

ORDER_ATTEMPT: Final = "trading.order.attempt"
ORDER_LATE: Final = "trading.order.late"
ORDER_MATCHED: Final = "trading.order.matched"
ORDER_EMULATED: Final = "trading.order.emulated"
ORDER_BATCH_SIZE: Final = "trading.order.batch_size"
ORDER_REVISION: Final = "trading.order.revision"
ORDER_COMPLETE: Final = "trading.order.complete"
ORDER_EXECUTIONS: Final = "trading.order.executions"
ORDER_EVENT_SOURCE: Final = "trading.order.event.source"

EXECUTION_ID: Final = "trading.execution.id"
EXECUTION_QUANTITY: Final = "trading.execution.quantity"
EXECUTION_PRICE: Final = "trading.execution.price"
EXECUTION_LIQUIDITY: Final = "trading.execution.liquidity"
EXECUTION_FEE: Final = "trading.execution.fee"

TRIGGER: Final = "trading.trigger"
FEED_CHANNEL: Final = "trading.feed.channel"
RISK_CHECK_NAME: Final = "trading.risk.check.name"
RISK_CHECK_OUTCOME: Final = "trading.risk.check.outcome"

# Stages of one order, on its `trading.order.lifecycle` span. The points are in `tickspan.trading.latency`.
LATENCY_FEED_QUEUE: Final = "trading.latency.feed_queue"
LATENCY_TICK_TO_DECISION: Final = "trading.latency.tick_to_decision"
LATENCY_DECISION_TO_WIRE: Final = "trading.latency.decision_to_wire"
LATENCY_WIRE_TO_ACK: Final = "trading.latency.wire_to_ack"
LATENCY_ACK_TO_FIRST_FILL: Final = "trading.latency.ack_to_first_fill"
LATENCY_ORDER_DURATION: Final = "trading.latency.order_duration"
LATENCY_TICK_TO_TRADE: Final = "trading.latency.tick_to_trade"
LATENCY_TICK_TO_FILL: Final = "trading.latency.tick_to_fill"
LATENCY_CANCEL_TO_ACK: Final = "trading.latency.cancel_to_ack"

# Spans. A name never holds data: operation, venue and status are closed sets.
SPAN_FEED_MESSAGE: Final = "trading.feed.message"
SPAN_STRATEGY_DECISION: Final = "trading.strategy.decision"
SPAN_RISK_CHECK: Final = "trading.risk.check"
SPAN_ORDER: Final = "trading.order"
SPAN_ORDER_EVENT: Final = "trading.order.event"
SPAN_ORDER_LIFECYCLE: Final = "trading.order.lifecycle"

# Histograms, in seconds.
METRIC_FEED_QUEUE: Final = "trading.feed.queue"
METRIC_TICK_TO_DECISION: Final = "trading.tick_to_decision"
METRIC_DECISION_TO_WIRE: Final = "trading.decision_to_wire"
METRIC_WIRE_TO_ACK: Final = "trading.wire_to_ack"
METRIC_ACK_TO_FIRST_FILL: Final = "trading.ack_to_first_fill"
METRIC_ORDER_DURATION: Final = "trading.order.duration"
METRIC_TICK_TO_TRADE: Final = "trading.tick_to_trade"
METRIC_TICK_TO_FILL: Final = "trading.tick_to_fill"
METRIC_CANCEL_TO_ACK: Final = "trading.cancel_to_ack"
