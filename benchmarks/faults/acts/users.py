"""Acts of user code: samplers, processors, generators, hooks, callbacks that raise, dawdle or lie."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from .stage import Stage, act


def _fail(*_arguments: Any, **_named: Any) -> Any:
    raise ValueError("the user's own mistake")


def _exit(*_arguments: Any, **_named: Any) -> Any:
    raise SystemExit(9)


def _recurse(*_arguments: Any, **_named: Any) -> Any:
    return _recurse()


def _sleep(*_arguments: Any, **_named: Any) -> Any:
    time.sleep(0.02)


def _nonsense(*_arguments: Any, **_named: Any) -> Any:
    return object()


WAYS: dict[str, Callable[..., Any]] = {
    "raises": _fail,
    "recurses": _recurse,
    "dawdles": _sleep,
    "returns nonsense": _nonsense,
}


def _way(stage: Stage) -> Callable[..., Any]:
    return WAYS[stage.settings["way"]]


def _tracer_provider() -> Any:
    return trace.get_tracer_provider()


def _record(stage: Stage) -> None:
    stage.recorder.instruments()
    stage.recorder.several(40)


@act
def user_processor(stage: Stage) -> None:
    """A span processor that misbehaves in the methods that `methods` names, before ours and after."""

    class Misbehaving(SpanProcessor):
        pass

    def misbehave(*_arguments: Any, **_named: Any) -> Any:
        return _way(stage)()

    for method in stage.settings["methods"]:
        setattr(Misbehaving, method, misbehave)
    stage.recorder.warm()
    _tracer_provider().add_span_processor(Misbehaving())
    _record(stage)


@act
def user_processor_first(stage: Stage) -> None:
    """The same, at the front of the queue: it must not keep those behind it from their turn."""

    class Misbehaving(SpanProcessor):
        def on_start(self, *_: Any, **__: Any) -> None:
            _way(stage)()

        def on_end(self, *_: Any, **__: Any) -> None:
            _way(stage)()

        def shutdown(self) -> None:
            _way(stage)()

        def force_flush(self, *_: Any, **__: Any) -> bool:
            return bool(_way(stage)())

    stage.recorder.warm()
    queue = _tracer_provider()._active_span_processor  # noqa: SLF001 - as users do, there is no other door
    queue._span_processors = (Misbehaving(), *queue._span_processors)  # noqa: SLF001
    _record(stage)


@act
def user_log_processor(stage: Stage) -> None:
    """A log record processor that misbehaves."""

    class Misbehaving(LogRecordProcessor):
        def on_emit(self, *_: Any, **__: Any) -> None:
            _way(stage)()

        def shutdown(self) -> None:
            _way(stage)()

        def force_flush(self, *_: Any, **__: Any) -> bool:
            return bool(_way(stage)())

    stage.recorder.warm()
    provider: Any = _logs.get_logger_provider()
    provider.add_log_record_processor(Misbehaving())
    _record(stage)


@act
def user_sampler(stage: Stage) -> None:
    """A sampler that misbehaves: everything is recorded then."""

    class Misbehaving(Sampler):
        def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
            _way(stage)()
            return SamplingResult(Decision.RECORD_AND_SAMPLE)

        def get_description(self) -> str:
            _fail()
            return ""

    stage.recorder.warm()
    _tracer_provider().sampler = Misbehaving()
    _record(stage)


@act
def user_ids(stage: Stage) -> None:
    """An id generator that raises, or gives ids that are zero, too wide, or no numbers."""
    values: dict[str, Callable[..., Any]] = {
        "raises": _fail,
        "zero": lambda *_: 0,
        "too wide": lambda *_: 1 << 130,
        "text": lambda *_: "id",
        "negative": lambda *_: -1,
    }
    given = values[stage.settings["way"]]

    class Misbehaving(IdGenerator):
        generate_span_id = given
        generate_trace_id = given

    stage.recorder.warm()
    _tracer_provider().id_generator = Misbehaving()
    _record(stage)


@act
def user_exporter(stage: Stage) -> None:
    """A second exporter that misbehaves, in a batch processor or in a simple one."""

    class Misbehaving(SpanExporter):
        def export(self, *_: Any, **__: Any) -> SpanExportResult:
            _way(stage)()
            return SpanExportResult.FAILURE

        def shutdown(self) -> None:
            _way(stage)()

    stage.recorder.warm()
    kind = SimpleSpanProcessor if stage.settings.get("simple") else BatchSpanProcessor
    _tracer_provider().add_span_processor(kind(Misbehaving()))
    _record(stage)


@act
def user_callback(stage: Stage) -> None:
    """A metric callback that misbehaves; the counter beside it still arrives."""
    stage.recorder.warm()
    meter = metrics.get_meter("faults")

    def observe(_options: Any) -> Iterable[Any]:
        return _way(stage)()

    meter.create_observable_gauge("work.bad", [observe])
    meter.create_observable_counter("work.worse", [observe])
    _record(stage)
    time.sleep(0.6)


@act
def user_log_handler(stage: Stage) -> None:
    """A handler of the root logger records each line: what telemetry says must not loop."""

    class Recording(logging.Handler):
        def emit(self, *_: Any, **__: Any) -> None:
            stage.recorder.log()

    logging.getLogger().addHandler(Recording())
    stage.recorder.warm()
    stage.recorder.steadily(1.0, 50)


@act
def user_exit_in_hook(stage: Stage) -> None:
    """`SystemExit` out of a processor is the application's own decision and passes."""

    class Leaving(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            if span.name == "leave":
                _exit()

    stage.recorder.warm()
    _tracer_provider().add_span_processor(Leaving())
    stage.recorder.instruments()
    stage.recorder.several(20)
    stage.recorder.settle()
    stage.ledger.end_of_main()
    stage.recorder.span("leave")
    stage.ledger.note("note", "SystemExit was swallowed")


@act
def user_random(stage: Stage) -> None:
    """Draws from the global generator are the application's: telemetry takes none."""
    import random

    random.seed(7)  # noqa: TID251 - the application's own
    expected = random.Random(7).random()  # noqa: S311 - no secret
    stage.recorder.warm()
    stage.recorder.steadily(1.0, 100)
    if random.random() != expected:  # noqa: S311 - the same
        stage.ledger.note("note", "telemetry drew from the application's random numbers")
