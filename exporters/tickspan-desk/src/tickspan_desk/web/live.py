"""Live: an event stream that tells when there is something new to see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool

from tickspan_desk.store.reading import Reading

__all__ = ["Live"]

_PERIOD_S: Final = 1.0
_SILENCE_PERIODS: Final = 15
"""A comment after that many, so that a lost connection is noticed by both sides."""


class Live:
    """Tells a store's version to whoever listens, at most once a second. Belongs to one event loop."""

    def __init__(self, reading: Reading, period_s: float = _PERIOD_S) -> None:
        self._reading = reading
        self._period_s = period_s
        self._ended = asyncio.Event()

    def end(self) -> None:
        """All streams end now: a server that closes need not wait for them."""
        self._ended.set()

    async def events(self) -> AsyncIterator[bytes]:
        """`data: VERSION` at first and when it changed; ends by `end`, or when nobody listens any more."""
        told, silent = -1, 0
        while not self._ended.is_set():
            version = (await run_in_threadpool(self._reading.statistics)).version
            if version != told:
                told, silent = version, 0
                yield b"data: %d\n\n" % version
            elif (silent := silent + 1) % _SILENCE_PERIODS == 0:
                yield b": nothing new\n\n"
            try:
                await asyncio.wait_for(self._ended.wait(), self._period_s)
            except TimeoutError:
                continue
