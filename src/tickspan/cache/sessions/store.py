"""The store of sessions, asynchronous and blocking; both run the same rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from tickspan.cache.entry import Level
from tickspan.cache.sessions.keepers import FileKeeper, MemoryKeeper
from tickspan.cache.sessions.requests import Keeper, Routine
from tickspan.cache.sessions.rules import Rules
from tickspan.cache.sessions.session import Session
from tickspan.cache.sessions.tokens import new_token
from tickspan.cache.tiers import LowerTier
from tickspan.recording import diagnostics

__all__ = ["SessionStore", "SyncSessionStore", "keeper_of"]

R = TypeVar("R")
_FORM: Final = 1
"""Of the tables: other ones are in other files."""
_ONLY_HERE: Final = (
    "sessions are kept in the memory of this process and end with it; a cache with Redis or a disk keeps them"
)


class Tiered(Protocol):
    """A cache, as far as sessions need one."""

    @property
    def namespace(self) -> str:
        """The first part of all names."""
        ...

    @property
    def tiers(self) -> Sequence[LowerTier]:
        """What is below memory."""
        ...


class SessionStore:
    """Logins of users, in the cache's Redis; without one in a file beside its disk, else in memory.

    A token is 256 random bits, kept under its SHA-256. A session ends when nobody used it for `idle_ttl_s`,
    and `absolute_ttl_s` after its creation in any case. It is read from the store each time: neither memory
    nor a stale value ever answers. Safe for any thread and event loop. `sync` has the same calls, blocking.

    Every call raises `SessionStoreUnavailable` when the store cannot answer: that is not "no session".

    Args:
        cache: whose tiers and namespace are used.
        idle_ttl_s: a read begins it anew once a tenth has passed.
        absolute_ttl_s: from creation on, rotations included.
        max_per_user: over it the user's oldest sessions end.
        keeper: where sessions are kept instead.
        now_ms: the time of day, in milliseconds since 1970.
        token: makes tokens; tests give another.

    Raises:
        ValueError: a number is out of its range, or the idle time is longer than the absolute one.
    """

    def __init__(
        self,
        cache: Tiered,
        idle_ttl_s: float = 3600,
        absolute_ttl_s: float = 86400,
        max_per_user: int | None = None,
        *,
        keeper: Keeper | None = None,
        now_ms: Callable[[], int] | None = None,
        token: Callable[[], str] = new_token,
    ) -> None:
        told = now_ms or _now_ms
        self._rules = Rules(idle_ttl_s, absolute_ttl_s, max_per_user, told, token)
        self._keeper = keeper_of(cache, told) if keeper is None else keeper
        self.sync = SyncSessionStore(self._rules, self._keeper)
        """The same, blocking."""

    def __repr__(self) -> str:
        return f"<SessionStore {self._keeper!r}, idle {self._rules.idle_ttl_s:g} s>"

    async def create(self, user_id: str, data: dict[str, Any] | None = None) -> tuple[str, Session]:
        """A new session: the token, to be given to the user and kept nowhere else, and the session.

        Raises:
            TypeError: `data` holds what JSON could not, bytes and aware datetimes excepted; with the path.
            ValueError: it is too large.
        """
        return await self._run(self._rules.create(user_id, data))

    async def get(self, token: str) -> Session | None:
        """The session of a token; None for one that has ended, is unknown, or is no token at all."""
        return await self._run(self._rules.get(token))

    async def save(self, session: Session) -> None:
        """Write `session.data`; errors of data as `create`.

        Raises:
            SessionConflict: it was saved, rotated or ended by somebody else since it was read.
        """
        await self._run(self._rules.save(session))

    async def rotate(self, token: str) -> tuple[str, Session] | None:
        """The session under a new token; None if there is none. Do it before a user gets more rights.

        With the old token the session can be read as it was for 5 s more, and not saved.

        Raises:
            SessionConflict: somebody else rotates or saves it at this moment.
        """
        return await self._run(self._rules.rotate(token))

    async def revoke(self, token: str | Session) -> bool:
        """End a session, also one of `list_user`; whether there was one."""
        return await self._run(self._rules.revoke(token))

    async def revoke_user(self, user_id: str) -> int:
        """End all sessions of a user; how many there were."""
        return await self._run(self._rules.revoke_user(user_id))

    async def list_user(self, user_id: str) -> list[Session]:
        """A user's sessions, the oldest first."""
        return await self._run(self._rules.list_user(user_id))

    def close(self) -> None:
        """Give back what is the store's own; the cache's tiers are not."""
        self._keeper.close()

    async def _run(self, routine: Routine[R]) -> R:
        try:
            request = next(routine)
            while True:
                request = routine.send(await self._keeper.perform_async(request))
        except StopIteration as done:
            return done.value


class SyncSessionStore:
    """As `SessionStore`, blocking."""

    def __init__(self, rules: Rules, keeper: Keeper) -> None:
        self._rules = rules
        self._keeper = keeper

    def __repr__(self) -> str:
        return f"<SyncSessionStore {self._keeper!r}, idle {self._rules.idle_ttl_s:g} s>"

    def create(self, user_id: str, data: dict[str, Any] | None = None) -> tuple[str, Session]:
        """As `SessionStore.create`."""
        return self._run(self._rules.create(user_id, data))

    def get(self, token: str) -> Session | None:
        """As `SessionStore.get`."""
        return self._run(self._rules.get(token))

    def save(self, session: Session) -> None:
        """As `SessionStore.save`."""
        self._run(self._rules.save(session))

    def rotate(self, token: str) -> tuple[str, Session] | None:
        """As `SessionStore.rotate`."""
        return self._run(self._rules.rotate(token))

    def revoke(self, token: str | Session) -> bool:
        """As `SessionStore.revoke`."""
        return self._run(self._rules.revoke(token))

    def revoke_user(self, user_id: str) -> int:
        """As `SessionStore.revoke_user`."""
        return self._run(self._rules.revoke_user(user_id))

    def list_user(self, user_id: str) -> list[Session]:
        """As `SessionStore.list_user`."""
        return self._run(self._rules.list_user(user_id))

    def _run(self, routine: Routine[R]) -> R:
        try:
            request = next(routine)
            while True:
                request = routine.send(self._keeper.perform(request))
        except StopIteration as done:
            return done.value


def keeper_of(cache: Tiered, now_ms: Callable[[], int]) -> Keeper:
    """Where a cache's sessions are kept: Redis before the disk before memory."""
    tiers = {tier.level: tier for tier in cache.tiers}
    redis, disk = tiers.get(Level.REDIS), tiers.get(Level.DISK)
    if redis is not None:
        from tickspan.cache.sessions.on_redis import RedisKeeper  # needs redis and hiredis

        return RedisKeeper(cast("Any", redis).link, cache.namespace)
    if disk is not None:
        folder: Path = cast("Any", disk).folder
        return FileKeeper(folder / f"{cache.namespace}-sessions-{_FORM}.db", now_ms)
    diagnostics.warning(_ONLY_HERE)
    return MemoryKeeper(now_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
