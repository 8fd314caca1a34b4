"""A process that asks Redis for quotes, one client, and compares each with what was stored."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from itertools import cycle, islice
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.data import quotes
from benchmarks.sidebyside.lines import answer, questions

KEY: Final = "asked:{}"
PIPELINE: Final = 100
_BETWEEN_LOOKS: Final = 8
"""Requests of a task between two looks at the clock."""
_CANCEL_EACH: Final = 3

Get = Callable[[str], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class _Client:
    """A client: `once` asks for many one after another, or `get` is for tasks that share it."""

    library: str
    get: Get | None = None
    many: Callable[[Sequence[str]], Sequence[bytes | None]] | None = None
    size: int = 1
    """How many keys `many` takes."""


def main(name: str, url: str) -> None:
    """Answer each question `{"tasks", "seconds"}`, or `{"cancelled"}`, with counts and times."""
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(_opened(name, url))
    answer({"library": client.library, "is_async": client.get is not None})
    for question in questions():
        if "cancelled" in question:
            answer(loop.run_until_complete(_cancelled(client, question["cancelled"])))
        elif client.get is not None:
            answer(
                loop.run_until_complete(_asked_by_tasks(client.get, question["tasks"], question["seconds"]))
            )
        else:
            answer(_asked(client, question["seconds"]))


def stored() -> Mapping[str, bytes]:
    """What must be in Redis, by key."""
    return {KEY.format(symbol): quotes.text(symbol).encode() for symbol in quotes.symbols()}


async def _opened(name: str, url: str) -> _Client:
    return await _CLIENTS[name](url)


async def _ours(url: str) -> _Client:
    from benchmarks.pipeline.spans import our_library
    from tickspan.cache.remote.mux import Mux
    from tickspan.cache.remote.settings import RemoteSettings

    return _Client(our_library(), Mux(RemoteSettings(url=url)).get)


async def _redis_asyncio(url: str) -> _Client:
    client: Any = import_module("redis.asyncio").Redis.from_url(url)
    return _Client(_redis_py(), client.get)


async def _coalesced(url: str) -> _Client:
    """What many programs build themselves: the requests of a loop turn in one pipeline of redis.asyncio."""
    client: Any = import_module("redis.asyncio").Redis.from_url(url)
    loop = asyncio.get_running_loop()
    waiting: list[tuple[str, asyncio.Future[bytes | None]]] = []
    sending: set[asyncio.Task[None]] = set()

    async def send() -> None:
        batch = waiting[:]
        waiting.clear()
        pipeline = client.pipeline(transaction=False)
        for key, _ in batch:
            pipeline.get(key)
        for (_, future), value in zip(batch, await pipeline.execute(), strict=True):
            if not future.done():
                future.set_result(value)

    async def get(key: str) -> bytes | None:
        future: asyncio.Future[bytes | None] = loop.create_future()
        waiting.append((key, future))
        if len(waiting) == 1:
            task = loop.create_task(send())
            sending.add(task)
            task.add_done_callback(sending.discard)
        return await future

    return _Client(_redis_py(), get)


async def _redis_blocking(url: str) -> _Client:
    client: Any = import_module("redis").Redis.from_url(url)
    return _Client(_redis_py(), many=lambda keys: [client.get(keys[0])])


async def _redis_pipeline(url: str) -> _Client:
    client: Any = import_module("redis").Redis.from_url(url)

    def many(keys: Sequence[str]) -> Sequence[bytes | None]:
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
        return pipeline.execute()

    return _Client(_redis_py(), many=many, size=PIPELINE)


async def _socket(url: str) -> _Client:
    return _Client(f"hiredis {version('hiredis')}", many=_over_socket(url))


async def _socket_pipeline(url: str) -> _Client:
    return _Client(f"hiredis {version('hiredis')}", many=_over_socket(url), size=PIPELINE)


def _over_socket(url: str) -> Callable[[Sequence[str]], Sequence[bytes | None]]:
    """The floor: a blocking socket, hiredis for both directions, nothing else."""
    hiredis: Any = import_module("hiredis")
    at = urlsplit(url)
    connection = socket.create_connection((at.hostname, at.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, pack = hiredis.Reader(), hiredis.pack_command

    def many(keys: Sequence[str]) -> list[bytes | None]:
        connection.sendall(b"".join([pack(("GET", key)) for key in keys]))
        replies: list[bytes | None] = []
        while len(replies) < len(keys):
            reader.feed(connection.recv(65_536))
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        return replies

    return many


def _redis_py() -> str:
    return f"redis-py {version('redis')}, hiredis {version('hiredis')}"


async def _asked_by_tasks(get: Get, tasks: int, seconds: float) -> dict[str, float]:
    """So many tasks, each asking as soon as it has its answer."""
    expected = list(stored().items())
    for key, _ in expected[:tasks]:  # connections are there afterwards
        await get(key)
    until_s = time.perf_counter() + seconds
    return await _clocked(
        asyncio.gather(*(_asking(get, expected[number:], until_s) for number in range(tasks)))
    )


async def _clocked(run: Awaitable[list[tuple[int, int]]]) -> dict[str, float]:
    began_s, cpu_s = time.perf_counter(), time.process_time()
    done = await run
    return {
        "seconds": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "asked": sum(asked for asked, _ in done),
        "wrong": sum(wrong for _, wrong in done),
    }


async def _asking(get: Get, expected: Sequence[tuple[str, bytes]], until_s: float) -> tuple[int, int]:
    asked = wrong = 0
    pairs = cycle(expected)
    while time.perf_counter() < until_s:
        for key, value in islice(pairs, _BETWEEN_LOOKS):
            wrong += await get(key) != value
            asked += 1
    return asked, wrong


def _asked(client: _Client, seconds: float) -> dict[str, float]:
    many = client.many
    assert many is not None
    batches = cycle(list(_batches(client.size)))
    many(next(batches)[0])
    asked = wrong = 0
    began_s, cpu_s = time.perf_counter(), time.process_time()
    while time.perf_counter() - began_s < seconds:
        for keys, values in islice(batches, max(1, _BETWEEN_LOOKS // client.size)):
            came = many(keys)
            wrong += sum(value != wanted for value, wanted in zip(came, values, strict=True))
            asked += len(keys)
    return {
        "seconds": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "asked": asked,
        "wrong": wrong,
    }


def _batches(size: int) -> Iterator[tuple[list[str], list[bytes]]]:
    pairs = list(stored().items())
    for first in range(0, len(pairs), size):
        batch = pairs[first : first + size]
        yield [key for key, _ in batch], [value for _, value in batch]


async def _cancelled(client: _Client, rounds: int) -> dict[str, int]:
    """Of a hundred tasks a third is cancelled while they wait; who got what another one asked for."""
    get = client.get
    assert get is not None
    expected = list(stored().items())[:100]
    crossed = failed = answered = 0
    for turn in range(rounds):
        tasks = [asyncio.ensure_future(get(key)) for key, _ in expected]
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        for task in tasks[turn % _CANCEL_EACH :: _CANCEL_EACH]:
            task.cancel()
        for task, (_, value) in zip(tasks, expected, strict=True):
            with suppress(asyncio.CancelledError):
                try:
                    crossed += await task != value
                    answered += 1
                except Exception:  # noqa: BLE001 - whatever a library does to those that were not cancelled
                    failed += 1
    return {"crossed": crossed, "failed": failed, "answered": answered}


_CLIENTS: Final[Mapping[str, Callable[[str], Awaitable[_Client]]]] = {
    "tickspan": _ours,
    "redis.asyncio": _redis_asyncio,
    "redis.asyncio, coalesced": _coalesced,
    "redis-py": _redis_blocking,
    "redis-py, pipelines": _redis_pipeline,
    "socket": _socket,
    "socket, pipelines": _socket_pipeline,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
