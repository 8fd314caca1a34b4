"""The contenders: who records what, in which environment, under which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

EMPTY: Final = "empty loop"
STOCK: Final = "stock-http"
OURS: Final = "tickspan"
PURE: Final = "tickspan-pure"


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the tables."""

    name: str
    recorders: Mapping[str, str]
    """The recorder of each signal that it takes part in: "spans", "metrics", "logs"."""
    needs: tuple[str, ...] = ()
    """Distributions of the peers' environment; none: it runs in the project's own."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    is_ours: bool = False
    is_here_too: bool = False
    """Whether the project's own environment has what it needs, if the peers' lacks it."""
    sends: bool = True
    """Whether what it records leaves the process, so that a sink can compare it."""


_ALL: Final = ("spans", "metrics", "logs")
_SDK: Final = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_DATADOG_BESIDE: Final = {
    "DD_SERVICE": "bench",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
}
"""What ddtrace does beside tracing is off: it would cost it time that nobody asks for here."""

CONTENDERS: Final = (
    Contender(EMPTY, dict.fromkeys(_ALL, "nothing"), sends=False),
    Contender(STOCK, dict.fromkeys(_ALL, "stock-http"), _SDK, is_here_too=True),
    Contender("stock-grpc", {"spans": "stock-grpc"}, ("opentelemetry-exporter-otlp-proto-grpc",)),
    Contender("fastotel", {"spans": "fastotel"}, ("fastotel",)),
    Contender("ddtrace", {"spans": "ddtrace"}, ("ddtrace", "msgpack"), _DATADOG_BESIDE),
    Contender("prometheus-client", {"metrics": "prometheus"}, ("prometheus-client",), sends=False),
    Contender("structlog", {"logs": "structlog"}, ("structlog",), sends=False),
    Contender(OURS, dict.fromkeys(_ALL, "tickspan"), is_ours=True),
    Contender(PURE, dict.fromkeys(_ALL, "tickspan"), settings={"TICKSPAN_PURE": "1"}, is_ours=True),
)


def of_signal(signal: str) -> list[Contender]:
    """Those that record a signal, in the order of the tables."""
    return [contender for contender in CONTENDERS if signal in contender.recorders]


def endpoints(contender: Contender, http: str, grpc: str) -> dict[str, str]:
    """The variables that tell a contender where to send."""
    if contender.name == "ddtrace":
        return {"DD_TRACE_AGENT_URL": http}
    if contender.name == "stock-grpc":
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{grpc}"}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": http}
