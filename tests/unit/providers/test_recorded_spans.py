"""Spans that are recorded into a sink: what a user's code may do to them, and what comes out."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from tickspan_spool.reasons import Reason

from tickspan.providers import RecordedSpan, TracerProvider
from tickspan.received import ReceivedSpan
from tickspan.recording.guard import DISABLE_AFTER
from tickspan.testing import CountedIds
from tickspan.testing.sink import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def make(sink: MemorySink) -> Callable[..., TracerProvider]:
    """A provider over the sink; keywords are its own."""

    def make_it(**options: Any) -> TracerProvider:
        return TracerProvider(
            resource=Resource({"service.name": "bot"}), shutdown_on_exit=False, sink=sink, **options
        )

    return make_it


@pytest.fixture
def tracer(make: Callable[..., TracerProvider]) -> trace.Tracer:
    return make(id_generator=CountedIds()).get_tracer("test")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What guards tell is not what these tests are about."""
    caplog.set_level(logging.CRITICAL, "tickspan")


def only(sink: MemorySink) -> ReceivedSpan:
    (span,) = sink.telemetry().spans
    return span


# What a span is to others ------------------------------------------------------------------------------


def test_a_recorded_span_is_one_of_the_sdks_by_type(tracer: trace.Tracer) -> None:
    span = tracer.start_span("order")
    assert isinstance(span, RecordedSpan)
    assert isinstance(span, sdk.Span)
    assert isinstance(span, sdk.ReadableSpan)
    assert isinstance(span, trace.Span)


def test_a_parent_is_found_in_the_current_context_and_in_a_given_one(
    tracer: trace.Tracer, sink: MemorySink
) -> None:
    with tracer.start_as_current_span("order") as order:
        tracer.start_span("ack").end()
    tracer.start_span("fill", set_span_in_context(order, Context())).end()
    tracer.start_span("other").end()
    spans = {span.name: span for span in sink.telemetry().spans}
    parents = {name: span.parent_span_id for name, span in spans.items()}
    assert parents == {
        "order": None,
        "ack": spans["order"].span_id,
        "fill": spans["order"].span_id,
        "other": None,
    }


def test_a_remote_parent_hands_on_its_trace_and_its_flags(tracer: trace.Tracer, sink: MemorySink) -> None:
    remote = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(3))
    span = tracer.start_span("order", set_span_in_context(NonRecordingSpan(remote), Context()))
    span.end()
    context = span.get_span_context()
    assert (context.trace_id, context.trace_flags, context.is_remote) == (7, 3, False)
    assert (only(sink).trace_id, only(sink).parent_span_id) == (f"{7:032x}", f"{9:016x}")


def test_a_current_span_that_is_none_is_no_parent(tracer: trace.Tracer, sink: MemorySink) -> None:
    tracer.start_span("order", trace.set_span_in_context("no span", Context())).end()  # pyright: ignore[reportArgumentType]
    assert only(sink).parent_span_id is None


# Current spans -----------------------------------------------------------------------------------------


def test_a_decorated_function_has_a_span_for_each_call(tracer: trace.Tracer, sink: MemorySink) -> None:
    @tracer.start_as_current_span("decide")
    def decide(price: int) -> int:
        assert trace.get_current_span().is_recording()
        return price + 1

    assert [decide(1), decide(2)] == [2, 3]
    assert [span.name for span in sink.telemetry().spans] == ["decide", "decide"]
    assert not trace.get_current_span().is_recording()


def test_a_decorated_coroutine_function_stays_one(tracer: trace.Tracer, sink: MemorySink) -> None:
    @tracer.start_as_current_span("decide")
    async def decide(price: int) -> int:
        await asyncio.sleep(0)
        assert trace.get_current_span().is_recording()
        return price + 1

    assert asyncio.run(decide(1)) == 2
    assert [span.name for span in sink.telemetry().spans] == ["decide"]


def test_an_exception_passes_as_the_same_object_and_is_told_without_its_secret(
    tracer: trace.Tracer, sink: MemorySink
) -> None:
    error = ValueError("refused: api_key=abcdef0123456789")
    with pytest.raises(ValueError, match="refused") as raised, tracer.start_as_current_span("order"):
        raise error
    assert raised.value is error
    span = only(sink)
    assert (span.status.code, span.status.description) == (
        StatusCode.ERROR,
        "ValueError: refused: api_key=[redacted]",
    )
    assert [event.name for event in span.events] == ["exception"]
    assert span.events[0].attributes["exception.message"] == "refused: api_key=[redacted]"


def test_an_exception_that_ends_a_generator_is_no_error(tracer: trace.Tracer, sink: MemorySink) -> None:
    def feed() -> Iterator[int]:
        with tracer.start_as_current_span("feed"):
            yield 1

    ticks = feed()
    next(ticks)
    del ticks
    assert (only(sink).status.code, only(sink).events) == (StatusCode.UNSET, ())


def test_a_span_that_is_left_in_another_context_still_ends(tracer: trace.Tracer, sink: MemorySink) -> None:
    current = tracer.start_as_current_span("feed")
    contextvars.copy_context().run(current.__enter__)
    current.__exit__(None, None, None)
    assert only(sink).name == "feed"


def test_a_span_may_outlive_its_block(tracer: trace.Tracer, sink: MemorySink) -> None:
    with tracer.start_as_current_span("order", end_on_exit=False) as span:
        pass
    assert sink.entries == []
    span.end()
    assert only(sink).name == "order"


# Time --------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_makes_no_span_end_before_its_start(
    tracer: trace.Tracer, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = tracer.start_span("order")
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    span.end()
    assert 0 <= only(sink).end_ns - only(sink).start_ns < 10_000_000_000


def test_given_times_are_kept_and_absurd_ones_are_bounded(tracer: trace.Tracer, sink: MemorySink) -> None:
    tracer.start_span("order", start_time=5).end(7)
    tracer.start_span("order", start_time=-5).end(2**70)
    times = [(span.start_ns, span.end_ns) for span in sink.telemetry().spans]
    assert times == [(5, 7), (0, 2**64 - 1)]


# Samplers and ids --------------------------------------------------------------------------------------


def test_an_unsampled_span_leaves_nothing_and_its_children_neither(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    tracer = make(sampler=ParentBased(ALWAYS_OFF)).get_tracer("test")
    with tracer.start_as_current_span("order") as order, tracer.start_as_current_span("fill") as fill:
        assert not order.is_recording()
        assert not fill.is_recording()
        parent, child = order.get_span_context(), fill.get_span_context()
    assert (child.trace_id, child.trace_flags.sampled) == (parent.trace_id, False)
    assert child.span_id != parent.span_id
    assert sink.entries == []


def test_an_unsampled_span_knows_where_its_call_goes(make: Callable[..., TracerProvider]) -> None:
    tracer = make(sampler=ALWAYS_OFF).get_tracer("test")
    span: Any = tracer.start_span("GET", kind=SpanKind.CLIENT, attributes={"server.address": "localhost"})
    assert (span.kind, span.attributes) == (SpanKind.CLIENT, {"server.address": "localhost"})


def test_a_ratio_keeps_about_its_share(make: Callable[..., TracerProvider], sink: MemorySink) -> None:
    tracer = make(sampler=TraceIdRatioBased(0.5)).get_tracer("test")
    for _ in range(1000):
        tracer.start_span("order").end()
    assert 350 < len(sink.entries) < 650


class Noting(Sampler):
    """Records without sampling, and adds an attribute."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY, {"noted": True})

    def get_description(self) -> str:
        return "Noting"


def test_a_span_that_is_only_recorded_reaches_processors_and_not_the_sink(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    seen: list[Mapping[str, Any]] = []

    class See(sdk.SpanProcessor):
        def on_end(self, span: sdk.ReadableSpan) -> None:
            seen.append(dict(span.attributes or {}))

    provider = make(sampler=Noting())
    provider.add_span_processor(See())
    provider.get_tracer("test").start_span("order").end()
    assert (seen, sink.entries) == ([{"noted": True}], [])


class Raising(Sampler):
    """Raises, and counts how often it was asked."""

    asked = 0

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        self.asked += 1
        raise LookupError

    def get_description(self) -> str:
        return "Raising"


def test_a_sampler_that_raises_is_replaced_after_ten_errors(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    sampler = Raising()
    tracer = make(sampler=sampler).get_tracer("test")
    for _ in range(DISABLE_AFTER + 5):
        tracer.start_span("order", attributes={"side": "buy"}).end()
    assert sampler.asked == DISABLE_AFTER
    assert [dict(span.attributes) for span in sink.telemetry().spans] == [{"side": "buy"}] * 15


@pytest.mark.parametrize("given", [0, -1, 2**200, "seven", None])
def test_an_id_that_is_none_is_replaced_by_ours(
    make: Callable[..., TracerProvider], sink: MemorySink, given: Any
) -> None:
    class Absurd(IdGenerator):
        def generate_span_id(self) -> int:
            return given

        def generate_trace_id(self) -> int:
            return given

    make(id_generator=Absurd()).get_tracer("test").start_span("order").end()
    span = only(sink)
    assert (len(span.trace_id), len(span.span_id), int(span.span_id, 16) > 0) == (32, 16, True)


def test_an_id_generator_that_raises_does_no_harm(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    class Broken(IdGenerator):
        def generate_span_id(self) -> int:
            raise LookupError

        generate_trace_id = generate_span_id

    make(id_generator=Broken()).get_tracer("test").start_span("order").end()
    assert only(sink).name == "order"


# Processors --------------------------------------------------------------------------------------------


class Breaking(sdk.SpanProcessor):
    """Raises in every method; `asked` counts calls by method."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self.asked.append("on_start")
        raise LookupError

    def _on_ending(self, span: Any) -> None:
        self.asked.append("_on_ending")
        raise LookupError

    def on_end(self, span: Any) -> None:
        self.asked.append("on_end")
        raise LookupError

    def shutdown(self) -> None:
        self.asked.append("shutdown")
        raise LookupError

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.asked.append("force_flush")
        raise LookupError


class Counting(sdk.SpanProcessor):
    """Counts spans that began and ended."""

    def __init__(self) -> None:
        self.started = self.ended = self.stopped = 0

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self.started += 1

    def on_end(self, span: Any) -> None:
        self.ended += 1

    def shutdown(self) -> None:
        self.stopped += 1


def test_a_processor_that_raises_is_switched_off_and_costs_no_other_its_turn(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    breaking, counting = Breaking(), Counting()
    provider = make()
    provider.add_span_processor(breaking)
    provider.add_span_processor(counting)
    tracer = provider.get_tracer("test")
    for _ in range(20):
        tracer.start_span("order").end()
    assert len(breaking.asked) == DISABLE_AFTER
    assert (counting.started, counting.ended, len(sink.entries)) == (20, 20, 20)


def test_shutdown_reaches_every_processor_whatever_the_others_do(
    make: Callable[..., TracerProvider],
) -> None:
    breaking, counting = Breaking(), Counting()
    provider = make()
    provider.add_span_processor(breaking)
    provider.add_span_processor(counting)
    provider.shutdown()
    provider.shutdown()
    assert (breaking.asked, counting.stopped) == (["shutdown"], 1)


def test_what_a_hook_adds_at_the_end_is_recorded_and_cleaned(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    class Enrich(sdk.SpanProcessor):
        def _on_ending(self, span: Any) -> None:
            span.set_attribute("venue", "binance")
            span.set_attribute("api_key", "abcdef0123456789")
            span.add_event("enriched")

    provider = make()
    provider.add_span_processor(Enrich())
    provider.get_tracer("test").start_span("order").end()
    span = only(sink)
    assert (dict(span.attributes), [event.name for event in span.events]) == (
        {"venue": "binance", "api_key": "[redacted]"},
        ["enriched"],
    )


# Poison ------------------------------------------------------------------------------------------------


class Hostile(dict[str, Any]):
    """Raises when it is read."""

    def __iter__(self) -> Iterator[str]:
        raise LookupError

    items = keys = __iter__  # pyright: ignore[reportAssignmentType] - whatever is asked


@pytest.mark.parametrize(
    "attributes", [Hostile(a=1), 7, "text", [("a", 1)], {1: 2}, {"": 3}, {"a": object()}, {None: None}]
)
def test_attributes_of_any_kind_leave_a_span(tracer: trace.Tracer, sink: MemorySink, attributes: Any) -> None:
    span = tracer.start_span("order", attributes=attributes)
    span.set_attributes(attributes)
    span.add_event("ack", attributes)
    span.end()
    assert (only(sink).name, len(only(sink).events)) == ("order", 1)


@pytest.mark.parametrize("links", [7, [None], ["text"], [Link(None)], [object()]])  # pyright: ignore[reportArgumentType] - on purpose
def test_links_of_any_kind_leave_a_span(tracer: trace.Tracer, sink: MemorySink, links: Any) -> None:
    span = tracer.start_span("order", links=links)
    span.add_link(links)
    span.end()
    assert (only(sink).name, only(sink).links) == ("order", ())


def test_names_kinds_statuses_and_times_of_any_kind_leave_a_span(
    tracer: trace.Tracer, sink: MemorySink
) -> None:
    absurd: Any = object()
    span = tracer.start_span(7, kind=absurd, start_time=absurd)  # pyright: ignore[reportArgumentType] - on purpose
    span.set_status(absurd, absurd)
    span.add_event(absurd, timestamp=absurd)
    span.update_name("")
    span.end(absurd)
    told = only(sink)
    assert (told.name, told.kind, told.status.code) == ("<unnamed>", SpanKind.INTERNAL, StatusCode.UNSET)


@pytest.mark.parametrize("exception", ["text", None, 7, object(), ValueError])
def test_what_is_no_exception_can_be_recorded_as_one(
    tracer: trace.Tracer, sink: MemorySink, exception: Any
) -> None:
    span = tracer.start_span("order")
    span.record_exception(exception, attributes=7)  # pyright: ignore[reportArgumentType] - on purpose
    span.end()
    assert [event.name for event in only(sink).events] == ["exception"]


def test_a_huge_name_or_key_costs_next_to_nothing(tracer: trace.Tracer, sink: MemorySink) -> None:
    huge = "x" * (20 << 20)
    started = time.thread_time()
    span = tracer.start_span(huge, attributes={huge: 1})
    span.add_event(huge, {huge: 1})
    span.set_attribute(huge, 2)
    span.end()
    assert (time.thread_time() - started, len(only(sink).name)) < (0.5, 16 * 1024 + 1)


@pytest.mark.parametrize("context", ["context", 7, object()])
def test_a_context_that_is_none_names_no_parent(tracer: trace.Tracer, sink: MemorySink, context: Any) -> None:
    tracer.start_span("order", context).end()
    assert (only(sink).name, only(sink).parent_span_id) == ("order", None)


def test_one_poisoned_span_harms_no_other(tracer: trace.Tracer, sink: MemorySink) -> None:
    tracer.start_span("before").end()
    span = tracer.start_span("lone \ud800", attributes={"a\ud800": "b\ud800", "n": 2**100, "f": float("nan")})
    span.end()
    tracer.start_span("behind").end()
    spans = sink.telemetry().spans
    assert [one.name for one in spans] == ["before", "lone \ufffd", "behind"]
    assert spans[1].attributes["a\ufffd"] == "b\ufffd"
    assert spans[1].attributes["n"] == str(2**100)


# The life of a provider --------------------------------------------------------------------------------


def test_what_ends_after_shutdown_is_counted(make: Callable[..., TracerProvider], sink: MemorySink) -> None:
    provider = make()
    tracer = provider.get_tracer("test")
    tracer.start_span("order").end()
    provider.shutdown()
    tracer.start_span("late").end()
    provider.get_tracer("another").start_span("late").end()
    assert [span.name for span in sink.telemetry().spans] == ["order"]
    assert dict(sink.dropped) == {("traces", Reason.AFTER_SHUTDOWN): 2}


def test_what_was_written_down_and_ends_after_shutdown_is_counted(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    provider = make()
    span: Any = provider.get_tracer("test").start_span("order")
    span.pend()
    provider.shutdown()
    span.end()
    assert dict(sink.dropped) == {("traces", Reason.AFTER_SHUTDOWN): 1}


def test_closing_at_exit_stops_processors_and_not_recording(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    counting = Counting()
    provider = make()
    provider.add_span_processor(counting)
    tracer = provider.get_tracer("test")
    provider.close()
    tracer.start_span("late").end()
    assert (counting.stopped, only(sink).name) == (1, "late")


def test_a_tracer_can_be_switched_off_and_on(make: Callable[..., TracerProvider], sink: MemorySink) -> None:
    provider = make()
    tracer = provider.get_tracer("test")
    provider._set_tracer_configurator(tracer_configurator=sdk._disable_tracer_configurator)
    tracer.start_span("off").end()
    provider._set_tracer_configurator(tracer_configurator=sdk._default_tracer_configurator)
    tracer.start_span("on").end()
    assert only(sink).name == "on"


@pytest.mark.integration
def test_a_forked_child_is_another_instance_with_ids_of_its_own(
    make: Callable[..., TracerProvider], sink: MemorySink
) -> None:
    tracer = make().get_tracer("test")
    tracer.start_span("parent").end()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        sink.clear()
        tracer.start_span("child").end()
        span = only(sink)
        os.write(writing, f"{span.resource['service.instance.id']} {span.trace_id}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        instance, trace_id = pipe.read().split()
    tracer.start_span("parent").end()
    spans = sink.telemetry().spans
    assert trace_id not in {span.trace_id for span in spans}
    assert instance not in {str(span.resource.get("service.instance.id")) for span in spans}
