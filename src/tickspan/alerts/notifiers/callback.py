"""The callback: a function of the program's own, called in a thread of ours.

It is no risk control: it comes after the fact, by way of a queue, and not at all when the queue is full.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tickspan.alerts.notice import Notice
from tickspan.recording import Guard

__all__ = ["QUEUE", "Callback"]

QUEUE: Final = 100
"""Notices that wait at most; what comes when it is full is dropped and counted."""


class Callback:
    """Calls a function with each notice, one by one. `tell` may come from any thread and never waits."""

    def __init__(
        self,
        name: str,
        function: Callable[[Notice], Any],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Args: `function` may be a coroutine function, which then runs in `loop`."""
        self._function = function
        self._loop = loop
        self._guard = Guard("callback", name)
        self._waiting: queue.Queue[Notice | None] = queue.Queue(QUEUE)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._name = name
        self._dropped = 0

    def __repr__(self) -> str:
        return f"<Callback '{self._name}' {self._waiting.qsize()} waiting, {self._dropped} dropped>"

    @property
    def dropped(self) -> int:
        """Notices that it was not told, because the function was too slow."""
        return self._dropped

    def tell(self, notice: Notice) -> None:
        """Put a notice in line."""
        self._start()
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            self._dropped += 1

    def close(self, timeout_s: float) -> bool:
        """Let what is in line be told, then end the thread; False when it takes longer."""
        thread = self._thread
        if thread is None:
            return True
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        thread.join(timeout_s)
        return not thread.is_alive()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"alerts-callback-{self._name}", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while (notice := self._waiting.get()) is not None:
            self._guard.user(self._call, notice, default=None)

    def _call(self, notice: Notice) -> None:
        answer = self._function(notice)
        if isinstance(answer, Awaitable):
            if self._loop is None:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()
                raise TypeError("expected a function, got a coroutine function and no loop to run it in")
            asyncio.run_coroutine_threadsafe(_awaited(answer), self._loop)


async def _awaited(answer: Awaitable[Any]) -> None:
    await answer
