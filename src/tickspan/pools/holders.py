"""Who holds a connection: the thread or task that took it, in which span, and where in the code."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

MAX_FRAMES: Final = 12
"""Positions that are noted of a stack."""
_OWN: Final = (
    "/tickspan/pools/",
    "/tickspan/instrumentation/",
    "/sqlalchemy/",
    "/psycopg_pool/",
    "/asyncpg/",
)
Stack = tuple[tuple[CodeType, int], ...]
"""Innermost first. A code object and an instruction are told as a line only when somebody asks."""

long_hold: Final[ContextVar[bool]] = ContextVar("tickspan_pools_long_hold", default=False)


@contextmanager
def expect_long_hold() -> Generator[None]:
    """Connections that are taken here may be held for long: streams, exports, listeners."""
    token = long_hold.set(True)
    try:
        yield
    finally:
        long_hold.reset(token)


@dataclass(slots=True)
class Who:
    """A thread, or a task."""

    thread: threading.Thread
    task: weakref.ref[asyncio.Task[Any]] | None
    loop: asyncio.AbstractEventLoop | None

    @property
    def is_alive(self) -> bool:
        """Whether it can still give a connection back; a task that nobody has is finished."""
        if self.task is None:
            return self.thread.is_alive()
        task = self.task()
        return task is not None and not task.done()

    @property
    def name(self) -> str:
        """Of the task, or of the thread."""
        if self.task is None:
            return self.thread.name
        task = self.task()
        return "a finished task" if task is None else task.get_name()

    def positions_now(self) -> tuple[str, ...]:
        """Where it is at this moment; nowhere if it has ended."""
        if self.task is not None:
            task = self.task()
            return () if task is None else positions(_stack_of_frames(task.get_stack()[::-1]))
        frame = sys._current_frames().get(self.thread.ident or 0)  # noqa: SLF001 - the public way to other threads
        return () if frame is None or not self.is_alive else positions(stack_from(frame))


def stack_here(depth: int = 1) -> Stack:
    """The caller's stack, without formatting a line of it."""
    return stack_from(sys._getframe(depth))  # noqa: SLF001 - cheaper than `inspect`


def stack_from(frame: FrameType | None) -> Stack:
    """The stack of a frame, as far as it is noted; frames of pools themselves are left out."""
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < MAX_FRAMES:
        code = frame.f_code
        if not any(part in code.co_filename for part in _OWN):
            found.append((code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def positions(stack: Stack) -> tuple[str, ...]:
    """A stack as text: `function (file:line)`, the file with one folder."""
    return tuple(_position(code, lasti) for code, lasti in stack)


def span_id_in(context: Context) -> str | None:
    """The id of the span that is current in a context, as hexadecimal digits."""
    span_context = get_current_span(context).get_span_context()
    return f"{span_context.span_id:016x}" if span_context.is_valid else None


def _stack_of_frames(frames: list[FrameType]) -> Stack:
    return tuple((frame.f_code, frame.f_lasti) for frame in frames[:MAX_FRAMES])


def _position(code: CodeType, lasti: int) -> str:
    line = code.co_firstlineno
    for start, end, at in code.co_lines():
        if start <= lasti < end and at is not None:
            line = at
    file = "/".join(code.co_filename.replace("\\", "/").split("/")[-2:])
    return f"{code.co_qualname} ({file}:{line})"
