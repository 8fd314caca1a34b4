"""What glibc's allocator can be asked: to give back what is free, how much that is, how many arenas to make.

Other C libraries have none of it: then nothing happens, and the answers are None.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

__all__ = ["ArenaLimit", "free_share", "trim"]

_M_ARENA_MAX: Final = -8
_ARENAS_VARIABLES: Final = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
_MALLINFO_FIELDS: Final = 10
_IN_USE, _FREE = 7, 8
"""Of mallinfo(3): `uordblks` and `fordblks`."""


def _library() -> Any:
    """The C library of this process, if it is glibc."""
    if sys.platform != "linux":
        return None
    import ctypes  # five milliseconds, for what few programs ask for

    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def trim() -> bool | None:
    """Give free memory back to the system; whether there was any. Takes milliseconds: for idle moments."""
    library = _library()
    return None if library is None else bool(library.malloc_trim(0))


def free_share() -> float | None:
    """Of the C library's heap, how much is free but not given back.

    Holds the lock of an arena for up to 17 ms where half a million pieces are free: for idle moments.
    """
    library = _library()
    if library is None or not hasattr(library, "mallinfo2"):
        return None
    import ctypes

    class Mallinfo2(ctypes.Structure):
        _fields_ = tuple((f"field_{place}", ctypes.c_size_t) for place in range(_MALLINFO_FIELDS))

    library.mallinfo2.restype = Mallinfo2
    found = library.mallinfo2()
    in_use, free = getattr(found, f"field_{_IN_USE}"), getattr(found, f"field_{_FREE}")
    return free / (in_use + free) if in_use + free else 0.0


class ArenaLimit:
    """At most so many arenas: each thread's own one keeps what others could use. Settings of the user win."""

    def __init__(self, arenas: int) -> None:
        self._arenas = arenas
        self.is_set = False

    def __repr__(self) -> str:
        return f"<ArenaLimit {self._arenas}, {'set' if self.is_set else 'not set'}>"

    def set(self) -> None:
        """Hold from now on, for arenas that are not there yet."""
        library = _library()
        if library is not None and not any(os.environ.get(name) for name in _ARENAS_VARIABLES):
            self.is_set = bool(library.mallopt(_M_ARENA_MAX, self._arenas))

    def unset(self) -> None:
        """As many as the C library likes, which is its default."""
        library = _library()
        if self.is_set and library is not None:
            library.mallopt(_M_ARENA_MAX, 0)
            self.is_set = False
