"""A recorder for one tracer: OpenTelemetry's sampler, ids, limits and context, as recording needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as context_api
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation import _SPAN_KEY

from tickspan.providers.ids import PrivateIdGenerator
from tickspan.providers.span import RecordedSpan, SilentSpan, context_of, link_of, parent_of
from tickspan.recording import (
    ALWAYS_ON,
    CALL_SAMPLER,
    PARENT_BASED_ALWAYS_ON,
    Guard,
    Interop,
    Limits,
    PrivateIds,
    SpanRecorder,
    draw_span_id,
    draw_trace_id,
)

_TRACE_ID_BITS: Final = 128
_SPAN_ID_BITS: Final = 64


class _RuntimeContext:
    """A runtime context that is no context variable, with the same three methods."""

    def __init__(self, runtime: Any) -> None:
        self.get = runtime.get_current
        self.set = runtime.attach
        self.reset = runtime.detach


def interop() -> Interop:
    """OpenTelemetry's own objects for the recording layer, which imports none of it."""
    runtime = context_api._RUNTIME_CONTEXT  # noqa: SLF001 - no public name
    is_variable = type(runtime) is ContextVarsRuntimeContext
    variable: Any = runtime._current_context if is_variable else _RuntimeContext(runtime)  # noqa: SLF001
    return Interop(variable, Context, _SPAN_KEY, RecordedSpan, SilentSpan, parent_of, link_of)


def recorder_of(tracer: Any, stream: Any, clock: Callable[[], int] | None) -> SpanRecorder:
    """The recorder of `tracer`, whose finished spans go to `stream`."""
    ids = _Ids(tracer.id_generator)
    return SpanRecorder(
        tracer,
        interop(),
        _limits(tracer._span_limits),  # noqa: SLF001
        ids.new_trace_id,
        ids.new_span_id,
        ids.has_random_trace_ids,
        _sampling(tracer.sampler),
        _Sampling(tracer.sampler).decide,
        stream,
        clock,
        _counted(tracer._tracer_metrics),  # noqa: SLF001
    )


def _limits(given: sdk.SpanLimits) -> Limits:
    return Limits(
        given.max_span_attributes,
        given.max_events,
        given.max_links,
        given.max_event_attributes,
        given.max_link_attributes,
        given.max_span_attribute_length,
        given.max_attribute_length,
    )


def _sampling(sampler: sampling.Sampler) -> int:
    """Whether the sampler's answer is known without asking it."""
    if sampler is sampling.ALWAYS_ON:
        return ALWAYS_ON
    if sampler is sampling.DEFAULT_ON:
        return PARENT_BASED_ALWAYS_ON
    return CALL_SAMPLER


class _Sampling:
    """A sampler behind the guard: what fails is answered as `parentbased_always_on` would."""

    def __init__(self, sampler: sampling.Sampler) -> None:
        kind = type(sampler)
        self._sampler = sampler
        self._guard = Guard("sampler", f"{kind.__module__}.{kind.__qualname__}")

    def decide(
        self, context: Context, trace_id: int, name: Any, kind: Any, attributes: Any, links: Any
    ) -> tuple[bool, bool, Any, Any]:
        kind = SpanKind.INTERNAL if kind is None else kind
        asked = (context, trace_id, name, kind, attributes, links or ())
        return self._guard.user(self._ask, *asked, default=None) or _read(
            sampling.DEFAULT_ON.should_sample(*asked)
        )

    def _ask(self, *asked: Any) -> tuple[bool, bool, Any, Any]:
        return _read(self._sampler.should_sample(*asked))


def _read(result: sampling.SamplingResult) -> tuple[bool, bool, Any, Any]:
    decision = result.decision
    return (decision.is_recording(), decision.is_sampled(), dict(result.attributes), result.trace_state)


class _Ids:
    """The user's id generator behind the guard; ours when it fails, or answers with what is no id."""

    def __init__(self, generator: IdGenerator) -> None:
        self._ours = PrivateIds()
        self._generator = generator
        self._guard = Guard("id generator", type(generator).__qualname__)
        self.has_random_trace_ids = bool(self._guard.user(generator.is_trace_id_random, default=False))
        if type(generator) is PrivateIdGenerator:
            self.new_trace_id, self.new_span_id = draw_trace_id, draw_span_id
            return
        self.new_trace_id, self.new_span_id = self._trace_id, self._span_id

    def _trace_id(self) -> int:
        given = self._guard.user(self._generator.generate_trace_id, default=0)
        return given if _fits(given, _TRACE_ID_BITS) else self._ours.trace_id()

    def _span_id(self) -> int:
        given = self._guard.user(self._generator.generate_span_id, default=0)
        return given if _fits(given, _SPAN_ID_BITS) else self._ours.span_id()


def _fits(value: object, bits: int) -> bool:
    return type(value) is int and 0 < value < 1 << bits


def _counted(metrics: Any) -> Any:
    """OpenTelemetry's own metrics of spans, when they are asked for."""
    if type(metrics).__name__ == "NoOpTracerMetrics":
        return None

    def count(parent_id: int | None, is_remote: bool, is_recorded: bool, is_sampled: bool) -> Any:
        parent = None if parent_id is None else context_of(1, parent_id, is_remote, 0, None)
        decision = (
            sampling.Decision.DROP
            if not is_recorded
            else sampling.Decision.RECORD_AND_SAMPLE
            if is_sampled
            else sampling.Decision.RECORD_ONLY
        )
        return metrics.start_span(parent, decision)

    return count
