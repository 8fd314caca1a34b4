"""The contenders: which library each is, and in whose environment it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from benchmarks.pipeline.place import UnavailableError

if TYPE_CHECKING:
    from benchmarks.data.caches.library import Library
    from benchmarks.pipeline.peers import Peers

OURS: Final = "tickspan"
PLAIN: Final = "dict"


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the tables; `needs` are distributions of the peers' environment, none: it runs in ours."""

    module: str
    needs: tuple[str, ...] = ()

    def python(self, peers: Peers) -> str:
        """Its interpreter.

        Raises:
            UnavailableError: the peers' environment lacks what it needs.
        """
        for name in self.needs:
            if name in peers.missing:
                raise UnavailableError(f"{name} cannot be installed: {peers.missing[name]}")
        return peers.python if self.needs else sys.executable


CONTENDERS: Final[Mapping[str, Contender]] = {
    PLAIN: Contender("plain"),
    OURS: Contender("ours"),
    "cachebox": Contender("cachebox", ("cachebox",)),
    "cachetools": Contender("cachetools", ("cachetools",)),
    "dogpile.cache": Contender("dogpile", ("dogpile.cache", "redis")),
    "aiocache": Contender("aiocache", ("aiocache", "redis")),
    "cashews": Contender("cashews", ("cashews", "redis", "diskcache")),
    "diskcache": Contender("diskcache", ("diskcache",)),
    "libcachesim": Contender("libcachesim", ("libcachesim",)),
    "redis-py": Contender("redispy", ("redis", "hiredis")),
}


def library_of(name: str) -> Library:
    """In a contender's process: its library, imported."""
    found: Library = import_module(f"benchmarks.data.caches.{CONTENDERS[name].module}").library()
    return found


def lacking(names: Iterable[str], peers: Peers) -> dict[str, str]:
    """Why contenders cannot take part, by name."""
    reasons: dict[str, str] = {}
    for name in names:
        try:
            CONTENDERS[name].python(peers)
        except UnavailableError as reason:
            reasons[name] = str(reason)
    return reasons
