"""A venue's requests go out bare: no span of an HTTP instrumentor, no `traceparent`, no baggage."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress

from opentelemetry import context as otel_context

from tickspan.instrumentation.suppression import is_bare, quieting


@contextmanager
def quiet() -> Generator[None]:
    """Around one request to a venue, also where it awaits: only what we tell of it ourselves is told."""
    token = otel_context.attach(quieting(otel_context.get_current()))
    try:
        yield
    finally:
        # Closed from another context (a coroutine that was thrown away), nothing is quiet there.
        with suppress(ValueError):
            otel_context._RUNTIME_CONTEXT.detach(token)  # noqa: SLF001 - `detach` logs what is no fault here


def is_quiet() -> bool:
    """Whether the current context is inside `quiet`, or inside an order call."""
    return is_bare(otel_context.get_current())
