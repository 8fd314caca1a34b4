"""Trading names: orders from the tick to the last fill, where no OpenTelemetry convention covers them.

Order values are FIX values in words (`partially_filled`). Quantities and prices are decimal strings: an audit
must not round. Durations are seconds.

`make semconv` writes this module from `registry/*.yaml`: change it there.
"""

from collections.abc import Mapping
from typing import Final

VENUE_NAME: Final = "trading.venue.name"
"""The venue, as its client library or the user calls it."""
VENUE_MIC: Final = "trading.venue.mic"
"""The market's ISO 10383 code, where the venue is a market that has one."""
VENUE_ENVIRONMENT: Final = "trading.venue.environment"
"""Whether money is at stake; paper and live never share a series."""
VENUE_TIME_UNIX_NANO: Final = "trading.venue.time_unix_nano"
"""The venue's own time of the event, nanoseconds since 1970."""

CLIENT_LIBRARY: Final = "trading.client.library"
"""The library by which the venue is spoken to."""

STRATEGY_ID: Final = "trading.strategy.id"
"""The strategy that acts, as the program names it."""

ACCOUNT_HASH: Final = "trading.account.hash"
"""Twelve hex digits by which an account is recognised and not told."""

INSTRUMENT_SYMBOL: Final = "trading.instrument.symbol"
"""The instrument, as the client library spells it for all venues."""
INSTRUMENT_VENUE_SYMBOL: Final = "trading.instrument.venue_symbol"
"""The instrument, as the venue spells it."""
INSTRUMENT_CLASS: Final = "trading.instrument.class"
"""The kind of instrument."""

ORDER_CLIENT_ID: Final = "trading.order.client_id"
"""The id that the client gave the order."""
ORDER_ORIGINAL_CLIENT_ID: Final = "trading.order.original_client_id"
"""The client id of the order that is replaced or canceled."""
ORDER_ROOT_CLIENT_ID: Final = "trading.order.root_client_id"
"""The client id of the first order in a chain of replacements."""
ORDER_VENUE_ID: Final = "trading.order.venue_id"
"""The id that the venue gave the order."""
ORDER_PARENT_ID: Final = "trading.order.parent_id"
"""The order that this one is a child of, as in a bracket."""
ORDER_LIST_ID: Final = "trading.order.list_id"
"""The list of orders that this one belongs to."""
ORDER_OPERATION: Final = "trading.order.operation"
"""What is asked of the venue."""
ORDER_SIDE: Final = "trading.order.side"
"""The side of the order."""
ORDER_TYPE: Final = "trading.order.type"
"""The type of the order, in words that all venues share."""
ORDER_TYPE_RAW: Final = "trading.order.type_raw"
"""The venue's or library's own word for a type that has no shared one."""
ORDER_TIME_IN_FORCE: Final = "trading.order.time_in_force"
"""How long the order is good."""
ORDER_STATUS: Final = "trading.order.status"
"""How the order stands."""
ORDER_STATUS_RAW: Final = "trading.order.status_raw"
"""The venue's own word for a status that has no shared one; the status is then `unknown`."""
ORDER_QUANTITY: Final = "trading.order.quantity"
"""The quantity asked for, a decimal string."""
ORDER_PRICE: Final = "trading.order.price"
"""The limit price, a decimal string."""
ORDER_STOP_PRICE: Final = "trading.order.stop_price"
"""The price that triggers the order, a decimal string."""
ORDER_FILLED_QUANTITY: Final = "trading.order.filled_quantity"
"""What is filled so far, a decimal string."""
ORDER_LEAVES_QUANTITY: Final = "trading.order.leaves_quantity"
"""What may still be filled, a decimal string."""
ORDER_AVERAGE_PRICE: Final = "trading.order.average_price"
"""The average price of the fills so far, a decimal string."""
ORDER_FILLED_RATIO: Final = "trading.order.filled_ratio"
"""The filled part of the order, 0 to 1; it tells no size."""
ORDER_REJECT_CODE: Final = "trading.order.reject.code"
"""The venue's own code."""
ORDER_REJECT_REASON: Final = "trading.order.reject.reason"
"""Why the order was refused, in words that every venue shares."""
ORDER_REJECT_ORIGIN: Final = "trading.order.reject.origin"
"""Who refused."""
ORDER_REJECT_MESSAGE: Final = "trading.order.reject.message"
"""The venue's text, without secrets, cut; numbers are `?` unless quantities leave in full."""
ORDER_ATTEMPT: Final = "trading.order.attempt"
"""How often the request was handed to the transport, where it was more than once."""
ORDER_RETRY_SAFE: Final = "trading.order.retry.safe"
"""Whether the venue refuses a second order with this client id for ever."""
ORDER_LATE: Final = "trading.order.late"
"""The report came after a newer one, or after the order's end."""
ORDER_MATCHED: Final = "trading.order.matched"
"""False for a report of an order that nobody here placed."""
ORDER_EMULATED: Final = "trading.order.emulated"
"""The library makes this of several wire requests, each with its own span."""
ORDER_BATCH_SIZE: Final = "trading.order.batch_size"
"""The orders that one wire request carries."""
ORDER_REVISION: Final = "trading.order.revision"
"""How often the order was replaced before this one."""
ORDER_COMPLETE: Final = "trading.order.complete"
"""Whether the order was over when its life was written; false where the process ended first."""
ORDER_EXECUTIONS: Final = "trading.order.executions"
"""The number of fills."""
ORDER_EVENT_SOURCE: Final = "trading.order.event.source"
"""How the report came here."""
ORDER_DUPLICATE_CLIENT_ID: Final = "trading.order.duplicate.client_id"
"""The client id of the order that this one may double."""
ORDER_DUPLICATE_VENUE_ID: Final = "trading.order.duplicate.venue_id"
"""The venue's id of the order that this one may double."""

EXECUTION_ID: Final = "trading.execution.id"
"""The venue's id of the fill."""
EXECUTION_TYPE: Final = "trading.execution.type"
"""What the report is about."""
EXECUTION_QUANTITY: Final = "trading.execution.quantity"
"""The quantity of this fill, a decimal string."""
EXECUTION_PRICE: Final = "trading.execution.price"
"""The price of this fill, a decimal string."""
EXECUTION_LIQUIDITY: Final = "trading.execution.liquidity"
"""Whether the fill added liquidity or took it."""
EXECUTION_FEE: Final = "trading.execution.fee"
"""What the fill cost, amount and asset."""

TRIGGER: Final = "trading.trigger"
"""How the order found its cause."""

SEGMENT: Final = "trading.segment"
"""A named part of the time inside an order call."""

EVENT_SEQUENCE: Final = "trading.event.sequence"
"""Counts the process's order events from 1, without gaps."""

UNPARSED_KIND: Final = "trading.unparsed.kind"
"""What could not be read."""

FEED_CHANNEL: Final = "trading.feed.channel"
"""The kind of market data or reports, without the instrument."""
FEED_SEQUENCE: Final = "trading.feed.sequence"
"""The message's sequence number."""
FEED_EXPECTED_SEQUENCE: Final = "trading.feed.expected_sequence"
"""The sequence number that would have been next."""
FEED_MISSING_COUNT: Final = "trading.feed.missing_count"
"""How many numbers were jumped over."""
FEED_CONFLATED_COUNT: Final = "trading.feed.conflated_count"
"""Messages that were merged into this one because nobody had awaited them."""
FEED_AGE: Final = "trading.feed.age"
"""The time since the last message."""
FEED_MAX_AGE: Final = "trading.feed.max_age"
"""The age from which on the feed is stale."""
FEED_STALE_REASON: Final = "trading.feed.stale_reason"
"""Why stale data is told."""

STREAM_ATTEMPT: Final = "trading.stream.attempt"
"""Which attempt to connect this was, from 1."""

RISK_CHECK_NAME: Final = "trading.risk.check.name"
"""The check, as the program names it."""
RISK_CHECK_OUTCOME: Final = "trading.risk.check.outcome"
"""What the check said."""

KILL_SWITCH_REASON: Final = "trading.kill_switch.reason"
"""Why trading was stopped, in the program's words."""

SLIPPAGE_BENCHMARK: Final = "trading.slippage.benchmark"
"""The price that the fill is compared with, as the program names it."""
SLIPPAGE_DIRECTION: Final = "trading.slippage.direction"
"""On which side of the benchmark the fill was; a histogram takes no negative values."""

RATE_LIMIT_NAME: Final = "trading.rate_limit.name"
"""The limit, as the venue names it."""
RATE_LIMIT_SCOPE: Final = "trading.rate_limit.scope"
"""What shares the limit."""
RATE_LIMIT_SPENT: Final = "trading.rate_limit.spent"
"""How much of the limit was used at that moment."""
RATE_LIMIT_BUDGET: Final = "trading.rate_limit.budget"
"""What may be used in one interval of the limit."""
RATE_LIMIT_WAIT: Final = "trading.rate_limit.wait"
"""The time until the limit starts anew."""
RATE_LIMIT_ESTIMATED: Final = "trading.rate_limit.estimated"
"""The numbers are the client's own count, not the venue's word."""

CLOCK_SOURCE: Final = "trading.clock.source"
"""By what the clocks were compared."""
CLOCK_DIFFERENCE: Final = "trading.clock.difference"
"""How far the venue's clock is ahead of ours."""
CLOCK_TOLERANCE: Final = "trading.clock.tolerance"
"""The difference from which on it matters."""

LATENCY_FEED_QUEUE: Final = "trading.latency.feed_queue"
"""From the socket to the consumer of a market data message."""
LATENCY_TICK_TO_DECISION: Final = "trading.latency.tick_to_decision"
"""From the receipt of the tick to the order call."""
LATENCY_DECISION_TO_WIRE: Final = "trading.latency.decision_to_wire"
"""From the order call to the transport."""
LATENCY_WIRE_TO_ACK: Final = "trading.latency.wire_to_ack"
"""From the transport to the venue's answer."""
LATENCY_ACK_TO_FIRST_FILL: Final = "trading.latency.ack_to_first_fill"
"""From the venue's answer to the first fill."""
LATENCY_ORDER_DURATION: Final = "trading.latency.order_duration"
"""From the order call to the last fill."""
LATENCY_TICK_TO_TRADE: Final = "trading.latency.tick_to_trade"
"""From the receipt of the tick to the order on the wire."""
LATENCY_TICK_TO_FILL: Final = "trading.latency.tick_to_fill"
"""From the receipt of the tick to the last fill."""
LATENCY_CANCEL_TO_ACK: Final = "trading.latency.cancel_to_ack"
"""From the transport to the venue's answer to a cancel."""
LATENCY_THROTTLE_WAIT: Final = "trading.latency.throttle_wait"
"""How long the library kept a rate limit inside the order call."""
LATENCY_QUEUE_WAIT: Final = "trading.latency.queue_wait"
"""How long the request stood in a queue of the library's."""
LATENCY_SIGNING: Final = "trading.latency.signing"
"""How long building and signing the request took."""

BACKTEST_MESSAGES: Final = "trading.backtest.messages"
"""Pieces of market data that the run has replayed."""
BACKTEST_ORDERS: Final = "trading.backtest.orders"
"""New orders of the run, refused ones too."""
BACKTEST_FILLS: Final = "trading.backtest.fills"
"""Executions of the run."""
BACKTEST_REJECTS: Final = "trading.backtest.rejects"
"""Refusals of the run, by checks and by its simulated venues."""
BACKTEST_START_UNIX_NANO: Final = "trading.backtest.start_unix_nano"
"""Where in history the run began, nanoseconds since 1970."""
BACKTEST_END_UNIX_NANO: Final = "trading.backtest.end_unix_nano"
"""Where in history the run ended, nanoseconds since 1970."""
BACKTEST_COMPLETE: Final = "trading.backtest.complete"
"""Whether the run came to its end; false where it broke off."""

# Spans. A name never holds data: operation, venue and status are closed sets.
SPAN_FEED_MESSAGE: Final = "trading.feed.message"
"""A market data message that an order followed; others become no span."""
SPAN_STRATEGY_DECISION: Final = "trading.strategy.decision"
"""The strategy's part between a tick and its order."""
SPAN_RISK_CHECK: Final = "trading.risk.check"
"""A check before an order. A reject is no error."""
SPAN_ORDER: Final = "trading.order"
"""One wire request about orders, from the call until it comes back."""
SPAN_ORDER_EVENT: Final = "trading.order.event"
"""One report of an order."""
SPAN_ORDER_LIFECYCLE: Final = "trading.order.lifecycle"
"""The whole life of an order, written when it is over; it starts with the call."""
SPAN_STREAM_CONNECT: Final = "trading.stream.connect"
"""One attempt to connect a stream; never the life of the connection."""
SPAN_RECONCILE: Final = "trading.reconcile"
"""The program compares its books with the venue's."""
SPAN_BACKTEST_RUN: Final = "trading.backtest.run"
"""One back-test from beginning to end, in wall-clock time."""

# Histograms.
METRIC_FEED_LAG: Final = "trading.feed.lag"
"""From the venue's event (P0) to its receipt (P1), adjusted by the difference of the clocks."""
METRIC_FEED_QUEUE: Final = "trading.feed.queue"
"""From the socket to the consumer of a market data message."""

METRIC_TICK_TO_DECISION: Final = "trading.tick_to_decision"
"""From the receipt of the tick to the order call."""

METRIC_DECISION_TO_WIRE: Final = "trading.decision_to_wire"
"""From the order call to the transport."""

METRIC_WIRE_TO_ACK: Final = "trading.wire_to_ack"
"""From the transport to the venue's answer."""

METRIC_ACK_TO_FIRST_FILL: Final = "trading.ack_to_first_fill"
"""From the venue's answer to the first fill."""

METRIC_ORDER_DURATION: Final = "trading.order.duration"
"""From the order call to the last fill."""

METRIC_TICK_TO_TRADE: Final = "trading.tick_to_trade"
"""From the receipt of the tick to the order on the wire."""

METRIC_TICK_TO_FILL: Final = "trading.tick_to_fill"
"""From the receipt of the tick to the last fill."""

METRIC_CANCEL_TO_ACK: Final = "trading.cancel_to_ack"
"""From the transport to the venue's answer to a cancel."""

METRIC_ORDER_SEGMENT_DURATION: Final = "trading.order.segment.duration"
"""A named part of the time inside an order call."""

METRIC_FILL_DELIVERY_LAG: Final = "trading.fill.delivery_lag"
"""From the venue's time of a fill to its receipt; adjusted by the difference of the clocks."""

METRIC_RISK_CHECK_DURATION: Final = "trading.risk.check.duration"
"""How long a check before an order took."""

METRIC_SLIPPAGE: Final = "trading.slippage"
"""How far the fill was from a benchmark."""

# Counters.
METRIC_ORDER_OPERATIONS: Final = "trading.order.operations"
"""Order operations that were asked for."""
METRIC_ORDER_REJECTS: Final = "trading.order.rejects"
"""Order operations that were refused."""
METRIC_ORDER_RETRIES: Final = "trading.order.retries"
"""Requests that were handed to the transport once more."""
METRIC_ORDER_UNKNOWN_STATE: Final = "trading.order.unknown_state"
"""Orders of which nobody knew whether the venue has them."""
METRIC_ORDER_DUPLICATES_SUSPECTED: Final = "trading.order.duplicates_suspected"
"""Orders that may double another one."""
METRIC_ORDER_FILLS: Final = "trading.order.fills"
"""Fills."""
METRIC_ORDER_LATE_FILLS: Final = "trading.order.late_fills"
"""Fills that came after the order's end."""
METRIC_ORDER_UNMATCHED_EVENTS: Final = "trading.order.unmatched_events"
"""Reports of orders that nobody here placed."""
METRIC_ORDER_EVICTIONS: Final = "trading.order.evictions"
"""Open orders that were forgotten because too many were kept."""

METRIC_FEED_MESSAGES: Final = "trading.feed.messages"
"""Messages received."""
METRIC_FEED_BYTES: Final = "trading.feed.bytes"
"""Bytes of the messages received."""
METRIC_FEED_CONFLATED: Final = "trading.feed.conflated"
"""Messages that nobody had awaited when the next one came."""
METRIC_FEED_DROPPED: Final = "trading.feed.dropped"
"""Messages that a full queue lost."""
METRIC_FEED_SEQUENCE_GAPS: Final = "trading.feed.sequence_gaps"
"""Jumps in the sequence numbers."""
METRIC_FEED_CHECKSUM_ERRORS: Final = "trading.feed.checksum_errors"
"""Order books that did not have the checksum the venue told."""
METRIC_FEED_HANDLER_ERRORS: Final = "trading.feed.handler_errors"
"""Exceptions that came out of a message handler."""

METRIC_STREAM_RECONNECTS: Final = "trading.stream.reconnects"
"""Connections that were made anew."""

METRIC_RATE_LIMIT_HITS: Final = "trading.rate_limit.hits"
"""Requests that the venue refused for being too many."""

METRIC_CLOCK_NEGATIVE_LAG: Final = "trading.clock.negative_lag"
"""Messages that came before their venue's time."""

METRIC_UNPARSED: Final = "tickspan.trading.unparsed"
"""Values of reports that could not be read and were left out."""

# Gauges.
METRIC_ORDER_OPEN: Final = "trading.order.open"
"""Orders that are not over."""
METRIC_ORDER_OPEN_UNKNOWN: Final = "trading.order.open_unknown"
"""Orders of which nobody knows whether the venue has them."""
METRIC_ORDER_OLDEST_UNACKED_AGE: Final = "trading.order.oldest_unacked_age"
"""The age of the oldest order that has no answer yet."""

METRIC_FEED_STALENESS: Final = "trading.feed.staleness"
"""The time since the last message."""
METRIC_FEED_BACKLOG: Final = "trading.feed.backlog"
"""Messages that wait for their consumer."""

METRIC_STREAM_CONNECTED: Final = "trading.stream.connected"
"""Streams that are open."""

METRIC_RATE_LIMIT_USED: Final = "trading.rate_limit.used"
"""How much of the limit is used."""
METRIC_RATE_LIMIT_LIMIT: Final = "trading.rate_limit.limit"
"""What may be used in one interval of the limit."""
METRIC_RATE_LIMIT_RESET_IN: Final = "trading.rate_limit.reset_in"
"""The time until the limit starts anew."""

METRIC_CLOCK_OFFSET: Final = "trading.clock.offset"
"""How far the venue's clock is ahead of ours."""

# Events. Those of orders are the audit stream.
EVENT_ORDER_NEW: Final = "trading.order.new"
"""A new order is about to be sent."""
EVENT_ORDER_ACK: Final = "trading.order.ack"
"""The venue has the order."""
EVENT_ORDER_PARTIAL_FILL: Final = "trading.order.partial_fill"
"""A part of the order is filled."""
EVENT_ORDER_FILL: Final = "trading.order.fill"
"""The order is filled."""
EVENT_ORDER_FEE: Final = "trading.order.fee"
"""What an execution has cost, where the venue tells that apart from it. Only with full quantities."""
EVENT_ORDER_CANCEL: Final = "trading.order.cancel"
"""The order is canceled."""
EVENT_ORDER_REPLACE: Final = "trading.order.replace"
"""The order is replaced."""
EVENT_ORDER_REJECT: Final = "trading.order.reject"
"""The order is refused."""
EVENT_ORDER_EXPIRE: Final = "trading.order.expire"
"""The order has expired."""
EVENT_ORDER_UNKNOWN: Final = "trading.order.unknown"
"""Nobody knows whether the venue has the order."""
EVENT_ORDER_UNSAFE_RETRY: Final = "trading.order.unsafe_retry"
"""A request was sent again that may have made an order already."""
EVENT_ORDER_DUPLICATE_SUSPECTED: Final = "trading.order.duplicate_suspected"
"""The order may double another one."""
EVENT_ORDER_THROTTLED: Final = "trading.order.throttled"
"""The order waited in the client for 250 ms or more."""

EVENT_FEED_STALE: Final = "trading.feed.stale"
"""No message came for longer than the feed's maximum age, or an order was decided on data that old."""
EVENT_FEED_RECOVERED: Final = "trading.feed.recovered"
"""Messages come again."""
EVENT_FEED_GAP: Final = "trading.feed.gap"
"""Sequence numbers jumped."""
EVENT_FEED_RESYNC: Final = "trading.feed.resync"
"""The feed starts anew from a snapshot."""
EVENT_FEED_HANDLER_ERROR: Final = "trading.feed.handler_error"
"""An exception came out of a message handler: its loop may be dead."""

EVENT_RATE_LIMIT_NEAR: Final = "trading.rate_limit.near"
"""Most of a rate limit is used."""
EVENT_RATE_LIMIT_EXHAUSTED: Final = "trading.rate_limit.exhausted"
"""The venue refused a request for a rate limit."""
EVENT_RATE_LIMIT_BANNED: Final = "trading.rate_limit.banned"
"""The venue refuses every request for a while."""

EVENT_CLOCK_SKEW: Final = "trading.clock.skew"
"""Our clock and the venue's differ more than orders tolerate."""

EVENT_KILL_SWITCH: Final = "trading.kill_switch"
"""The program has stopped trading."""

# What is declared, and what of it may go where.
ATTRIBUTES: Final = frozenset(
    {
        VENUE_NAME,
        VENUE_MIC,
        VENUE_ENVIRONMENT,
        VENUE_TIME_UNIX_NANO,
        CLIENT_LIBRARY,
        STRATEGY_ID,
        ACCOUNT_HASH,
        INSTRUMENT_SYMBOL,
        INSTRUMENT_VENUE_SYMBOL,
        INSTRUMENT_CLASS,
        ORDER_CLIENT_ID,
        ORDER_ORIGINAL_CLIENT_ID,
        ORDER_ROOT_CLIENT_ID,
        ORDER_VENUE_ID,
        ORDER_PARENT_ID,
        ORDER_LIST_ID,
        ORDER_OPERATION,
        ORDER_SIDE,
        ORDER_TYPE,
        ORDER_TYPE_RAW,
        ORDER_TIME_IN_FORCE,
        ORDER_STATUS,
        ORDER_STATUS_RAW,
        ORDER_QUANTITY,
        ORDER_PRICE,
        ORDER_STOP_PRICE,
        ORDER_FILLED_QUANTITY,
        ORDER_LEAVES_QUANTITY,
        ORDER_AVERAGE_PRICE,
        ORDER_FILLED_RATIO,
        ORDER_REJECT_CODE,
        ORDER_REJECT_REASON,
        ORDER_REJECT_ORIGIN,
        ORDER_REJECT_MESSAGE,
        ORDER_ATTEMPT,
        ORDER_RETRY_SAFE,
        ORDER_LATE,
        ORDER_MATCHED,
        ORDER_EMULATED,
        ORDER_BATCH_SIZE,
        ORDER_REVISION,
        ORDER_COMPLETE,
        ORDER_EXECUTIONS,
        ORDER_EVENT_SOURCE,
        ORDER_DUPLICATE_CLIENT_ID,
        ORDER_DUPLICATE_VENUE_ID,
        EXECUTION_ID,
        EXECUTION_TYPE,
        EXECUTION_QUANTITY,
        EXECUTION_PRICE,
        EXECUTION_LIQUIDITY,
        EXECUTION_FEE,
        TRIGGER,
        SEGMENT,
        EVENT_SEQUENCE,
        UNPARSED_KIND,
        FEED_CHANNEL,
        FEED_SEQUENCE,
        FEED_EXPECTED_SEQUENCE,
        FEED_MISSING_COUNT,
        FEED_CONFLATED_COUNT,
        FEED_AGE,
        FEED_MAX_AGE,
        FEED_STALE_REASON,
        STREAM_ATTEMPT,
        RISK_CHECK_NAME,
        RISK_CHECK_OUTCOME,
        KILL_SWITCH_REASON,
        SLIPPAGE_BENCHMARK,
        SLIPPAGE_DIRECTION,
        RATE_LIMIT_NAME,
        RATE_LIMIT_SCOPE,
        RATE_LIMIT_SPENT,
        RATE_LIMIT_BUDGET,
        RATE_LIMIT_WAIT,
        RATE_LIMIT_ESTIMATED,
        CLOCK_SOURCE,
        CLOCK_DIFFERENCE,
        CLOCK_TOLERANCE,
        LATENCY_FEED_QUEUE,
        LATENCY_TICK_TO_DECISION,
        LATENCY_DECISION_TO_WIRE,
        LATENCY_WIRE_TO_ACK,
        LATENCY_ACK_TO_FIRST_FILL,
        LATENCY_ORDER_DURATION,
        LATENCY_TICK_TO_TRADE,
        LATENCY_TICK_TO_FILL,
        LATENCY_CANCEL_TO_ACK,
        LATENCY_THROTTLE_WAIT,
        LATENCY_QUEUE_WAIT,
        LATENCY_SIGNING,
        BACKTEST_MESSAGES,
        BACKTEST_ORDERS,
        BACKTEST_FILLS,
        BACKTEST_REJECTS,
        BACKTEST_START_UNIX_NANO,
        BACKTEST_END_UNIX_NANO,
        BACKTEST_COMPLETE,
    }
)
METRIC_ATTRIBUTES: Final = frozenset(
    {
        VENUE_NAME,
        VENUE_ENVIRONMENT,
        CLIENT_LIBRARY,
        STRATEGY_ID,
        INSTRUMENT_CLASS,
        ORDER_OPERATION,
        ORDER_SIDE,
        ORDER_TYPE,
        ORDER_TIME_IN_FORCE,
        ORDER_STATUS,
        ORDER_REJECT_CODE,
        ORDER_REJECT_REASON,
        ORDER_REJECT_ORIGIN,
        ORDER_RETRY_SAFE,
        ORDER_EVENT_SOURCE,
        EXECUTION_TYPE,
        EXECUTION_LIQUIDITY,
        TRIGGER,
        SEGMENT,
        UNPARSED_KIND,
        FEED_CHANNEL,
        RISK_CHECK_NAME,
        RISK_CHECK_OUTCOME,
        SLIPPAGE_BENCHMARK,
        SLIPPAGE_DIRECTION,
        RATE_LIMIT_NAME,
        RATE_LIMIT_SCOPE,
        CLOCK_SOURCE,
    }
)
"""Few values each: measurements carry them."""
OPT_IN_METRIC_ATTRIBUTES: Final = frozenset(
    {
        INSTRUMENT_SYMBOL,
    }
)
"""Measurements carry them if asked to."""
QUANTITY_ATTRIBUTES: Final = frozenset(
    {
        ORDER_QUANTITY,
        ORDER_PRICE,
        ORDER_STOP_PRICE,
        ORDER_FILLED_QUANTITY,
        ORDER_LEAVES_QUANTITY,
        ORDER_AVERAGE_PRICE,
        EXECUTION_QUANTITY,
        EXECUTION_PRICE,
        EXECUTION_FEE,
    }
)
"""They tell sizes or prices."""
IDENTITY_ATTRIBUTES: Final = frozenset(
    {
        ACCOUNT_HASH,
        ORDER_CLIENT_ID,
        ORDER_ORIGINAL_CLIENT_ID,
        ORDER_ROOT_CLIENT_ID,
        ORDER_VENUE_ID,
        ORDER_PARENT_ID,
        ORDER_LIST_ID,
        ORDER_DUPLICATE_CLIENT_ID,
        ORDER_DUPLICATE_VENUE_ID,
        EXECUTION_ID,
    }
)
"""They tell one order, fill or account."""
SPANS: Final = frozenset(
    {
        "trading.feed.message",
        "trading.strategy.decision",
        "trading.risk.check",
        "trading.order.submit",
        "trading.order.cancel",
        "trading.order.replace",
        "trading.order.query",
        "trading.order.event",
        "trading.order.lifecycle",
        "trading.stream.connect",
        "trading.reconcile",
        "trading.backtest.run",
    }
)
"""First words of names; then may come a venue, a status or the program's own name."""
HISTOGRAMS: Final = frozenset(
    {
        METRIC_FEED_LAG,
        METRIC_FEED_QUEUE,
        METRIC_TICK_TO_DECISION,
        METRIC_DECISION_TO_WIRE,
        METRIC_WIRE_TO_ACK,
        METRIC_ACK_TO_FIRST_FILL,
        METRIC_ORDER_DURATION,
        METRIC_TICK_TO_TRADE,
        METRIC_TICK_TO_FILL,
        METRIC_CANCEL_TO_ACK,
        METRIC_ORDER_SEGMENT_DURATION,
        METRIC_FILL_DELIVERY_LAG,
        METRIC_RISK_CHECK_DURATION,
        METRIC_SLIPPAGE,
    }
)
COUNTERS: Final = frozenset(
    {
        METRIC_ORDER_OPERATIONS,
        METRIC_ORDER_REJECTS,
        METRIC_ORDER_RETRIES,
        METRIC_ORDER_UNKNOWN_STATE,
        METRIC_ORDER_DUPLICATES_SUSPECTED,
        METRIC_ORDER_FILLS,
        METRIC_ORDER_LATE_FILLS,
        METRIC_ORDER_UNMATCHED_EVENTS,
        METRIC_ORDER_EVICTIONS,
        METRIC_FEED_MESSAGES,
        METRIC_FEED_BYTES,
        METRIC_FEED_CONFLATED,
        METRIC_FEED_DROPPED,
        METRIC_FEED_SEQUENCE_GAPS,
        METRIC_FEED_CHECKSUM_ERRORS,
        METRIC_FEED_HANDLER_ERRORS,
        METRIC_STREAM_RECONNECTS,
        METRIC_RATE_LIMIT_HITS,
        METRIC_CLOCK_NEGATIVE_LAG,
        METRIC_UNPARSED,
    }
)
GAUGES: Final = frozenset(
    {
        METRIC_ORDER_OPEN,
        METRIC_ORDER_OPEN_UNKNOWN,
        METRIC_ORDER_OLDEST_UNACKED_AGE,
        METRIC_FEED_STALENESS,
        METRIC_FEED_BACKLOG,
        METRIC_STREAM_CONNECTED,
        METRIC_RATE_LIMIT_USED,
        METRIC_RATE_LIMIT_LIMIT,
        METRIC_RATE_LIMIT_RESET_IN,
        METRIC_CLOCK_OFFSET,
    }
)
EVENTS: Final = frozenset(
    {
        EVENT_ORDER_NEW,
        EVENT_ORDER_ACK,
        EVENT_ORDER_PARTIAL_FILL,
        EVENT_ORDER_FILL,
        EVENT_ORDER_FEE,
        EVENT_ORDER_CANCEL,
        EVENT_ORDER_REPLACE,
        EVENT_ORDER_REJECT,
        EVENT_ORDER_EXPIRE,
        EVENT_ORDER_UNKNOWN,
        EVENT_ORDER_UNSAFE_RETRY,
        EVENT_ORDER_DUPLICATE_SUSPECTED,
        EVENT_ORDER_THROTTLED,
        EVENT_FEED_STALE,
        EVENT_FEED_RECOVERED,
        EVENT_FEED_GAP,
        EVENT_FEED_RESYNC,
        EVENT_FEED_HANDLER_ERROR,
        EVENT_RATE_LIMIT_NEAR,
        EVENT_RATE_LIMIT_EXHAUSTED,
        EVENT_RATE_LIMIT_BANNED,
        EVENT_CLOCK_SKEW,
        EVENT_KILL_SWITCH,
    }
)
METRICS: Final = HISTOGRAMS | COUNTERS | GAUGES
UNITS: Final[Mapping[str, str]] = {
    METRIC_FEED_LAG: "s",
    METRIC_FEED_QUEUE: "s",
    METRIC_TICK_TO_DECISION: "s",
    METRIC_DECISION_TO_WIRE: "s",
    METRIC_WIRE_TO_ACK: "s",
    METRIC_ACK_TO_FIRST_FILL: "s",
    METRIC_ORDER_DURATION: "s",
    METRIC_TICK_TO_TRADE: "s",
    METRIC_TICK_TO_FILL: "s",
    METRIC_CANCEL_TO_ACK: "s",
    METRIC_ORDER_SEGMENT_DURATION: "s",
    METRIC_FILL_DELIVERY_LAG: "s",
    METRIC_RISK_CHECK_DURATION: "s",
    METRIC_SLIPPAGE: "{basis_point}",
    METRIC_ORDER_OPERATIONS: "{operation}",
    METRIC_ORDER_REJECTS: "{reject}",
    METRIC_ORDER_RETRIES: "{retry}",
    METRIC_ORDER_UNKNOWN_STATE: "{order}",
    METRIC_ORDER_DUPLICATES_SUSPECTED: "{order}",
    METRIC_ORDER_FILLS: "{fill}",
    METRIC_ORDER_LATE_FILLS: "{fill}",
    METRIC_ORDER_UNMATCHED_EVENTS: "{event}",
    METRIC_ORDER_EVICTIONS: "{order}",
    METRIC_FEED_MESSAGES: "{message}",
    METRIC_FEED_BYTES: "By",
    METRIC_FEED_CONFLATED: "{message}",
    METRIC_FEED_DROPPED: "{message}",
    METRIC_FEED_SEQUENCE_GAPS: "{gap}",
    METRIC_FEED_CHECKSUM_ERRORS: "{error}",
    METRIC_FEED_HANDLER_ERRORS: "{error}",
    METRIC_STREAM_RECONNECTS: "{reconnect}",
    METRIC_RATE_LIMIT_HITS: "{refusal}",
    METRIC_CLOCK_NEGATIVE_LAG: "{message}",
    METRIC_UNPARSED: "{value}",
    METRIC_ORDER_OPEN: "{order}",
    METRIC_ORDER_OPEN_UNKNOWN: "{order}",
    METRIC_ORDER_OLDEST_UNACKED_AGE: "s",
    METRIC_FEED_STALENESS: "s",
    METRIC_FEED_BACKLOG: "{message}",
    METRIC_STREAM_CONNECTED: "{stream}",
    METRIC_RATE_LIMIT_USED: "{unit}",
    METRIC_RATE_LIMIT_LIMIT: "{unit}",
    METRIC_RATE_LIMIT_RESET_IN: "s",
    METRIC_CLOCK_OFFSET: "s",
}
"""The unit of each metric, in UCUM."""
