"""Texts of telemetry as a page may show them: cut, and without characters that turn a line around."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["NAME_MAX", "VALUE_MAX", "shown", "value_shown", "visible"]

NAME_MAX: Final = 200
VALUE_MAX: Final = 4000
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Controls, what changes the direction of text, what has no width, and halves of surrogates."""


def shown(text: str, limit: int = NAME_MAX) -> str:
    """At most `limit` characters, and how many more there were; what cannot be seen is U+FFFD."""
    left_out = len(text) - limit
    cut = text if left_out <= 0 else f"{text[:limit]}… ({left_out:,} more)"
    return visible(cut)


def visible(text: str) -> str:
    """With U+FFFD for what cannot be seen, or makes other text be seen in another order."""
    return _UNSEEN.sub("\ufffd", text)


def value_shown(value: object) -> str:
    """An attribute's value: text as it is, bytes in hex, whatever else as Python writes it; cut."""
    if isinstance(value, str):
        return shown(value, VALUE_MAX)
    if isinstance(value, bytes):
        return shown(f"{value[:VALUE_MAX].hex()} ({len(value):,} bytes)", VALUE_MAX)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else shown(str(value), VALUE_MAX)
