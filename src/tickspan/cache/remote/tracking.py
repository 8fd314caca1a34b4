"""What changes on the server, as it says itself: client-side caching in its broadcast mode, on one thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.cache.remote.libraries import errors, pack
from tickspan.cache.remote.replies import reason_of
from tickspan.cache.remote.settings import Place, RemoteSettings
from tickspan.cache.remote.wire import Wire, open_wire
from tickspan.cache.tiers import Listener
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.recording import Guard

__all__ = ["Tracking", "TrackingStatistics"]

_SLOTS: Final = 1024
_PING: Final = pack(("PING",))
_PING_S: Final = 0.25
"""Between two questions whether the server still speaks."""
_DEAF_S: Final = 0.4
"""How long the answer may take; with the pause, a server that stops is noticed within a second."""
_AGAIN_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses before the next connection."""
_REFUSED_S: Final = 30.0
"""Until a server that refused is asked again: its rights may have been changed."""
_TOPOLOGY_S: Final = 10.0
"""Between two looks at who the primaries of a cluster are."""
_JOIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class TrackingStatistics:
    """What the server has told."""

    is_live: bool
    """Whether it tells everything that somebody listens for."""
    refused: str | None
    prefixes: int
    connects: int
    lost: int
    pushes: int
    """Names that have changed."""
    flushes: int
    """How often anything may have changed."""
    lag_s: float | None
    """Of the last answer on the connection that pushes come over."""


@dataclass(slots=True, eq=False)
class _Audience:
    listener: Listener
    prefixes: set[str] = field(default_factory=set[str])
    is_told: bool = False
    """Whether it has been told that it hears everything."""


class _RefusedError(Exception):
    """The server does not tell changes; the reason is one word."""


class Tracking:
    """Listens on a connection of its own to each primary, and tells listeners and generations.

    A listener is told `lost(True)` by `listen`, and `flushed()`, then `lost(False)` when changes below all
    its prefixes are heard of. A name's generation grows before its listeners are told. One daemon thread,
    from the first listener on; in a forked child it starts with the first question for a generation.

    The lag is that of the answer to a PING on the same connection: what had changed before the PING arrived
    has been told when the answer comes, but for changes of the server's same turn.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._guard = Guard("observer", "cache.tracking")
        self._generations = [0] * _SLOTS
        self._flushes = 0
        self._pushes = self._connects = self._lost = 0
        self._audiences: dict[int, _Audience] = {}
        self._by_prefix: dict[str, tuple[_Audience, ...]] = {}
        self.refused: str | None = None
        """Why the server does not tell changes, in one word."""
        self.lag_s: float | None = None
        """How long the last answer took; None while nothing is heard."""
        self._forget()
        weakref.finalize(self, _stop, self._control)
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Tracking {len(self._live)} of {len(self._by_prefix)} prefixes, {self._pushes} pushes>"

    @property
    def is_settled(self) -> bool:
        """Whether what is listened for is told, or never will be."""
        return self.refused is not None or self._live >= self._by_prefix.keys()

    def generation(self, key: str) -> int:
        """A number that grows when `key` changes, and when it may have."""
        if self._is_asleep:
            self._wake_up()
        return self._generations[hash(key) & (_SLOTS - 1)] + self._flushes

    def listen(self, prefix: str, listener: Listener) -> bool:
        """Tell `listener` of changes below `prefix`; False where the server refuses to tell them.

        Raises:
            ValueError: the prefix does not end in `:`, or reaches into another one.
        """
        if not prefix.endswith(":"):
            raise ValueError(f"prefix: expected one that ends in ':', got {prefix!r}")
        with self._lock:
            for other in self._by_prefix:
                if other != prefix and (other.startswith(prefix) or prefix.startswith(other)):
                    raise ValueError(f"prefix: {prefix!r} reaches into {other!r}, which Redis refuses")
        self._guard.closing(listener.lost, True, default=None)  # noqa: FBT003 - its parameter is positional
        with self._lock:
            audience = self._audiences.setdefault(id(listener), _Audience(listener))
            audience.prefixes.add(prefix)
            audience.is_told = False
            told = self._by_prefix.get(prefix, ())
            if audience not in told:
                self._by_prefix[prefix] = (*told, audience)
        self._start()
        return self.refused is None

    def unlisten(self, prefix: str, listener: Listener) -> None:
        """Tell `listener` no longer. When nobody listens below `prefix`, the server stops telling it."""
        with self._lock:
            audience = self._audiences.get(id(listener))
            if audience is None or prefix not in audience.prefixes:
                return
            audience.prefixes.discard(prefix)
            if not audience.prefixes:
                del self._audiences[id(listener)]
            left = tuple(each for each in self._by_prefix[prefix] if each is not audience)
            if left:
                self._by_prefix[prefix] = left
            else:
                del self._by_prefix[prefix]
        self._control.nudge()

    def statistics(self) -> TrackingStatistics:
        """Counts so far."""
        return TrackingStatistics(
            is_live=bool(self._live) and self._live >= self._by_prefix.keys(),
            refused=self.refused,
            prefixes=len(self._by_prefix),
            connects=self._connects,
            lost=self._lost,
            pushes=self._pushes,
            flushes=self._flushes,
            lag_s=self.lag_s,
        )

    def close(self) -> None:
        """End the thread; nothing is told any more. Idempotent."""
        self._is_closed = True
        _stop(self._control)

    def after_fork_in_child(self) -> None:
        """The parent's thread is not here: nothing is heard of until it is started again."""
        inherited = self._control
        for wire in inherited.wires:
            wire.abandon()
        _inherited.append(inherited)
        is_closed = self._is_closed
        self._forget()
        self._is_closed = is_closed
        for audience in self._audiences.values():
            audience.is_told = False
        self._is_asleep = bool(self._audiences) and not is_closed

    # Any thread.

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._live: frozenset[str] = frozenset()
        self._control = _Control()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._is_asleep = False

    def _wake_up(self) -> None:
        """In a forked child: nobody has been told yet that nothing is heard."""
        with self._lock:
            is_asleep, self._is_asleep = self._is_asleep, False
        if is_asleep:
            self._flushes += 1
            for audience in tuple(self._audiences.values()):
                self._guard.closing(audience.listener.lost, True, default=None)  # noqa: FBT003 - positional
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, args=(self._control,), name="tickspan-cache-tracking", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:
                    return  # no thread starts while the interpreter shuts down
                self._thread = self._control.thread = thread
                return
        self._control.nudge()

    # The thread.

    def _run(self, control: _Control) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            control.begin(loop)
            runner.run(self._listen_for_ever(control))
            control.end()

    async def _listen_for_ever(self, control: _Control) -> None:
        tries = 0
        while not control.is_stopping:
            pause_s = _AGAIN_S[min(tries, len(_AGAIN_S) - 1)]
            try:
                await self._listen_until_lost(control)
                tries = 0
            except _RefusedError as error:
                self.refused = str(error)
                pause_s = _REFUSED_S
            except Exception as error:  # noqa: BLE001 - the top of a thread that others rely on
                tries = 0 if self._live else tries + 1
                if not isinstance(error, OSError | errors.RedisError):
                    self._guard.caught(error)  # a credential provider's, say
            finally:
                self._hear_nothing(control)
            if not control.is_stopping:
                await control.pause(pause_s)

    async def _listen_until_lost(self, control: _Control) -> None:
        """Returns when prefixes were given up; raises when a connection is lost."""
        loop = asyncio.get_running_loop()
        place = self._settings.place()
        places = await self._primaries(place) if place.cluster else (place,)
        for each in places:
            control.wires.append(await self._open(each, control))
        self._connects += 1
        looked_s = loop.time()
        while not control.is_stopping:
            if self._live - self._by_prefix.keys():
                return  # Redis has no way to give up single prefixes
            await self._track(control.wires)
            begun_s = loop.time()
            await asyncio.gather(*[wire.send(_PING) for wire in control.wires])
            self.lag_s = loop.time() - begun_s
            if place.cluster and loop.time() - looked_s > _TOPOLOGY_S:
                looked_s = loop.time()
                if await self._primaries(place) != places:
                    return
            await control.pause(_PING_S)
            for wire in control.wires:
                if wire.error is not None:
                    raise errors.ConnectionError("lost")

    async def _open(self, place: Place, control: _Control) -> Wire:
        def make(loop: asyncio.AbstractEventLoop) -> Wire:
            return Wire(
                loop, timeout_s=_DEAF_S, on_push=self._pushed, on_lost=lambda _: control.changed.set()
            )

        wire = await open_wire(place, self._settings, make)
        if not wire.is_resp3:
            wire.leave()
            raise _RefusedError("resp2")
        return wire

    async def _track(self, wires: Sequence[Wire]) -> None:
        """Ask for prefixes that are not told yet, and tell those who listen."""
        with self._lock:
            wanted = tuple(self._by_prefix.keys() - self._live)
        if wanted:
            words = [word for prefix in wanted for word in ("PREFIX", prefix)]
            command = pack(("CLIENT", "TRACKING", "ON", "BCAST", *words))
            try:
                await asyncio.gather(*[wire.send(command) for wire in wires])
            except errors.ResponseError as error:
                raise _RefusedError(_why(error)) from error
            self.refused = None
            self._flushes += 1
            with self._lock:
                self._live |= frozenset(wanted)
        with self._lock:
            news = [a for a in self._audiences.values() if not a.is_told and a.prefixes <= self._live]
            for audience in news:
                audience.is_told = True
        for audience in news:
            self._guard.closing(audience.listener.flushed, default=None)
            self._guard.closing(audience.listener.lost, False, default=None)  # noqa: FBT003 - positional

    def _hear_nothing(self, control: _Control) -> None:
        for wire in control.wires:
            wire.leave()
        control.wires.clear()
        self.lag_s = None
        with self._lock:
            if self._live:
                self._lost += 1
            self._live = frozenset()
            told = [audience for audience in self._audiences.values() if audience.is_told]
            for audience in told:
                audience.is_told = False
        self._flushes += 1
        for audience in told:
            self._guard.closing(audience.listener.lost, True, default=None)  # noqa: FBT003 - positional

    def _pushed(self, push: Any) -> None:
        if push[0] != b"invalidate":
            return
        names = push[1]
        if names is None:
            self._flushes += 1
            for audience in tuple(self._audiences.values()):
                self._guard.closing(audience.listener.flushed, default=None)
            return
        keys = [name.decode("utf-8", "surrogateescape") for name in names]
        self._pushes += len(keys)
        generations = self._generations
        for key in keys:
            generations[hash(key) & (_SLOTS - 1)] += 1
        # A push tells of one prefix only.
        for audience in self._listening(keys[0]) if keys else ():
            self._guard.closing(audience.listener.invalidated, keys, default=None)

    def _listening(self, key: str) -> tuple[_Audience, ...]:
        by_prefix = self._by_prefix
        end = key.find(":") + 1
        while end:
            found = by_prefix.get(key[:end])
            if found is not None:
                return found
            end = key.find(":", end) + 1
        return ()

    async def _primaries(self, place: Place) -> tuple[Place, ...]:
        """The primaries of a cluster, as a node that answers knows them."""
        wire = await open_wire(place, self._settings, lambda loop: Wire(loop, timeout_s=_DEAF_S))
        try:
            slots = await wire.send(pack(("CLUSTER", "SLOTS")))
        finally:
            wire.leave()
        found = {(_host(slot[2][0], place), int(slot[2][1])) for slot in slots}
        return tuple(place.at(host, port) for host, port in sorted(found))


class _Control:
    """What other threads need of the thread: a way to wake it up."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.changed: asyncio.Event
        self.wires: list[Wire] = []
        self.is_stopping = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread runs this loop."""
        self.changed = asyncio.Event()
        self._loop = loop

    def end(self) -> None:
        """The loop is about to be closed."""
        self._loop = None

    def nudge(self) -> None:
        """Let the thread look what has changed."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self.changed.set)

    async def pause(self, limit_s: float) -> None:
        """Wait until something has changed, no longer than so."""
        if self.is_stopping:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.changed.wait()
        self.changed.clear()


_inherited: Final[list[_Control]] = []
"""Of a parent process. Its loop may not be closed here: it shares the parent's epoll."""


def _stop(control: _Control) -> None:
    control.is_stopping = True
    control.nudge()
    thread = control.thread
    if thread is not None and thread is not threading.current_thread():
        thread.join(_JOIN_S)


def _why(error: BaseException) -> str:
    text = str(error).lower()
    return "unsupported" if "unknown" in text or "not supported" in text else reason_of(error)


def _host(name: Any, place: Place) -> str:
    """A node's host; one that does not know its own name is who was asked."""
    return name.decode() if name else place.host
