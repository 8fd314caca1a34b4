"""What a record is made of before any SDK sees it: clean values, private ids, guarded hooks."""

from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.guard import Guard, GuardStatistics, is_strict, strict
from tickspan.recording.ids import PrivateIds
from tickspan.recording.values import AttributeValue, clean_attributes, clean_key, clean_text, clean_value

__all__ = [
    "AttributeValue",
    "Guard",
    "GuardStatistics",
    "PrivateIds",
    "clean_attributes",
    "clean_key",
    "clean_text",
    "clean_value",
    "diagnostics",
    "is_strict",
    "strict",
]
