"""The tally of a trace: who counts where, and on which span it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tickspan.processors import cache
from tickspan.providers import TracerProvider
from tickspan.semconv.cache import CACHE_HITS, CACHE_MISSES, CACHE_STALE
from tickspan.testing import Capture, capture


def _told(hits: int) -> dict[str, int]:
    return {CACHE_HITS: hits, CACHE_MISSES: 0, CACHE_STALE: 0}


def _hit() -> None:
    tally = cache.current.get()
    assert tally is not None
    tally.hits += 1


@pytest.fixture
def captured() -> Generator[Capture]:
    with capture() as made:
        stop = cache.install(made.tracer_provider)
        token = cache.current.set(None)
        yield made
        cache.current.reset(token)
        stop()


def _attributes(captured: Capture) -> dict[str, dict[str, object]]:
    return {span.name: dict(span.attributes) for span in captured.spans()}


def test_a_root_within_a_root_counts_for_itself_and_the_outer_one_goes_on(captured: Capture) -> None:
    tracer = captured.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("strategy"):
        _hit()
        with tracer.start_as_current_span("order", context=trace.set_span_in_context(trace.INVALID_SPAN)):
            _hit()
            _hit()
        _hit()
    assert _attributes(captured) == {"strategy": _told(2), "order": _told(2)}
    assert cache.current.get() is None


def test_a_span_with_a_remote_parent_is_a_local_root(captured: Capture) -> None:
    remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    tracer = captured.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("serve", context=set_span_in_context(NonRecordingSpan(remote))):
        _hit()
    assert _attributes(captured) == {"serve": _told(1)}


def test_tasks_count_for_the_root_that_they_were_begun_in(captured: Capture) -> None:
    tracer = captured.tracer_provider.get_tracer("test")

    async def hit() -> None:
        _hit()

    async def strategy() -> None:
        with tracer.start_as_current_span("strategy"):
            await asyncio.gather(hit(), hit(), hit())

    asyncio.run(strategy())
    assert _attributes(captured) == {"strategy": _told(3)}


def test_a_span_that_ends_in_another_context_tells_its_tally_too(captured: Capture) -> None:
    tracer = captured.tracer_provider.get_tracer("test")

    async def begin() -> trace.Span:
        span = tracer.start_span("transaction")
        _hit()
        return span

    async def run() -> None:
        span = await asyncio.create_task(begin())
        span.end()

    asyncio.run(run())
    assert _attributes(captured) == {"transaction": _told(1)}


def test_spans_that_nobody_ends_do_not_pile_up(captured: Capture) -> None:
    tracer = captured.tracer_provider.get_tracer("test")
    for _ in range(100):
        tracer.start_span("forgotten")
    tally = cache.current.get()
    assert tally is not None
    assert tally.depth <= 16
    assert repr(tally) == "<CacheTally 0 hits, 0 misses, 0 stale>"


def test_a_provider_without_a_sink_tells_it_too() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    stop = cache.install(provider)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("decide"):
        _hit()
        with tracer.start_as_current_span("ask"):
            _hit()
    stop()
    with tracer.start_as_current_span("later"):
        assert cache.current.get() is None
    finished = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    assert finished == {"ask": {}, "decide": _told(2), "later": {}}


def test_nothing_happens_with_a_provider_of_others() -> None:
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    stop = cache.install(provider)
    with provider.get_tracer("test").start_as_current_span("decide"):
        assert cache.current.get() is None
    stop()


def test_processors_of_the_user_see_roots_as_before(captured: Capture) -> None:
    exporter = InMemorySpanExporter()
    captured.tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
    with captured.tracer_provider.get_tracer("test").start_as_current_span("decide"):
        _hit()
    assert [dict(span.attributes or {}) for span in exporter.get_finished_spans()] == [_told(1)]
