"""One pool of another library, as its governor sees it. Knows the pool weakly."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, ClassVar

from tickspan.instrumentation import Row
from tickspan.instrumentation.pooling import MeasuredPool, PoolCounts, measured_pool
from tickspan.pools.holders import Who

Borrowed = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]
NOTHING: tuple[None, None] = (None, None)


class Library:
    """Base of all; a subclass says what its library calls things.

    The pool is referred to by its stand-in, which is what the instrumentation measures.
    """

    title: ClassVar[str]
    rows: ClassVar[tuple[Row, ...]]
    upkeep_rows: ClassVar[tuple[Row, ...]] = ()
    """What more is needed to look at connections before they are used."""
    waits_itself: ClassVar[bool] = True
    """Whether a request may say for itself how long it waits, without a gate."""
    tells_invalidations: ClassVar[bool] = False
    """Whether whatever is closed is told where it is closed."""
    keeps_things: ClassVar[bool] = True
    """Whether what is lent may be referred to as it is; `reference` is asked where not."""
    waits_in_greenlets = False
    """Whether `enter` is called where only a greenlet can wait."""

    def __init__(self, stand_in: Any, *, is_async: bool) -> None:
        self._stand_in: weakref.ref[Any] = weakref.ref(stand_in)
        self.is_async = is_async

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.stand_in!r}>"

    @property
    def stand_in(self) -> Any:
        """What is measured; None when the pool is gone."""
        return self._stand_in()

    def measured(self) -> MeasuredPool | None:
        """Its measures, whoever takes them."""
        stand_in = self.stand_in
        return None if stand_in is None else measured_pool(stand_in)

    def counts(self) -> PoolCounts | None:
        """What the pool says; None when it is gone."""
        stand_in = self.stand_in
        return None if stand_in is None else self.read(stand_in)

    def in_use(self) -> int | None:
        """How many connections are out; None where nobody counts them."""
        counts = self.counts()
        return None if counts is None else counts.used

    def asking(self) -> int:
        """How many requests wait for a connection, or are just being given one."""
        measured = self.measured()
        return 0 if measured is None else len(measured.waiting)

    def read(self, stand_in: Any) -> PoolCounts:
        """The pool's own counts."""
        raise NotImplementedError

    def name_of(self, target: Any) -> str | None:
        """What `target` is called without being told; None where nothing is known."""
        del target
        return None

    def timeout_s(self) -> float | None:
        """How long a request waits that says nothing; None for ever."""
        raise NotImplementedError

    def refusal(self, timeout_s: float | None) -> BaseException:
        """What the pool raises when a request has waited so long in vain."""
        raise NotImplementedError

    def borrow(self, target: Any, timeout_s: float | None) -> Borrowed:
        """A context that takes a connection of `target`, and gives it back."""
        raise NotImplementedError

    def await_here(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for `awaitable` in a greenlet; only where `waits_in_greenlets`."""
        raise NotImplementedError

    def reference(self, thing: Any) -> Any:
        """What is kept of a connection that is out."""
        return thing

    def limit_lifetime(self, thing: Any, lifetime_s: float, factor: float) -> None:
        """Let a connection live so long, times `factor` if it is seen for the first time."""

    def before_return(self, thing: Any) -> tuple[str | None, Awaitable[None] | None]:
        """Close what has lived long enough. Returns why it is closed, and what is to be awaited for that."""
        del thing
        return NOTHING

    def returned(self, thing: Any) -> None:
        """It is back."""

    def reclaim(self, thing: Any, who: Who) -> bool:
        """Close what its holder will not give back; whether there was anything."""
        raise NotImplementedError

    def keep_up(self, upkeep: Any) -> None:
        """Let `upkeep` look at idle connections before they are used; only where `pings`."""
        raise NotImplementedError


def on_loop_of(who: Who, call: Callable[[], Any]) -> bool:
    """Call `call` on the event loop of a task, soon; False where that is closed."""
    if who.loop is None:
        return False
    try:
        who.loop.call_soon_threadsafe(call)
    except RuntimeError:
        return False
    return True
