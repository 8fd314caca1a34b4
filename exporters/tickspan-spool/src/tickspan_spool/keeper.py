"""Keeper: the thread that prepares segments, tries a refusing disk again, and sees that there is an agent."""

from __future__ import annotations

import errno
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .layout import ALL_SIGNALS, REASON_ROOM, WORD_AGENT_DROPS, WORD_DROPS, WORD_ENDED, by_reason
from .reasons import REASONS
from .stock import LOGGER, Stock

if TYPE_CHECKING:
    from .segment import Tape

TICK_S: Final = 1.0
SAY_EVERY_S: Final = 60.0
_LOCK_WAIT_S: Final = 1.0
_LOOK: Final = True
_END: Final = False
_STUCK_S: Final = 5.0
_RESTORED_AT_ONCE: Final = 256
_LOSSES: Final = (WORD_DROPS, WORD_AGENT_DROPS)


class Keeper:
    """Its thread is started by the first record, and again in a child.

    Args:
        stock: what it looks after.
        tape: whose records move.
        see_to_agent: has the agent run, and says whether it does; called about once a second while something
            is recorded, and until it does.
        enforce_bound: drops the oldest segments when the spool is too big; called after each new segment.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        stock: Stock,
        tape: Tape,
        see_to_agent: Callable[[], object],
        enforce_bound: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stock = stock
        self._tape = tape
        self._see_to_agent = see_to_agent
        self._enforce_bound = enforce_bound
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """There is no thread: the process is new."""
        self._turn = threading.Lock()
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._seen_ended = 0
        self._seen_position = -1
        self._moved_at_s = self._clock()
        self._is_seen_to = True
        self._said_at_s = float("-inf")
        self._has_said_refusal = False
        self._told_losses = 0

    def wake(self) -> None:
        """Have it look now; starts the thread. Any thread, signal handlers too."""
        if self._thread is None and self._turn.acquire(blocking=False):
            try:
                self._start()
            finally:
                self._turn.release()
        if self._calls.empty():  # one look is as good as many
            self._calls.put(_LOOK)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, args=(self._calls,), name="tickspan-spool", daemon=True)
        with suppress(RuntimeError):  # the interpreter is about to end, or has no thread to give
            thread.start()
            self._thread = thread

    def stop(self, timeout_s: float) -> None:
        """End the thread; for tests and those who make many spools."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self._calls.put(_END)
            thread.join(timeout_s)

    def _run(self, calls: queue.SimpleQueue[bool]) -> None:
        while True:
            try:
                if not calls.get(timeout=TICK_S):
                    return
            except queue.Empty:
                pass
            if calls is not self._calls:
                return
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the top of a thread
                self._stock.fault()

    def look(self) -> None:
        """Everything that there is to do."""
        self._free_stuck_lock()
        self._unmap_retired()
        self._notice_lost_home()
        if self._tape.is_ring:
            self._say_refusal()
            self._restore()
        else:
            self._prepare()
        self._save_page()
        self._see_to_agent_if_needed()
        self._say_losses()

    def _free_stuck_lock(self) -> None:
        """Records parked, and none written, for seconds: whoever had the lock was interrupted for good."""
        tape, now_s = self._tape, self._clock()
        is_stuck = tape.parked > 0 and tape.position == self._seen_position and not tape.is_away
        if not is_stuck:
            self._seen_position, self._moved_at_s = tape.position, now_s
        if now_s < self._moved_at_s + _STUCK_S:
            return
        self._moved_at_s = now_s
        if not tape.exclusively(_nothing, _LOCK_WAIT_S):
            tape.break_lock()
            tape.exclusively(_nothing, _LOCK_WAIT_S)

    def _unmap_retired(self) -> None:
        while self._stock.retired:
            self._stock.retired.pop()()
            self._enforce_bound()

    def _notice_lost_home(self) -> None:
        home = self._stock.home
        if home is None or home.is_there:
            return
        LOGGER.warning("%s was removed; the records in it are lost", home.path)
        self._tape.exclusively(self._move_out, _LOCK_WAIT_S)

    def _move_out(self) -> None:
        self._tape.enter_ring()
        self._stock.lose_home()

    def _prepare(self) -> None:
        stock, home = self._stock, self._stock.home
        if stock.spares or home is None or not self._is_spare_due():
            return
        with suppress(OSError):  # told when a segment is really needed
            segment = home.segment()
            segment.prefault()
            stock.spares.append(segment)

    def _is_spare_due(self) -> bool:
        return self._tape.position > self._stock.room // 8

    def _restore(self) -> None:
        """Move the ring into the spool, a bit at a time: recording threads park meanwhile."""
        self._is_restoring = True
        while self._is_restoring:
            if not self._tape.exclusively(self._restore_some, _LOCK_WAIT_S):
                return
        if not self._tape.is_ring and self._has_said_refusal:
            LOGGER.info("the disk takes telemetry again")
            self._has_said_refusal = False

    def _restore_some(self) -> None:
        ring, tape = self._stock.ring, self._tape
        for _ in range(_RESTORED_AT_ONCE):
            kept = ring.oldest()
            if kept is None:
                tape.leave_ring()
                self._is_restoring = False
                return
            if not tape.back_to_disk(kept.stream, kept.kind, kept.record, kept.items):
                self._is_restoring = False
                return
            ring.take()

    def _say_refusal(self) -> None:
        error = self._stock.refusal
        if self._has_said_refusal or error is None:
            return
        self._has_said_refusal = True
        where = f" {error.filename}:" if error.filename else ""
        LOGGER.info(
            "telemetry waits in memory:%s %s; the disk is tried again every second",
            where,
            error.strerror or errno.errorcode.get(error.errno or 0, "error"),
        )

    def _save_page(self) -> None:
        home = self._stock.home
        if home is not None:
            with suppress(OSError):
                home.save_page()

    def _see_to_agent_if_needed(self) -> None:
        ended = sum(self._stock.page[WORD_ENDED : WORD_ENDED + len(ALL_SIGNALS)])
        if ended != self._seen_ended or not self._is_seen_to:
            self._seen_ended = ended
            self._is_seen_to = self._see_to_agent()

    def _say_losses(self) -> None:
        """One line a minute at most, for what was lost here or by the agent."""
        page = self._stock.page
        losses = [
            sum(
                page[first + code * REASON_ROOM + reason]
                for first in _LOSSES
                for code in range(len(ALL_SIGNALS))
            )
            for reason in range(len(REASONS))
        ]
        now_s = self._clock()
        if sum(losses) <= self._told_losses or now_s < self._said_at_s + SAY_EVERY_S:
            return
        self._told_losses, self._said_at_s = sum(losses), now_s
        told = ", ".join(f"{count} {reason}" for reason, count in by_reason(tuple(losses)).items())
        LOGGER.warning("telemetry was lost, in all so far: %s", told)


def _nothing() -> None:
    pass
