"""OpenTelemetry's two hooks for a distribution: defaults and choice of instrumentors, and the providers."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Final

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.sdk._configuration import _BaseConfigurator

from tickspan.config import Reading, Settings, read_settings
from tickspan.distro.choice import reason_to_skip
from tickspan.distro.defaults import missing_defaults
from tickspan.distro.pipeline import Pipeline, compose
from tickspan.instrumentation import failure_of
from tickspan.recording import diagnostics

INSTRUMENTORS: Final = "opentelemetry_instrumentor"
DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


class TickspanDistro(BaseDistro):
    """Sets defaults, reads settings, and decides which instrumentors run."""

    reading: ClassVar[Reading | None] = None

    def _configure(self, **kwargs: Any) -> None:
        """Prepare the process; a setting that cannot be understood is told and left out."""
        del kwargs
        for name, value in missing_defaults(os.environ).items():
            os.environ[name] = value
        for problem in self.settings_read().problems:
            diagnostics.warning("%s", problem)

    @classmethod
    def settings_read(cls, code: Mapping[str, Any] | str | Path | None = None, **overrides: Any) -> Reading:
        """The settings of the process; read at the first call, and anew when any are given."""
        if cls.reading is not None and code is None and not overrides:
            return cls.reading
        cls.reading = read_settings(code, environ=os.environ, overrides=overrides)
        if cls.reading.settings.debug:
            diagnostics.setLevel("DEBUG")
        return cls.reading

    def load_instrumentors(self) -> None:
        """Switch on every installed instrumentor whose library is there, as upstream's launcher does.

        Upstream's own loop tells a version conflict on stderr even for what is not going to run.
        """
        disabled = {name.strip() for name in os.environ.get(DISABLED, "").split(",")}
        for group in ("opentelemetry_pre_instrument", INSTRUMENTORS, "opentelemetry_post_instrument"):
            for entry_point in entry_points(group=group):
                if group != INSTRUMENTORS:
                    entry_point.load()()
                elif not disabled & {entry_point.name, "*"}:
                    self.load_instrumentor(entry_point)

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Switch one instrumentor on, unless the other one for its library runs.

        A broken instrumentor is told in one line and skipped; upstream would abort all that follow.
        """
        settings = self.settings_read().settings
        reason = reason_to_skip(entry_point.name, instrumentor_names(), settings.prefer_upstream)
        if reason is not None:
            diagnostics.debug("instrumentor '%s' is off: %s", entry_point.name, reason)
            return
        if entry_point.name.startswith("tickspan_"):
            kwargs["settings"] = member_settings(settings)
        try:
            entry_point.load()().instrument(raise_exception_on_conflict=True, **kwargs)
        except (DependencyConflictError, ModuleNotFoundError) as error:
            diagnostics.debug("instrumentor '%s' is off: %s", entry_point.name, error)
        except Exception as error:  # noqa: BLE001 - whatever a foreign instrumentor raises, the next one is to run
            diagnostics.warning(
                "instrumentor '%s' is off: %s while it was loaded",
                entry_point.name,
                failure_of(error).error_type,
            )
        else:
            diagnostics.debug("instrumentor '%s' is on", entry_point.name)


class TickspanConfigurator(_BaseConfigurator):
    """Builds the providers and makes them global."""

    def _configure(self, **kwargs: Any) -> None:
        process_pipeline(kwargs.get("auto_instrumentation_version")).install()


_lock: Final = threading.RLock()
_pipeline: Pipeline | None = None


def process_pipeline(auto_version: str | None = None) -> Pipeline:
    """The providers of this process, built at the first call."""
    global _pipeline
    with _lock:
        if _pipeline is None:
            distro = TickspanDistro()
            distro.configure()
            _pipeline = compose(distro.settings_read(), os.environ, auto_version)
        return _pipeline


def member_settings(settings: Settings) -> dict[str, Any]:
    """What an instrumentor gets: its settings as values."""
    return dataclasses.asdict(settings.trading)


@cache
def instrumentor_names() -> frozenset[str]:
    """All entry points in OpenTelemetry's group for instrumentors."""
    return frozenset(entry_point.name for entry_point in entry_points(group=INSTRUMENTORS))


def wired_tracer_provider() -> Any:
    """For `OTEL_PYTHON_TRACER_PROVIDER=tickspan`: a provider that exports, without any launcher."""
    return process_pipeline().tracer_provider


def wired_meter_provider() -> Any:
    """For `OTEL_PYTHON_METER_PROVIDER=tickspan`."""
    return process_pipeline().meter_provider


def wired_logger_provider() -> Any:
    """For `OTEL_PYTHON_LOGGER_PROVIDER=tickspan`."""
    return process_pipeline().logger_provider
