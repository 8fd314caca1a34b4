"""Redis as a tier: what regions ask of it, as commands and scripts, and what becomes of it in an outage."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tickspan.cache.entry import Level
from tickspan.cache.envelope import tombstone
from tickspan.cache.remote.journal import Due, Journal, JournalStatistics, epoch_of
from tickspan.cache.remote.libraries import errors
from tickspan.cache.remote.link import PRIMARIES, Asking, LinkStatistics, RedisLink, Steps, scripted
from tickspan.cache.remote.mux import Mux
from tickspan.cache.remote.nodes import Command
from tickspan.cache.remote.scripts import BUMP, BURY, EPOCH_END, EPOCH_TTL_MS, NO_ROOM, RELEASE, WRITE
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.tracking import Tracking, TrackingStatistics
from tickspan.cache.tiers import (
    NOTHING,
    Answer,
    AnyRequest,
    Bump,
    Bury,
    Claim,
    Erase,
    Found,
    Listener,
    Read,
    Release,
    TierUnavailable,
    Write,
)
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.recording import Guard

__all__ = ["RedisTier", "TierStatistics"]

_GLOB: Final = re.compile(r"([*?\[\]\\^-])")
_SCAN_COUNT: Final = 1000
_BATCH: Final = 200
_TOMBSTONE_MS: Final = 10_000
_REPLAY_S: Final = 0.1
"""Between two tries of the journal while the breaker is closed."""
_READY_S: Final = 0.02
_CERTAINLY_NOT_DONE: Final = frozenset(
    {
        "authentication",
        "breaker_open",
        "closed",
        "cluster_down",
        "loading",
        "no_connection_free",
        "overloaded",
        "read_only",
    }
)
"""Reasons for which nothing was sent, or the server says that it did nothing."""
_NEVER_DONE: Final = frozenset({"no_permission", "no_room"})
"""We may not write there at all, and what others have written is all there is; or nothing is there now."""


@dataclass(frozen=True, slots=True)
class TierStatistics:
    """A Redis tier at a glance."""

    link: LinkStatistics
    journal: JournalStatistics
    tracking: TrackingStatistics


class RedisTier:
    """A `LowerTier` over Redis: one primary, behind sentinels, or a cluster.

    What could not be written, buried or bumped, or may not have been, stands in a journal, and is made void
    on the server as soon as that answers, by a thread that lives as long as there is something to do. Until
    then a read of it raises `TierUnavailable` with the reason `journal`: no value from before the outage is
    served after it. Safe for any thread and event loop; survives a fork.

    Args:
        link: how Redis is reached; the tier closes it.
        unknown_s: how late the server may still hear a write whose reply did not come.
        now_s: the monotonic clock.
    """

    def __init__(
        self, link: RedisLink, *, unknown_s: float = 1.0, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.link = link
        self._journal = Journal(unknown_s=unknown_s, now_s=now_s)
        self._tracking = Tracking(link.settings)
        self._tombstone_ms = _TOMBSTONE_MS
        self._guard = Guard("cache", "redis.journal")
        link.breaker.observe(lambda _before, _after: self._wake.set())
        self._forget()
        renew_after_fork(self)

    @classmethod
    def from_url(cls, url: str, settings: RemoteSettings | None = None) -> RedisTier:
        """A tier on the server of a URL; see `RemoteSettings` for URLs.

        Raises:
            ValueError: the URL is not one of Redis's.
        """
        return cls(RedisLink.from_url(url, settings))

    def __repr__(self) -> str:
        return (
            f"<RedisTier {self.link.place} {self.link.breaker.state}, {self._journal!r}, {self._tracking!r}>"
        )

    @property
    def level(self) -> Level:
        """Redis."""
        return Level.REDIS

    @property
    def is_available(self) -> bool:
        """Whether a request would be tried at all."""
        return self.link.is_available

    @property
    def mux(self) -> Mux:
        """The connection that pipelines by itself. Raises `ValueError` for a cluster."""
        return self.link.mux

    @property
    def lag_s(self) -> float | None:
        """How long the last word from the tracking connection was on its way; None while it is lost."""
        return self._tracking.lag_s

    @property
    def tracking_refused(self) -> str | None:
        """Why the server does not tell changes, in one word; None if it does, or has not been asked yet."""
        return self._tracking.refused

    def perform(self, request: AnyRequest, /) -> Answer:
        """Do it, blocking. Raises `TierUnavailable`."""
        stamp = self._admit(request)
        try:
            answer = self.link.run(self._steps(request))
        except BaseException as error:
            self._failed(request, error)
            raise
        return self._finish(request, answer, stamp)

    async def perform_async(self, request: AnyRequest, /) -> Answer:
        """Do it without blocking the loop. Raises `TierUnavailable`; a cancelled call harms no other."""
        stamp = self._admit(request)
        try:
            answer = await self.link.run_async(self._steps(request))
        except BaseException as error:
            self._failed(request, error)
            raise
        return self._finish(request, answer, stamp)

    def listen(self, prefix: str, listener: Listener, /) -> bool:
        """Tell `listener` of changes below `prefix`; False where the server refuses to."""
        return self._tracking.listen(prefix, listener)

    def unlisten(self, prefix: str, listener: Listener, /) -> None:
        """Tell `listener` no longer; the server stops when nobody listens below `prefix`."""
        self._tracking.unlisten(prefix, listener)

    def generation(self, key: str, /) -> int:
        """A number that grows when `key` changes elsewhere."""
        return self._tracking.generation(key)

    async def ready(self, deadline_s: float) -> bool:
        """Wait until Redis answers and, if somebody listens, tells changes; False if not in `deadline_s`."""
        end_s = time.monotonic() + deadline_s
        while True:
            try:
                await self.link.call_async("PING")
            except TierUnavailable:
                pass
            else:
                if self._tracking.is_settled and not self._journal.is_dirty:
                    return True
            if time.monotonic() >= end_s:
                return False
            await asyncio.sleep(min(_READY_S, deadline_s))

    def statistics(self) -> TierStatistics:
        """Counts so far."""
        return TierStatistics(self.link.statistics(), self._journal.statistics(), self._tracking.statistics())

    def close(self) -> None:
        """Make void what waits for it if Redis answers, and give everything back. Idempotent."""
        self._stop()
        self._tracking.close()
        self.link.close()

    async def aclose(self) -> None:
        """As `close`, and waits for the running loop's connections."""
        await asyncio.to_thread(self._stop)
        await asyncio.to_thread(self._tracking.close)
        await self.link.aclose()

    def after_fork_in_child(self) -> None:
        """The parent makes void what it has noted."""
        self._journal.forget()
        self._forget()

    # Before and after a request.

    def _admit(self, request: AnyRequest) -> int:
        journal = self._journal
        if journal.is_dirty and isinstance(request, Read) and journal.touches(request):
            raise TierUnavailable(Level.REDIS, "journal")
        if isinstance(request, Bury):
            self._tombstone_ms = max(self._tombstone_ms, request.ttl_ms)
        return journal.stamp

    def _finish(self, request: AnyRequest, answer: Answer, stamp: int) -> Answer:
        journal = self._journal
        if journal.is_dirty:
            if isinstance(request, Read) and journal.touches(request):
                raise TierUnavailable(Level.REDIS, "journal")  # noted while we were reading
            if isinstance(request, Bury | Bump):
                journal.done(request, stamp)
        return answer

    def _failed(self, request: AnyRequest, error: BaseException) -> None:
        reason = error.reason if isinstance(error, TierUnavailable) else "cancelled"
        if reason in _NEVER_DONE:
            return
        if self._journal.note(request, is_unknown=reason not in _CERTAINLY_NOT_DONE):
            self._begin_replay()

    # Requests as commands.

    def _steps(self, request: AnyRequest) -> Steps[Answer]:  # noqa: PLR0911 - one line for each request
        match request:
            case Read():
                return self._read(request)
            case Write():
                return self._write(request)
            case Bury():
                return self._bury(request.keys, request.tombstones, request.ttl_ms)
            case Bump():
                return self._bump(request.epochs, request.now_ms)
            case Erase():
                return self._erase(request.prefix)
            case Claim():
                return self._claim(request)
            case Release():
                return self._release(request)

    def _read(self, request: Read) -> Steps[Answer]:
        names = (*request.keys, *request.epochs)
        if not names:
            return Found(())
        if self.link.is_cluster:
            replies = yield Asking([("GET", name) for name in names])
            values = self._good([None if _is_of_another_type(reply) else reply for reply in replies])
        else:
            values = self._good((yield Asking((("MGET", *names),))))[0]
        count = len(request.keys)
        return Found(tuple(values[:count]), tuple(map(_number, values[count:])))

    def _write(self, request: Write) -> Steps[Answer]:
        ttl_ms = max(1, request.ttl_ms)
        if request.expected_id is None and request.version is None:
            replies = yield Asking((("SET", request.key, request.raw, "PX", ttl_ms),))
            if isinstance(replies[0], errors.OutOfMemoryError):
                self._good((yield Asking((("UNLINK", request.key),))))
                raise self.link.unavailable("no_room")
            self._good(replies)
            return True
        expected = request.expected_id
        mode = "any" if expected is None else "nothing" if expected == NOTHING else "id"
        version = b"" if request.version is None else request.version.to_bytes(8)
        arguments = (request.raw, ttl_ms, mode, expected or b"", version)
        replies = yield from scripted(WRITE, [((request.key,), arguments)])
        stored = self._good(replies)[0]
        if stored == NO_ROOM:
            raise self.link.unavailable("no_room")
        return stored == 1

    def _bury(self, keys: Sequence[str], tombstones: Sequence[bytes], ttl_ms: int) -> Steps[Answer]:
        if keys:
            calls = [((key,), (raw, max(1, ttl_ms))) for key, raw in zip(keys, tombstones, strict=True)]
            self._good((yield from scripted(BURY, calls)))
        return None

    def _bump(self, epochs: Sequence[str], now_ms: int) -> Steps[Answer]:
        if not epochs:
            return ()
        replies = yield from scripted(BUMP, [((name,), (now_ms, EPOCH_TTL_MS)) for name in epochs])
        return tuple(int(number) for number in self._good(replies))

    def _erase(self, prefix: str) -> Steps[Answer]:
        pattern = _GLOB.sub(r"\\\1", prefix) + "*"
        erased = 0
        for node in (yield PRIMARIES):
            cursor: Any = 0
            while True:
                replies = yield Asking((("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT),), node)
                cursor, names = _scanned(self._good(replies)[0])
                if names:
                    commands: list[Command] = (
                        [("UNLINK", name) for name in names] if self.link.is_cluster else [("UNLINK", *names)]
                    )
                    erased += sum(map(int, self._good((yield Asking(commands)))))
                if cursor == 0:
                    break
        return erased

    def _claim(self, request: Claim) -> Steps[Answer]:
        command = ("SET", request.key, request.owner, "NX", "PX", max(1, request.ttl_ms))
        return bool(self._good((yield Asking((command,))))[0])

    def _release(self, request: Release) -> Steps[Answer]:
        self._good((yield from scripted(RELEASE, [((request.key,), (request.owner,))])))
        return None

    def _good(self, replies: Sequence[Any]) -> Sequence[Any]:
        """The replies, if none is an error of the server."""
        for reply in replies:
            if isinstance(reply, errors.RedisError):
                raise self.link.refused(reply) from reply
        return replies

    # The journal's replay.

    def _forget(self) -> None:
        self._replay_lock = threading.Lock()
        self._replay: threading.Thread | None = None
        self._wake = threading.Event()
        self._is_stopping = False

    def _begin_replay(self) -> None:
        self._wake.set()
        if self._replay is not None:
            return
        with self._replay_lock:
            if self._replay is not None or self._is_stopping:
                return
            thread = threading.Thread(target=self._replay_all, name="tickspan-cache-journal", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # no thread starts while the interpreter shuts down
            self._replay = thread

    def _replay_all(self) -> None:
        while not self._is_stopping:
            self._wake.clear()
            wait_s = self._journal.wait_s()
            if wait_s is None:
                with self._replay_lock:
                    if not self._journal.is_dirty:
                        self._replay = None
                        return
                continue
            wait_s = max(wait_s, self.link.breaker.wait_s())
            if wait_s == 0.0 and not self._replay_due():
                wait_s = _REPLAY_S
            if wait_s > 0.0:
                self._wake.wait(wait_s)

    def _replay_due(self, *, is_last: bool = False) -> bool:
        """Make void what is due; False if Redis does not answer."""
        due = self._journal.due(_BATCH, is_last=is_last)
        try:
            self.link.run(self._make_void(due))
        except TierUnavailable:
            return False
        except Exception as error:  # noqa: BLE001 - the top of a thread without which names stay unreadable
            self._guard.caught(error)
            return False
        self._journal.settle(due)
        return True

    def _make_void(self, due: Due) -> Steps[None]:
        now_ms = time.time_ns() // 1_000_000
        whole = [name for name in map(epoch_of, due.prefixes) if name is not None]
        yield from self._bump([*due.epochs, *whole], now_ms)
        tombs = [
            tombstone(secrets.token_bytes(8), now_ms, self._tombstone_ms, version or None)
            for version in due.keys.values()
        ]
        yield from self._bury(list(due.keys), tombs, self._tombstone_ms)
        for prefix in due.prefixes:
            yield from self._erase(prefix)

    def _stop(self) -> None:
        with self._replay_lock:
            if self._is_stopping:
                return
            self._is_stopping = True
            thread = self._replay
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(self.link.settings.connect_timeout_s + self.link.settings.timeout_s)
        while self._journal.is_dirty and self.link.breaker.is_closed and self._replay_due(is_last=True):
            pass  # nobody is here later for what may still be under way


def _is_of_another_type(reply: Any) -> bool:
    """Whether somebody keeps a list, a hash… where we would keep a value: nothing is there for us."""
    return isinstance(reply, errors.ResponseError) and str(reply).startswith("WRONGTYPE")


def _number(value: Any) -> int:
    """An epoch; 0 for what is none, as `BUMP` sees it."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        return 0
    return number if 0 <= number < EPOCH_END else 0


def _scanned(reply: Any) -> tuple[int, list[Any]]:
    """The next cursor and the names; redis-py's cluster clients tell the cursor of each node."""
    cursor, names = reply
    if isinstance(cursor, dict):
        cursor = next(iter(cursor.values()), 0)
    return int(cursor), list(names)
