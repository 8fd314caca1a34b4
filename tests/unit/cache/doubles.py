"""Doubles: clocks that tests move, and a tier below memory that does what the protocol says, or fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tickspan.cache import Region
from tickspan.cache.clock import Clock
from tickspan.cache.entry import Level
from tickspan.cache.envelope import id_of, tombstone
from tickspan.cache.tiers import (
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

DAY_MS = 1_700_000_000_000


class Hands:
    """A clock's hands, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.clock = Clock(lambda: self.now_s, lambda: DAY_MS + round(1000 * self.now_s))

    def move(self, seconds: float) -> None:
        self.now_s += seconds


class Door:
    """The calls of a region, by its blocking or its asynchronous ones: both must tell the same story."""

    def __init__(self, region: Region[Any], *, is_async: bool) -> None:
        self._region = region
        self._is_async = is_async

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not self._is_async:
            return getattr(self._region.sync, name)
        method = getattr(self._region, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await method(*args, **kwargs)

        return lambda *args, **kwargs: asyncio.run(call(*args, **kwargs))


class Shelf:
    """A `LowerTier` in a dict, which several regions may share as processes share a server."""

    def __init__(self, level: Level, hands: Hands) -> None:
        self.level = level
        self.hands = hands
        self.values: dict[str, tuple[bytes, float]] = {}
        self.epochs: dict[str, int] = {}
        self.claims: dict[str, bytes] = {}
        self.listeners: list[tuple[str, Listener]] = []
        self.requests: list[AnyRequest] = []
        self.generations: dict[str, int] = {}
        self.fails: Callable[[AnyRequest], bool] = lambda _: False
        self.is_available = True
        self.is_slow_to_push = False
        self.tells_changes = True
        self.pushes: list[str] = []
        self.before: Callable[[AnyRequest], object] = lambda _: None
        self._missed: list[AnyRequest] = []
        self._lock = threading.RLock()

    def perform(self, request: AnyRequest, /) -> Answer:
        self.before(request)
        with self._lock:
            if not self.is_available or self.fails(request):
                if not isinstance(request, Read | Claim | Release):
                    self._missed.append(request)
                raise TierUnavailable(self.level, "down")
            self._make_good()
            self.requests.append(request)
            return self._answer(request)

    @property
    def has_missed(self) -> bool:
        """Whether something was not done yet."""
        return bool(self._missed)

    def _make_good(self) -> None:
        """Make void what was not done while it failed, as a tier has to."""
        missed, self._missed = self._missed, []
        for request in missed:
            if isinstance(request, Write):
                void = tombstone(b"madegood", DAY_MS, 1, request.version)
                self._answer(Bury((request.key,), (void,), 10_000))
            else:
                self._answer(request)

    async def perform_async(self, request: AnyRequest, /) -> Answer:
        return self.perform(request)

    def listen(self, prefix: str, listener: Listener, /) -> bool:
        if not self.tells_changes:
            return False
        self.listeners.append((prefix, listener))
        return self.level is Level.REDIS

    def unlisten(self, prefix: str, listener: Listener, /) -> None:
        self.listeners.remove((prefix, listener))

    def generation(self, key: str, /) -> int:
        return self.generations.get(key, 0)

    def close(self) -> None:
        self.is_available = False

    def lose(self, *, is_lost: bool) -> None:
        """The tracker is gone, or back."""
        for listener in dict.fromkeys(listener for _, listener in self.listeners):
            listener.lost(is_lost)

    def flush(self) -> None:
        """FLUSHALL."""
        self.values.clear()
        self.epochs.clear()
        for listener in dict.fromkeys(listener for _, listener in self.listeners):
            listener.flushed()

    def held(self, name: str) -> bytes | None:
        found = self.values.get(name)
        return None if found is None or found[1] <= self.hands.now_s else found[0]

    def asked(self) -> list[str]:
        """The kinds of requests so far."""
        return [type(request).__name__ for request in self.requests]

    def _answer(self, request: AnyRequest) -> Any:  # noqa: C901, PLR0911 - one arm for each request
        match request:
            case Read(keys, epochs):
                numbers = tuple(self.epochs.get(name, 0) for name in epochs)
                return Found(tuple(self.held(key) for key in keys), numbers)
            case Write():
                return self._write(request)
            case Bury(keys, tombstones, ttl_ms):
                for key, raw in zip(keys, tombstones, strict=True):
                    held = self.held(key)
                    if held is not None and held[8:16] > raw[8:16]:
                        raw = raw[:8] + held[8:16] + raw[16:]  # noqa: PLW2901 - it keeps the newer version
                    self.values[key] = (raw, self.hands.now_s + ttl_ms / 1000)
                self._push(keys)
                return None
            case Bump(epochs, now_ms):
                for name in epochs:
                    self.epochs[name] = max(now_ms, self.epochs.get(name, 0) + 1)
                self._push(epochs)
                return tuple(self.epochs[name] for name in epochs)
            case Erase(prefix):
                gone = [name for name in self.values if name.startswith(prefix)]
                for name in gone:
                    del self.values[name]
                self._push(gone)
                return len(gone)
            case Claim(key, owner):
                return self.claims.setdefault(key, owner) == owner
            case Release(key, owner):
                if self.claims.get(key) == owner:
                    del self.claims[key]
                return None

    def _write(self, request: Write) -> bool:
        held = self.held(request.key)
        if request.expected_id is not None and id_of(held) != request.expected_id:
            return False
        if request.version is not None and held is not None:
            version = int.from_bytes(held[8:16])
            if version > request.version:
                return False
        self.values[request.key] = (request.raw, self.hands.now_s + request.ttl_ms / 1000)
        self._push((request.key,))
        return True

    def _push(self, names: Sequence[str]) -> None:
        self.pushes.extend(names)
        if not self.is_slow_to_push:
            self.deliver()

    def deliver(self) -> None:
        """What was pushed arrives: first the generations change, then the listeners hear."""
        names, self.pushes = self.pushes, []
        for name in names:
            self.generations[name] = self.generations.get(name, 0) + 1
            for prefix, listener in tuple(self.listeners):
                if name.startswith(prefix):
                    listener.invalidated([name])
