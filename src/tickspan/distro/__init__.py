"""The distribution: OpenTelemetry's hooks, the choice of instrumentors, the providers wired once."""

from tickspan.distro.choice import disabled_names, reason_to_skip
from tickspan.distro.defaults import missing_defaults
from tickspan.distro.distro import (
    TickspanConfigurator,
    TickspanDistro,
    instrumentor_names,
    process_pipeline,
    wired_logger_provider,
    wired_meter_provider,
    wired_tracer_provider,
)
from tickspan.distro.initialise import init, start_quietly
from tickspan.distro.pipeline import Pipeline, compose
from tickspan.distro.routes import destinations, spool_plan

__all__ = [
    "Pipeline",
    "TickspanConfigurator",
    "TickspanDistro",
    "compose",
    "destinations",
    "disabled_names",
    "init",
    "instrumentor_names",
    "missing_defaults",
    "process_pipeline",
    "reason_to_skip",
    "spool_plan",
    "start_quietly",
    "wired_logger_provider",
    "wired_meter_provider",
    "wired_tracer_provider",
]
