"""A context for work that outlives the call that started it, such as a read loop."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace

from tickspan.trading.calls import forget_open_call
from tickspan.trading.messages import forget_open_message
from tickspan.trading.scope import open_decision
from tickspan.trading.ticks import set_current_tick

# A wish for silence is the caller's too: a loop that was connected inside it would be mute for days.
_SUPPRESSION: Final = (
    "suppress_instrumentation",
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - it has no public name
    otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # noqa: SLF001 - the same
)


def detached_context() -> Context:
    """A copy of the current context without span, tick and order call; the program's own variables stay."""
    context = copy_context()
    context.run(_forget)
    return context


def _forget() -> None:
    context = trace.set_span_in_context(trace.INVALID_SPAN)
    for key in _SUPPRESSION:
        context = otel_context.set_value(key, value=False, context=context)
    otel_context.attach(context)
    set_current_tick(None)
    open_decision.set(None)
    forget_open_call()
    forget_open_message()
