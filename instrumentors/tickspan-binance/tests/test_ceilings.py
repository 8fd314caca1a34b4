"""What a message costs on its way to the consumer, counted."""

from __future__ import annotations

import asyncio
import json
import sys
import tracemalloc
from types import FrameType
from typing import Any

import binance
import pytest
from tickspan.testing.capture import Capture

pytestmark = pytest.mark.perf

MESSAGE = json.dumps({"e": "trade", "E": 1672515782136, "s": "BTCUSDT", "t": 1, "p": "1", "q": "2"})


def socket() -> Any:
    """A stream that is open, as far as its methods can tell."""
    socket: Any = binance.ReconnectingWebsocket(url="ws://127.0.0.1/", path="btcusdt@trade")
    socket._handle_read_loop = True
    return socket


async def carried(socket: Any, messages: int) -> None:
    for _ in range(messages):
        socket._queue.put_nowait(socket._handle_message(MESSAGE))
        await socket.recv()


def test_a_message_is_a_few_calls_of_ours(told: Capture) -> None:
    names: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if (
            event == "call"
            and "tickspan" in frame.f_code.co_filename
            and "/tests/" not in frame.f_code.co_filename
        ):
            names.append(frame.f_code.co_name)

    async def main() -> None:
        ticks = socket()
        await carried(ticks, 1)  # which makes what is made once
        sys.setprofile(note)
        await carried(ticks, 1)
        sys.setprofile(None)

    asyncio.run(main())
    assert len(names) <= 30


def test_messages_leave_nothing_behind(told: Capture) -> None:
    async def main() -> int:
        ticks = socket()
        await carried(ticks, 2_000)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await carried(ticks, 2_000)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return grown

    assert asyncio.run(main()) < 64 * 1024
