"""A pool of another library under a name: its statistics, and how a connection is taken from it."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from tickspan.instrumentation.pooling import measured_pool
from tickspan.pools.borrowing import Borrowing
from tickspan.pools.governor import Policy, PoolGovernor, Wish, jitter, unknown_lane, wish
from tickspan.pools.libraries.library import Borrowed
from tickspan.pools.libraries.recognition import LibraryOf
from tickspan.pools.measuring import apply, book
from tickspan.pools.statistics import PoolStatistics
from tickspan.pools.telling import Teller

_NS_PER_S: Final = 1e9


class GovernedPool:
    """What `govern` and `get_pool` return. Safe from threads and tasks.

    An engine is followed to the pool that it gets when it is disposed of. The application's object is kept
    alive only where `owner` is given.
    """

    def __init__(
        self, name: str, target: Any, library_of: LibraryOf, policy: Policy, *, owner: Any = None
    ) -> None:
        self.name = name
        self.policy = policy
        self._owner = owner
        self._target = weakref.ref(target)
        self._library_of = library_of
        self._teller = Teller(name)
        self.is_released = False
        """Whether `close` was called."""
        self.governor = self.attach()

    def __repr__(self) -> str:
        counts = self.governor.library.counts()
        if counts is None:
            return f"<GovernedPool {self.name}, gone>"
        measured = self.governor.library.measured()
        pending = 0 if measured is None else len(measured.waiting)
        used, most = _text(counts.used), _text(counts.max)
        return f"<GovernedPool {self.name}, {used} of {most} used, {pending} waiting>"

    @property
    def is_async(self) -> bool:
        """Whether its connections are taken by `async with`."""
        return self.governor.library.is_async

    @property
    def target(self) -> Any:
        """The engine or pool; None when the application has dropped it."""
        return self._target()

    def attach(self) -> PoolGovernor:
        """Govern the pool that the target has now."""
        library = self._library_of(self.target)
        apply(library.rows)
        pool = library.stand_in
        known = library.measured()
        if known is not None and known.governor is not None:
            raise ValueError(f"this pool is governed already, as {known.name!r}")
        measured = book().watch(pool, self.name, library.read)
        measured.rename(self.name)
        self.governor = measured.governor = PoolGovernor(library, self.name, self.policy, self._teller)
        measured.gate = None if self.governor.gate is None else self.governor
        if library.tells_invalidations:
            library.keep_up(self._upkeep())
            if self.policy.max_lifetime_s is not None or self.policy.ping_after_idle_s is not None:
                apply(library.upkeep_rows)
        return self.governor

    def connection(
        self,
        *,
        timeout_s: float | None = None,
        lane: str | None = None,
        account: str | None = None,
        weight: float = 0,
    ) -> Borrowing:
        """A context with a connection, see `tickspan.pools.get_connection_context`."""
        if account is not None or weight:
            raise TypeError(f"pool {self.name!r} is of a database: it knows no account and no weight")
        library, gate = self.governor.library, self.governor.gate
        if lane and (gate is None or lane not in gate.lanes):
            raise unknown_lane(self.name, lane, {} if gate is None else gate.lanes)
        if timeout_s is not None and gate is None and not library.waits_itself and self._has_limit:
            raise ValueError(
                f"timeout_s: a {library.title} waits as it was told when it was made;"
                f" govern pool {self.name!r} with is_fair=True to say how long a request waits"
            )
        return Borrowing(self, Wish(lane or "", timeout_s))

    @property
    def _has_limit(self) -> bool:
        """Whether anybody ever waits."""
        counts = self.governor.library.counts()
        return counts is not None and counts.max is not None

    def borrow(self, wanted: Wish) -> Borrowed:
        """The library's own context."""
        target = self.target
        if target is None:
            raise LookupError(f"pool {self.name!r} is gone: the application holds it no more")
        return self.governor.library.borrow(target, wanted.timeout_s)

    def statistics(self) -> PoolStatistics:
        """Now, and since it has been measured."""
        governor = self.governor
        counts, measured = governor.library.counts(), governor.library.measured()
        lent = 0 if measured is None else measured.lent_count
        return PoolStatistics(
            name=self.name,
            library=governor.library.title,
            used=None if counts is None else counts.used,
            idle=None if counts is None else counts.idle,
            max=None if counts is None else counts.max,
            pending=0 if measured is None else len(measured.waiting),
            lent=lent,
            created=0 if measured is None else measured.created_count,
            timeouts=0 if measured is None else measured.timeout_count,
            mean_wait_s=measured.wait_ns / lent / _NS_PER_S if measured is not None and lent else 0.0,
            mean_use_s=measured.use_ns / lent / _NS_PER_S if measured is not None and lent else 0.0,
            leaks=self._teller.leaks,
            advised_size=governor.advised_size,
            closed=dict(self._teller.closed_by_reason),
            holders=governor.holders(),
        )

    def dispose(self) -> Any:
        """Close what is idle in an engine made here, which gets a new pool; await an asynchronous one."""
        if self._owner is None or not hasattr(self._owner, "dispose"):
            raise TypeError(f"pool {self.name!r} is the application's, which closes it")
        return self._owner.dispose()

    def close(self) -> None:
        """Govern it no more; it goes on as it was, and is measured as before."""
        self.is_released = True
        governor = self.governor
        pool = governor.library.stand_in
        measured = None if pool is None else measured_pool(pool)
        if measured is not None and measured.governor is governor:
            measured.governor = measured.gate = None
        governor.close()

    def _upkeep(self) -> Any:
        from tickspan.pools.libraries.on_sqlalchemy import Upkeep  # SQLAlchemy may not be installed

        return Upkeep(
            self._teller,
            self.governor.guard,
            max_lifetime_s=self.policy.max_lifetime_s,
            ping_after_idle_s=self.policy.ping_after_idle_s,
            jitter=jitter,
        )


@contextmanager
def lane(name: str) -> Generator[None]:
    """Connections that are taken here, however that is done, are asked for in this lane of their pools.

    Pools without lanes take no notice; one that has others, and not this one, raises `ValueError`.
    """
    token = wish.set(Wish(name))
    try:
        yield
    finally:
        wish.reset(token)


def _text(number: int | None) -> str:
    return "?" if number is None else str(number)
