"""ThreadSender: the agent's delivery in a thread of the application, where no agent may or can be.

It sends what waits in memory while no disk takes records, and on demand what waits in the process's own
folder. The folder of any other process is left alone: an agent, or nobody, delivers that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from .courier import BATCH_BYTES, BATCH_RECORDS, Courier, Source, Step
from .directory import SpoolDirectory
from .entries import Entry, Signal, StreamKey
from .folder import ProcessFolder
from .fork import fork
from .sender import DeadLetters, Delivery, Destination, open_channel
from .track import TAP_TRACK

if TYPE_CHECKING:
    from .taps import Finding

_LOGGER = logging.getLogger("tickspan_spool")

PACE_S: Final = 0.1
"""Between two looks: small batches would cost the application more than they are worth."""
_AFTER_A_FAULT_S: Final = 1.0
_TICK_S: Final = 1.0


class Plan(Protocol):
    """As much of `SpoolPlan` as it needs."""

    @property
    def directory(self) -> Path:
        """The spool."""
        ...

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Where records go, with the values of their headers."""
        ...

    @property
    def thread_taps(self) -> tuple[str, ...]:
        """Taps that look at log records here."""
        ...

    @property
    def service_name(self) -> str:
        """For the taps."""
        ...


class Store(Protocol):
    """As much of `Spool` as it needs."""

    @property
    def plan(self) -> Plan:
        """How it spools."""
        ...

    @property
    def path(self) -> Path | None:
        """The process's folder, if there is one."""
        ...

    def ring_track(self, signal: Signal) -> Source:
        """What waits in memory."""
        ...

    def stream(self, key: StreamKey) -> Any:  # a class that may be compiled
        """Where what a tap finds is recorded."""
        ...


@dataclass(frozen=True, slots=True)
class ThreadSenderStatistics:
    """What it did in this process.

    Attributes:
        delivered: items that a receiver took.
        dropped: items that it did not and never will.
        trouble: what went wrong last; empty when the last attempt went well.
    """

    delivered: int = 0
    dropped: int = 0
    trouble: str = ""


@dataclass(slots=True)
class _Line:
    """One destination with its courier, and when its next step makes sense."""

    index: int
    destination: Destination
    delivery: Delivery
    courier: Courier
    next_at_s: float = 0.0
    folder_source: Source | None = None


class ThreadSender:
    """One daemon thread for all destinations. Methods may be called from any thread.

    Args:
        store: the process's `Spool`.
        reads_folder: whether to deliver the process's own folder too. False where an agent does that and only
            the memory is to be emptied; may be changed at any time.
        clock: monotonic seconds.
    """

    def __init__(
        self, store: Store, *, reads_folder: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reads_folder = reads_folder
        self._store = store
        self._clock = clock
        self._reset()
        fork().watch(self)

    def __repr__(self) -> str:
        what = "memory and folder" if self.reads_folder else "memory"
        return f"<ThreadSender of {what}: {self._statistics.trouble or 'well'}>"

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_stopping = False
        self._is_hurried = False
        self._thread: threading.Thread | None = None
        self._lines: list[_Line] | None = None
        self._folder: ProcessFolder | None = None
        self._tapped: _Tapped | None = None
        self._statistics = ThreadSenderStatistics()

    def start(self) -> bool:
        """Run, if it does not yet.

        False when the system has no thread to give, the interpreter ends, or a stopped thread has not ended
        yet: call again later.
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return not self._is_stopping
            self._is_stopping = False
            self._thread = threading.Thread(target=self._run, name="tickspan-send", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None
                return False
        return True

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End the thread, which lets go of the folder; False when a request is still under way."""
        with self._lock:
            self._is_stopping = True
            self._wake.set()
            thread = self._thread
        if thread is None:
            self._let_go()
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def wake(self) -> None:
        """Somebody waits for the end of the queue: look at once."""
        self._is_hurried = True
        self._wake.set()

    def statistics(self) -> ThreadSenderStatistics:
        """The counters at this moment."""
        return self._statistics

    def forget(self) -> None:
        """This is a forked child: connections and the folder's claim are the parent's."""
        folder = self._folder
        self._reset()
        if folder is not None:
            folder.release()  # closes the descriptor; the parent still has the lock

    def look(self) -> float:
        """Go on with every destination by one step; seconds until there is more to do. For one thread."""
        self._follow_folder()
        if self._tapped is not None:
            self._tapped.look()
        now_s = self._clock()
        lines = self._opened()
        is_hurried, self._is_hurried = self._is_hurried, False
        for line in lines:
            if is_hurried or now_s >= line.next_at_s:
                step = line.courier.step()
                line.next_at_s = self._clock() + _rest_s(step)
                self._note(step)
        earliest_s = min((line.next_at_s for line in lines), default=now_s + PACE_S)
        return min(PACE_S, max(0.0, earliest_s - self._clock()))

    def _run(self) -> None:
        try:
            self._go_on()
        finally:
            self._let_go()

    def _go_on(self) -> None:
        while not self._is_stopping:
            try:
                rest_s = self.look()
            except Exception as error:  # noqa: BLE001 - a thread's top: the next look may go well
                self._statistics = replace(self._statistics, trouble=f"{type(error).__name__}: {error}")
                _LOGGER.debug("the sending thread goes on after %s", self._statistics.trouble)
                rest_s = _AFTER_A_FAULT_S
            if rest_s > 0 and self._wake.wait(rest_s):
                self._wake.clear()

    def _opened(self) -> list[_Line]:
        if self._lines is None:
            letters = DeadLetters(SpoolDirectory(self._store.plan.directory).dead_letter_folder)
            self._lines = [
                _line(index, destination, letters, self._clock)
                for index, destination in enumerate(self._store.plan.destinations)
            ]
            self._attach_memory(self._lines)
        return self._lines

    def _attach_memory(self, lines: list[_Line]) -> None:
        """Memory is settled once: the first destination of each signal gets it."""
        served: set[Signal] = set()
        for line in lines:
            if line.destination.signal not in served:
                served.add(line.destination.signal)
                line.courier.add(self._store.ring_track(line.destination.signal))

    def _follow_folder(self) -> None:
        """Read the process's folder as it is now: there is none at first, and it may be replaced."""
        path = self._store.path if self.reads_folder else None
        if self._folder is not None and self._folder.path != path:
            self._leave_folder()
        if self._folder is None and path is not None:
            folder = ProcessFolder(path, SpoolDirectory(self._store.plan.directory).quarantine)
            if folder.claim():
                self._folder = folder
                if self._store.plan.thread_taps:
                    self._tapped = _Tapped(self._store, folder, self._tapped)
                for line in self._opened():
                    line.folder_source = folder.track(line.destination.signal, line.index)
                    line.courier.add(line.folder_source)
                    line.next_at_s = 0.0

    def _leave_folder(self) -> None:
        if self._tapped is not None:
            self._tapped.look()
        for line in self._lines or []:
            if line.folder_source is not None:
                line.courier.remove(line.folder_source)
                line.folder_source = None
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.release()

    def _let_go(self) -> None:
        self._leave_folder()
        tapped, self._tapped = self._tapped, None
        if tapped is not None:
            tapped.taps.close()
        for line in self._lines or []:
            with suppress(OSError):
                line.delivery.close()
        self._lines = None

    def _note(self, step: Step) -> None:
        was = self._statistics
        if not step.is_idle:
            self._statistics = ThreadSenderStatistics(
                was.delivered + step.delivered, was.dropped + step.dropped, step.explanation
            )


class _Tapped:
    """What the taps of this process look at: the log records in its folder."""

    def __init__(self, store: Store, folder: ProcessFolder, before: _Tapped | None) -> None:
        """Where the folder was replaced, its taps go on."""
        self._store = store
        self._name = folder.path.name
        self._track = folder.track("logs", TAP_TRACK)
        self._held: list[Entry] = []
        self._tick_at_s = 0.0
        with fork().held_off():  # a fork amid an import would leave the child without the module for ever
            from .taps import TapBatch, Taps, installed  # only where taps are wanted

            find = installed(store.plan.directory, in_process=True)
            taps = before.taps if before is not None else Taps(find)
            taps.make(store.plan.thread_taps)
        self.taps = taps
        self._batch_of = TapBatch

    def look(self) -> None:
        """Show all that is there, and the time when it is due."""
        plan = self._store.plan
        names = plan.thread_taps
        while True:
            entries, self._held = self._held, []
            if not entries and not self.taps.is_behind(names, plan.service_name):
                entries = self._track.read(BATCH_RECORDS, BATCH_BYTES)
                if entries:
                    batch = self._batch_of(self._name, plan.service_name, entries)
                    self._record(self.taps.on_batch(names, batch))
            if entries and self.taps.is_behind(names, plan.service_name):
                self._held = entries
                break
            if not entries:
                break
            self._track.acknowledge(entries, sum(entry.items for entry in entries), {})
        now_s = time.monotonic()
        if now_s >= self._tick_at_s:
            self._tick_at_s = now_s + _TICK_S
            self._record(self.taps.tick())

    def _record(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._store.stream(finding.stream).append(finding.body, finding.items)


def _line(index: int, destination: Destination, letters: DeadLetters, clock: Callable[[], float]) -> _Line:
    with fork().held_off():  # it loads HTTP or gRPC
        channel = open_channel(destination)
    delivery = Delivery(destination, channel, dead_letters=letters, clock=clock)
    return _Line(index, destination, delivery, Courier(delivery))


def _rest_s(step: Step) -> float:
    if step.is_stuck or step.wait_s > 0:
        return step.wait_s
    return 0.0 if step.is_full else PACE_S
