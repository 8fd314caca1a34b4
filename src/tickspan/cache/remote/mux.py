"""`cache.mux`: many tasks over one connection, which pipelines by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from tickspan.cache.remote.libraries import (
    errors,
    pack,
)
from tickspan.cache.remote.loops import PerLoop
from tickspan.cache.remote.replies import MuxOverloadedError, again
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.verbs import VERBS, checked
from tickspan.cache.remote.wire import Wire, open_wire

__all__ = ["Mux", "MuxStatistics"]

_get_running_loop = asyncio.get_running_loop
_EVERYBODY_MAY: Final = VERBS - {"XREAD", "XREADGROUP"}


@dataclass(frozen=True, slots=True)
class MuxStatistics:
    """Connections of a mux, and what has become of commands."""

    loops: int
    """Event loops that have used it and still run."""
    connected: int
    pending: int
    connects: int
    """Connections made so far."""
    lost: int
    refused: int
    """Commands that were not sent, as too many were waiting."""
    large: int
    """Commands that went over a connection of their own."""


class _Counts:
    """What lanes count; several threads may lose a step, no more."""

    __slots__ = ("connects", "large", "lost", "refused")

    def __init__(self) -> None:
        self.connects = self.large = self.lost = self.refused = 0


class Mux:
    """Sends what all tasks of an event loop ask in one turn as one write, over one connection per loop.

    `await mux.call("GET", key)` gives the reply as the server sends it: bytes, ints, lists, and with RESP3
    (Redis 6 and later) dicts. Errors are redis-py's: the server's own for one command (`ResponseError`),
    `TimeoutError` after `timeout_s`, `ConnectionError`, and `MuxOverloadedError` when `max_pending` wait.
    Cancelling a caller harms no other. Nothing is sent twice.

    Only for commands that are answered at once and leave the connection as it was (`verbs.VERBS`); a verb
    that is none raises `ValueError`. A command above `large_bytes` goes over a connection of its own; its
    order against others is not kept.

    Safe for any number of loops and threads; a forked child connects anew. It makes no spans.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        place = settings.place()
        if place.cluster:
            raise ValueError("mux: one connection serves no cluster; use redis.asyncio.RedisCluster there")
        self._settings = settings
        self._place = place
        self._large = settings.large_bytes
        counts = self._counts = _Counts()
        self._lanes: PerLoop[_Lane] = PerLoop(lambda loop: _Lane(loop, settings, counts))
        self._known = self._lanes.known
        self._is_closed = False

    def __repr__(self) -> str:
        told = self.statistics()
        return f"<Mux {self._place} {told.connected} connected, {told.pending} pending>"

    def call(self, verb: str | bytes, *arguments: str | bytes | float) -> asyncio.Future[Any]:
        """Send a command; await the future for its reply.

        Raises:
            ValueError: the verb is not one for a shared connection.
            RuntimeError: no event loop is running.
        """
        if verb not in _EVERYBODY_MAY:
            verb = checked(verb, arguments)
        packed = pack((verb, *arguments))
        lane = self._known.get(_get_running_loop())
        if lane is None:
            lane = self._enter()
        if len(packed) > self._large:
            return lane.send_large(packed)
        wire = lane.wire
        if wire is None or len(wire.pending) >= lane.limit:
            return lane.wait(packed)
        return wire.send(packed)

    def get(self, key: str | bytes) -> asyncio.Future[bytes | None]:
        """The value of a key, or None."""
        return self.call("GET", key)

    def set(
        self, key: str | bytes, value: str | bytes | float, *, ttl_s: float | None = None
    ) -> asyncio.Future[Any]:
        """Set a key, for `ttl_s` where that is given."""
        if ttl_s is None:
            return self.call("SET", key, value)
        return self.call("SET", key, value, "PX", max(1, round(ttl_s * 1000)))

    def mget(self, *keys: str | bytes) -> asyncio.Future[list[bytes | None]]:
        """The values of several keys in one step."""
        return self.call("MGET", *keys)

    def delete(self, *keys: str | bytes) -> asyncio.Future[int]:
        """Remove keys; how many were there."""
        return self.call("DEL", *keys)

    def exists(self, *keys: str | bytes) -> asyncio.Future[int]:
        """How many of the keys are there."""
        return self.call("EXISTS", *keys)

    def incrby(self, key: str | bytes, amount: int = 1) -> asyncio.Future[int]:
        """Add to a number; the new one."""
        return self.call("INCRBY", key, amount)

    def expire(self, key: str | bytes, ttl_s: float) -> asyncio.Future[int]:
        """Let a key live for so long from now; 1 if it is there."""
        return self.call("PEXPIRE", key, max(1, round(ttl_s * 1000)))

    def publish(self, channel: str | bytes, message: str | bytes) -> asyncio.Future[int]:
        """Publish a message; how many got it."""
        return self.call("PUBLISH", channel, message)

    def statistics(self) -> MuxStatistics:
        """Connections and counts now."""
        lanes = tuple(self._known.values())
        wires = [wire for wire in (lane.wire for lane in lanes) if wire is not None]
        counts = self._counts
        return MuxStatistics(
            loops=len(lanes),
            connected=len(wires),
            pending=sum(len(wire.pending) for wire in wires) + sum(lane.waiting for lane in lanes),
            connects=counts.connects,
            lost=counts.lost,
            refused=counts.refused,
            large=counts.large,
        )

    def reconnect(self) -> None:
        """Give up the running loop's connection: the server on it is not the primary any more."""
        lane = self._known.get(_get_running_loop())
        if lane is not None and lane.wire is not None:
            lane.wire.give_up(errors.ConnectionError("the server is not the primary any more"))

    async def aclose(self) -> None:
        """Close the connection of this loop, and soon those of others; idempotent."""
        self._is_closed = True
        await self._lanes.aclose()

    def close(self) -> None:
        """As `aclose`, from outside a loop."""
        self._is_closed = True
        self._lanes.close()

    def _enter(self) -> _Lane:
        if self._is_closed:
            raise RuntimeError("mux: closed")
        return self._lanes.here()


class _Lane:
    """What one event loop has: a connection, or those who wait for one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: RemoteSettings, counts: _Counts) -> None:
        self._loop = loop
        self._settings = settings
        self._counts = counts
        self.limit = settings.max_pending
        self.wire: Wire | None = None
        """The connection, while it stands."""
        self._waiting: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._connecting: asyncio.Task[Wire] | None = None
        self._idle: list[Wire] = []
        """Connections for large commands."""
        self._busy = 0
        self._is_left = False
        self._large: set[asyncio.Task[Any]] = set()

    @property
    def waiting(self) -> int:
        """How many wait for the connection."""
        return len(self._waiting)

    def wait(self, packed: bytes) -> asyncio.Future[Any]:
        """Send it when the connection stands, or refuse it when too many wait already."""
        future: asyncio.Future[Any] = self._loop.create_future()
        held = len(self._waiting) if self.wire is None else len(self.wire.pending)
        if held >= self.limit:
            self._counts.refused += 1
            future.set_exception(MuxOverloadedError(f"{held} commands wait for a reply"))
            return future
        self._waiting.append((packed, future))
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        return future

    def send_large(self, packed: bytes) -> asyncio.Future[Any]:
        """Send it over a connection of its own."""
        self._counts.large += 1
        task = self._loop.create_task(self._over_another(packed))
        self._large.add(task)
        task.add_done_callback(self._large.discard)
        return task

    def leave(self) -> None:
        """Close everything, on the loop."""
        self._is_left = True
        if self._connecting is not None:
            self._connecting.cancel()
        for task in tuple(self._large):
            task.cancel()
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.leave()
        while self._idle:
            self._idle.pop().leave()

    def abandon(self) -> None:
        """Drop everything without the loop."""
        self._waiting.clear()
        if self.wire is not None:
            self.wire.abandon()
            self.wire = None
        while self._idle:
            self._idle.pop().abandon()

    def _connect(self) -> Any:
        return open_wire(self._settings.place(), self._settings, self._make_wire)

    def _make_wire(self, loop: asyncio.AbstractEventLoop) -> Wire:
        return Wire(loop, timeout_s=self._settings.timeout_s, on_lost=self._lost)

    def _connected(self, task: asyncio.Task[Wire]) -> None:
        self._connecting = None
        waiting, self._waiting = self._waiting, []
        if task.cancelled():
            error: BaseException | None = errors.ConnectionError("closed")
        else:
            error = task.exception() or task.result().error
        if error is None and self._is_left:
            task.result().leave()
            error = errors.ConnectionError("closed")
        if error is not None:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(again(error))
            return
        self.wire = wire = task.result()
        self._counts.connects += 1
        for packed, future in waiting:
            if not future.done():  # who was cancelled meanwhile has asked for nothing
                wire.take(packed, future)

    def _lost(self, wire: Wire) -> None:
        if self.wire is wire:
            self.wire = None
            self._counts.lost += 1

    async def _over_another(self, packed: bytes) -> Any:
        if self._busy >= self._settings.max_connections:
            raise MuxOverloadedError(f"{self._busy} large commands are under way")
        self._busy += 1
        wire: Wire | None = None
        try:
            while self._idle and (wire is None or wire.error is not None):
                wire = self._idle.pop()
            if wire is None or wire.error is not None:
                wire = await open_wire(self._settings.place(), self._settings, self._make_wire)
            return await wire.send(packed)
        except asyncio.CancelledError:
            if self._is_left:
                raise errors.ConnectionError("closed") from None
            raise
        except OSError as error:
            raise again(error) from error
        finally:
            self._busy -= 1
            if wire is not None and wire.error is None:
                if wire.pending or self._is_left:
                    wire.leave()  # its reply is still to come, and nobody is to wait behind it
                else:
                    self._idle.append(wire)
