"""The names that the agent's own telemetry uses, the same as in the core's vocabulary."""

from __future__ import annotations

from typing import Final

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
PROCESS_PID: Final = "process.pid"
PROCESS_CREATION_TIME: Final = "process.creation.time"

COMPONENT_NAME: Final = "otel.component.name"
COMPONENT_TYPE: Final = "otel.component.type"
ERROR_TYPE: Final = "error.type"
EXPORTED: Final = {
    "traces": "otel.sdk.exporter.span.exported",
    "metrics": "otel.sdk.exporter.metric_data_point.exported",
    "logs": "otel.sdk.exporter.log.exported",
}
UNITS: Final = {"traces": "{span}", "metrics": "{data_point}", "logs": "{log_record}"}

SIGNAL: Final = "tickspan.signal"
OUTCOME: Final = "tickspan.outcome"
DROP_REASON: Final = "tickspan.drop.reason"
SERVICE: Final = "tickspan.service"
DESTINATION: Final = "tickspan.destination"
ABANDONED: Final = "tickspan.abandoned"
LOST: Final = "tickspan.lost"

LEDGER_RECORDS: Final = "tickspan.ledger.records"
SPOOL_SIZE: Final = "tickspan.spool.size"
SPOOL_OLDEST_AGE: Final = "tickspan.spool.oldest_age"
BREAKER_STATE: Final = "tickspan.sender.breaker.state"

PROCESS_DIED: Final = "tickspan.process_died"
LOSS: Final = "tickspan.loss"

AGENT_SERVICE: Final = "tickspan-agent"
SCOPE: Final = "tickspan.agent"
