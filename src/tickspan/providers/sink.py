"""Where finished records go: what providers need of a spool, and nothing else."""

from __future__ import annotations

from typing import Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from tickspan_spool.entries import Signal, StreamKey
from tickspan_spool.reasons import Reason

from tickspan.recording import clean_attributes, clean_key, wire


class Records(Protocol):
    """Takes the finished records of one scope."""

    def append(self, record: bytes, items: int = 1) -> None:
        """Keep a record, which holds `items` spans, log records or data points. Never raises or waits."""
        ...


class Sink(Protocol):
    """A spool, or what stands in for one."""

    def stream(self, key: StreamKey) -> Records:
        """Where the records of one resource and scope go; the same object for an equal key."""
        ...

    def drop(self, signal: Signal, reason: Reason, items: int = 1) -> None:
        """Count what was not recorded."""
        ...

    def force_flush(self, timeout_s: float) -> bool:
        """Wait until everything so far is delivered; False when time ran out."""
        ...


class Closed:
    """In place of `Records` after a provider's shutdown: counts what comes too late."""

    __slots__ = ("_signal", "_sink")

    def __init__(self, sink: Sink, signal: Signal) -> None:
        self._sink = sink
        self._signal: Signal = signal

    def append(self, record: bytes, items: int = 1) -> None:
        """Count it."""
        del record
        self._sink.drop(self._signal, Reason.AFTER_SHUTDOWN, items)

    def settled(self, span_id: bytes) -> None:
        """A span that was written down has ended too late to be told: what was written stays."""


def key_of(signal: Signal, resource: Resource, scope: InstrumentationScope) -> StreamKey:
    """What records of this resource and scope belong to."""
    return StreamKey(
        signal,
        wire.encode_resource(clean_attributes(resource.attributes)),
        wire.encode_scope(
            clean_key(scope.name) if scope.name else "",
            clean_key(scope.version) if scope.version else "",
            clean_attributes(scope.attributes or {}),
        ),
        resource.schema_url or "",
        scope.schema_url or "",
    )
