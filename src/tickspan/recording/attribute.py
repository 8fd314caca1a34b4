"""What the value of an attribute is made of, once it is clean."""

from __future__ import annotations

from typing import TypeAlias

AttributeValue: TypeAlias = (
    "str | bool | int | float | bytes | tuple[AttributeValue, ...] | dict[str, AttributeValue] | None"
)
"""Exact built-in types, no subclasses, whose text can be encoded; integers have 64 bits."""
