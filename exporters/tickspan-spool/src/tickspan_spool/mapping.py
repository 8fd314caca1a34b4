"""Mapping: a file in memory that keeps no descriptor.

`mmap.mmap` duplicates the descriptor and closes the copy later. An application that closes all descriptors
(to become a daemon) hands that number to its next socket, and we would close a connection to a venue. Python
3.13 can be told not to (`trackfd`); before that the C library is called directly.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

MAPPABLE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "overlay"})
"""Where a page that was allocated can be written without an error, which a map could only tell by SIGBUS."""
_POPULATE_WRITE: Final = 23
_STRIDE: Final = 256 << 10


class Mapping:
    """`size` bytes of the open file `fd`, shared and writable; the descriptor may be closed after this.

    Raises OSError. After `close` nobody may touch `view`, on pain of a segmentation fault.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.view, self._close, self._advise = (
            _map_untracked(fd, size) if sys.version_info >= (3, 13) else _map(fd, size)
        )
        self._size = size

    def prefault(self, pause: Callable[[], object]) -> None:
        """Have every page present and dirty ahead of its first store, a stride at a time; an optimisation."""
        for start in range(0, self._size, _STRIDE):
            if not self._advise(_POPULATE_WRITE, start, min(_STRIDE, self._size - start)):
                return
            pause()

    def close(self) -> None:
        """Unmap."""
        close, self._close = self._close, _nothing
        close()


def _nothing() -> None:
    pass


Parts = tuple[memoryview, Callable[[], object], Callable[[int, int, int], bool]]


def _map_untracked(fd: int, size: int) -> Parts:
    options: dict[str, Any] = {"trackfd": False}
    mapped = mmap.mmap(fd, size, **options)
    view = memoryview(mapped)

    def close() -> None:
        view.release()
        mapped.close()

    def advise(advice: int, start: int, length: int) -> bool:
        try:
            mapped.madvise(advice, start, length)
        except (OSError, ValueError):
            return False
        return True

    return view, close, advise


def _map(fd: int, size: int) -> Parts:
    import ctypes  # 3 ms that only a process that records pays

    library = _library()
    address = library.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
    if address in {None, ctypes.c_void_p(-1).value}:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    view = memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")

    def close() -> None:
        library.munmap(address, size)

    def advise(advice: int, start: int, length: int) -> bool:
        return library.madvise(address + start, length, advice) == 0

    return view, close, advise


@cache
def _library() -> Any:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`; "" when it cannot be told.

    Looked up by device number: a btrfs subvolume has one of its own that no mount shows, and is unknown here,
    which is right for our purpose.
    """
    try:
        device = path.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in mounts.splitlines():
        mount, _, rest = line.partition(" - ")
        if mount.split(" ", 3)[2] == wanted:
            return rest.split(" ", 1)[0]
    return ""
