"""Names that every namespace shares: where a call went, and how it failed."""

from typing import Final

ERROR_TYPE: Final = "error.type"
EXCEPTION_ESCAPED: Final = "exception.escaped"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
EXCEPTION_TYPE: Final = "exception.type"

NETWORK_PEER_ADDRESS: Final = "network.peer.address"
NETWORK_PEER_PORT: Final = "network.peer.port"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

HOST_NAME: Final = "host.name"
PROCESS_PID: Final = "process.pid"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
TELEMETRY_AUTO_VERSION: Final = "telemetry.auto.version"
TELEMETRY_DISTRO_NAME: Final = "telemetry.distro.name"
TELEMETRY_DISTRO_VERSION: Final = "telemetry.distro.version"
TICKSPAN_IMPLEMENTATION: Final = "tickspan.implementation"
"""Of the hot modules: compiled, pure, or mixed."""

EXCEPTION_EVENT: Final = "exception"
