"""The disk tier: what waits, the file, a thread that writes behind and one that reads for event loops."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Final

from tickspan.cache.disk.file import CLOSED, FileProblem, SharedFile, is_met, move_aside
from tickspan.cache.disk.pending import Batch, Claimed, Condition, Pending, Row, Ticket
from tickspan.cache.entry import Level
from tickspan.cache.tiers import (
    Answer,
    AnyRequest,
    Bump,
    Bury,
    Claim,
    Erase,
    Found,
    Listener,
    Read,
    Release,
    TierUnavailable,
    Write,
)
from tickspan.recording import Guard

__all__ = ["DiskStatistics", "DiskTier"]

_MIB: Final = 1024 * 1024
_ROWS: Final = 500
_BYTES: Final = 4 * _MIB
"""So many rows or bytes are not let wait."""
_LATE_S: Final = 0.2
_NEVER_MS: Final = 1 << 62
"""A time that SQLite's numbers can tell."""
_MOST_AT_ONCE: Final = 8192
"""Rows of one transaction."""
_PATIENCE_S: Final = 0.05
"""How long a caller waits until others see what it made void."""
_ERASING_S: Final = 0.25
"""The same for a prefix, whose number of values the caller wants to know."""
_AGAIN_S: Final = 5.0
_AGAIN_AT_MOST_S: Final = 60.0
_LOOK_S: Final = 1.0
"""How often it is checked that the file is still the one under its name."""
_CLOSING_S: Final = 1.0
_TURN_S: Final = 0.005
"""How long the last writing stands back from a file that is busy."""
_FORKING_S: Final = 1.0
_MOST_JOBS: Final = 10_000
_SERVED_AT_ONCE: Final = 32
_TRIMS_PER_FILE: Final = 64


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """What a disk tier has done in this process since it was made."""

    found: int
    missing: int
    written: int
    """Rows that the file has taken."""
    batches: int
    refused: int
    """Rows that the file held something newer than, by another process."""
    dropped: int
    """Values that had no room in the queue, or whose file failed: their keys were made void. And those that
    the file had not taken at the end."""
    expired: int
    """Rows removed for the size of the file that had expired."""
    aged: int
    """Rows removed for the size of the file by age."""
    damaged_files: int
    """Files that were moved aside."""
    pending: int
    pending_bytes: int
    size_bytes: int
    """Of the file with its log; 0 while it is not open."""
    is_available: bool
    reason: str
    """Why it is not available, in one word; else empty."""

    def __repr__(self) -> str:
        state = "available" if self.is_available else f"off: {self.reason}"
        return (
            f"<DiskStatistics {state}, {self.size_bytes / _MIB:.1f} MiB, {self.written} written,"
            f" {self.pending} pending, {self.dropped} dropped, {self.found} found, {self.missing} missing>"
        )


class DiskTier:
    """Envelopes in a SQLite file in `folder`, which processes of one user share.

    Values are written behind: after 200 ms or 500 rows, by one thread; a process that is killed loses what
    came since. `perform` and `perform_async` see at once what waits. A full queue blocks nobody: the value is
    dropped and counted, and its key made void. What makes values void (`Bury`, `Bump`, `Erase`), and claims,
    are waited for up to 50 ms (`Erase`: 250), so that other processes see it; it is done later if the file is
    busy for longer. Claims hold among the processes of the file; one that is busy for so long grants them.

    A file that is damaged is moved aside and begun anew. A tier whose disk is full, or cannot share a
    write-ahead log, is off: it is tried again after 5 s, then at longer intervals up to a minute, and what
    was written meanwhile makes void what the file held.

    Args:
        path: a folder; made with mode 0700. One that others may write is not used.
        max_bytes: of the file. Then what has expired leaves, and then the oldest.
        now_ms: the time of day.
        vfs: SQLite's way to the operating system, by name; its default if empty.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_bytes: int = 256 * _MIB,
        now_ms: Callable[[], int] | None = None,
        vfs: str = "",
    ) -> None:
        self._folder = Path(path).expanduser()
        self._max_bytes = max_bytes
        self._now_ms = now_ms or _now_ms
        self._vfs = vfs
        self._file: SharedFile | None = None
        self._reason = ""
        self._retry_at_s = 0.0
        self._again_s = _AGAIN_S
        self._is_closed = self._is_over = False
        self._last_at_s = math.inf
        self._guard = Guard("cache", "disk")
        self._found = self._missing = self._written = self._batches = 0
        self._refused = self._expired = self._aged = self._damaged = 0
        self._untrimmed_bytes = 0
        self._looked_at_s = 0.0
        self._pending = Pending()
        self._begin()
        _watch_process(self)

    def __repr__(self) -> str:
        return f"<DiskTier {self._folder} {self.statistics()!r}>"

    @property
    def level(self) -> Level:
        """The disk."""
        return Level.DISK

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    @property
    def is_available(self) -> bool:
        """Whether a request would be tried."""
        if self._is_closed:
            return False
        return not self._reason or time.monotonic() >= self._retry_at_s

    def listen(self, _prefix: str, _listener: Listener, /) -> bool:
        """Nobody tells of a file's changes."""
        return False

    def generation(self, _key: str, /) -> int:
        """Always the same."""
        return 0

    def statistics(self) -> DiskStatistics:
        """Counts up to now."""
        file = self._file
        return DiskStatistics(
            found=self._found,
            missing=self._missing,
            written=self._written,
            batches=self._batches,
            refused=self._refused,
            dropped=self._pending.dropped,
            expired=self._expired,
            aged=self._aged,
            damaged_files=self._damaged,
            pending=len(self._pending),
            pending_bytes=self._pending.size_bytes,
            size_bytes=0 if file is None else file.size_bytes,
            is_available=self.is_available,
            reason=CLOSED if self._is_closed else self._reason,
        )

    def perform(self, request: AnyRequest, /) -> Answer:
        """Do it. Raises TierUnavailable."""
        if isinstance(request, Read):
            return self._read(request)
        if isinstance(request, Write):
            return self._write(request)
        tickets, answer = self._begun(request)
        if not tickets:
            return answer
        try:
            tickets[-1].result(_patience_s(request))
        except TooLate:
            return answer
        return _answer(request, tickets)

    async def perform_async(self, request: AnyRequest, /) -> Answer:
        """Do it, with the file's part on a thread. Raises TierUnavailable."""
        if isinstance(request, Read | Write):
            return await self._on_thread(request) if self._needs_file(request) else self.perform(request)
        tickets, answer = self._begun(request)
        if not tickets:
            return answer
        waiting = asyncio.wrap_future(tickets[-1])
        done, _ = await asyncio.wait((waiting,), timeout=_patience_s(request))
        return _answer(request, tickets) if done else answer

    def close(self) -> None:
        """Write what waits, for up to a second, and give everything back. Idempotent.

        What the file has not taken by then, as another process held it all the time, is lost and counted.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._last_at_s = time.monotonic() + _CLOSING_S
            writer, reader = self._writer, self._reader
        for event in (self._closing, self._work, self._hurry, self._jobs_there):
            event.set()
        if writer is not None and writer is not threading.current_thread():
            writer.join(_CLOSING_S)
        if reader is not None and reader is not threading.current_thread():
            reader.join(_CLOSING_S)
        if writer is None and self._pending:
            self._write_last()
        self._is_over = True
        self._fail_jobs(TierUnavailable(Level.DISK, CLOSED))
        with self._lock:
            self._pending.give_up_values()
            self._pending.finish(_granted)
            file, self._file = self._file, None
        if file is not None:
            file.close(_CLOSING_S)

    # What callers do.

    def _read(self, request: Read) -> Found:
        now_ms = self._now_ms()
        if self._reason or self._is_closed:
            self._require()
        pending = self._pending
        with self._lock:
            known = [pending.look(key) for key in request.keys]
            epochs = [pending.epoch(name) for name in request.epochs]
        if known.count(None) == len(known):
            unknown = request.keys
        else:
            unknown = tuple(key for key, row in zip(request.keys, known, strict=True) if row is None)
        stored: list[bytes | None] = []
        if unknown or request.epochs:
            stored, numbers = self._with_file(lambda file: file.read(unknown, request.epochs, now_ms))
            epochs = list(map(max, epochs, numbers))
        if len(stored) == len(known):
            values = tuple(stored)
        else:
            rest = iter(stored)
            values = tuple([next(rest) if row is None else row.seen(now_ms) for row in known])
        missing = values.count(None)
        found = len(values) - missing
        self._missing += missing
        self._found += found
        return Found(values, tuple(epochs))

    def _write(self, request: Write) -> bool:
        key, now_ms = request.key, self._now_ms()
        if request.expected_id is None and request.version is None:
            row = Row(request.raw, min(now_ms + request.ttl_ms, _NEVER_MS))
            with self._lock:
                self._put(key, row)
            return True
        version = None if request.version is None else request.version.to_bytes(8)
        condition = Condition(request.expected_id, version)
        row = Row(request.raw, min(now_ms + request.ttl_ms, _NEVER_MS), condition)
        while True:
            with self._lock:
                self._require_or_mark(key)
                batches = self._batches
                known = self._pending.look(key)
                if known is not None:
                    return self._put_if(key, row, known.seen(now_ms), condition)
            ((held,), _) = self._with_file(lambda file: file.read((key,), (), now_ms), key)
            with self._lock:
                # The file may have changed since: then it is asked again.
                if self._pending.look(key) is None and self._batches == batches:
                    return self._put_if(key, row, held, condition)

    def _put_if(self, key: str, row: Row, held: bytes | None, condition: Condition) -> bool:
        if not is_met(condition, held):
            return False
        self._put(key, row)
        return True

    def _put(self, key: str, row: Row) -> None:
        """With the lock: queue a value, or only its key's being void while the tier is off or has no room."""
        if self._reason or self._is_closed:
            self._mark(key)
            raise self._unavailable()
        has_room = self._pending.put(key, row)
        self._start_writer()
        if not has_room:
            raise TierUnavailable(Level.DISK, "no_room")

    def _begun(self, request: AnyRequest) -> tuple[list[Ticket], Answer]:
        """Queue what makes values void, and claims: who is told when it is done, and the answer till then."""
        now_ms = self._now_ms()
        pending = self._pending
        answer: Answer = None
        tickets: list[Ticket] = [Future()]
        with self._lock:
            match request:
                case Bury():
                    for key, raw in zip(request.keys, request.tombstones, strict=True):
                        pending.put(key, Row(raw, now_ms + request.ttl_ms, is_tombstone=True))
                    pending.when_written(tickets[0])
                case Erase():
                    answer = pending.erase(request.prefix, tickets[0])
                case Bump():
                    tickets = [Future() for _ in request.epochs]
                    answer = tuple(map(pending.bump, request.epochs, repeat(request.now_ms), tickets))
                case Claim() if not self._reason:
                    pending.claim(Claimed(request.key, request.owner, now_ms + request.ttl_ms, tickets[0]))
                    answer = True
                case Release() if not self._reason:
                    pending.claim(Claimed(request.key, request.owner, 0, tickets.pop()))
                case _:
                    pass
            self._start_writer()
            if self._reason or self._is_closed:
                raise self._unavailable()
        self._hurry.set()
        return tickets, answer

    def _needs_file(self, request: Read | Write) -> bool:
        if self._reason or self._is_closed:
            return self.is_available
        if isinstance(request, Write):
            if request.expected_id is None and request.version is None:
                return False
            return self._pending.look(request.key) is None
        return bool(request.epochs) or any(self._pending.look(key) is None for key in request.keys)

    # The file, and its state.

    def _require(self) -> None:
        if not self.is_available:
            raise self._unavailable()

    def _require_or_mark(self, key: str) -> None:
        """With the lock: what is not stored makes void what was, so that nothing older is served later."""
        if not self.is_available:
            self._mark(key)
            raise self._unavailable()

    def _mark(self, key: str) -> None:
        self._pending.dropped += 1
        self._pending.mark(key)
        self._start_writer()

    def _unavailable(self) -> TierUnavailable:
        return TierUnavailable(Level.DISK, CLOSED if self._is_closed else self._reason)

    def _with_file(self, act: Callable[[SharedFile], Any], key: str | None = None) -> Any:
        """What `act` makes of the file, opened if it is not; `key` becomes void if that fails."""
        while True:
            file = None
            try:
                file = self._opened()
                return act(file)
            except FileProblem as problem:
                if problem.reason == CLOSED and not self._is_over:
                    with self._opening:  # for a fork, or since it was moved: there will be another one
                        continue
                self._suffer(problem, file)
                if key is not None:
                    with self._lock:
                        self._mark(key)
                raise TierUnavailable(Level.DISK, problem.reason) from problem

    def _opened(self) -> SharedFile:
        file = self._file
        now_s = time.monotonic()
        if file is not None and now_s - self._looked_at_s < _LOOK_S:
            return file
        with self._opening:
            file = self._file
            if file is not None and not file.is_current:
                self._file = None
                file.close(_CLOSING_S)
                file = None
            if file is None:
                if self._is_over:
                    raise FileProblem(CLOSED, is_passing=True)
                file = SharedFile(self._folder, vfs=self._vfs)
                with self._lock:
                    self._again_s = _AGAIN_S
                    self._reason = ""
                    self._file = file
            self._looked_at_s = now_s
        return file

    def _suffer(self, problem: FileProblem, file: SharedFile | None) -> None:
        """Go on from what is wrong: not at all, with a new file, or without one for a while."""
        if problem.is_passing:
            return
        with self._opening:
            if file is not None and file is not self._file:
                return
            if problem.reason == "damaged" and self._moved_aside(file):
                return
            self._turn_off(problem.reason)
        if file is not None:
            file.close(_PATIENCE_S)

    def _moved_aside(self, file: SharedFile | None) -> bool:
        self._file = None
        if file is not None:
            file.close(_CLOSING_S)
        try:
            if move_aside(self._folder, lambda: file is None or file.is_current):
                self._damaged += 1
        except FileProblem:
            return False
        return True

    def _turn_off(self, reason: str) -> None:
        with self._lock:
            self._file = None
            self._reason = reason
            self._retry_at_s = time.monotonic() + self._again_s
            self._again_s = min(2 * self._again_s, _AGAIN_AT_MOST_S)
            self._pending.give_up_values()

    # The thread that writes.

    def _start_writer(self) -> None:
        """With the lock: there is work."""
        if self._is_closed:
            return
        if self._writer is None:
            thread = threading.Thread(target=self._write_behind, name="tickspan-cache-disk", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # no thread starts while the interpreter shuts down
            self._writer = thread
        if not self._has_work:
            self._has_work = True
            self._work.set()
        pending = self._pending
        if not self._is_hurried and (len(pending) >= _ROWS or pending.size_bytes >= _BYTES):
            self._is_hurried = True
            self._hurry.set()

    def _write_behind(self) -> None:
        work, hurry = self._work, self._hurry
        while True:
            work.wait()
            hurry.wait(_LATE_S)
            with self._lock:
                hurry.clear()
                self._is_hurried = False
                if self._is_closed:
                    break
            self._written_now()
            with self._lock:
                if self._is_closed:
                    break
                if not self._pending:
                    self._has_work = False
                    work.clear()
                    continue
                wait_s = self._retry_at_s - time.monotonic() if self._reason else 0.0
            if wait_s > 0:
                self._closing.wait(wait_s)
        self._write_last()

    def _write_last(self) -> None:
        """What waits at the end: again while the file is only busy, and there is time."""
        while self._pending and not self._written_now() and not self._reason:
            if time.monotonic() >= self._last_at_s:
                return
            time.sleep(_TURN_S)

    def _written_now(self) -> bool:
        """Write all that waits now; a fault of ours switches the tier off."""
        is_written = self._guard.closing(self._flush, default=None)
        if is_written is None:
            self._turn_off("fault")
        return bool(is_written)

    def _flush(self) -> bool:
        """Write all that waits now; False when the file could not take it."""
        with self._flushing:
            for _ in range(len(self._pending) // _MOST_AT_ONCE + 1):
                with self._lock:
                    batch = self._pending.take(_MOST_AT_ONCE)
                if not self._apply(batch):
                    return False
        return True

    def _apply(self, batch: Batch) -> bool:
        file = None
        try:
            file = self._opened()
            outcome = file.apply(batch, self._now_ms())
        except FileProblem as problem:
            with self._lock:
                self._pending.give_back(batch)
            self._suffer(problem, file)
            return False
        with self._lock:
            self._pending.settle(batch)
            self._batches += 1
            self._written += len(batch.rows) - outcome.refused
            self._refused += outcome.refused
            self._untrimmed_bytes += sum(len(row.raw or b"") for _, row in batch.rows)
        for ticket, answer in outcome.answers:
            if not ticket.done():
                ticket.set_result(answer)
        if self._untrimmed_bytes > self._max_bytes // _TRIMS_PER_FILE:
            self._trim(file)
        return True

    def _trim(self, file: SharedFile) -> None:
        self._untrimmed_bytes = 0
        try:
            expired, aged = file.trim(self._max_bytes, self._now_ms())
        except FileProblem as problem:
            self._suffer(problem, file)
            return
        self._expired += expired
        self._aged += aged

    # The thread that reads for event loops.

    async def _on_thread(self, request: Read | Write) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._lock:
            if isinstance(request, Write):
                self._require_or_mark(request.key)
            else:
                self._require()
            if len(self._jobs) >= _MOST_JOBS:
                if isinstance(request, Write):
                    self._mark(request.key)
                raise TierUnavailable(Level.DISK, "queue_full")
            self._jobs.append((request, loop, future))
            if self._reader is None:
                self._start_reader()
        self._jobs_there.set()
        return await future

    def _start_reader(self) -> None:
        thread = threading.Thread(target=self._serve, name="tickspan-cache-disk-reader", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._jobs.clear()
            raise TierUnavailable(Level.DISK, "shutdown") from None
        self._reader = thread

    def _serve(self) -> None:
        jobs, there = self._jobs, self._jobs_there
        while True:
            there.wait()
            there.clear()
            while jobs:
                self._serve_some(jobs)
            if self._is_closed:
                return

    def _serve_some(self, jobs: deque[_Job]) -> None:
        """A few of them: their answers go to each loop at once."""
        answers: dict[asyncio.AbstractEventLoop, list[_Answered]] = {}
        with contextlib.suppress(IndexError):  # `close` has failed the rest
            for _ in range(_SERVED_AT_ONCE):
                request, loop, future = jobs.popleft()
                answer, error = self._performed(request)
                answers.setdefault(loop, []).append((future, answer, error))
        for loop, some in answers.items():
            _hand_over(loop, some)

    def _performed(self, request: AnyRequest) -> tuple[Answer, TierUnavailable | None]:
        try:
            return self.perform(request), None
        except TierUnavailable as unavailable:
            return None, unavailable
        except Exception as error:  # noqa: BLE001 - a thread's top: somebody waits for the answer
            self._guard.caught(error)
            return None, TierUnavailable(Level.DISK, "fault")

    def _fail_jobs(self, error: TierUnavailable) -> None:
        with contextlib.suppress(IndexError):
            while True:
                _, loop, future = self._jobs.popleft()
                _hand_over(loop, [(future, None, error)])

    # Forks.

    def before_fork(self) -> None:
        """Write what waits, and close the file until the fork is over: a child must not inherit it."""
        if self._file is not None and self._pending:
            self._guard.closing(self._flush, default=None)
        self._opening.acquire()
        self._is_forking = True
        file, self._file = self._file, None
        if file is not None and not file.close(_FORKING_S):
            self._file = file

    def after_fork_in_parent(self) -> None:
        """The file may be opened again."""
        if self._is_forking:
            self._is_forking = False
            self._opening.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's threads and locks. What it had not written is its own, and void here."""
        self._pending = self._pending.inherited()
        self._begin()
        if self._file is not None:
            _parents.append(self._file)
            self._file = None
            self._reason = "forked"
            self._retry_at_s = math.inf

    def _begin(self) -> None:
        """Locks, threads and queues of this process."""
        self._lock = threading.Lock()
        self._opening = threading.RLock()
        self._flushing = threading.Lock()
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._has_work = self._is_hurried = self._is_forking = False
        self._writer: threading.Thread | None = None
        self._reader: threading.Thread | None = None
        self._jobs: deque[_Job] = deque()
        self._jobs_there = threading.Event()


_Job = tuple[AnyRequest, asyncio.AbstractEventLoop, "asyncio.Future[Answer]"]
_Answered = tuple["asyncio.Future[Answer]", Answer, TierUnavailable | None]

_live: Final[weakref.WeakSet[DiskTier]] = weakref.WeakSet()
_hooked: Final[list[bool]] = []
_parents: Final[list[SharedFile]] = []
"""Files that were in use at a fork: a child must neither use nor close them."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _patience_s(request: AnyRequest) -> float:
    return _ERASING_S if isinstance(request, Erase) else _PATIENCE_S


def _answer(request: AnyRequest, tickets: list[Ticket]) -> Answer:
    """What the file has answered."""
    results = [ticket.result() for ticket in tickets]
    return tuple(results) if isinstance(request, Bump) else results[0]


def _granted(_claimed: Claimed) -> bool:
    return True


def _hand_over(loop: asyncio.AbstractEventLoop, answered: list[_Answered]) -> None:
    """Resolve futures on their loop; nobody waits on one that is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_resolve, answered)


def _resolve(answered: list[_Answered]) -> None:
    for future, answer, error in answered:
        if future.done():
            continue
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)


def _watch_process(tier: DiskTier) -> None:
    """Close `tier` at exit, and around forks."""
    if not _hooked:
        _hooked.append(True)
        atexit.register(_close_all)
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )
    _live.add(tier)


def _close_all() -> None:
    for tier in tuple(_live):
        tier.close()


def _before_fork() -> None:
    for tier in tuple(_live):
        tier.before_fork()


def _after_fork_in_parent() -> None:
    for tier in tuple(_live):
        tier.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for tier in tuple(_live):
        tier.after_fork_in_child()
