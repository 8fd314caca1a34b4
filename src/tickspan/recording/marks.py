"""Marks that recorders compare for each span, for whoever sets them."""

from tickspan.recording._impl import span as _span

SpanMarks = _span.SpanMarks

__all__ = ["SpanMarks"]
