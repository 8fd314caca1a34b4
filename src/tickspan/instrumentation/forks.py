"""Forked children: who must forget the parent's locks, threads and counts there."""

from __future__ import annotations

import os
import weakref
from typing import Any, Final, Protocol


class Forked(Protocol):
    """Whoever has something that a child must not use."""

    def after_fork_in_child(self) -> None:
        """Called in the child, by its only thread, before anything else."""
        ...


_live: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_hooks: Final[list[bool]] = []


def renew_after_fork(forked: Forked) -> None:
    """Call `forked.after_fork_in_child` in children, as long as it lives."""
    _live.add(forked)
    if not _hooks:
        _hooks.append(True)
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for forked in tuple(_live):
        forked.after_fork_in_child()
