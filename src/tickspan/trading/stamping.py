"""Client ids for orders that would leave without one, where the setting `stamp_client_id` asks for it.

A venue refuses a second order with an id that it knows: an order that is sent twice is then not doubled, and
one whose answer was lost is found again by its id.
"""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tickspan.instrumentation import Workbench, is_suppressed

StampedArguments = tuple[tuple[Any, ...], Mapping[str, Any]]
Stamp = Callable[[Any, tuple[Any, ...], Mapping[str, Any], Callable[[], str]], StampedArguments | None]
"""`(client, args, kwargs, new_id)` to copies of the arguments with ids where there were none.

None: each order has its id, or the library gives it one, or the venue takes none. Never changes what it is
given, and never replaces an id.
"""


def new_client_id() -> str:
    """32 hexadecimal digits, of which 122 bits are random: no two orders share them."""
    return uuid.uuid4().hex


def stamped(told: Any, stamp: Stamp, bench: Workbench, name: str) -> Any:
    """`told`, a plain or coroutine function, whose orders get client ids before anything else sees them.

    What is inside, ours and the library's, takes the id for the caller's own.
    """
    guard = bench.guard(f"{name} stamp")

    def asked(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> StampedArguments:
        if not bench.is_active or is_suppressed():
            return args, kwargs
        given = guard.own(stamp, args[0], args[1:], kwargs, new_client_id, default=None)
        return ((args[0], *given[0]), given[1]) if given is not None else (args, kwargs)

    @functools.wraps(told)
    def call(*args: Any, **kwargs: Any) -> Any:
        args_with_ids, kwargs_with_ids = asked(args, kwargs)
        return told(*args_with_ids, **kwargs_with_ids)

    @functools.wraps(told)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        args_with_ids, kwargs_with_ids = asked(args, kwargs)
        return await told(*args_with_ids, **kwargs_with_ids)

    return call_async if inspect.iscoroutinefunction(told) else call


def with_argument(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], position: int, name: str, value: Any
) -> StampedArguments:
    """Copies of the arguments with `value` at `position`, or under `name` where so many are not given."""
    if position < len(args):
        return (*args[:position], value, *args[position + 1 :]), kwargs
    return args, {**kwargs, name: value}
