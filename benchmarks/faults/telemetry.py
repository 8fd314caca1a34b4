"""The contenders, as their users set them up; which of them can run here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Final

SERVICE: Final = "faults"


@dataclass(frozen=True, slots=True)
class Contender:
    """Who runs the workload.

    Attributes:
        name: as in the table.
        environment: what its user would set, besides the endpoint.
        requires: the module without which it cannot run.
        keeps: whether records may outlive the process, so that waiting for them makes sense.
    """

    name: str
    environment: tuple[tuple[str, str], ...] = ()
    requires: str = ""
    keeps: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is tickspan, which has promises to keep that others never made."""
        return self.name.startswith("tickspan")

    @property
    def missing(self) -> str:
        """Why it cannot run here; empty when it can."""
        if not self.requires or _is_importable(self.requires):
            return ""
        return f"{self.requires} is not installed"


_GRPC: Final = "opentelemetry.exporter.otlp.proto.grpc"
CONTENDERS: Final = {
    contender.name: contender
    for contender in (
        Contender("none"),
        Contender("stock"),
        Contender("stock-grpc", (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),), requires=_GRPC),
        Contender("tickspan", requires="tickspan_spool.spool", keeps=True),
        Contender("tickspan-pure", (("TICKSPAN_PURE", "1"),), requires="tickspan_spool.spool", keeps=True),
        Contender(
            "tickspan-thread", (("TICKSPAN_AGENT", "thread"),), requires="tickspan_spool.spool", keeps=True
        ),
        Contender(
            "tickspan-grpc",
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),),
            requires="grpc",
            keeps=True,
        ),
    )
}
DEFAULT: Final = ("stock", "stock-grpc", "tickspan", "tickspan-grpc")


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of a parent package
        return False


def set_up(contender: str) -> None:
    """Make the contender's providers global, in the process of the workload."""
    if contender == "none":
        return
    if contender.startswith("tickspan"):
        import tickspan

        tickspan.init(service_name=SERVICE)
        return
    _set_up_stock(*(_grpc_exporters() if contender == "stock-grpc" else _http_exporters()))


def _http_exporters() -> tuple[Any, Any, Any]:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter()


def _grpc_exporters() -> tuple[Any, Any, Any]:
    package = "opentelemetry.exporter.otlp.proto.grpc"
    spans = importlib.import_module(f"{package}.trace_exporter").OTLPSpanExporter
    metrics = importlib.import_module(f"{package}.metric_exporter").OTLPMetricExporter
    logs = importlib.import_module(f"{package}._log_exporter").OTLPLogExporter
    return spans(), metrics(), logs()


def _set_up_stock(spans: Any, points: Any, records: Any) -> None:
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": SERVICE})
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(BatchSpanProcessor(spans))
    logger_provider = LoggerProvider(resource=resource)
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(records))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(points)], resource))
    _logs.set_logger_provider(logger_provider)
