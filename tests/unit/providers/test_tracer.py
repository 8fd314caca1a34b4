"""Tracer provider: the SDK's, where `on_ending` may still change the span and no text keeps a secret."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from tickspan.providers import PrivateIdGenerator, Span, Tracer, TracerProvider
from tickspan.testing import CountedIds, FakeClock
from tickspan.testing.sink import MemorySink

MARKER = "M4rkerOfASecret"


class Keep(SimpleSpanProcessor):
    """Keeps ended spans; `ending` is called with each that is ending."""

    def __init__(self, ending: Callable[[sdk.Span], None] = lambda span: None) -> None:
        self.exporter = InMemorySpanExporter()
        self.ending = ending
        super().__init__(self.exporter)

    def _on_ending(self, span: sdk.Span) -> None:
        self.ending(span)


@pytest.fixture
def kept() -> Keep:
    return Keep()


@pytest.fixture(params=["recorded", "sdk"])
def sink(request: pytest.FixtureRequest) -> MemorySink | None:
    """With a sink spans are ours, without one the SDK's: processors see no difference."""
    return MemorySink() if request.param == "recorded" else None


@pytest.fixture
def provider(kept: Keep, sink: MemorySink | None) -> Generator[TracerProvider]:
    provider = TracerProvider(
        shutdown_on_exit=False, id_generator=CountedIds(), clock=FakeClock(100, 1), sink=sink
    )
    provider.add_span_processor(kept)
    yield provider
    provider.shutdown()


def only(kept: Keep) -> sdk.ReadableSpan:
    (span,) = kept.exporter.get_finished_spans()
    return span


# Spans


def test_a_hook_may_change_a_span_that_is_ending(provider: TracerProvider, kept: Keep) -> None:
    def enrich(span: sdk.Span) -> None:
        span.set_attribute("late", span.end_time)
        span.set_attributes({"b": 1})
        span.add_event("ending")
        span.update_name("renamed")
        span.set_status(StatusCode.ERROR)

    kept.ending = enrich
    provider.get_tracer("test").start_span("name").end(500)
    span = only(kept)
    assert (span.name, dict(span.attributes or {}), [event.name for event in span.events]) == (
        "renamed",
        {"late": 500, "b": 1},
        ["ending"],
    )
    assert (span.status.status_code, span.end_time) == (StatusCode.ERROR, 500)


def test_a_span_that_is_ending_cannot_be_ended_again(
    provider: TracerProvider, kept: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    kept.ending = lambda span: span.end(7)
    provider.get_tracer("test").start_span("name").end(500)
    assert only(kept).end_time == 500
    assert [record.message for record in caplog.records] == ["Calling end() on an ended span."]


@pytest.mark.parametrize("sink", [None])
def test_a_hook_that_raises_leaves_an_ended_span(provider: TracerProvider, kept: Keep) -> None:
    def fail(span: sdk.Span) -> None:
        raise LookupError

    kept.ending = fail
    span = provider.get_tracer("test").start_span("name")
    with pytest.raises(LookupError):
        span.end()
    assert not span.is_recording()


def test_an_ended_span_does_not_change(
    provider: TracerProvider, kept: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    span = provider.get_tracer("test").start_span("name")
    assert span.is_recording()
    span.end()
    span.set_attribute("late", 1)
    span.set_status(StatusCode.ERROR)
    span.add_event("late")
    span.update_name("late")
    ended = only(kept)
    assert (ended.name, dict(ended.attributes or {}), ended.events, ended.status.is_unset) == (
        "name",
        {},
        (),
        True,
    )
    assert not span.is_recording()
    assert len(caplog.records) == 4


def test_times_come_from_the_providers_clock_unless_given(provider: TracerProvider, kept: Keep) -> None:
    tracer = provider.get_tracer("test")
    tracer.start_span("clock").end()
    tracer.start_span("given", start_time=5).end(9)
    assert [(s.start_time, s.end_time) for s in kept.exporter.get_finished_spans()] == [(100, 101), (5, 9)]


def test_a_span_that_is_ended_by_many_threads_ends_once(provider: TracerProvider, kept: Keep) -> None:
    span = provider.get_tracer("test").start_span("name")
    threads = [threading.Thread(target=span.end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert only(kept).name == "name"


# Texts


@pytest.mark.parametrize("sink", [None])
def test_a_recorded_exception_is_scrubbed(provider: TracerProvider, kept: Keep) -> None:
    span = provider.get_tracer("test").start_span("name")
    span.record_exception(ValueError(f"GET https://host/x?signature={MARKER} apiKey={MARKER}"), {"a": 1}, 7)
    span.end()
    (event,) = only(kept).events
    assert (event.name, event.timestamp, dict(event.attributes or {})) == (
        "exception",
        7,
        {
            "exception.type": "ValueError",
            "exception.message": "GET https://host/x apiKey=[redacted]",
            "exception.stacktrace": "ValueError: GET https://host/x apiKey=[redacted]\n",
            "exception.escaped": "False",
            "a": 1,
        },
    )


def test_an_exception_that_leaves_a_span_is_scrubbed_and_the_very_object(
    provider: TracerProvider, kept: Keep
) -> None:
    error = LookupError(f"https://user:{MARKER}@host/x is gone")
    with pytest.raises(LookupError) as raised, provider.get_tracer("test").start_as_current_span("name"):
        raise error
    span = only(kept)
    assert raised.value is error
    assert (span.status.status_code, span.status.description) == (
        StatusCode.ERROR,
        "LookupError: https://host/x is gone",
    )
    assert MARKER not in span.to_json()


@pytest.mark.parametrize(
    "set_status",
    [
        lambda span: span.set_status(Status(StatusCode.ERROR, f"secret={MARKER}")),
        lambda span: span.set_status(StatusCode.ERROR, f"secret={MARKER}"),
    ],
)
def test_a_status_text_is_scrubbed(provider: TracerProvider, kept: Keep, set_status: Any) -> None:
    span = provider.get_tracer("test").start_span("name")
    set_status(span)
    span.end()
    assert only(kept).status.description == "secret=[redacted]"


@pytest.mark.parametrize("sink", [None])
def test_an_exception_that_cannot_be_printed_is_recorded(provider: TracerProvider, kept: Keep) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    span = provider.get_tracer("test").start_span("name")
    span.record_exception(MuteError())
    span.end()
    attributes = dict(only(kept).events[0].attributes or {})
    assert attributes["exception.message"] == ""
    assert "MuteError: <exception str() failed>" in str(attributes["exception.stacktrace"])


@pytest.mark.parametrize("sink", [None])
def test_of_a_long_traceback_the_end_is_kept(provider: TracerProvider, kept: Keep) -> None:
    namespace: dict[str, Any] = {}
    source = (
        "\n".join(f"def f{n}():\n    f{n + 1}()" for n in range(200))
        + "\ndef f200():\n    raise KeyError('here')"
    )
    exec(compile(source, "generated.py", "exec"), namespace)
    span = provider.get_tracer("test").start_span("name")
    with pytest.raises(KeyError) as raised:
        namespace["f0"]()
    span.record_exception(raised.value)
    span.end()
    stack = str(dict(only(kept).events[0].attributes or {})["exception.stacktrace"])
    assert stack.endswith("KeyError: 'here'\n")
    assert stack.startswith('  File "generated.py", line ')
    assert len(stack) <= 4096


# Tracers


def test_a_scope_has_one_tracer(provider: TracerProvider) -> None:
    tracer = provider.get_tracer("a", "1", "url", {"k": "v"})
    assert type(tracer) is Tracer
    assert provider.get_tracer("a", "1", "url", {"k": "v"}) is tracer
    assert provider.get_tracer("a", "2", "url", {"k": "v"}) is not tracer


def test_many_threads_get_the_same_tracer(provider: TracerProvider) -> None:
    barrier = threading.Barrier(8)
    tracers: list[trace.Tracer] = []

    def get() -> None:
        barrier.wait()
        tracers.append(provider.get_tracer("a"))

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(tracer) for tracer in tracers] == [Tracer] * 8
    assert len({id(tracer) for tracer in tracers}) == 1


@pytest.mark.parametrize("sink", [None])
def test_spans_are_the_sdks_to_anyone_who_asks(provider: TracerProvider) -> None:
    span = provider.get_tracer("test").start_span("name")
    assert type(span) is Span
    assert isinstance(span, sdk.ReadableSpan)
    assert isinstance(span, sdk.Span)
    assert isinstance(provider, sdk.TracerProvider)


def test_a_changed_resource_and_configurator_reach_the_tracers_that_are_there(
    provider: TracerProvider, kept: Keep
) -> None:
    tracer = provider.get_tracer("test")
    provider._update_resource(Resource({"service.instance.id": "child"}))
    tracer.start_span("on").end()
    provider._set_tracer_configurator(tracer_configurator=sdk._disable_tracer_configurator)
    tracer.start_span("off").end()
    assert only(kept).resource.attributes["service.instance.id"] == "child"


def test_a_disabled_sdk_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = TracerProvider(shutdown_on_exit=False)
    assert not provider.get_tracer("test").start_span("name").is_recording()


def test_no_arguments_are_needed() -> None:
    provider = TracerProvider()
    span = provider.get_tracer("test").start_span("name")
    provider.shutdown()
    assert span.is_recording()
    assert type(provider.id_generator) is PrivateIdGenerator


def test_an_unsampled_span_carries_its_context_on() -> None:
    provider = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False, id_generator=CountedIds())
    parent = provider.get_tracer("test").start_span("parent")
    child = provider.get_tracer("test").start_span("child", trace.set_span_in_context(parent))
    assert not child.is_recording()
    assert (parent.get_span_context().trace_id, child.get_span_context().trace_id) == (1, 1)
    assert not child.get_span_context().trace_flags.sampled


def test_what_a_sampler_decides_is_on_the_span(kept: Keep) -> None:
    class Deciding(Sampler):
        def should_sample(
            self,
            parent_context: Context | None,
            trace_id: int,
            name: str,
            kind: SpanKind | None = None,
            attributes: Attributes = None,
            links: Sequence[trace.Link] | None = None,
            trace_state: TraceState | None = None,
        ) -> SamplingResult:
            state = TraceState([("ts", "1")])
            return SamplingResult(Decision.RECORD_AND_SAMPLE, {**(attributes or {}), "rate": 1}, state)

        def get_description(self) -> str:
            return "Deciding"

    provider = TracerProvider(Deciding(), shutdown_on_exit=False)
    provider.add_span_processor(kept)
    link = trace.Link(trace.SpanContext(1, 2, is_remote=True))
    provider.get_tracer("test").start_span("name", attributes={"a": 1}, links=[link]).end()
    span = only(kept)
    assert dict(span.attributes or {}) == {"a": 1, "rate": 1}
    assert span.context is not None
    assert dict(span.context.trace_state) == {"ts": "1"}
    assert [link.context.span_id for link in span.links] == [2]


# Ids


def test_ids_are_private_and_random() -> None:
    state = random.getstate()
    provider = TracerProvider(shutdown_on_exit=False)
    contexts = [provider.get_tracer("test").start_span("name").get_span_context() for _ in range(100)]
    assert random.getstate() == state
    assert len({context.trace_id for context in contexts}) == 100
    assert all(context.trace_flags.random_trace_id for context in contexts)


def test_a_child_of_a_parent_without_random_bits_does_not_claim_them(provider: TracerProvider) -> None:
    parent = trace.NonRecordingSpan(
        trace.SpanContext(5, 6, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    )
    child = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    context = child.start_span("name", trace.set_span_in_context(parent)).get_span_context()
    assert (context.trace_id, context.trace_flags.random_trace_id) == (5, False)


@pytest.mark.integration
def test_a_forked_child_goes_on_with_ids_of_its_own() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    tracer.start_span("before")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, f"{tracer.start_span('child').get_span_context().span_id}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert int(pipe.read()) != tracer.start_span("parent").get_span_context().span_id
