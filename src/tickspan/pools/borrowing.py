"""Taking a connection of a named pool for the time of a `with` or an `async with`."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

from tickspan.pools.governor import Wish, wish


class Lender(Protocol):
    """A pool with a name."""

    name: str

    @property
    def is_async(self) -> bool:
        """Whether its connections are taken by `async with`."""
        ...

    def borrow(self, wanted: Wish) -> Any:
        """A context that takes a connection and gives it back."""
        ...


class Borrowing:
    """One use at a time. The wrong kind of `with` is a `TypeError` that names the right one."""

    __slots__ = ("_context", "_pool", "_wanted")

    def __init__(self, pool: Lender, wanted: Wish) -> None:
        self._pool = pool
        self._wanted = wanted
        self._context: Any = None

    def __repr__(self) -> str:
        return f"<Borrowing of {self._pool.name}>"

    def _require_free(self) -> None:
        if self._context is not None:
            raise RuntimeError(
                f"this context holds a connection of pool {self._pool.name!r} already:"
                " call get_connection_context again for another"
            )

    def _wish(self) -> Wish:
        """What was asked for, in the lane that is current where none was named."""
        around = wish.get()
        if self._wanted.lane or around is None or not around.lane:
            return self._wanted
        return replace(self._wanted, lane=around.lane)

    def __enter__(self) -> Any:
        if self._pool.is_async:
            raise TypeError(f"pool {self._pool.name!r} is asynchronous: use `async with`, not `with`")
        self._require_free()
        token = wish.set(self._wish())
        try:
            context = self._pool.borrow(self._wanted)
            connection = context.__enter__()
        finally:
            wish.reset(token)
        self._context = context
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        context, self._context = self._context, None
        return context.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Any:
        if not self._pool.is_async:
            raise TypeError(f"pool {self._pool.name!r} is not asynchronous: use `with`, not `async with`")
        self._require_free()
        token = wish.set(self._wish())
        try:
            context = self._pool.borrow(self._wanted)
            connection = await context.__aenter__()
        finally:
            wish.reset(token)
        self._context = context
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        context, self._context = self._context, None
        return await context.__aexit__(kind, error, traceback)
