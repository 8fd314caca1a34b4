"""What the program has said of the work at hand: the strategy, and the decision it is in."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.trace import SpanContext


class OpenDecision:
    """A decision that becomes a span only when an order follows; the first order sets `span_context`.

    `started_ns` is monotonic.
    """

    __slots__ = ("name", "span_context", "started_ns")

    def __init__(self, name: str, started_ns: int) -> None:
        self.name = name
        self.started_ns = started_ns
        self.span_context: SpanContext | None = None


current_strategy: Final[ContextVar[str | None]] = ContextVar("tickspan_strategy", default=None)
open_decision: Final[ContextVar[OpenDecision | None]] = ContextVar("tickspan_decision", default=None)

next_annotations: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar(
    "tickspan_annotations", default=None
)
"""What the program has said of the next order of its context."""
