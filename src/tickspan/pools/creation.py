"""Making pools: of a database from its URL, of a broker from what connects to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from tickspan.pools import defaults
from tickspan.pools.arguments import require_age, require_patience, require_size
from tickspan.pools.broker.budget import VenueBudget, budget_of
from tickspan.pools.broker.ledger import Limits
from tickspan.pools.broker.pool import BrokerPool, Callbacks
from tickspan.pools.defaults import BY_SETTINGS, Reclaim, Seconds
from tickspan.pools.governed import GovernedPool
from tickspan.pools.governing import follow
from tickspan.pools.governor import Policy
from tickspan.pools.libraries.library import Library
from tickspan.pools.libraries.recognition import understood
from tickspan.pools.registry import registry

PING_AFTER_IDLE_S: Final = 30.0


def create_database_pool(
    name: str,
    source: Any,
    *,
    max_connections: int | None = None,
    timeout_s: float = 30.0,
    max_hold_s: Seconds = BY_SETTINGS,
    max_lifetime_s: Seconds = BY_SETTINGS,
    is_fair: bool = True,
    lanes: Mapping[str, int] | None = None,
    reclaim: Reclaim = BY_SETTINGS,
    **engine_options: Any,
) -> GovernedPool:
    """A database pool under a name, fair unless it is told otherwise.

    Args:
        name: for `get_connection_context`, metrics and events.
        source: a URL, from which a SQLAlchemy engine is built (an asynchronous one for an asynchronous
            driver), or whatever `govern` takes.
        max_connections: of a URL, 20 by default; a SQLite database in memory has one a thread, and nobody
            waits. Another pool has its own limit: naming another number than that is an error.
        timeout_s: of a URL: how long a request waits that does not say otherwise.
        engine_options: of a URL: more arguments for `create_engine`.
        max_hold_s: see `govern`.
        max_lifetime_s: see `govern`.
        is_fair: see `govern`.
        lanes: see `govern`.
        reclaim: see `govern`.

    Raises:
        ImportError: SQLAlchemy is not installed: `pip install tickspan[pools]`.
        TypeError, ValueError: as `govern`.
    """
    registry.require_free(name)
    require_patience(timeout_s)
    if max_connections is not None:
        require_size("max_connections", max_connections)
    is_url = isinstance(source, str) or hasattr(source, "get_backend_name")
    engine = source
    if is_url:
        engine = _engine(source, max_connections or 20, timeout_s, engine_options)
    elif engine_options:
        raise TypeError(f"only a URL takes {', '.join(engine_options)}: {name!r} is made already")
    target, library_of = understood(engine)
    library = library_of(target)
    if not is_url and max_connections is not None:
        _require_limit(library, name, max_connections)
    ping_after_idle_s = PING_AFTER_IDLE_S if is_url else None
    policy = Policy(
        is_fair,
        lanes or {},
        defaults.max_hold_s(max_hold_s),
        defaults.max_lifetime_s(max_lifetime_s),
        ping_after_idle_s,
        defaults.reclaim(reclaim),
    )
    pool = GovernedPool(name, target, library_of, policy, owner=engine)
    registry.add(pool)
    follow(target, pool)
    return pool


def create_broker_pool(
    name: str,
    factory: Callable[..., Any],
    *,
    max_connections: int = 10,
    min_connections: int = 0,
    ping: Callable[[Any], Any] | None = None,
    close: Callable[[Any], Any] | None = None,
    is_closed: Callable[[Any], bool] | None = None,
    last_heard_s: Callable[[Any], float] | None = None,
    timeout_s: float = 30.0,
    connect_timeout_s: float = 10.0,
    max_lifetime_s: float | None = None,
    max_idle_s: float | None = None,
    ping_after_s: float | None = 30.0,
    max_silence_s: float | None = None,
    max_hold_s: Seconds = BY_SETTINGS,
    reclaim: Reclaim = BY_SETTINGS,
    venue: str | None = None,
    budget: VenueBudget | None = None,
    is_async: bool | None = None,
) -> BrokerPool:
    """A pool of connections to a broker or venue.

    Whoever asks first is served first: a connection that comes back is handed to the next in the queue.

    Args:
        name: for `get_connection_context`, metrics and events.
        factory: makes a connection; a coroutine function for an asynchronous pool. One that takes an argument
            is given the account that was asked for, and its connections are only lent for that account.
        max_connections: as many are open at most.
        min_connections: as many are kept open in the background.
        ping: says whether a connection is well: not by False, nor by an exception.
        close: closes one; by default its own `close()`.
        is_closed: says whether one is closed; by default its own `closed` or `is_closed()`.
        last_heard_s: when a heartbeat, a pong or data came last on a connection, by `time.monotonic()`;
            `BrokerPool.heard` says the same from a callback.
        timeout_s: how long a request waits that does not say otherwise.
        connect_timeout_s: how long an asynchronous factory, ping or close may take; a function has to see to
            that itself.
        max_lifetime_s: a connection is replaced when it is so old, each at 90 to 110 % of this.
        max_idle_s: one that was not used for so long is closed, unless it is among `min_connections`.
        ping_after_s: one that has been silent for so long is asked before it is lent.
        max_silence_s: one that has been silent for so long is closed.
        max_hold_s: one that is out for so long is told as a suspected leak.
        reclaim: `"dead"` closes what a finished task or dead thread has held longer than `max_hold_s`.
        venue: pools that name the same one share its budget.
        budget: how much the venue allows; each use takes its `weight`, 1 by default.
        is_async: where `factory` does not look like a coroutine function, but returns an awaitable.

    Raises:
        ValueError: the name is taken, or a value is out of range.
        TypeError: `factory` cannot be called, or `budget`, `ping` or `close` are of the wrong kind.
    """
    registry.require_free(name)
    if not callable(factory):
        raise TypeError(f"factory: expected a function that connects, got {type(factory).__qualname__}")
    require_patience(timeout_s)
    require_age("connect_timeout_s", connect_timeout_s)
    if budget is not None and not isinstance(budget, VenueBudget):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise TypeError(f"budget: expected a VenueBudget, got {type(budget).__qualname__}")
    if is_async is None:
        is_async = _is_coroutine_function(factory)
    for title, function in (("ping", ping), ("close", close)):
        if not is_async and _is_coroutine_function(function):
            raise TypeError(f"{title}: a coroutine function needs one as the factory, or is_async=True")
    limits = Limits(max_connections, min_connections, max_lifetime_s, max_idle_s, ping_after_s, max_silence_s)
    if venue is not None and budget is None:
        raise ValueError(f"venue: {venue!r} is named for a budget, and there is none")
    pool = BrokerPool(
        name,
        Callbacks(factory, ping, close, is_closed, last_heard_s),
        limits,
        is_async=is_async,
        timeout_s=timeout_s,
        connect_timeout_s=connect_timeout_s,
        max_hold_s=defaults.max_hold_s(max_hold_s),
        reclaim=defaults.reclaim(reclaim),
        bucket=None if budget is None else budget_of(venue or name, budget),
    )
    registry.add(pool)
    return pool


def _is_coroutine_function(factory: Any) -> bool:
    """Also of a partial, and of an object that is called."""
    called = getattr(type(factory), "__call__", None)  # noqa: B004 - asked for itself, not whether it is there
    return inspect.iscoroutinefunction(factory) or inspect.iscoroutinefunction(called)


def _require_limit(library: Library, name: str, max_connections: int) -> None:
    counts = library.counts()
    limit = None if counts is None else counts.max
    if limit != max_connections:
        raise ValueError(
            f"max_connections: the {library.title} of {name!r} was made with {limit or 'no limit'};"
            f" {max_connections} cannot be had of it"
        )


def _engine(url: Any, max_connections: int, timeout_s: float, options: dict[str, Any]) -> Any:
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.pool import QueuePool
    except ImportError as error:
        raise ImportError("a pool from a URL needs SQLAlchemy: pip install 'tickspan[pools]'") from error
    parsed = make_url(url)
    is_async = parsed.get_dialect().is_async
    is_in_memory = parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}
    options = dict(options)
    if not is_in_memory:
        options = {
            "pool_size": max_connections,
            "max_overflow": 0,
            "pool_timeout": timeout_s,
            **options,
        }
        if not is_async and parsed.get_backend_name() == "sqlite":
            # Connections of SQLite may go from thread to thread one after the other, as pools hand them out.
            options["connect_args"] = {"check_same_thread": False, **options.get("connect_args", {})}
            options.setdefault("poolclass", QueuePool)
    if not is_async:
        return create_engine(parsed, **options)
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine(parsed, **options)
