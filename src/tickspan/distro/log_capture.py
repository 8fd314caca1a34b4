"""What the application logs is recorded, from the moment at which there are providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation
from tickspan_spool.spool import Spool

from tickspan.config import AgentMode, Settings
from tickspan.distro.pipeline import Pipeline
from tickspan.distro.routes import LOGS_TAP, route_of
from tickspan.logs.configuration import Surroundings, set_up
from tickspan.logs.fullness import Fullness
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import SERVICE_NAME
from tickspan.semconv.logs import SDK_LOG_CREATED

__all__ = ["capture_logs"]

_SDK_COUNTS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
"""Where it is true the SDK's loggers count themselves, one by one."""


def capture_logs(pipeline: Pipeline, settings: Settings, environ: Mapping[str, str]) -> None:
    """Capture, unless `OTEL_LOGS_EXPORTER=none` or `logs.capture` says that nobody wants it."""
    route = route_of("logs", environ)
    if not (route.is_recorded or route.others):
        return
    spool = pipeline.spool if route.is_recorded else None
    if spool is not None and environ.get(_SDK_COUNTS, "").strip().lower() != "true":
        _count_created(pipeline, spool)
    service = str(pipeline.logger_provider.resource.attributes.get(SERVICE_NAME, ""))
    set_up(
        settings.logs,
        Surroundings(
            pipeline.logger_provider,
            pipeline.meter_provider,
            service,
            None if spool is None else spool.plan.directory,
            None if spool is None else lambda: spool.path if spool.statistics().mode == "disk" else None,
            None if spool is None else Fullness(spool),
            has_agent=spool is not None
            and LOGS_TAP in spool.plan.taps
            and settings.agent is not AgentMode.OFF,
        ),
    )


def _count_created(pipeline: Pipeline, spool: Spool) -> None:
    """The spool numbers each record, also those that there was no room for: nothing is counted twice."""
    metric = METRICS[SDK_LOG_CREATED]

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(spool.statistics().ended["logs"])]

    meter = pipeline.meter_provider.get_meter("tickspan.logs")
    meter.create_observable_counter(SDK_LOG_CREATED, [observe], unit=metric.unit, description=metric.brief)
