"""Providers put together from the standard variables or a declarative file, and taken down in order."""

from __future__ import annotations

import atexit
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk import _configuration as sdk_configuration
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION,
    OTEL_METRIC_EXPORT_INTERVAL,
)
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from tickspan_spool.spool import Spool
from tickspan_spool.twins import implementation

from tickspan.config import PropagateSettings, Reading
from tickspan.distro.order_store import look_orders_up
from tickspan.distro.routes import SIGNALS, route_of, spool_plan
from tickspan.instrumentation import propagation
from tickspan.providers import LoggerProvider, MeterProvider, TracerProvider, logs_to, metrics_to, spans_to
from tickspan.providers.sampling import keeping_orders
from tickspan.recording import Guard, diagnostics
from tickspan.semconv.common import (
    HOST_NAME,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    TELEMETRY_AUTO_VERSION,
    TELEMETRY_DISTRO_NAME,
    TELEMETRY_DISTRO_VERSION,
    TICKSPAN_IMPLEMENTATION,
)
from tickspan.version import __version__

EXIT_BUDGET_S: Final = 2.0
DECLARATIVE_VARIABLE: Final = "OTEL_CONFIG_FILE"
ID_GENERATOR_VARIABLE: Final = "OTEL_PYTHON_ID_GENERATOR"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The three providers of a process."""

    tracer_provider: sdk_trace.TracerProvider
    meter_provider: SdkMeterProvider
    logger_provider: SdkLoggerProvider
    spool: Spool | None = None

    def install(self) -> None:
        """Make the providers OpenTelemetry's global ones; what another SDK has set before us stays."""
        if trace.get_tracer_provider() is not self.tracer_provider:
            trace.set_tracer_provider(self.tracer_provider)
        if metrics.get_meter_provider() is not self.meter_provider:
            metrics.set_meter_provider(self.meter_provider)
        if _logs.get_logger_provider() is not self.logger_provider:
            _logs.set_logger_provider(self.logger_provider)
        business: Any = sys.modules.get("tickspan.providers.business")
        if business is not None:
            business.BUSINESS.flush()

    def close(self) -> None:
        """At exit: end open orders, let processors finish, collect metrics a last time, hand over.

        What later exit handlers and daemon threads record still counts.
        """
        deadline_s = time.monotonic() + EXIT_BUDGET_S
        guard = Guard("exit", "providers")
        trading: Any = sys.modules.get("tickspan.trading")
        if trading is not None:
            guard.closing(trading.shutdown, default=None)
        alerts: Any = sys.modules.get("tickspan.alerts.process")
        if alerts is not None:
            guard.closing(alerts.close, default=None)
        logs: Any = sys.modules.get("tickspan.logs.capture")
        if logs is not None:
            guard.closing(lambda: logs.CAPTURE.look(is_last=True), default=None)
        for provider in (self.tracer_provider, self.logger_provider, self.meter_provider):
            guard.closing(getattr(provider, "close", provider.shutdown), default=None)
        if self.spool is not None:
            guard.closing(self.spool.close, max(0.0, deadline_s - time.monotonic()), default=None)

    def force_flush(self, timeout_s: float) -> bool:
        """Wait until everything that has ended is delivered; False when time ran out."""
        deadline_s = time.monotonic() + timeout_s
        is_done = True
        for provider in (self.meter_provider, self.tracer_provider, self.logger_provider):
            left_ms = max(0, int((deadline_s - time.monotonic()) * 1e3))
            is_done &= bool(provider.force_flush(left_ms))
        return is_done


def compose(reading: Reading, environ: Mapping[str, str], auto_version: str | None = None) -> Pipeline:
    """Build the providers; they hand over at exit what is still to be sent.

    Raises:
        RuntimeError: a variable names an exporter or a protocol that is not installed.
        Exception: the declarative file cannot be read; upstream's own errors say why.
    """
    if environ.get(DECLARATIVE_VARIABLE):
        pipeline = _from_declarative(environ[DECLARATIVE_VARIABLE], reading, environ, auto_version)
    else:
        pipeline = _from_environment(reading, environ, auto_version)
    atexit.register(pipeline.close)
    return pipeline


def propagation_rules(given: PropagateSettings) -> propagation.PropagationRules:
    """Who may get trace context. An entry that is no host is told, and then nobody of that list gets any."""
    try:
        return propagation.PropagationRules.of(given.hosts, given.baggage_hosts, given.baggage_keys)
    except ValueError as error:
        diagnostics.warning("propagate: %s", error)
        return propagation.PropagationRules.of((), (), ())


def bare_pipeline() -> Pipeline:
    """Providers that export nothing."""
    meter_provider = MeterProvider(shutdown_on_exit=False)
    return Pipeline(
        TracerProvider(shutdown_on_exit=False, meter_provider=meter_provider),
        meter_provider,
        LoggerProvider(shutdown_on_exit=False, meter_provider=meter_provider),
    )


def _resource(reading: Reading, environ: Mapping[str, str], auto_version: str | None) -> Resource:
    attributes: dict[str, Any] = {
        TELEMETRY_DISTRO_NAME: "tickspan",
        TELEMETRY_DISTRO_VERSION: __version__,
        TICKSPAN_IMPLEMENTATION: implementation(),
    }
    if auto_version:
        attributes[TELEMETRY_AUTO_VERSION] = auto_version
    name = reading.settings.service_name
    if name and (reading.origins["service_name"].layer == "code" or not _names_service(environ)):
        attributes[SERVICE_NAME] = name
    resource = Resource.create(attributes)
    unless_given = {SERVICE_INSTANCE_ID: str(uuid.uuid4()), HOST_NAME: socket.gethostname()}
    return Resource(unless_given).merge(resource)


def _names_service(environ: Mapping[str, str]) -> bool:
    given = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return bool(environ.get("OTEL_SERVICE_NAME")) or f"{SERVICE_NAME}=" in given


def _named_id_generator(environ: Mapping[str, str]) -> IdGenerator | None:
    """The generator that the user names; None is ours. Nothing is set for it: children may run without us."""
    name = environ.get(ID_GENERATOR_VARIABLE)
    return sdk_configuration._import_id_generator(name) if name else None  # noqa: SLF001 - the hook of distributions


def _views(environ: Mapping[str, str]) -> tuple[View, ...]:
    """Times of orders lie between microseconds and hours: exponential, unless the standard variable speaks.

    An instrument can advise bounds of explicit buckets, and nothing else.
    """
    if environ.get(OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION):
        return ()
    exponential = ExponentialBucketHistogramAggregation()
    return (View(instrument_type=Histogram, instrument_name="trading.*", aggregation=exponential),)


def _sampler(named: Sampler | None) -> Sampler | None:
    """The sampler that the user names, for all but orders; None is the SDK's default."""
    return None if named is None else keeping_orders(named)


def _from_environment(reading: Reading, environ: Mapping[str, str], auto_version: str | None) -> Pipeline:
    """Our providers over the spool; exporters that are not OTLP's see the records beside it."""
    sdk = sdk_configuration
    is_silent = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    resource = _resource(reading, environ, auto_version)
    plan = spool_plan(reading, environ, str(resource.attributes.get(SERVICE_NAME, "")))
    routes = {signal: route_of(signal, environ) for signal in SIGNALS}
    spool = None
    if not is_silent and any(route.is_recorded for route in routes.values()):
        spool = Spool(plan)
        spool.prepare()
        look_orders_up(reading.settings.trading.store, plan.directory)
    # A compiled class among its parts has no types that a checker knows.
    sinks: dict[str, Any] = {signal: spool if route.is_recorded else None for signal, route in routes.items()}
    span_exporters, metric_exporters, log_exporters = sdk._import_exporters(  # noqa: SLF001 - the hook of distributions
        routes["traces"].others,
        routes["metrics"].others,
        routes["logs"].others,
    )
    meter_provider = MeterProvider(
        [metrics_to(make()) for make in metric_exporters.values()],
        resource,
        shutdown_on_exit=False,
        views=_views(environ),
        sink=sinks["metrics"],
        _meter_configurator=sdk._import_meter_configurator(sdk._get_meter_configurator()),  # noqa: SLF001
    )
    if not environ.get(OTEL_METRIC_EXPORT_INTERVAL):
        meter_provider.interval_s = reading.settings.metrics.interval_s
    tracer_provider = TracerProvider(
        _sampler(sdk._import_sampler(sdk._get_sampler())),  # noqa: SLF001
        resource,
        shutdown_on_exit=False,
        id_generator=_named_id_generator(environ),
        meter_provider=meter_provider,
        sink=sinks["traces"],
        tells_source=reading.settings.stack_source,
        _tracer_configurator=sdk._import_tracer_configurator(sdk._get_tracer_configurator()),  # noqa: SLF001
    )
    logger_provider = LoggerProvider(
        resource,
        shutdown_on_exit=False,
        meter_provider=meter_provider,
        sink=sinks["logs"],
        _logger_configurator=sdk._import_logger_configurator(sdk._get_logger_configurator()),  # noqa: SLF001
    )
    for make in span_exporters.values():
        tracer_provider.add_span_processor(spans_to(make(), meter_provider))
    for make in log_exporters.values():
        logger_provider.add_log_record_processor(logs_to(make(), meter_provider))
    return Pipeline(tracer_provider, meter_provider, logger_provider, spool)


def _from_declarative(
    path: str, reading: Reading, environ: Mapping[str, str], auto_version: str | None
) -> Pipeline:
    """Upstream's factories per signal; of their tracer provider, ours takes over processors and rules.

    `disabled: true` gives providers that record nothing.
    """
    try:
        from opentelemetry.configuration import (  # the extra `declarative` brings it
            load_config_file,
        )
        from opentelemetry.configuration._logger_provider import create_logger_provider
        from opentelemetry.configuration._meter_provider import create_meter_provider
        from opentelemetry.configuration._propagator import configure_propagator
        from opentelemetry.configuration._resource import create_resource
        from opentelemetry.configuration._tracer_provider import create_tracer_provider
        from opentelemetry.configuration.models import ExemplarFilter
    except ImportError as error:
        raise RuntimeError(
            f"{DECLARATIVE_VARIABLE} is set: it needs 'pip install tickspan[declarative]'"
        ) from error
    document = load_config_file(path)
    if document.disabled:
        diagnostics.debug("%s says disabled: true; nothing is recorded", path)
        return _silent(bare_pipeline())
    resource = _with_declared(_resource(reading, environ, auto_version), create_resource(document.resource))
    limits = document.attribute_limits
    if document.meter_provider is not None and document.meter_provider.exemplar_filter is None:
        document.meter_provider.exemplar_filter = ExemplarFilter.always_off  # as in `missing_defaults`
    meter_provider = create_meter_provider(document.meter_provider, resource)
    theirs = create_tracer_provider(document.tracer_provider, resource, limits)
    pipeline = Pipeline(
        _adopted(theirs, meter_provider),
        meter_provider,
        create_logger_provider(document.logger_provider, resource, limits),
    )
    configure_propagator(document.propagator)
    return pipeline


def _with_declared(ours: Resource, declared: Resource) -> Resource:
    """Both resources; the file is stronger, except that it makes up a service name when it has none."""
    merged = ours.merge(declared)
    if str(declared.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return merged.merge(Resource({SERVICE_NAME: ours.attributes[SERVICE_NAME]}))
    return merged


def _silent(pipeline: Pipeline) -> Pipeline:
    """The providers as `OTEL_SDK_DISABLED=true` would have made them."""
    for provider in (pipeline.tracer_provider, pipeline.meter_provider, pipeline.logger_provider):
        provider._disabled = True  # noqa: SLF001 - the SDK reads it from the environment only
    return pipeline


def _adopted(theirs: sdk_trace.TracerProvider, meter_provider: SdkMeterProvider) -> TracerProvider:
    """Our provider with the processors, sampler, limits and rules of the SDK's."""
    atexit.unregister(theirs.shutdown)  # ours shuts the processors down, once
    named_ids = type(theirs.id_generator) is not RandomIdGenerator
    return TracerProvider(
        keeping_orders(theirs.sampler),
        theirs.resource,
        shutdown_on_exit=False,
        active_span_processor=theirs._active_span_processor,  # noqa: SLF001 - what upstream's own configurator does
        id_generator=theirs.id_generator if named_ids else None,
        span_limits=theirs._span_limits,  # noqa: SLF001
        meter_provider=meter_provider,
        _tracer_configurator=theirs._tracer_configurator,  # noqa: SLF001
    )
