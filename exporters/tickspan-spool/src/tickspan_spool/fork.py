"""Fork: how a process learns that it is a copy, and what then forgets the original.

The truth is a byte in a page that the kernel wipes in a child (`MADV_WIPEONFORK`), so that a fork from C is
noticed too; Python's own hook is only the faster way. There is one hook for the whole package, since hooks
cannot be taken back.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Protocol
from weakref import WeakSet

_WIPE_ON_FORK = 18
ORIGINAL = 1
_LONGEST_HOLD_S = 1.0


class Forkable(Protocol):
    """What holds something that a child must not touch."""

    def forget(self) -> None:
        """This is the child: let go of everything that is the parent's, touch nothing shared."""
        ...


class Fork:
    """The mark of the original process, and everybody who has to know."""

    def __init__(self) -> None:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page[0] = ORIGINAL
        self.mark = memoryview(page)
        self.checks_pid = not _wipes(page)
        self._known: WeakSet[Forkable] = WeakSet()
        self._birth: dict[int, object] = {}
        self._still = threading.Lock()
        self._is_still = False
        os.register_at_fork(
            before=self._keep_still, after_in_parent=self._move_again, after_in_child=self.begin_again
        )

    def watch(self, forkable: Forkable) -> None:
        """Tell this one when it is in a child."""
        self._known.add(forkable)

    @contextmanager
    def held_off(self) -> Generator[None]:
        """No fork in this block, for imports in threads of ours.

        A child would inherit a module that is half loaded, and its lock, which nobody would ever release.
        """
        still = self._still
        with still:
            yield

    def _keep_still(self) -> None:
        self._is_still = self._still.acquire(timeout=_LONGEST_HOLD_S)

    def _move_again(self) -> None:
        if self._is_still:
            self._is_still = False
            self._still.release()

    def begin_again(self) -> None:
        """Make everybody forget; whoever comes first does it, the others wait a moment."""
        turn = object()
        if self._birth.setdefault(os.getpid(), turn) is not turn:
            _wait(self.mark)
            return
        self._still, self._is_still = threading.Lock(), False
        for forkable in list(self._known):
            forkable.forget()
        self._birth.clear()
        self.mark[0] = ORIGINAL


def _wipes(page: mmap.mmap) -> bool:
    try:
        page.madvise(_WIPE_ON_FORK)
    except (OSError, ValueError):
        return False
    return True


def _wait(mark: memoryview) -> None:
    pause = threading.Event()
    for _ in range(100):
        if mark[0] == ORIGINAL:
            return
        pause.wait(0.001)


@cache
def fork() -> Fork:
    """The one of this process, made when it is needed first."""
    return Fork()
