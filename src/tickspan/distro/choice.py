"""Which instrumentor runs for a library that has ours and upstream's: never both."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

OURS: Final = "tickspan_"
"""Entry points of ours are prefixed: OpenTelemetry does not tell equal names apart."""


def reason_to_skip(name: str, installed: Collection[str], prefer_upstream: Collection[str]) -> str | None:
    """Why the entry point `name` stays off; None if it is to run.

    Args:
        name: of an entry point in the group `opentelemetry_instrumentor`.
        installed: all names in that group.
        prefer_upstream: libraries whose upstream instrumentor is asked for.
    """
    library = name.removeprefix(OURS)
    is_ours = name != library
    wants_upstream = library in prefer_upstream and library in installed
    if is_ours and wants_upstream:
        return f"upstream's '{library}' is preferred by configuration"
    if not is_ours and OURS + library in installed and not wants_upstream:
        return f"'{OURS}{library}' runs for this library"
    return None
