"""OpenTelemetry's two hooks for a distribution: defaults and choice of instrumentors, and the providers."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, ClassVar, Final

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.sdk._configuration import _BaseConfigurator

from tickspan.alerts import wiring
from tickspan.config import (
    FILE_VARIABLE,
    PRESETS,
    AgentMode,
    LazySettings,
    MetricSettings,
    PlanMode,
    ProfilerMode,
    QueryMode,
    Reading,
    Settings,
    TraceDetail,
    read_settings,
    setting_keys,
)
from tickspan.distro.choice import disabled_names, reason_to_skip
from tickspan.distro.defaults import missing_defaults
from tickspan.distro.log_capture import capture_logs
from tickspan.distro.pipeline import Pipeline, bare_pipeline, compose, propagation_rules
from tickspan.distro.routes import keeps_profiles
from tickspan.distro.summary import keep_history
from tickspan.instrumentation import failure_of, propagation, redact, when_imported
from tickspan.memory import planning, watching, window
from tickspan.processors import cache as cache_tallies
from tickspan.processors import memory, orders
from tickspan.processors.queries import processor as queries
from tickspan.providers.process import measure_process
from tickspan.recording import diagnostics
from tickspan.semconv.common import SERVICE_NAME

INSTRUMENTORS: Final = "opentelemetry_instrumentor"
PROVIDER_VARIABLES: Final = (
    "OTEL_PYTHON_TRACER_PROVIDER",
    "OTEL_PYTHON_METER_PROVIDER",
    "OTEL_PYTHON_LOGGER_PROVIDER",
)


class TickspanDistro(BaseDistro):
    """Sets defaults, reads settings, and decides which instrumentors run."""

    reading: ClassVar[Reading | None] = None
    is_launched: ClassVar[bool] = False
    """Whether a launcher has started telemetry: providers are global, instrumentors on or about to be."""

    def _configure(self, **kwargs: Any) -> None:
        """Prepare the process."""
        del kwargs
        for name, value in missing_defaults(os.environ).items():
            os.environ[name] = value
        logging.getLogger(_LAUNCHERS_LOGGER).addFilter(_tells_what_matters)
        logging.getLogger(_SPOOLS_LOGGER).parent = diagnostics  # a loss is told as ours, on stderr
        self.settings_read()

    @classmethod
    def settings_read(cls) -> Reading:
        """The settings of the process, read at the first call unless given before."""
        return cls.reading or cls.use(read_settings(environ=os.environ))

    @classmethod
    def use(cls, reading: Reading) -> Reading:
        """Make `reading` the settings of the process; what could not be understood is told and left out."""
        cls.reading = reading
        for problem in reading.problems:
            diagnostics.warning("%s", problem)
        if reading.settings.debug:
            diagnostics.setLevel("DEBUG")
        for line in debug_lines(reading.settings):
            diagnostics.debug("%s", line)
        return reading

    def load_instrumentors(self) -> None:
        """Switch on every installed instrumentor whose library is there, as upstream's launcher does.

        Upstream's own loop tells a version conflict on stderr even for what is not going to run.
        """
        for group in ("opentelemetry_pre_instrument", INSTRUMENTORS, "opentelemetry_post_instrument"):
            for entry_point in entry_points(group=group):
                if group == INSTRUMENTORS:
                    self.load_instrumentor(entry_point)
                else:
                    self._run_hook(entry_point)

    @staticmethod
    def _run_hook(entry_point: EntryPoint) -> None:
        try:
            entry_point.load()()
        except Exception as error:  # noqa: BLE001 - a foreign hook is no reason to go without the rest
            told = failure_of(error).error_type
            diagnostics.warning("%s '%s' failed with %s", entry_point.group, entry_point.name, told)

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Switch one instrumentor on, unless it is on or the other one for its library runs.

        A broken instrumentor is told in one line and skipped; upstream would abort all that follow.
        """
        settings = self.settings_read().settings
        reason = reason_to_skip(
            entry_point.name, instrumentor_names(), settings.prefer_upstream, disabled_names(os.environ)
        )
        if reason is not None:
            diagnostics.debug("instrumentor '%s' is off: %s", entry_point.name, reason)
            return
        if entry_point.name.startswith("tickspan_"):
            kwargs["settings"] = member_settings(settings)
        try:
            instrumentor = entry_point.load()()
            if instrumentor.is_instrumented_by_opentelemetry:
                return
            instrumentor.instrument(raise_exception_on_conflict=True, **kwargs)
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


_SPOOLS_LOGGER: Final = "tickspan_spool"
_LAUNCHERS_LOGGER: Final = "opentelemetry.instrumentation.auto_instrumentation._load"


def _tells_what_matters(record: logging.LogRecord) -> bool:
    """False for what upstream's loop tells of an instrumentor that is not going to run."""
    name = record.getMessage().partition(" ")[0]
    settings, names = TickspanDistro.settings_read().settings, instrumentor_names()
    return name not in names or reason_to_skip(name, names, settings.prefer_upstream) is None


class TickspanConfigurator(_BaseConfigurator):
    """Builds the providers and makes them global."""

    def _configure(self, **kwargs: Any) -> None:
        TickspanDistro.is_launched = True
        process_pipeline(kwargs.get("auto_instrumentation_version")).install()


_lock: Final = threading.RLock()
_pipeline: Pipeline | None = None


def process_pipeline(auto_version: str | None = None) -> Pipeline:
    """The providers of this process, built at the first call. Raises what `compose` raises."""
    global _pipeline
    with _lock:
        if _pipeline is None:
            distro = TickspanDistro()
            distro.configure()
            with _no_named_providers():
                _pipeline = compose(distro.settings_read(), os.environ, auto_version)
            propagation.install(propagation_rules(distro.settings_read().settings.propagate))
            orders.install()
            queries.install(_pipeline.tracer_provider)
            _tally_caches(_pipeline)
            _set_caches_up(distro.settings_read().settings)
            _set_pools_up(distro.settings_read().settings)
            _set_scans_up(distro.settings_read().settings.lazy)
            _tell_presets(distro.settings_read())
            _trace_ticks(_pipeline, distro.settings_read().settings)
            _measure(_pipeline, distro.settings_read().settings.metrics)
            _watch_plans(_pipeline, distro.settings_read().settings)
            _watch_queries(_pipeline, distro.settings_read().settings)
            _watch_memory(_pipeline, distro.settings_read().settings)
            _evaluate_alerts(_pipeline, distro.settings_read())
            _profile(_pipeline, distro.settings_read().settings)
            capture_logs(_pipeline, distro.settings_read().settings, os.environ)
        return _pipeline


def _trace_ticks(pipeline: Pipeline, settings: Settings) -> None:
    """In full detail each tick is a span."""
    if settings.tracing.detail is TraceDetail.FULL:
        from tickspan.trading.detail import trace_every_tick  # the model of orders: only on request

        trace_every_tick(pipeline.tracer_provider.get_tracer("tickspan.trading"))


def _measure(pipeline: Pipeline, settings: MetricSettings) -> None:
    """What nobody has to ask for, and the recent past of what is measured."""
    if settings.process:
        measure_process(pipeline.meter_provider)
    keep_history(pipeline.meter_provider, settings.history, settings.interval_s)


def _tally_caches(pipeline: Pipeline) -> None:
    """Once the program makes a cache, tell of it on each local root span."""

    def install(_measuring: ModuleType) -> None:
        cache_tallies.install(pipeline.tracer_provider)

    when_imported("tickspan.cache.measuring", install)


def _set_caches_up(settings: Settings) -> None:
    """What `tickspan.get_cache()` is made of, once somebody asks for it."""

    def use(shared: Any) -> None:
        shared.use_settings(settings)

    when_imported("tickspan.cache.shared", use)
    if settings.cache.orders:
        try:
            from tickspan.cache.shared import get_cache  # only where states of orders are to be kept

            get_cache()
        except (ImportError, ValueError) as error:
            diagnostics.warning("cache.orders: states of orders are not kept: %s", error)


def _set_pools_up(settings: Settings) -> None:
    """What holds for pools whose maker says nothing, once there are any."""

    def use(defaults: Any) -> None:
        defaults.use_settings(settings.pools)

    when_imported("tickspan.pools.defaults", use)


def _set_scans_up(settings: LazySettings) -> None:
    """In what portions rows are read, once somebody reads some."""

    def use(rules: Any) -> None:
        try:
            rules.configure(
                rules.LazyRules(settings.chunk, settings.prefetch, settings.prefetch_bytes, settings.fetch_s)
            )
        except ValueError as error:
            diagnostics.warning("lazy: %s", error)

    if settings != LazySettings():
        when_imported("tickspan.lazy.rules", use)


def _tell_presets(reading: Reading) -> None:
    """What a preset changes, if the program applies one later."""

    def use(standing: Any) -> None:
        standing.use_reading(reading)

    when_imported("tickspan.presets.standing", use)


def debug_lines(settings: Settings) -> list[str]:
    """What the preset `debug` shows, a line for each of its settings that holds; none without it."""
    if "debug" not in settings.preset:
        return []
    now = {key.name: key.value_in(settings) for key in setting_keys()}
    rows = [row for row in PRESETS["debug"] if now[row.key] == row.value]
    return [*(f"{row.key} = {row.value}: {row.why}" for row in rows), _MORE_DETAIL]


_MORE_DETAIL: Final = (
    "still off, since it slows a program down: allocations by line (tickspan.memory.detailed(), or"
    " tickspan profile record --heap)"
)


def _watch_queries(pipeline: Pipeline, settings: Settings) -> None:
    if settings.queries.mode is QueryMode.THREAD:
        from tickspan.processors.queries.watcher import Watcher  # all rules: only where they run here

        service = str(pipeline.tracer_provider.resource.attributes.get(SERVICE_NAME, ""))
        watcher = Watcher(pipeline.logger_provider, pipeline.meter_provider, settings.queries, service)
        pipeline.tracer_provider.add_span_processor(watcher)


def _watch_memory(pipeline: Pipeline, settings: Settings) -> None:
    """What held spans up, and what the memory of the process does."""
    memory.watch(pipeline.tracer_provider, pipeline.meter_provider, pipeline.logger_provider, settings.memory)
    spool = None if pipeline.spool is None else pipeline.spool.plan.directory
    watching.start(pipeline.meter_provider, pipeline.logger_provider, settings.memory, spool)
    planning.begin(settings.memory)


def _profile(pipeline: Pipeline, settings: Settings) -> None:
    """Sample the process if that is set, and let it be asked for a profile."""
    if settings.profiler.mode is ProfilerMode.OFF and not (settings.profiler.control and pipeline.spool):
        return
    from tickspan.profiler import wiring  # light: the sampler is loaded where it runs

    directory = None if pipeline.spool is None else pipeline.spool.plan.directory
    if pipeline.spool is not None and keeps_profiles(pipeline.spool.plan):
        wiring.record(settings.profiler, pipeline.tracer_provider, pipeline.spool)
    wiring.connect(
        settings.profiler, pipeline.tracer_provider, pipeline.logger_provider, directory, window.taken
    )


def _evaluate_alerts(pipeline: Pipeline, reading: Reading) -> None:
    """Evaluate rules in this process, where there is a rule file or the program has added one."""
    settings = reading.settings.alerts
    folders = wiring.configuration_folders(reading.origins, os.environ, FILE_VARIABLE)
    path = wiring.rule_file(settings, folders)
    wiring.connect(
        wiring.Wiring(
            pipeline.tracer_provider,
            pipeline.meter_provider,
            pipeline.logger_provider,
            settings,
            path,
            tells_people=reading.settings.agent is AgentMode.THREAD,
        )
    )
    if settings.enabled and path is not None and pipeline.spool is not None:
        from tickspan.alerts.handover import hand_over  # only where there are rules

        with suppress(OSError):  # what the agent does not know, this process still evaluates
            hand_over(pipeline.spool.plan.directory, path, settings)
    if settings.enabled and (path is not None or "tickspan.alerts.handles" in sys.modules):
        from tickspan.alerts import handles  # the evaluator: nobody without rules is to wait for it at start

        handles.watch_file(path)


def _watch_plans(pipeline: Pipeline, settings: Settings) -> None:
    if settings.queries.plans is PlanMode.AUTO_EXPLAIN:
        from tickspan.processors.queries import auto_explain  # reads plans: only where somebody wants them

        auto_explain.install(pipeline.logger_provider, settings.queries.slow_s)


@contextmanager
def _no_named_providers() -> Generator[None]:
    """Let OpenTelemetry answer with its proxies meanwhile.

    What asks for the global meter provider while ours is being built would otherwise ask us for it again.
    """
    named = {name: os.environ.pop(name) for name in PROVIDER_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(named)


_OF_REDIS_MEMBER: Final = ("metrics", "message_spans", "channels", "streams")
"""The others are the cache's, a password among them."""


def member_settings(settings: Settings) -> dict[str, Any]:
    """What an instrumentor gets as values: settings of trading, and below their section those of others."""
    database = dataclasses.asdict(settings.database)
    if settings.tracing.detail is TraceDetail.FULL:
        database["slow_s"] = 0.0
    return {
        **dataclasses.asdict(settings.trading),
        "database": database,
        "redis": {name: getattr(settings.redis, name) for name in _OF_REDIS_MEMBER},
    }


@cache
def instrumentor_names() -> frozenset[str]:
    """All entry points in OpenTelemetry's group for instrumentors."""
    return frozenset(entry_point.name for entry_point in entry_points(group=INSTRUMENTORS))


def wired_tracer_provider() -> Any:
    """For `OTEL_PYTHON_TRACER_PROVIDER=tickspan`: a provider that exports, without any launcher."""
    return _wired().tracer_provider


def wired_meter_provider() -> Any:
    """For `OTEL_PYTHON_METER_PROVIDER=tickspan`."""
    return _wired().meter_provider


def wired_logger_provider() -> Any:
    """For `OTEL_PYTHON_LOGGER_PROVIDER=tickspan`."""
    return _wired().logger_provider


def _wired() -> Pipeline:
    """As `process_pipeline`, for the program's own first use of the API, which must not fail."""
    global _pipeline
    with _lock:
        try:
            return process_pipeline()
        except Exception as error:  # noqa: BLE001 - told in one line; the program goes on without telemetry
            diagnostics.error("nothing is exported: %s: %s", type(error).__name__, redact.text(str(error)))
            with _no_named_providers():
                _pipeline = bare_pipeline()
            return _pipeline
