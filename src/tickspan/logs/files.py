"""Files: lines appended to the newest file of a folder, by one writer; full files are compressed, and go.

Nothing here raises for what a disk does: lines wait in memory, up to a bound, and what does not fit is
counted, and told in a line of its own.
"""

from __future__ import annotations

import calendar
import errno
import json
import os
import re
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tickspan.config import LogRotation
from tickspan.logs.archive import compress, index_path
from tickspan.logs.claim import Claim, give_up, is_of_family, locked
from tickspan.logs.names import LogFileName, files_in, next_number
from tickspan.logs.reading import blocks_backwards
from tickspan.logs.sessions import session_number
from tickspan.recording import diagnostics

__all__ = ["FileRules", "FileStatistics", "LogFiles"]

MAX_WAITING_BYTES: Final = 8 << 20
_LOOKED_BACK_BYTES: Final = 32 << 20
"""Of lines that a writer looks at when it starts; more than all that may come again."""
_PIECE_BYTES: Final = 1 << 20
_UID: Final = re.compile(rb'"uid":"([^"\\\n]+)-(\d+)"(?:,"audit":\{[^{}\n]*\})?\}\n')
_START: Final = "%Y%m%dT%H%M%SZ"
_S_PER_DAY: Final = 86_400
_MOST_COMPRESSED: Final = 1
"""Full files that one look compresses."""


@dataclass(frozen=True, slots=True)
class FileRules:
    """Where lines go, and what becomes of full files.

    Attributes:
        directory: of the files.
        prefix: of their names.
        rotate: when a file is full besides its size.
        max_file_bytes: at which it is full.
        backup_count: full files that are kept; 0 is all.
        max_total_bytes: of full files that are kept; 0 is any number.
        max_age_s: of a full file; 0 is any age.
        archive_dir: where others go; None removes them.
        session: whose openings begin files where `rotate` says so; empty for the start of each process.
        is_audit: whether the files are of audit records, which are moved, and never removed.
    """

    directory: Path
    prefix: str
    rotate: LogRotation = LogRotation.SIZE
    max_file_bytes: int = 100 << 20
    backup_count: int = 10
    max_total_bytes: int = 0
    max_age_s: float = 0.0
    archive_dir: Path | None = None
    is_audit: bool = False
    session: str = ""


@dataclass(frozen=True, slots=True)
class FileStatistics:
    """What became of lines.

    Attributes:
        path: of the newest file; None before the first line.
        written: lines.
        waiting: lines that no disk has taken yet.
        lost: lines for which there was no room in memory while no disk took any.
        error: of the last attempt; empty when it worked.
    """

    path: Path | None
    written: int
    waiting: int
    lost: int
    error: str


class LogFiles:
    """One writer of one folder and prefix. For one thread, but `tidy`, which may run in another."""

    def __init__(
        self, rules: FileRules, wall: Callable[[], float] = time.time, claim: Claim | None = None
    ) -> None:
        """Touches no file before the first line. Files of one writer share a claim."""
        self.rules = rules
        self._wall = wall
        self.claim = claim or Claim(rules.directory, rules.prefix)
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._size = 0
        self._began_s = 0.0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._written = self._lost = self._untold = 0
        self._error = ""
        self._is_new_wanted = self._is_keeping_told = False
        _ALL.add(self)

    def __repr__(self) -> str:
        where = self._path or self.rules.directory
        return f"<LogFiles {where}, {len(self._waiting)} waiting, {self._lost} lost>"

    def statistics(self) -> FileStatistics:
        """So far."""
        return FileStatistics(self._path, self._written, len(self._waiting), self._lost, self._error)

    @property
    def path(self) -> Path | None:
        """The newest file; None before the first line."""
        return self._path

    @property
    def prefix(self) -> str:
        """The one that is held, or will be asked for."""
        return self.claim.known_prefix

    def write(self, lines: Sequence[bytes]) -> bool:
        """Append lines; whether all that wait are written."""
        for line in lines:
            if self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
                self._lost += 1
                self._untold += 1
                continue
            self._waiting.append(line)
            self._waiting_bytes += len(line)
        return self.flush()

    def flush(self) -> bool:
        """Write what waits; whether all is written. A disk that takes none is asked again next time."""
        try:
            while self._waiting:
                self._write_some()
        except OSError as error:
            if not self._error:
                diagnostics.warning(
                    "logs: %s cannot be written: %s; lines wait",
                    self.rules.directory,
                    error.strerror or error,
                )
            self._error = error.strerror or str(error) or type(error).__name__
            return False
        if self._error:
            diagnostics.warning("logs: %s is written again", self.rules.directory)
        self._error = ""
        return True

    def take_lost(self) -> int:
        """Lines that were lost since the last call: whoever writes tells it."""
        untold, self._untold = self._untold, 0
        return untold

    def begin_session(self) -> None:
        """A process has come: where files are by session, the next line begins a new one."""
        if self.rules.rotate is LogRotation.SESSION and not self.rules.session:
            self._is_new_wanted = True

    def last_numbers(self) -> dict[str, int]:
        """The highest number of each process's records in the newest files, whole lines only.

        After a crash of the writer the batches come again of which some is written.
        """
        found: dict[str, int] = {}
        left = _LOOKED_BACK_BYTES
        with suppress(OSError):
            self.claim.prefix()
        for name in reversed(self._mine()):
            for block in blocks_backwards(name):
                for match in _UID.finditer(block):
                    process, number = match[1].decode(errors="replace"), int(match[2])
                    found[process] = max(number, found.get(process, -1))
                left -= len(block)
                if left <= 0:
                    return found
        return found

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        self.flush()
        self._close()
        self._path = None

    def tidy(self) -> int:
        """Compress one full file, and let go of those that are not kept; how many are still to be compressed.

        Touches full files only, so that it may run beside the writer. Files of writers that are gone are
        looked after too. Raises OSError when a file cannot be compressed.
        """
        if not self.claim.is_held:
            return 0
        self._remove_leftovers()
        plain = [one for one in self._full() if not one.suffix]
        try:
            for one in plain[:_MOST_COMPRESSED]:
                self._compress(one)
        except OSError:
            self._retain(is_plain_too=True)  # so that a full disk has room for the next attempt
            raise
        self._retain(is_plain_too=False)
        return max(0, len(plain) - _MOST_COMPRESSED)

    def _write_some(self) -> None:
        descriptor = self._open_descriptor()
        batch: list[bytes] = []
        size = 0
        room = max(1, min(_PIECE_BYTES, self.rules.max_file_bytes - self._size))
        while self._waiting and size < room:
            line = self._waiting[0]
            batch.append(line)
            size += len(line)
            self._waiting.popleft()
        try:
            written = self._append(descriptor, b"".join(batch))
        except OSError as error:
            self._waiting.extendleft(reversed(batch))
            if error.errno != errno.EFBIG or not self._size:
                raise
            self._is_new_wanted = True  # the system lets no file grow as large as we would
            return
        self._size += written
        self._waiting_bytes -= written
        self._written += len(batch)

    def _open_descriptor(self) -> int:
        """Of a file that is there and has room."""
        if self._descriptor is None or self._is_gone() or self._is_full():
            return self._open_next()
        return self._descriptor

    def _append(self, descriptor: int, data: bytes) -> int:
        """All of it, or nothing: what a full disk took of a line is cut off again."""
        before = os.fstat(descriptor).st_size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            raise
        return len(data)

    def _is_gone(self) -> bool:
        """Whether somebody has removed or renamed the file: what is written there nobody finds."""
        if self._descriptor is None or self._path is None:
            return True
        held = os.fstat(self._descriptor)
        try:
            named = self._path.lstat()
        except OSError:
            return True
        return (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino)

    def _is_full(self) -> bool:
        is_of_another_time = self._period(self._began_s) != self._period(self._wall())
        return self._is_new_wanted or is_of_another_time or self._size >= self.rules.max_file_bytes

    def _open_next(self) -> int:
        """Go on with the newest file at a start, if there is room in it; else begin one."""
        was_open = self._path is not None
        self._close()
        rules = self.rules
        rules.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        prefix = self.claim.prefix()
        if not was_open and not self._is_new_wanted:
            reopened = self._reopen()
            if reopened is not None:
                return reopened
        number = next_number(rules.directory, rules.prefix)
        now_s = self._wall()
        start = time.strftime(_START, time.gmtime(now_s))
        middle = "-audit" if rules.is_audit else ""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        path = rules.directory / f"{prefix}{middle}-{start}-{number:06d}.jsonl"
        self._path = path  # before it is there: what tidies up beside us must not take it for a full one
        descriptor = self._descriptor = os.open(path, flags, 0o600)
        self._size, self._began_s, self._is_new_wanted = 0, now_s, False
        return descriptor

    def _reopen(self) -> int | None:
        """The newest file, after a start, without what a crash has cut off: that record comes again."""
        mine = self._mine()
        is_by_process = self.rules.rotate is LogRotation.SESSION and not self.rules.session
        if not mine or mine[-1].suffix or is_by_process:
            return None
        path = mine[-1].path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        self._descriptor, self._path = descriptor, path
        self._began_s = calendar.timegm(time.strptime(path.name.rsplit("-", 2)[-2], _START))
        self._size = _without_torn_line(descriptor)
        if not self._is_full():
            return descriptor
        self._close()
        return None

    def _mine(self) -> list[LogFileName]:
        """Files of this writer, oldest first."""
        return [one for one in self._family() if one.prefix == self.claim.known_prefix]

    def _family(self) -> list[LogFileName]:
        """Files of all writers that want this prefix, oldest first."""
        found = files_in(self.rules.directory, self.rules.prefix)
        return [one for one in found if one.is_audit is self.rules.is_audit]

    def _full(self) -> list[LogFileName]:
        """Files that nobody goes on with, oldest first; those of other living writers are left out."""
        newest: dict[str, Path] = {}
        family = self._family()
        for one in family:
            newest[one.prefix] = one.path
        mine = self.claim.known_prefix
        held = {prefix for prefix in newest if prefix != mine and self._is_at_work(prefix)}
        current = self._path or newest.get(mine)
        return [
            one
            for one in family
            if one.path != current and (one.prefix not in held or one.path != newest[one.prefix])
        ]

    def _is_at_work(self, prefix: str) -> bool:
        """Whether a living writer has this prefix."""
        try:
            descriptor = locked(self.rules.directory, prefix)
        except OSError:
            return True
        if descriptor is None:
            return True
        give_up(descriptor, self.rules.directory, prefix)
        return False

    def _compress(self, one: LogFileName) -> None:
        """A file of somebody else only while nobody begins to write it."""
        if one.prefix == self.claim.known_prefix:
            compress(one.path)
            return
        descriptor = locked(self.rules.directory, one.prefix)
        if descriptor is not None:
            try:
                compress(one.path)
            finally:
                give_up(descriptor, self.rules.directory, one.prefix)

    def _period(self, wall_s: float) -> int:
        """A file holds lines of one period: a day in UTC, a trading session, or all times."""
        rules = self.rules
        if rules.rotate is LogRotation.DAILY:
            return int(wall_s // _S_PER_DAY)
        if rules.rotate is LogRotation.SESSION and rules.session:
            with suppress(ValueError):  # said where it was set
                return session_number(rules.session, wall_s)
        return 0

    def _close(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None

    def _remove_leftovers(self) -> None:
        """What a crash has left: temporary files, and plain files that are there compressed."""
        try:
            paths = list(self.rules.directory.iterdir())
        except OSError:
            return
        names = {path.name for path in paths}
        for path in paths:
            plain = path.name.removeprefix(".").removesuffix(".new").removesuffix(".idx")
            name = LogFileName.of(path.with_name(plain))
            if name is None or not is_of_family(name.prefix, self.rules.prefix):
                continue
            is_temporary = path.name.startswith(".") and path.name.endswith(".new")
            is_double = not name.suffix and {f"{path.name}.zst", f"{path.name}.gz"} & names
            if not (is_temporary or is_double) or name.is_audit is not self.rules.is_audit:
                continue
            if name.prefix == self.claim.known_prefix or not self._is_at_work(name.prefix):
                with suppress(OSError):
                    path.unlink()

    def _retain(self, *, is_plain_too: bool) -> None:
        rules = self.rules
        if rules.is_audit and rules.archive_dir is None:
            return
        for one in _not_kept(self._full(), rules, self._wall()):
            if one.suffix or is_plain_too:
                self._let_go(one.path)

    def _let_go(self, path: Path) -> None:
        target = self.rules.archive_dir
        for one in (index_path(path), path):  # the file last: what a crash leaves is tried again
            try:
                if target is None:
                    one.unlink()
                else:
                    target.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _move(one, target / one.name)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._tell_kept(error)
                return

    def _tell_kept(self, error: OSError) -> None:
        if not self._is_keeping_told:
            self._is_keeping_told = True
            diagnostics.warning("logs: old files stay where they are: %s", error.strerror or error)


def _without_torn_line(descriptor: int) -> int:
    """Cut off what follows the last whole line; the size then. A whole line without its end gets it."""
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    begin, tail = size, b""
    while begin and b"\n" not in tail:
        before = max(0, begin - _PIECE_BYTES)
        tail = os.pread(descriptor, begin - before, before) + tail
        begin = before
    torn = tail.rpartition(b"\n")[2]
    try:
        json.loads(torn)
    except ValueError:
        os.ftruncate(descriptor, size - len(torn))
        return size - len(torn)
    return size + os.write(descriptor, b"\n")


def _not_kept(full: Sequence[LogFileName], rules: FileRules, now_s: float) -> list[LogFileName]:
    """Of full files, oldest first, those that are too many, too large together, or too old."""
    gone: list[LogFileName] = []
    kept_bytes = 0
    for position, one in enumerate(reversed(full), 1):
        try:
            found: Any = one.path.stat()
        except OSError:
            continue
        kept_bytes += found.st_size
        if (
            (rules.backup_count and position > rules.backup_count)
            or (rules.max_total_bytes and kept_bytes > rules.max_total_bytes)
            or (rules.max_age_s and now_s - found.st_mtime > rules.max_age_s)
        ):
            gone.append(one)
    return gone


def _move(source: Path, target: Path) -> None:
    """Also to another file system: copied under another name, then renamed."""
    try:
        source.rename(target)
    except OSError:
        temporary = target.with_name(f".{target.name}.new")
        temporary.write_bytes(source.read_bytes())
        temporary.chmod(0o600)
        temporary.rename(target)
        source.unlink()


_ALL: Final = weakref.WeakSet[LogFiles]()


def _close_in_child() -> None:
    """What waits is written by the parent."""
    for files in list(_ALL):
        files._close()  # noqa: SLF001 - of this module


os.register_at_fork(after_in_child=_close_in_child)
