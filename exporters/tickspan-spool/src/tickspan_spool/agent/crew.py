"""Crew: one worker for each destination, made when a source first needs it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tickspan_spool.courier import Courier
from tickspan_spool.sender import Delivery, Destination

from .credentials import Account, Credentials
from .guest import TrackSource
from .report import Way
from .worker import Worker, WorkerStatistics

_LOGGER = logging.getLogger(__name__)


class Route(NamedTuple):
    """What a worker is for. Two services share one unless its requests carry credentials."""

    destination: Destination
    service_name: str

    @classmethod
    def of(cls, destination: Destination, service_name: str) -> Route:
        """The route of this service's records."""
        return cls(destination, service_name if destination.awaited_headers else "")


@dataclass(frozen=True, slots=True)
class Post:
    """A route with its worker."""

    route: Route
    worker: Worker
    delivery: Delivery
    sources: list[TrackSource]

    @property
    def account(self) -> Account:
        """Whose credentials it needs."""
        destination = self.route.destination
        return Account(self.route.service_name, destination.signal, destination.url, destination.protocol)

    def way(self) -> Way:
        """Its counters."""
        found = self.delivery.statistics()
        return Way(self.route.destination.signal, found.place, found.delivered, found.dropped, found.breaker)


class Crew:
    """All workers of an agent. Owned by its main thread."""

    def __init__(self, credentials: Credentials, open_delivery: Callable[[Destination], Delivery]) -> None:
        self._credentials = credentials
        self._open_delivery = open_delivery
        self._posts: dict[Route, Post] = {}
        self._equipped: dict[Route, Mapping[str, str]] = {}

    def __repr__(self) -> str:
        return f"<Crew of {len(self._posts)}>"

    @property
    def posts(self) -> tuple[Post, ...]:
        """Every route that is served."""
        return tuple(self._posts.values())

    def serve(
        self, source: TrackSource, destination: Destination, service_name: str, *, may_inherit: bool
    ) -> None:
        """Send what this source has, from now on. Raises RuntimeError when the system has no thread to give.

        `may_inherit`: see `Credentials.find`.
        """
        route = Route.of(destination, service_name)
        post = self._posts.get(route) or self._open(route)
        self.equip(post, may_inherit=may_inherit)
        post.worker.courier.add(source)
        post.sources.append(source)

    def forget(self, source: TrackSource, destination: Destination, service_name: str) -> None:
        """Send nothing of this source any more."""
        post = self._posts.get(Route.of(destination, service_name))
        if post is not None:
            post.worker.courier.remove(source)
            post.sources.remove(source)

    def equip(self, post: Post, *, may_inherit: bool) -> None:
        """Give a route the credentials that are known by now."""
        destination = post.route.destination
        if destination.awaited_headers:
            headers = self._credentials.find(post.route.service_name, destination, may_inherit=may_inherit)
            if headers and headers != self._equipped.get(post.route):
                self._equipped[post.route] = headers
                post.delivery.use_headers(headers)
                post.worker.wake()

    def credentials_came(self, accounts: Iterable[Account]) -> None:
        """Use values that were handed over just now."""
        known = set(accounts)
        for post in self._posts.values():
            if post.account in known:
                self.equip(post, may_inherit=False)

    def inherit(self, destination: Destination, service_name: str) -> None:
        """Nobody lives who could hand over credentials for this route: those of our environment will do."""
        post = self._posts.get(Route.of(destination, service_name))
        if post is not None and post.route not in self._equipped:
            self.equip(post, may_inherit=True)

    def is_stuck(self, route: Route) -> bool:
        """Whether a batch of this route waits for its next attempt."""
        post = self._posts.get(route)
        return post is not None and post.worker.statistics().is_stuck

    def poke(self) -> bool:
        """Wake the workers that have something to do; whether there is one.

        Called many times a second: it reads memory only.
        """
        is_busy = False
        for post in self._posts.values():
            if any(source.has_news for source in post.sources):
                post.worker.poke()
                is_busy = True
        return is_busy

    def try_again(self) -> None:
        """Somebody waits: try at once what waits for its next attempt."""
        for post in self._posts.values():
            post.worker.wake()

    def stop(self, timeout_s: float) -> bool:
        """End all workers; False when a request was still under way after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        for post in self._posts.values():
            post.worker.stop()
        ended = [post.worker.join(max(0.0, deadline - time.monotonic())) for post in self._posts.values()]
        return all(ended)

    def statistics(self) -> dict[Route, WorkerStatistics]:
        """Of each worker."""
        return {route: post.worker.statistics() for route, post in self._posts.items()}

    def _open(self, route: Route) -> Post:
        delivery = self._open_delivery(route.destination)
        label = f"{route.destination.signal} to {route.destination.label}"
        worker = Worker(label, Courier(delivery))
        worker.start()
        post = self._posts[route] = Post(route, worker, delivery, [])
        _LOGGER.info("sending %s", label)
        return post
