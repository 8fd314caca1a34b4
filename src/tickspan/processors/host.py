"""The tap `host`: the agent's metrics of its host, `system.*`, once for all processes that it serves.

They go where the metrics of a process go that was heard of last, under a resource of the host's own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import ProcessEnd, TapBatch

from tickspan.config import read_settings
from tickspan.providers.host import Host, host_reader
from tickspan.providers.samples import Sample, Value
from tickspan.recording._impl import wire
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import HOST_NAME, SERVICE_INSTANCE_ID, SERVICE_NAME
from tickspan.version import __version__

__all__ = ["HostTap", "host_records"]

AGENT: Final = "tickspan-agent"
"""The service that tells of the host."""
_SCOPE: Final = "tickspan.host"
_MOST_PROCESSES: Final = 1_000
_INTERVAL_VARIABLE: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_MS_PER_S: Final = 1_000


class HostSampler(Protocol):
    """`providers.host.Host`."""

    booted_ns: int
    """When the host started, since 1970."""

    def sample(self) -> Sample:
        """Read now."""
        ...


class HostTap:
    """See the module. Called by the agent."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        host: HostSampler | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """The spool's folder is not looked at; settings are those of `environ`."""
        del home
        reader = host_reader()
        self._host: HostSampler | None = host or (None if reader is None else Host(reader))
        self._interval_s = _interval_s(environ)
        self._wall_ns = wall_ns
        self._due_s = 0.0
        self._audience: dict[str, None] = {}
        self._stream = StreamKey("metrics", _resource(), wire.encode_scope(_SCOPE, __version__, {}))

    def __repr__(self) -> str:
        return f"<HostTap every {self._interval_s:g} s, {len(self._audience)} processes>"

    def on_batch(self, batch: TapBatch) -> Iterable[Record] | None:
        """Remember who wants metrics."""
        self._audience.pop(batch.process, None)
        if len(self._audience) >= _MOST_PROCESSES:
            del self._audience[next(iter(self._audience))]
        self._audience[batch.process] = None

    def on_end(self, end: ProcessEnd) -> Iterable[Record] | None:
        """Forget a process that ended."""
        self._audience.pop(end.process, None)

    def tick(self, now_s: float) -> Iterable[Record] | None:
        """The host's metrics, when they are due and somebody is there."""
        if self._host is None or not self._audience or now_s < self._due_s:
            return None
        self._due_s = now_s + self._interval_s
        process = next(reversed(self._audience))
        return [
            Record(process, self._stream, body, points)
            for body, points in host_records(self._host.sample(), self._host.booted_ns, self._wall_ns())
        ]


def host_records(sample: Sample, booted_ns: int, time_ns: int) -> Iterator[tuple[bytes, int]]:
    """Each metric as OTLP, and how many points it has; sums are since the host started."""
    for name, values in sample.items():
        metric = METRICS[name]
        if metric.instrument == "gauge":
            points = [_point(value, 0) for value in values]
            body = wire.encode_gauge(name, metric.brief, metric.unit, time_ns, points)
        else:
            points = [_point(value, booted_ns) for value in values]
            is_monotonic = metric.instrument == "counter"
            body = wire.encode_sum(
                name, metric.brief, metric.unit, time_ns, points, wire.CUMULATIVE, is_monotonic
            )
        yield body, len(points)


def _point(value: Value, start_ns: int) -> tuple[bytes, int, float, None]:
    encoded = wire.encode_attributes(wire.NUMBER_ATTRIBUTES, dict(value.attributes))
    return (encoded, start_ns, value.value, None)


def _resource() -> bytes:
    name = socket.gethostname()
    return wire.encode_resource({SERVICE_NAME: AGENT, SERVICE_INSTANCE_ID: name, HOST_NAME: name})


def _interval_s(environ: Mapping[str, str]) -> float:
    """As processes collect."""
    try:
        given_s = float(environ.get(_INTERVAL_VARIABLE, "")) / _MS_PER_S
    except ValueError:
        given_s = 0.0
    if given_s > 0:
        return given_s
    return read_settings(None, environ=environ, overrides={}).settings.metrics.interval_s
