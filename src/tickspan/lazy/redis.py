"""Keys and streams of Redis, by SCAN and XRANGE, with a client of redis-py, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Final, Literal, TypeAlias

from tickspan.lazy.source import AsyncReader, Chunk, Dataset, MissingLibraryError, Position, Reader

try:
    import redis
    import redis.asyncio
except ImportError as error:  # pragma: no cover - installed where this is tested
    raise MissingLibraryError("Redis is read by redis-py: pip install 'tickspan[cache]'") from error

_MS_PER_S: Final = 1000
Asking: TypeAlias = Generator[Any, Any, Chunk[Any]]
"""Yields what the client has returned, perhaps awaitable, and is sent what it means."""


def redis_scan(
    client: redis.Redis | redis.asyncio.Redis,
    match: str | bytes | None = None,
    *,
    type: str | None = None,  # noqa: A002 - the name that SCAN has
    name: str = "redis scan",
) -> Dataset[Any]:
    """The keys of a Redis database, as the client decodes them.

    By the rules of SCAN: a key that is there all the time comes at least once, perhaps more than once; one
    that comes or goes meanwhile may come or not. A resume begins with the page that was being handed out.

    Args:
        client: of redis-py, for one node: a cluster is scanned node by node.
        match: a pattern, `quote:*`.
        type: only keys of this type, such as "stream".
        name: of the dataset, in telemetry.

    Raises:
        TypeError: `client` is none.
    """
    return _Redis(client, name, repr(("scan", match, type)), lambda: _Scan(client, match, type))


def redis_stream(
    client: redis.Redis | redis.asyncio.Redis,
    key: str | bytes,
    *,
    until: Literal["start"] | None = None,
    block_s: float | None = None,
    name: str = "redis stream",
) -> Dataset[Any]:
    """The entries of a Redis stream, `(id, fields)` as the client decodes them, oldest first.

    Redis 6.2 or later. A token is the id of an entry: nothing is lost or repeated over a resume, but for
    entries that were trimmed or deleted meanwhile.

    Args:
        client: of redis-py.
        key: of the stream; one that does not exist is empty.
        until: "start" reads no further than the last entry that is there when reading starts.
        block_s: wait so long for entries after the last one, and end when none has come; 0 waits for ever.
        name: of the dataset, in telemetry.

    Raises:
        TypeError: `client` is none.
        ValueError: `until` and `block_s` are both given, or out of their range.
    """
    if until not in {None, "start"}:
        raise ValueError(f"until must be 'start' or None, not {until!r}")
    if block_s is not None and (until is not None or block_s < 0):
        raise ValueError("block_s must not be negative, and waits for nothing with until='start'")
    return _Redis(client, name, repr(("stream", key)), lambda: _Stream(client, key, until, block_s))


class _Redis(Dataset[Any]):
    def __init__(
        self, client: Any, name: str, fingerprint: str, begin: Callable[[], _Scan | _Stream]
    ) -> None:
        if not isinstance(client, redis.Redis | redis.asyncio.Redis):
            raise TypeError(f"expected a client of redis-py, got {type(client).__name__}")
        self._client = client
        self._name = name
        self._fingerprint = fingerprint
        self._begin = begin

    def __repr__(self) -> str:
        return f"<{self._name}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def open(self) -> Reader[Any] | AsyncReader[Any]:
        if isinstance(self._client, redis.asyncio.Redis):
            return _AsyncRedisReader(self._begin())
        return _RedisReader(self._begin())


class _RedisReader(Reader[Any]):
    def __init__(self, asking: _Scan | _Stream) -> None:
        self._asking = asking

    def fetch(self, position: Position, limit: int) -> Chunk[Any]:
        steps = self._asking.fetch(position, limit)
        answer: Any = None
        while True:
            try:
                answer = steps.send(answer)
            except StopIteration as done:
                return done.value


class _AsyncRedisReader(AsyncReader[Any]):
    def __init__(self, asking: _Scan | _Stream) -> None:
        self._asking = asking

    async def fetch(self, position: Position, limit: int) -> Chunk[Any]:
        steps = self._asking.fetch(position, limit)
        answer: Any = None
        while True:
            try:
                answer = steps.send(answer)
            except StopIteration as done:
                return done.value
            if inspect.isawaitable(answer):
                answer = await _awaited(answer)


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


class _Scan:
    def __init__(self, client: Any, match: str | bytes | None, kind: str | None) -> None:
        self._client = client
        self._match = match
        self._kind = kind

    def fetch(self, position: Position, limit: int) -> Asking:
        cursor, keys = yield self._client.scan(
            position or 0, match=self._match, count=limit, _type=self._kind
        )
        cursor = int(cursor)
        # the page's own cursor for all its keys: a rehash in between may have moved any of them
        return Chunk(keys, cursor or None, position_at=lambda _: position)


class _Stream:
    def __init__(self, client: Any, key: str | bytes, until: str | None, block_s: float | None) -> None:
        self._client = client
        self._key = key
        self._until = until
        self._block_s = block_s
        self._last: Any = None

    def fetch(self, position: Position, limit: int) -> Asking:
        if self._until is not None and self._last is None:
            found = yield self._client.xrevrange(self._key, count=1)
            if not found:
                return Chunk((), None)
            self._last = _text(found[0][0])
        start = "-" if position is None else f"({position}"
        entries = yield self._client.xrange(self._key, min=start, max=self._last or "+", count=limit)
        if entries or self._block_s is None:
            return _entries(entries, is_last=len(entries) < limit and self._block_s is None)
        after = position or "0"
        answer = yield self._client.xread(
            {self._key: after}, count=limit, block=round(self._block_s * _MS_PER_S)
        )
        return _entries(_read(answer), is_last=not answer)


def _read(answer: Any) -> Sequence[Any]:
    """The entries of the one stream that XREAD was asked for, in the form of either protocol."""
    if not answer:
        return ()
    if isinstance(answer, dict):
        (lists,) = answer.values()
        return lists[0] if lists and isinstance(lists[0], list) else lists
    ((_, entries),) = answer
    return entries


def _entries(entries: Sequence[Any], *, is_last: bool) -> Chunk[Any]:
    position = None if is_last or not entries else _text(entries[-1][0])
    return Chunk(entries, position, position_at=lambda count: _text(entries[count - 1][0]))


def _text(identifier: str | bytes) -> str:
    return identifier.decode() if isinstance(identifier, bytes) else identifier
