"""The profiler as settings want it, at the start of telemetry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tickspan.config import ProfileExport, ProfilerMode, ProfilerSettings
from tickspan.profiler.control import Answering, HeapTaker
from tickspan.providers.sink import key_of
from tickspan.recording.diagnostics import diagnostics
from tickspan.semconv.common import SERVICE_NAME, SERVICE_VERSION
from tickspan.version import __version__

__all__ = ["connect", "record"]

_SCOPE: Final = "tickspan.profiler"


def record(settings: ProfilerSettings, provider: Any, spool: Any) -> None:
    """Have the profiler write what it keeps into the spool, whenever it is started. Before `connect`."""
    from tickspan.profiler.profiler import get_profiler  # as below

    stream = spool.stream(key_of("samples", provider.resource, InstrumentationScope(_SCOPE, __version__)))
    get_profiler().record(stream.append, is_exported=settings.export is ProfileExport.OTLP)


def connect(
    settings: ProfilerSettings,
    provider: Any,
    loggers: Any,
    spool: Path | None,
    heap: HeapTaker | None = None,
) -> None:
    """Sample if a mode is set, and answer `tickspan profile record` where there is a spool.

    `heap` is asked where a request is for the heap.
    """
    if settings.control and spool is not None:
        attributes: Any = provider.resource.attributes
        service = (str(attributes.get(SERVICE_NAME, "")), str(attributes.get(SERVICE_VERSION, "")))
        Answering(spool, service, heap=heap).start()
    if settings.mode is ProfilerMode.OFF:
        return
    from tickspan.profiler.profiler import get_profiler  # the sampler: only where it runs

    profiler = get_profiler()
    try:
        profiler.start(
            "tail" if settings.mode is ProfilerMode.TAIL else "continuous",
            hz=settings.hz,
            cpu_budget=settings.cpu_budget,
            slow_s=settings.slow_s or None,
            provider=provider,
            loggers=loggers,
        )
    except ValueError as error:
        diagnostics.warning("profiler: not started: %s", error)
        return
    if settings.file:
        profiler.save_at_exit(Path(settings.file).expanduser())
