"""Spans whose beginning is written down: what is left of them when the process dies, and when it does not."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from tickspan_spool.entries import StreamKey

from tickspan.providers import TracerProvider
from tickspan.testing import CountedIds


@dataclass(slots=True)
class Notebook:
    """A sink that writes down the order of what it is told."""

    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def stream(self, key: StreamKey) -> Notebook:
        del key
        return self

    def append(self, record: bytes, items: int = 1) -> None:
        del items
        self.told.append(("ended", ScopeSpans.FromString(record).spans[0].name))

    def pending(self, span_id: bytes, record: bytes) -> None:
        span = ScopeSpans.FromString(record).spans[0]
        self.told.append(("pending", f"{span.name} {span_id == span.span_id} {span.end_time_unix_nano}"))

    def settled(self, span_id: bytes) -> None:
        self.told.append(("settled", span_id.hex()))

    def drop(self, signal: str, reason: str, items: int = 1) -> None:
        del signal, reason, items

    def force_flush(self, timeout_s: float) -> bool:
        del timeout_s
        return True


def test_a_pending_span_is_told_at_its_beginning_and_settled_behind_its_end() -> None:
    sink = Notebook()
    provider = TracerProvider(shutdown_on_exit=False, id_generator=CountedIds(), sink=sink)
    span = provider.get_tracer("test").start_span("order")
    span.pend()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - ours
    span.end()
    assert sink.told == [
        ("pending", "order True 0"),
        ("ended", "order"),
        ("settled", "0000000000000001"),
    ]


def test_an_ordinary_span_is_told_once() -> None:
    sink = Notebook()
    provider = TracerProvider(shutdown_on_exit=False, id_generator=CountedIds(), sink=sink)
    provider.get_tracer("test").start_span("query").end()
    assert sink.told == [("ended", "query")]
