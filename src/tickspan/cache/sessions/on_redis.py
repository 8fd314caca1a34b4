"""Sessions in Redis: one key a session, one sorted set a user; each step is of one slot.

Its names begin with `namespace:@`, which no region tracks: reads that renew an expiry invalidate nobody.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from tickspan.cache.remote.link import Asking, RedisLink, scripted
from tickspan.cache.remote.scripts import Script
from tickspan.cache.sessions.record import HEAD_BYTES
from tickspan.cache.sessions.requests import (
    Answer,
    Extend,
    Fetch,
    Fetched,
    Forget,
    Insert,
    List,
    Listed,
    Note,
    Remove,
    Replace,
    Request,
)
from tickspan.cache.sessions.session import SessionStoreUnavailable
from tickspan.cache.tiers import TierUnavailable

__all__ = ["RedisKeeper"]

_REPLACE: Final = Script(
    "session-replace",
    f"""
if redis.call('GETRANGE', KEYS[1], 0, {HEAD_BYTES - 1}) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""",
)
"""Key; what the record must begin with, the new one, ttl in ms. 1: it did."""
_NOTE: Final = Script(
    "session-note",
    """
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
""",
)
"""Index; digest, now in ms, ttl in ms."""


class RedisKeeper:
    """Sessions on a server or a cluster, over a link with its own limits and breaker."""

    def __init__(self, link: RedisLink, namespace: str) -> None:
        self._link = link
        self._namespace = namespace

    def __repr__(self) -> str:
        return f"<RedisKeeper {self._link!r}>"

    def perform(self, request: Request, /) -> Answer:
        """Raises `SessionStoreUnavailable`: there is no reply in time, or it is an error."""
        try:
            return self._link.run(self._steps(request))
        except TierUnavailable as error:
            raise SessionStoreUnavailable(error.reason) from error

    async def perform_async(self, request: Request, /) -> Answer:
        """As `perform`, without blocking."""
        try:
            return await self._link.run_async(self._steps(request))
        except TierUnavailable as error:
            raise SessionStoreUnavailable(error.reason) from error

    def close(self) -> None:
        """The link is the tier's."""

    def _steps(self, request: Request) -> Generator[Any, list[Any], Answer]:
        match request:
            case Fetch(digests):
                names = [self._session(digest) for digest in digests]
                asked = [(verb, name) for name in names for verb in ("GET", "PTTL")]
                replies = yield from self._asked(*asked)
                return tuple(
                    None if raw is None else Fetched(raw, left_ms)
                    for raw, left_ms in zip(replies[::2], replies[1::2], strict=True)
                )
            case Remove(digests):
                removed = yield from self._asked(*(("UNLINK", self._session(digest)) for digest in digests))
                return sum(removed)
            case List(user):
                (found,) = yield from self._asked(("ZRANGE", self._user(user), 0, -1, "WITHSCORES"))
                return tuple(Listed(digest, int(float(score))) for digest, score in _pairs(found))
            case Replace(digest, head, raw, ttl_ms):
                done = yield from self._scripted(_REPLACE, self._session(digest), head, raw, ttl_ms)
                return done == 1
            case Note(user, digest, now_ms, ttl_ms):
                yield from self._scripted(_NOTE, self._user(user), digest, now_ms, ttl_ms)
                return None
            case _:
                yield from self._asked(self._command(request))
                return None

    def _command(self, request: Insert | Extend | Forget) -> tuple[Any, ...]:
        match request:
            case Insert(digest, raw, ttl_ms):
                return ("SET", self._session(digest), raw, "PX", ttl_ms)
            case Extend(digest, ttl_ms):
                return ("PEXPIRE", self._session(digest), ttl_ms)
            case Forget(user, digests):
                return ("ZREM", self._user(user), *digests)

    def _session(self, digest: bytes) -> str:
        return f"{self._namespace}:@session:{digest.hex()}"

    def _user(self, user: str) -> str:
        return f"{self._namespace}:@sessions:{user}"

    def _asked(self, *commands: tuple[Any, ...]) -> Generator[Any, list[Any], list[Any]]:
        replies = yield Asking(commands)
        return [self._good(reply) for reply in replies]

    def _scripted(self, script: Script, key: str, *arguments: Any) -> Generator[Any, list[Any], Any]:
        (reply,) = yield from scripted(script, [((key,), arguments)])
        return self._good(reply)

    def _good(self, reply: Any) -> Any:
        if isinstance(reply, Exception):
            raise self._link.refused(reply)
        return reply


def _pairs(found: list[Any]) -> list[tuple[bytes, Any]]:
    """Members and scores: in pairs by RESP3, one after the other by RESP2."""
    if found and isinstance(found[0], list | tuple):
        return [(member, score) for member, score in found]
    return list(zip(found[::2], found[1::2], strict=True))
