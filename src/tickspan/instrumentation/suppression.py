"""Who asked for silence: OpenTelemetry's keys in the current context."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from tickspan.instrumentation.current import current_context

# Upstream has two spellings of one wish; both are honoured, and both are set for what runs below us.
ASKED: Final = (otel_context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")  # noqa: SLF001 - no public name
_ASKED, _ASKED_TOO = ASKED
SILENCE: Final = dict.fromkeys(ASKED, True)
"""What a context holds besides in which instrumentation keeps silent."""
_HTTP: Final = otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY  # noqa: SLF001 - the same
_BARE: Final = otel_context.create_key("tickspan-bare-requests")


def is_suppressed() -> bool:
    """Whether nothing is to be recorded in the current context."""
    return audible() is None


def audible() -> Context | None:
    """The current context; None where it asks for silence."""
    context = current_context()
    return None if context.get(_ASKED) or context.get(_ASKED_TOO) else context


def asks_for_silence(context: Context) -> bool:
    """Whether nothing is to be recorded in `context`."""
    return bool(context.get(_ASKED) or context.get(_ASKED_TOO))


def suppressing(context: Context) -> Context:
    """`context` in which instrumentation keeps silent."""
    return Context({**context, **SILENCE})


@contextmanager
def suppressed() -> Generator[None]:
    """Record nothing while the context lasts."""
    token = otel_context.attach(suppressing(otel_context.get_current()))
    try:
        yield
    finally:
        otel_context.detach(token)


def is_http_suppressed() -> bool:
    """Whether HTTP instrumentation is asked to keep silent here: somebody nearer to the order tells of it."""
    return bool(otel_context.get_value(_HTTP))


def bare(context: Context) -> Context:
    """`context` from which no request takes trace context or baggage along, whatever host it goes to."""
    return otel_context.set_value(_BARE, value=True, context=context)


def is_bare(context: Context) -> bool:
    """Whether requests from `context` are to carry nothing of ours."""
    return bool(context.get(_BARE))


def quieting(context: Context) -> Context:
    """`context` in which HTTP instrumentation keeps silent and requests are bare."""
    return bare(otel_context.set_value(_HTTP, value=True, context=context))


def speaking(context: Context) -> Context:
    """`context` without any wish for silence: for work that outlives who expressed it."""
    for key in (*ASKED, _HTTP, _BARE):
        if context.get(key):
            context = otel_context.set_value(key, value=False, context=context)
    return context
