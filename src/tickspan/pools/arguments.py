"""Arguments that callers give, checked where they come in: an error names the argument and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard


def require_age(name: str, value: object) -> None:
    """Raise `ValueError` unless it is seconds above 0, or None."""
    if value is not None and not (_is_number(value) and value > 0):
        raise ValueError(f"{name}: expected seconds above 0, or None, got {value!r}")


def require_patience(value: object) -> None:
    """Raise `ValueError` unless `timeout_s` is seconds; none are left where it is below 0."""
    if not _is_number(value):
        raise ValueError(f"timeout_s: expected seconds, got {value!r}")


def require_weight(value: object) -> None:
    """Raise `ValueError` unless it is a number, 0 or above."""
    if not (_is_number(value) and value >= 0):
        raise ValueError(f"weight: expected a number, 0 or above, got {value!r}")


def require_size(name: str, value: object, at_least: int = 1) -> None:
    """Raise `ValueError` unless it is a number of connections."""
    if not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name}: expected a whole number, at least {at_least}, got {value!r}")


def require_lanes(lanes: object) -> None:
    """Raise `ValueError` unless they have names and numbers."""
    if not isinstance(lanes, Mapping) or not all(map(_is_lane, lanes, lanes.values())):
        raise ValueError(f"lanes: expected names and how many connections each has for itself, got {lanes!r}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, float | int)


def _is_lane(name: object, number: object) -> bool:
    return isinstance(name, str) and bool(name) and isinstance(number, int) and number >= 1
