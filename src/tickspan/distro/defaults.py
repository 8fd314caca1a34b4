"""What the distribution sets where the user has set nothing: standard variables only, never an override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENDPOINTS: Final = {
    "traces": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    "metrics": ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    "logs": ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
}
EXPORTERS: Final = {
    "traces": "OTEL_TRACES_EXPORTER",
    "metrics": "OTEL_METRICS_EXPORTER",
    "logs": "OTEL_LOGS_EXPORTER",
}
_ALWAYS: Final = {
    # Stable names, also from upstream's instrumentors that run beside ours.
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    # Exemplar reservoirs draw from the global `random` module: a back-test would change.
    "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}


def missing_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set, with their values.

    A signal is exported over OTLP when an endpoint is configured for it. Without one nothing is sent
    anywhere: `OTEL_TRACES_EXPORTER=otlp` asks for the standard's own default endpoint.
    """
    exporters = {
        EXPORTERS[signal]: "otlp"
        for signal, endpoints in ENDPOINTS.items()
        if any(environ.get(variable) for variable in endpoints)
    }
    return {name: value for name, value in (_ALWAYS | exporters).items() if not environ.get(name)}
