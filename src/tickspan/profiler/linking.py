"""Which span a sample belongs to. No link is better than a wrong one.

Compiled, the context is the thread's own and of the same moment as its stack: the link is certain.
Interpreted, it is that of the innermost handle that asyncio runs, and holds as long as nothing above it has
entered another context. So a sample stays unlinked where a `Context.run` stands above the handle, where a
coroutine is driven by a call (an eager task, a loop within a loop), where what is called is held by a
variable under another name, and where the handle is not running its callback just now. What this cannot see
is a bound `Context.run` that an attribute of another name holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import propagation

from tickspan.analysis.profiles import Link
from tickspan.profiler.instructions import Instruction
from tickspan.recording import RecordingSpan

__all__ = ["context_variable", "holds", "link_in"]

_SPAN_KEY: Final = propagation._SPAN_KEY  # noqa: SLF001 - the key has no public name
_RUN: Final = "run"


def context_variable() -> ContextVar[Any] | None:
    """The variable in which OpenTelemetry keeps its current context; None if another class keeps it."""
    context_api.get_current()  # it is made at the first use
    runtime: Any = context_api._RUNTIME_CONTEXT  # noqa: SLF001 - upstream's only way to it
    variable = getattr(runtime, "_current_context", None)
    return variable if isinstance(variable, ContextVar) else None


def link_in(context: Any) -> Link | None:
    """The span in a context of OpenTelemetry; None where there is none that is recorded."""
    span = context.get(_SPAN_KEY) if isinstance(context, Mapping) else None
    if isinstance(span, RecordingSpan):  # it may have ended since: then it was current all the same
        return Link(span.trace_id, span.span_id)
    if not isinstance(span, trace.Span) or isinstance(span, trace.NonRecordingSpan):
        return None
    known = span.get_span_context()
    return Link(known.trace_id, known.span_id) if known.is_valid else None


def holds(
    stack: Sequence[int], place: int, instruction: Callable[[int], Instruction], name: Callable[[int], str]
) -> bool:
    """Whether the context of the handle at `place` is surely that of the leaf.

    Args:
        stack: frames, leaf first.
        place: of the handle's frame in it.
        instruction: what a frame does.
        name: of a frame's function.
    """
    if not place or instruction(stack[place]).callee != _RUN or _may_enter(instruction(stack[0])):
        return False
    return all(
        _keeps_context(instruction(stack[index]), instruction(stack[index - 1]), name(stack[index - 1]))
        for index in range(1, place)
    )


def _may_enter(leaf: Instruction) -> bool:
    """Whether the leaf runs code of C that may have entered another context."""
    return leaf.is_call and (leaf.callee == _RUN or leaf.is_variable)


def _keeps_context(outer: Instruction, inner: Instruction, inner_name: str) -> bool:
    """Whether a frame and the one that runs above it are in one context."""
    if not outer.is_call:
        return True
    if inner.is_coroutine:
        return False
    if outer.callee == inner_name:
        return True
    return outer.callee != _RUN and not outer.is_variable
