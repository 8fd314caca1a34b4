"""Database client names, as OpenTelemetry's database conventions spell them.

Stable names first, then development ones; https://opentelemetry.io/docs/specs/semconv/database/.
"""

from typing import Final

DB_COLLECTION_NAME: Final = "db.collection.name"
DB_NAMESPACE: Final = "db.namespace"
DB_OPERATION_BATCH_SIZE: Final = "db.operation.batch.size"
DB_OPERATION_NAME: Final = "db.operation.name"
DB_QUERY_SUMMARY: Final = "db.query.summary"
DB_QUERY_TEXT: Final = "db.query.text"
DB_RESPONSE_RETURNED_ROWS: Final = "db.response.returned_rows"
DB_RESPONSE_STATUS_CODE: Final = "db.response.status_code"
DB_STORED_PROCEDURE_NAME: Final = "db.stored_procedure.name"
DB_SYSTEM_NAME: Final = "db.system.name"

DB_CLIENT_OPERATION_DURATION: Final = "db.client.operation.duration"

TICKSPAN_DB_QUERY_FINGERPRINT: Final = "tickspan.db.query.fingerprint"
TICKSPAN_DB_ROWS_AFFECTED: Final = "tickspan.db.rows_affected"
TICKSPAN_DB_TRANSACTION_STATEMENTS: Final = "tickspan.db.transaction.statements"
TICKSPAN_DB_TRANSACTION_WRITES: Final = "tickspan.db.transaction.writes"
