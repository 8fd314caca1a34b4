"""Log records' names: where in the code a record comes from, and what became of its message.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/code/.
"""

from typing import Final

CODE_FILE_PATH: Final = "code.file.path"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_LINE_NUMBER: Final = "code.line.number"

TICKSPAN_LOG_FORMAT_ERROR: Final = "tickspan.log.format_error"
"""The class of the error that formatting the message raised; the body is then the raw template."""

TICKSPAN_LOG_CATEGORY: Final = "tickspan.log.category"
"""What a record is about: trading, risk, market_data, audit, … or a word of the application's own."""
TICKSPAN_LOG_TEMPLATE: Final = "tickspan.log.template"
"""The text of a message before its arguments were put in."""

EVENT_LOG_SUPPRESSED: Final = "tickspan.log.suppressed"
"""A call site wrote too often; also the counter of such records by category."""
TICKSPAN_LOG_SUPPRESSED_COUNT: Final = "tickspan.log.suppressed.count"
TICKSPAN_LOG_SUPPRESSED_FIRST: Final = "tickspan.log.suppressed.first"
TICKSPAN_LOG_SUPPRESSED_LAST: Final = "tickspan.log.suppressed.last"
LOG_RECORDS: Final = "tickspan.log.records"
LOG_DROPPED: Final = "tickspan.log.dropped"
SDK_LOG_CREATED: Final = "otel.sdk.log.created"
LOG_RECORD_UID: Final = "log.record.uid"
"""The same in a collector and in a line of a log file: the process's folder, and its number there."""

TICKSPAN_AUDIT_SEQUENCE: Final = "tickspan.audit.sequence"
"""Of an audit record: 1, 2, 3, … without a gap in each process."""
EVENT_AUDIT_CHAIN: Final = "tickspan.audit.chain"
"""The head of the chain of audit records, told so that a collector is its witness."""
TICKSPAN_AUDIT_CHAIN_LINK: Final = "tickspan.audit.chain.link"
"""How many records the chain has."""
TICKSPAN_AUDIT_CHAIN_HEAD: Final = "tickspan.audit.chain.head"
"""Hash of the last record, which depends on all before it."""
