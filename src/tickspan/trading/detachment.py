"""A context for work that outlives the call that started it, such as a read loop."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from tickspan.instrumentation.suppression import speaking
from tickspan.trading.calls import forget_open_call
from tickspan.trading.messages import forget_open_message
from tickspan.trading.scope import open_decision
from tickspan.trading.ticks import set_current_tick


def detached_context() -> Context:
    """A copy of the current context without span, tick and order call; the program's own variables stay.

    A wish for silence is the caller's too: a loop that was connected inside it would be mute for days.
    """
    context = copy_context()
    context.run(_forget)
    return context


@types.coroutine
def stepped_in(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Await `coroutine` with its steps run in `context`; the caller's task does the waiting, in its own.

    Values, exceptions and cancellation go through unchanged. Variables that it sets stay in `context`.
    """
    step: Callable[[], Any] = functools.partial(coroutine.send, None)
    while True:
        try:
            awaited = context.run(step)
        except StopIteration as stop:
            return stop.value
        try:
            sent = yield awaited
        except GeneratorExit:
            # Thrown away with its task. It may have been closed before us, which `close` does not mind.
            context.run(coroutine.close)
            raise
        except BaseException as error:  # noqa: BLE001 - cancellation, handed on
            step = functools.partial(coroutine.throw, error)
        else:
            step = functools.partial(coroutine.send, sent)


async def awaited_in(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of `coroutine`, as `stepped_in`: a coroutine, which tasks can be made of."""
    return await stepped_in(context, coroutine)


def _forget() -> None:
    otel_context.attach(speaking(trace.set_span_in_context(trace.INVALID_SPAN)))
    set_current_tick(None)
    open_decision.set(None)
    forget_open_call()
    forget_open_message()
