"""Governing a pool that is there already."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from tickspan.pools import defaults
from tickspan.pools.defaults import BY_SETTINGS, Reclaim, Seconds
from tickspan.pools.governed import GovernedPool
from tickspan.pools.governor import Policy
from tickspan.pools.libraries.recognition import understood
from tickspan.pools.registry import registry


def govern(
    pool_or_engine: Any,
    *,
    name: str | None = None,
    max_hold_s: Seconds = BY_SETTINGS,
    max_lifetime_s: float | None = None,
    ping_after_idle_s: float | None = None,
    is_fair: bool = False,
    lanes: Mapping[str, int] | None = None,
    reclaim: Reclaim = BY_SETTINGS,
) -> GovernedPool:
    """Measure and limit a pool of SQLAlchemy, psycopg, asyncpg or redis-py. Nothing of it is replaced.

    Args:
        pool_or_engine: an `Engine`, `AsyncEngine` or `Pool` of SQLAlchemy, a pool of psycopg, asyncpg or
            redis-py, or a client of redis-py. It is referred to weakly.
        name: for metrics, events and `get_pool`; by default the pool's own, or `host:port/db`.
        max_hold_s: a connection that is out longer is told as a suspected leak, None is never;
            `pools.max_hold_s` by default.
        max_lifetime_s: a connection that is older is replaced, each at 90 to 110 % of this.
        ping_after_idle_s: SQLAlchemy only: a connection that was idle longer is asked before it is used.
        is_fair: whoever asks first is served first. A pool without a limit has nobody waiting, and no gate.
        lanes: how many connections each lane has for itself; see `get_connection_context` and `lane`.
        reclaim: `"dead"` closes what a finished task or a dead thread has held longer than `max_hold_s`.

    Raises:
        TypeError: it is no pool that is known here.
        ValueError: the name is taken, a value is out of range, or the pool cannot do what is asked.
    """
    target, library_of = understood(pool_or_engine)
    library = library_of(target)
    policy = Policy(
        is_fair,
        lanes or {},
        defaults.max_hold_s(max_hold_s),
        max_lifetime_s,
        ping_after_idle_s,
        defaults.reclaim(reclaim),
    )
    if ping_after_idle_s is not None and not library.tells_invalidations:
        raise ValueError(
            f"ping_after_idle_s: a {library.title} checks connections itself; use its own option for that"
        )
    given = name or library.name_of(target)
    if not given:
        raise ValueError(f"name: a {library.title} has none of its own, so it needs one")
    registry.require_free(given)
    pool = GovernedPool(given, target, library_of, policy)
    registry.add(pool)
    follow(target, pool)
    return pool


def follow(target: Any, pool: GovernedPool) -> None:
    """An engine that is disposed of gets another pool, which is governed then."""
    if not hasattr(target, "raw_connection"):
        return
    from sqlalchemy import event

    known = weakref.ref(pool)

    def disposed(_engine: Any) -> None:
        governed = known()
        if governed is not None and not governed.is_released:
            governed.governor.close()
            governed.governor.guard.own(governed.attach, default=None)

    has_events = getattr(target, "_has_events", True)
    event.listen(target, "engine_disposed", disposed)
    if not has_events:  # each statement would ask for listeners, and this event is told without the flag
        target._has_events = False  # noqa: SLF001 - there is no public name
