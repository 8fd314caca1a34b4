"""What is going to happen at the venue: timers on its loop, all of which end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Runs actions later, on the running loop. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.TimerHandle] = set()

    def after(self, delay_s: float, action: Callable[..., None], *arguments: object) -> None:
        """Run `action` in `delay_s` seconds; at once, before this returns, for 0 or less."""
        if delay_s <= 0:
            action(*arguments)
            return

        def run() -> None:
            self._waiting.discard(timer)
            action(*arguments)

        timer = asyncio.get_running_loop().call_later(delay_s, run)
        self._waiting.add(timer)

    def cancel(self) -> None:
        """Let nothing more happen."""
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
