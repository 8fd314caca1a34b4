"""Home: a process's own folder in the spool, and its segments. The writing side's only way to the disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import identity
from .layout import (
    FLAG_LAGS,
    PAGE_BYTES,
    PAGE_MAGIC,
    SEGMENT_HEADER_BYTES,
    WORD_FLAGS,
    WORD_MAGIC,
    SegmentHeader,
)
from .mapping import MAPPABLE, file_system
from .mapping import Mapping as FileMapping

FORMAT_FOLDER: Final = "v1"
LOCK: Final = "lock"
PAGE: Final = "page"
DESCRIPTION: Final = "process.json"
DESCRIPTION_COPY: Final = "process.copy.json"
"""Without a description nobody knows where records are to go: it is there twice."""
NEW: Final = ".new"
LARGEST_RESERVE_BYTES: Final = 1 << 30
"""What stays free on the disk: this, or 5 % of it if that is less."""
TMPFS_BYTES: Final = 64 << 20
"""A tmpfs is the memory of its container."""
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITABLE_BY_OTHERS: Final = 0o022


def private_folder(path: Path) -> None:
    """Make a folder that its owner alone can use, or check that it is one.

    Raises OSError; a PermissionError says what is wrong with a folder that exists.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "expected a folder, got a file or a link", str(path))
    if found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS:
        raise PermissionError(
            errno.EPERM,
            f"expected a folder that its owner alone can write, got mode {found.st_mode & 0o7777:o} of user "
            f"{found.st_uid}; remove it, or set TICKSPAN_SPOOL_DIR",
            str(path),
        )


def create_file(path: Path) -> int:
    """Make a file that its owner alone can use; the descriptor. Raises OSError, also when it exists."""
    fd = os.open(path, _CREATE, 0o600)
    try:
        os.fchmod(fd, 0o600)  # whatever the umask
    except OSError:
        os.close(fd)
        raise
    return fd


def write_file(path: Path, data: bytes) -> None:
    """Write a whole small file, so that it is there wholly or not at all. Raises OSError."""
    fresh = path.with_name(path.name + NEW)
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fd = create_file(fresh)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    fresh.rename(path)


def free_bytes(path: Path) -> int:
    """What we may still write on the disk of `path`; negative when the reserve is touched. Raises OSError."""
    disk = os.statvfs(path)
    reserve = min(disk.f_blocks * disk.f_frsize // 20, LARGEST_RESERVE_BYTES)
    return disk.f_bavail * disk.f_frsize - reserve


class Segment:
    """A segment that is ready to be written: mapped, or by system calls where a map could kill."""

    def __init__(self, path: Path, number: int, size: int, mapping: FileMapping | None, fd: int = -1) -> None:
        self.path = path
        self.number = number
        self.size = size
        self.start = SEGMENT_HEADER_BYTES
        self.view = mapping.view if mapping else None
        self._mapping = mapping
        self._fd = fd
        self._identity = _identity(fd) if fd >= 0 else None

    def __repr__(self) -> str:
        return f"<Segment {self.number}, {'mapped' if self._mapping else 'written'}>"

    def write(self, offset: int, data: bytes) -> None:
        """Write through the descriptor, if it still is ours: somebody may have closed it. Raises OSError."""
        if _identity(self._fd) != self._identity:
            self._fd = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._identity = _identity(self._fd)
        if os.pwrite(self._fd, data, offset) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def prefault(self) -> None:
        """Spare the recording threads the page faults."""
        if self._mapping:
            self._mapping.prefault(_let_others_run)

    def discard(self) -> None:
        """Nothing was or will be written into it."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Unmap, or close what is still ours."""
        self.view = None
        if self._mapping:
            self._mapping.close()
        elif _identity(self._fd) == self._identity:
            os.close(self._fd)


def _let_others_run() -> None:
    time.sleep(0)


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@dataclass(frozen=True, slots=True)
class HomePlan:
    """What a home has to know.

    Attributes:
        directory: the spool.
        segment_bytes: size of a segment.
        max_bytes: what the spool may use, here for the bound on tmpfs alone.
        describe: the process for its readers, without who it is: that is added here.
    """

    directory: Path
    segment_bytes: int
    max_bytes: int
    describe: Callable[[], Mapping[str, object]]


class Home:
    """The folder of this process, with its lock held and its page mapped.

    Raises OSError when anything is not as it should be; nothing is left behind then that start-up would not
    clear. It appears under its name when everything is in it, so nobody takes it for a dead one's.
    """

    def __init__(self, plan: HomePlan) -> None:
        self._plan = plan
        self.root = plan.directory / FORMAT_FOLDER
        plan.directory.parent.mkdir(parents=True, exist_ok=True)
        private_folder(plan.directory)
        private_folder(self.root)
        self.file_system = file_system(self.root)
        self.is_mapped = self.file_system in MAPPABLE
        self._numbers = itertools.count(1)  # two threads may make a segment at once
        self._page: FileMapping | None = None
        self.path = self._build()

    def __repr__(self) -> str:
        return f"<Home {self.path.name} on {self.file_system or 'an unknown file system'}>"

    def _build(self) -> Path:
        pid, start_time = os.getpid(), identity.own_start_time()
        name = f"{pid}-{start_time}-{secrets.token_hex(4)}"
        self.path = self.root / (name + NEW)
        self.path.mkdir(mode=0o700)
        self._lock = -1
        try:
            self.path.chmod(0o700)
            self._lock = self._locked()
            self._lock_identity = _identity(self._lock)
            description = self._description(pid, start_time)
            for copy in (DESCRIPTION, DESCRIPTION_COPY):
                write_file(self.path / copy, description)
            self._make_page()
            self.first = self.segment()
            self.path.rename(self.root / name)
        except BaseException:
            self._undo()
            raise
        self.first.path = self.root / name / self.first.path.name
        return self.root / name

    def _undo(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)

    def _locked(self) -> int:
        fd = create_file(self.path / LOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _description(self, pid: int, start_time: int) -> bytes:
        description = {
            "pid": pid,
            "start_time": start_time,
            "boot_id": identity.boot_id().hex(),
            "pid_namespace": identity.pid_namespace(),
            "environment_id": identity.environment_id(),
            "created_unix_ns": time.time_ns(),
            "argv0": os.path.basename(sys.argv[0]) if sys.argv else "",  # noqa: PTH119 - argv may hold anything
            **self._plan.describe(),
        }
        return json.dumps(description, indent=1).encode(errors="replace")

    def _make_page(self) -> None:
        """The page's words; in memory of ours where a map is not safe, and then written by `save_page`."""
        fd = create_file(self.path / PAGE)
        try:
            if self.is_mapped:
                os.posix_fallocate(fd, 0, PAGE_BYTES)
                self._page = FileMapping(fd, PAGE_BYTES)
        finally:
            os.close(fd)
        self.page = (self._page.view if self._page else memoryview(bytearray(PAGE_BYTES))).cast("Q")
        self.page[WORD_MAGIC] = PAGE_MAGIC
        self.page[WORD_FLAGS] = 0 if self.is_mapped else FLAG_LAGS
        self.save_page()

    def save_page(self) -> None:
        """Write the page to its file where it is no map. Raises OSError."""
        if self._page is None:
            fd = os.open(self.path / PAGE, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.pwrite(fd, self.page.cast("B"), 0)
            finally:
                os.close(fd)

    def segment(self) -> Segment:
        """Make the next segment. Raises OSError: the disk is full, read-only, broken, the folder gone."""
        size = self._plan.segment_bytes
        self._check_room(size)
        number = next(self._numbers)
        path = self.path / f"{number:08}.seg"
        fresh = path.with_name(path.name + NEW)
        fd = create_file(fresh)
        try:
            segment = self._filled(fd, path, number, size)
            fresh.rename(path)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        if self.is_mapped:
            os.close(fd)
        return segment

    def _filled(self, fd: int, path: Path, number: int, size: int) -> Segment:
        header = SegmentHeader(identity.boot_id(), identity.pid_namespace(), number, size).pack()
        if not self.is_mapped:
            os.pwrite(fd, header, 0)
            return Segment(path, number, size, None, fd)
        os.posix_fallocate(fd, 0, size)  # a sparse page could not be written on a full disk: SIGBUS
        mapping = FileMapping(fd, size)
        mapping.view[: len(header)] = header
        return Segment(path, number, size, mapping)

    def _check_room(self, size: int) -> None:
        if free_bytes(self.path) < size:
            raise OSError(errno.ENOSPC, "the disk's reserve is not ours", str(self.path))

    @property
    def max_bytes(self) -> int:
        """What the spool may use here."""
        bound = self._plan.max_bytes
        return min(bound, TMPFS_BYTES) if self.file_system == "tmpfs" else bound

    @property
    def is_there(self) -> bool:
        """Whether somebody removed the folder."""
        return self.path.is_dir()

    def discard(self) -> None:
        """Nothing was written into it: remove it."""
        self.leave()
        shutil.rmtree(self.path, ignore_errors=True)

    def leave(self) -> None:
        """Let go of the lock: the folder is left to its readers.

        Only *closes*: a forked child has the same lock, and unlocking it would free the parent's.
        """
        if _identity(self._lock) == self._lock_identity:
            os.close(self._lock)
        self._lock = -1
