"""Which way each signal goes, as the standard variables say: into the spool, to other exporters, nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tickspan_spool.entries import Signal
from tickspan_spool.sender import Destination, destinations_from_environment
from tickspan_spool.spool import SpoolPlan

from tickspan.alerts.wiring import configuration_folders, rule_file
from tickspan.config import FILE_VARIABLE, ProfileExport, ProfilerMode, QueryMode, Reading, Settings
from tickspan.distro.defaults import EXPORTERS
from tickspan.logs.configuration import asked_directory

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
_THROUGH_THE_SPOOL: Final = frozenset({"otlp", "otlp_proto_http", "otlp_proto_grpc", "tickspan_spool"})
_NONE: Final = "none"
ORDERS_TAP: Final = "orders"
"""The agent's tap that keeps orders, in the group `tickspan_tap`."""
QUERIES_TAP: Final = "queries"
"""The one that looks at queries."""
HOST_TAP: Final = "host"
"""The one that measures the host."""

MEMORY_TAP: Final = "memory"
"""The one that judges how processes grow."""
ALERTS_TAP: Final = "alerts"
"""The one that evaluates alert rules and has people told."""
LOGS_TAP: Final = "logs"
"""The one that writes log files."""
PROFILES_TAP: Final = "profiles"
"""The one that makes profiles of samples."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the records of one signal go."""

    is_recorded: bool
    """Into the spool: to be sent over OTLP or, without an endpoint, kept as a flight recorder keeps them."""
    is_sent: bool
    """Over OTLP."""
    others: list[str]
    """Exporters that are not OTLP's, by their names."""


def route_of(signal: Signal, environ: Mapping[str, str]) -> Route:
    """The route that `OTEL_<SIGNAL>_EXPORTER` asks for; unset means the spool alone."""
    names = [name.strip() for name in environ.get(EXPORTERS[signal], "").split(",") if name.strip()]
    others = [name for name in names if name not in _THROUGH_THE_SPOOL and name != _NONE]
    is_sent = any(name in _THROUGH_THE_SPOOL for name in names)
    return Route(is_recorded=is_sent or not names, is_sent=is_sent, others=others)


def destinations(environ: Mapping[str, str]) -> tuple[Destination, ...]:
    """Where the spool's records are sent; none for a signal that no variable names."""
    found = destinations_from_environment(environ)
    return tuple(item for item in found if route_of(item.signal, environ).is_sent)


def profile_destinations(settings: Settings, environ: Mapping[str, str]) -> tuple[Destination, ...]:
    """Where profiles are sent, if they are: `OTEL_EXPORTER_OTLP_[PROFILES_]ENDPOINT`."""
    if settings.profiler.export is not ProfileExport.OTLP:
        return ()
    found = Destination.from_environment("profiles", environ)
    return () if found is None else (found,)


def keeps_profiles(plan: SpoolPlan) -> bool:
    """Whether somebody makes profiles of samples in the spool: an agent does, a thread does not."""
    return PROFILES_TAP in plan.taps and plan.agent in {"auto", "external"}


def spool_plan(reading: Reading, environ: Mapping[str, str], service_name: str) -> SpoolPlan:
    """What the spool of this process is to do."""
    settings = reading.settings
    standard = SpoolPlan.from_environment(environ)
    given, found = settings.spool, destinations(environ)
    wanted = {
        ORDERS_TAP: settings.trading.store != "off",
        QUERIES_TAP: settings.queries.mode is QueryMode.AGENT,
        HOST_TAP: settings.metrics.host and any(one.signal == "metrics" for one in found),
    }
    # Without a destination no agent runs, and none is started for a tap alone; but people are to be told.
    taps = [name for name, is_wanted in wanted.items() if is_wanted and found]
    folders = configuration_folders(reading.origins, environ, FILE_VARIABLE)
    if settings.alerts.enabled and rule_file(settings.alerts, folders) is not None:
        taps.append(ALERTS_TAP)
    wants_files = bool(settings.logs.directory or asked_directory())
    writes_files = route_of("logs", environ).is_recorded and wants_files
    if writes_files:
        taps.append(LOGS_TAP)
    profiles = profile_destinations(settings, environ)
    if settings.profiler.mode is not ProfilerMode.OFF or profiles:
        taps.append(PROFILES_TAP)
    if settings.memory.leaks and route_of("metrics", environ).is_recorded and (found or taps):
        taps.append(MEMORY_TAP)
    viewed = {
        QUERIES_TAP: wanted[QUERIES_TAP],
        HOST_TAP: settings.metrics.host and route_of("metrics", environ).is_recorded,
        MEMORY_TAP: settings.memory.leaks and route_of("metrics", environ).is_recorded,
    }
    return SpoolPlan(
        directory=Path(given.dir).expanduser() if given.dir else standard.directory,
        max_bytes=given.max_bytes,
        segment_bytes=given.segment_bytes,
        ring_records=given.ring_records,
        fsync=given.fsync.value,
        agent=settings.agent.value,
        destinations=(*found, *profiles),
        service_name=service_name,
        taps=tuple(taps),
        thread_taps=(LOGS_TAP,) if writes_files else (),
        viewed_taps=tuple(name for name, is_wanted in viewed.items() if is_wanted and name not in taps),
    )
