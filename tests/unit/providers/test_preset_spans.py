"""Spans whose first attributes were encoded beforehand: what comes out is what it would be without that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

from tickspan.providers import TracerProvider
from tickspan.recording import SpanRecorder
from tickspan.recording.keys import forget_cleaner, register_cleaner
from tickspan.testing.sink import MemorySink

KNOWN = {"db.system.name": "sqlite", "db.query.summary": "SELECT orders", "server.port": 5432}
ADDED = {"tickspan.db.transaction.id": "00000000000000aa"}
LATE = {"db.response.returned_rows": 1, "tickspan.db.fetch.duration": 0.25}


def recorder_of(provider: TracerProvider) -> SpanRecorder:
    recorder: Any = provider.get_tracer("test")
    return recorder.start_span.__self__


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def recorder(sink: MemorySink) -> Iterator[SpanRecorder]:
    ids = iter(range(1, 100))
    provider = TracerProvider(shutdown_on_exit=False, sink=sink, clock=lambda: next(ids))
    yield recorder_of(provider)
    provider.shutdown()


def test_a_span_of_a_preset_is_told_like_any_other(recorder: SpanRecorder, sink: MemorySink) -> None:
    preset = recorder.preset(KNOWN)
    assert preset is not None
    recorder.start_preset("SELECT orders", None, SpanKind.CLIENT, preset, dict(ADDED)).end_with(LATE)
    plain = recorder.start_span("SELECT orders", None, SpanKind.CLIENT, {**KNOWN, **ADDED})
    plain.set_attributes(LATE)
    plain.end()
    first, second = sink.telemetry().spans
    assert list(first.attributes.items()) == list({**KNOWN, **ADDED, **LATE}.items())
    assert (first.name, first.kind, first.attributes) == (second.name, second.kind, second.attributes)


def test_an_attribute_that_comes_again_replaces_that_of_the_preset(
    recorder: SpanRecorder, sink: MemorySink
) -> None:
    span = recorder.start_preset("x", None, None, recorder.preset(KNOWN), None)  # pyright: ignore[reportArgumentType]
    span.set_attribute("db.system.name", "mariadb")
    span.end()
    assert sink.telemetry().spans[0].attributes == {**KNOWN, "db.system.name": "mariadb"}


def test_processors_see_all_attributes_of_a_span_of_a_preset(sink: MemorySink) -> None:
    seen: list[dict[str, Any]] = []

    class Watching(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            seen.append(dict(span.attributes))

        def on_end(self, span: Any) -> None:
            seen.append(dict(span.attributes))

    provider = TracerProvider(shutdown_on_exit=False, sink=sink)
    provider.add_span_processor(Watching())
    recorder = recorder_of(provider)
    recorder.start_preset("x", None, None, recorder.preset(KNOWN), dict(ADDED)).end_with(LATE)  # pyright: ignore[reportArgumentType]
    provider.shutdown()
    assert seen == [{**KNOWN, **ADDED}, {**KNOWN, **ADDED, **LATE}]
    assert sink.telemetry().spans[0].attributes == {**KNOWN, **ADDED, **LATE}


def test_a_sampler_is_asked_with_the_attributes_of_a_preset(sink: MemorySink) -> None:
    asked: list[dict[str, Any]] = []

    class Asking(Sampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            asked.append(dict(args[4]))
            return ALWAYS_OFF.should_sample(*args, **kwargs)

        def get_description(self) -> str:
            return "asking"

    provider = TracerProvider(Asking(), shutdown_on_exit=False, sink=sink)
    recorder = recorder_of(provider)
    recorder.start_preset("x", None, None, recorder.preset(KNOWN), dict(ADDED)).end()  # pyright: ignore[reportArgumentType]
    provider.shutdown()
    assert (asked, sink.entries) == ([{**KNOWN, **ADDED}], [])


def test_a_rule_that_comes_later_also_holds_for_a_preset(recorder: SpanRecorder, sink: MemorySink) -> None:
    preset = recorder.preset({"db.query.summary": "SELECT orders"})
    assert preset is not None
    register_cleaner("db.query.summary", lambda _text: "SELECT")
    try:
        recorder.start_preset("x", None, None, preset, {}).end_with({})
    finally:
        forget_cleaner("db.query.summary")
    assert sink.telemetry().spans[0].attributes == {"db.query.summary": "SELECT"}
