"""Who asked for silence: OpenTelemetry's keys in the current context."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

# Upstream has two spellings of one wish; both are honoured, and both are set for what runs below us.
_ASKED: Final = (otel_context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")  # noqa: SLF001 - no public name


def is_suppressed() -> bool:
    """Whether nothing is to be recorded in the current context."""
    current = otel_context.get_current()
    return any(current.get(key) for key in _ASKED)


def suppressing(context: Context) -> Context:
    """`context` in which instrumentation keeps silent."""
    for key in _ASKED:
        context = otel_context.set_value(key, value=True, context=context)
    return context


@contextmanager
def suppressed() -> Generator[None]:
    """Record nothing while the context lasts."""
    token = otel_context.attach(suppressing(otel_context.get_current()))
    try:
        yield
    finally:
        otel_context.detach(token)
