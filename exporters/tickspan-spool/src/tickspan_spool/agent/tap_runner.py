"""TapRunner: the thread in which taps look at what is safe in the spool."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final

from tickspan_spool.courier import BATCH_BYTES, BATCH_RECORDS
from tickspan_spool.entries import Entry
from tickspan_spool.taps import Finding, ProcessEnd, TapBatch, Taps, TapStatistics

from .guest import Guest, TrackSource

_LOGGER = logging.getLogger(__name__)
_TICK_S: Final = 1.0
_PACE_S: Final = 0.1


class TapRunner:
    """Starts its thread with its first guest. `add` and `remove` may come from any thread."""

    def __init__(self, taps: Taps, tell: Callable[[Finding], None], clock: Callable[[], float]) -> None:
        """Give what the taps find to `tell`, in the runner's thread."""
        self._taps = taps
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: list[tuple[Guest, TrackSource]] = []
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._tick_at_s = clock()
        self._held: dict[TrackSource, list[Entry]] = {}
        """Shown, and not settled before a tap has them safe."""
        self._ended: set[str] = set()
        self._ends: list[tuple[tuple[str, ...], ProcessEnd]] = []

    def add(self, guest: Guest, source: TrackSource) -> None:
        """Show this guest's records to the taps that it names."""
        with self._lock:
            self._watched = [*self._watched, (guest, source)]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tickspan-taps", daemon=True)
                self._thread.start()

    def remove(self, guest: Guest) -> None:
        """Forget this guest."""
        with self._lock:
            gone = [source for one, source in self._watched if one is guest]
            self._watched = [pair for pair in self._watched if pair[0] is not guest]
            for source in gone:
                self._held.pop(source, None)
            self._ended.discard(guest.folder.path.name)

    def ending(self, guest: Guest) -> None:
        """This process has ended; told to its taps once. Its folder is still there."""
        description = guest.folder.description
        name = guest.folder.path.name
        with self._lock:
            if not guest.taps or name in self._ended:
                return
            self._ended.add(name)
            is_clean = guest.folder.has_exited_cleanly
            end = ProcessEnd(name, description.service_name, description.pid, is_clean, guest.resource)
            self._ends.append((guest.taps, end))

    def stop(self, timeout_s: float) -> bool:
        """End the thread; False when a tap does not come back in time."""
        self._is_stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def statistics(self) -> tuple[TapStatistics, ...]:
        """Of each tap."""
        return self._taps.statistics()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                is_busy = self.look()
            except Exception:  # a thread's top
                _LOGGER.exception("the taps could not be shown anything")
                is_busy = False
            if not is_busy:
                self._is_stopping.wait(_PACE_S)
        self._taps.close()

    def look(self) -> bool:
        """Show each guest's next batch, and the time when it is due; whether there is probably more."""
        is_busy = False
        for guest, source in self._watched:
            is_busy = self._look_at(guest, source) or is_busy
        if self._clock() >= self._tick_at_s:
            self._tick_at_s = self._clock() + _TICK_S
            self._look_for_ends()
            self._tell_all(self._taps.tick())
        self._tell_ends()
        return is_busy

    def _look_at(self, guest: Guest, source: TrackSource) -> bool:
        names, service_name = guest.taps, guest.folder.description.service_name
        entries = self._held.pop(source, None)
        if entries is None and not self._taps.is_behind(names, service_name):
            entries = source.read(BATCH_RECORDS, BATCH_BYTES)
            if entries:
                batch = TapBatch(guest.folder.path.name, service_name, entries)
                self._tell_all(self._taps.on_batch(names, batch))
        if not entries:
            return False
        if self._taps.is_behind(names, service_name):
            self._held[source] = entries
            return False
        source.acknowledge(entries, sum(entry.items for entry in entries), {})
        return len(entries) == BATCH_RECORDS

    def _look_for_ends(self) -> None:
        """A process whose records cannot be sent stays a guest for long after its end."""
        drained: dict[str, tuple[Guest, bool]] = {}
        for guest, source in self._watched:
            name = guest.folder.path.name
            drained[name] = (guest, drained.get(name, (guest, True))[1] and source.is_drained)
        for guest, is_drained in drained.values():
            if is_drained and not guest.folder.is_alive():
                self.ending(guest)

    def _tell_ends(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, []
        for names, end in ends:
            self._tell_all(self._taps.on_end(names, end))

    def _tell_all(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._tell(finding)
