"""Saboteur: ends the process at its n-th call that touches files, wherever that is."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable
from typing import Any, Final

STATUS: Final = 77
"""Of a process that met its end this way."""

_STEPS: Final = (
    "open",
    "write",
    "pwrite",
    "rename",
    "replace",
    "link",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
    "ftruncate",
    "posix_fallocate",
    "fsync",
    "fdatasync",
    "close",
)


def arm(step: int, *, dies_after: bool) -> None:
    """From now on count, and die at call number `step` (from 1), before or right after it is made."""
    calls = 0
    is_dying_after = dies_after

    def sabotaged(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step and not is_dying_after:
                os._exit(STATUS)
            result = real(*arguments, **named)
            if calls == step:
                os._exit(STATUS)
            return result

        return call

    for name in _STEPS:
        setattr(os, name, sabotaged(getattr(os, name)))
    fcntl.flock = sabotaged(fcntl.flock)
    _sabotage_maps(sabotaged)


def _sabotage_maps(sabotaged: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """`mmap.mmap` is a class: the replacement must stay one."""
    real = mmap.mmap
    create = sabotaged(lambda *arguments, **named: real.__new__(real, *arguments, **named))

    class Map(real):
        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            return create(*arguments, **named)

    mmap.mmap = Map
