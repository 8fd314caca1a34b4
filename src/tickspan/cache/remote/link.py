"""A link to Redis with limits of its own: every call ends in time, and while the breaker is open at once."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tickspan.cache.entry import Level
from tickspan.cache.remote.breaker import REFUSED, Breaker, BreakerState, Ticket
from tickspan.cache.remote.libraries import errors
from tickspan.cache.remote.mux import Mux, MuxStatistics
from tickspan.cache.remote.nodes import Cluster, Command, Nodes, Primary
from tickspan.cache.remote.replies import counts_as_outage, reason_of
from tickspan.cache.remote.scripts import Script
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.verbs import VERBS, checked
from tickspan.cache.tiers import TierUnavailable
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["PRIMARIES", "Asking", "LinkStatistics", "Primaries", "RedisLink", "Steps", "scripted"]

T = TypeVar("T")
_MISUSE: Final = (TypeError, ValueError)
"""A caller's arguments are no command."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Commands that leave together; to the nodes of their keys, or to one."""

    commands: Sequence[Command]
    node: Any = None


class Primaries:
    """Asks for all primaries, each of which is a `node` of `Asking`."""


PRIMARIES: Final = Primaries()
Steps = Generator[Asking | Primaries, list[Any], T]
"""What is to be asked, step by step, whether its caller blocks or not."""


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """What has become of a link's calls."""

    breaker: BreakerState
    calls: int
    """Let through."""
    bypassed: int
    """Not tried, as the breaker was open."""
    failures: dict[str, int]
    """By reason."""
    mux: MuxStatistics | None
    """None for a cluster."""


class RedisLink:
    """Calls to Redis that end within the limits of `settings`, tried once each.

    Replies are as the server sends them. Whatever goes wrong is a `TierUnavailable`, whose `reason` is one
    word; misuse is a `ValueError`. Five failures in a row open the breaker. Safe for any thread and event
    loop; survives a fork.
    """

    def __init__(self, settings: RemoteSettings, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.place = settings.place()
        self.is_cluster = self.place.cluster
        """Whether several keys may live on several servers."""
        self.breaker = Breaker(
            failures=settings.breaker_failures,
            first_s=settings.breaker_min_s,
            longest_s=settings.breaker_max_s,
            now_s=now_s,
        )
        self._nodes: Nodes = Cluster(settings) if self.is_cluster else Primary(settings)
        self._calls = self._bypassed = 0
        self._failures: Counter[str] = Counter()
        self._is_closed = False
        renew_after_fork(self)

    @classmethod
    def from_url(cls, url: str, settings: RemoteSettings | None = None) -> RedisLink:
        """A link to the server of a URL.

        Raises:
            ValueError: the URL is not one of Redis's.
        """
        return cls((settings or RemoteSettings()).with_url(url))

    def __repr__(self) -> str:
        return (
            f"<RedisLink {self.place} {self.breaker.state}, {self._calls} calls, {self._bypassed} bypassed>"
        )

    @property
    def mux(self) -> Mux:
        """The connection that pipelines by itself, without the breaker.

        Raises:
            ValueError: a cluster has none.
        """
        if self.is_cluster:
            raise ValueError("mux: one connection serves no cluster; use redis.asyncio.RedisCluster there")
        assert isinstance(self._nodes, Primary)
        return self._nodes.mux

    @property
    def is_available(self) -> bool:
        """Whether a call would be tried."""
        return not self._is_closed and self.breaker.would_admit

    def call(self, *command: Any) -> Any:
        """Send a command and wait for its reply.

        Raises:
            TierUnavailable: there is none, or it is an error.
            ValueError: the verb is not one for a shared connection.
        """
        return self._only(self.ask(Asking((command,))))

    async def call_async(self, *command: Any) -> Any:
        """As `call`, without blocking."""
        return self._only(await self.ask_async(Asking((command,))))

    def script(self, script: Script, keys: Sequence[str], arguments: Sequence[Any] = ()) -> Any:
        """Run a script, which the server learns when it does not know it. Errors as `call`."""
        return self._only(self.run(scripted(script, [(keys, arguments)])))

    async def script_async(self, script: Script, keys: Sequence[str], arguments: Sequence[Any] = ()) -> Any:
        """As `script`, without blocking."""
        return self._only(await self.run_async(scripted(script, [(keys, arguments)])))

    def ask(self, asking: Asking) -> list[Any]:
        """Send commands together; errors of the server stand in their places.

        Raises:
            TierUnavailable: there are no replies.
        """
        _check(asking.commands)
        ticket = self._admit()
        try:
            replies = self._nodes.ask(asking.commands, asking.node)
            _look_for_outage(replies)
        except BaseException as error:
            self._has_ended(ticket, error)
            raise
        self.breaker.succeeded(ticket)
        return replies

    async def ask_async(self, asking: Asking) -> list[Any]:
        """As `ask`, without blocking."""
        _check(asking.commands)
        ticket = self._admit()
        try:
            replies = await self._nodes.ask_async(asking.commands, asking.node)
            _look_for_outage(replies)
        except BaseException as error:
            self._has_ended(ticket, error)
            raise
        self.breaker.succeeded(ticket)
        return replies

    def run(self, steps: Steps[T]) -> T:
        """Ask step by step, blocking. Raises `TierUnavailable`, and what the steps raise."""
        replies: list[Any] | None = None
        while True:
            try:
                step = next(steps) if replies is None else steps.send(replies)
            except StopIteration as done:
                return done.value
            replies = self._primaries() if isinstance(step, Primaries) else self.ask(step)

    async def run_async(self, steps: Steps[T]) -> T:
        """As `run`, without blocking."""
        replies: list[Any] | None = None
        while True:
            try:
                step = next(steps) if replies is None else steps.send(replies)
            except StopIteration as done:
                return done.value
            if isinstance(step, Primaries):
                with self._admitted():
                    replies = await self._nodes.primaries_async()
            else:
                replies = await self.ask_async(step)

    def refused(self, error: BaseException) -> TierUnavailable:
        """What a server's error for one command means to a caller; counted."""
        return self.unavailable(reason_of(error))

    def unavailable(self, reason: str) -> TierUnavailable:
        """The error for a reason; counted."""
        self._failures[reason] += 1
        return TierUnavailable(Level.REDIS, reason)

    def statistics(self) -> LinkStatistics:
        """Counts so far."""
        return LinkStatistics(
            breaker=self.breaker.state,
            calls=self._calls,
            bypassed=self._bypassed,
            failures=dict(self._failures),
            mux=self._nodes.mux.statistics() if isinstance(self._nodes, Primary) else None,
        )

    def close(self) -> None:
        """Close all connections; calls are refused from now on. Idempotent."""
        self._is_closed = True
        self._nodes.close()

    async def aclose(self) -> None:
        """As `close`, and waits for the running loop's connections."""
        self._is_closed = True
        await self._nodes.aclose()

    def after_fork_in_child(self) -> None:
        """A child begins with a closed breaker; pools and muxes see to themselves."""
        self.breaker.reset()

    def _primaries(self) -> list[Any]:
        with self._admitted():
            return self._nodes.primaries()

    def _only(self, replies: list[Any]) -> Any:
        reply = replies[0]
        if isinstance(reply, errors.RedisError):
            raise self.refused(reply) from reply
        return reply

    @contextlib.contextmanager
    def _admitted(self) -> Generator[None]:
        """Asks the breaker, and tells it how the call went."""
        ticket = self._admit()
        try:
            yield
        except BaseException as error:
            self._has_ended(ticket, error)
            raise
        self.breaker.succeeded(ticket)

    def _has_ended(self, ticket: Ticket, error: BaseException) -> None:
        """Tell the breaker. Raises `TierUnavailable` but for misuse, and for callers that are stopped."""
        if isinstance(error, _MISUSE) or not isinstance(error, Exception):
            self.breaker.abandoned(ticket)
            return
        self._failed(ticket, error)  # a credential provider raises what it likes
        raise TierUnavailable(Level.REDIS, reason_of(error)) from error

    def _admit(self) -> Ticket:
        if self._is_closed:
            raise TierUnavailable(Level.REDIS, "closed")
        ticket = self.breaker.admit()
        if ticket == REFUSED:
            self._bypassed += 1
            raise TierUnavailable(Level.REDIS, "breaker_open")
        self._calls += 1
        return ticket

    def _failed(self, ticket: Ticket, error: BaseException) -> None:
        self._failures[reason_of(error)] += 1
        if counts_as_outage(error):
            self.breaker.failed(ticket)
        else:
            self.breaker.abandoned(ticket)


def scripted(script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> Steps[list[Any]]:
    """Run a script for each of several keys and arguments; errors of the server stand in their places.

    A server that does not know the script gets its text with those calls, and knows it from then on.
    """
    replies = yield Asking(
        [("EVALSHA", script.digest, len(keys), *keys, *arguments) for keys, arguments in calls]
    )
    unknown = [number for number, reply in enumerate(replies) if isinstance(reply, errors.NoScriptError)]
    if unknown:
        told = yield Asking(
            [
                ("EVAL", script.source, len(calls[number][0]), *calls[number][0], *calls[number][1])
                for number in unknown
            ]
        )
        replies = list(replies)
        for number, reply in zip(unknown, told, strict=True):
            replies[number] = reply
    return replies


def _look_for_outage(replies: Sequence[Any]) -> None:
    """Raise an answer that speaks of the server as a whole: it is no primary any more, say."""
    for reply in replies:
        if isinstance(reply, errors.RedisError) and counts_as_outage(reply):
            raise reply


def _check(commands: Sequence[Command]) -> None:
    for command in commands:
        if command[0] not in VERBS:
            checked(command[0], command[1:])
