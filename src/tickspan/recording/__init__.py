"""What a record is made of before any SDK sees it: clean values, private ids, guarded hooks, bytes."""

from tickspan.recording._impl import span as _span
from tickspan.recording._impl import wire
from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.guard import Guard, GuardStatistics, is_strict, strict
from tickspan.recording.ids import PrivateIds, draw_span_id, draw_trace_id
from tickspan.recording.values import AttributeValue, clean_attributes, clean_key, clean_text, clean_value

ALWAYS_ON = _span.ALWAYS_ON
CALL_SAMPLER = _span.CALL_SAMPLER
PARENT_BASED_ALWAYS_ON = _span.PARENT_BASED_ALWAYS_ON
Hooks = _span.Hooks
Interop = _span.Interop
Limits = _span.Limits
Preset = _span.Preset
RecordingSpan = _span.RecordingSpan
SpanRecorder = _span.SpanRecorder

__all__ = [
    "ALWAYS_ON",
    "CALL_SAMPLER",
    "PARENT_BASED_ALWAYS_ON",
    "AttributeValue",
    "Guard",
    "GuardStatistics",
    "Hooks",
    "Interop",
    "Limits",
    "Preset",
    "PrivateIds",
    "RecordingSpan",
    "SpanRecorder",
    "clean_attributes",
    "clean_key",
    "clean_text",
    "clean_value",
    "diagnostics",
    "draw_span_id",
    "draw_trace_id",
    "is_strict",
    "strict",
    "wire",
]
