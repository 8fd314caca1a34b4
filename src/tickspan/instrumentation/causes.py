"""What an operation without a span above it came from: asked of layers above, such as the tick at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context

FindCause = Callable[[], Context | None]
"""The context to be a child of, or None. Must not raise, and costs little: it runs before every root."""

_finders: Final[list[FindCause]] = []


def add_cause(find: FindCause) -> Callable[[], None]:
    """Ask `find` for the parent of operations that would be roots; returns what stops that."""
    _finders.append(find)

    def remove() -> None:
        if find in _finders:
            _finders.remove(find)

    return remove


def cause_of_root() -> Context | None:
    """The context that the next operation is to be a child of; None where a span is current already."""
    if not _finders or trace.get_current_span().get_span_context().is_valid:
        return None
    return next((context for find in _finders if (context := find()) is not None), None)
