"""Warming: values are loaded before they are asked for, at a pace, for a while, never in place of others.

What is kept in memory already, or below it, is not loaded again. Before each load there must be room for a
value of the largest size that the region allows; where there is none, the warming ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, TypedDict

from tickspan.cache.entry import Entry, Key
from tickspan.cache.parcels import is_duration
from tickspan.cache.region import Region
from tickspan.cache.telling import WarmOutcome, WarmProgress
from tickspan.recording import Guard

__all__ = [
    "Appointments",
    "KeyLoader",
    "Progress",
    "WarmOptions",
    "Warmed",
    "Warming",
    "moments",
    "warm",
    "warm_async",
]

KeyLoader: TypeAlias = Callable[[Any], Any]
"""Makes the value of a key; plain or asynchronous."""
Progress: TypeAlias = Callable[[WarmProgress], object]
"""Is told how far a warming is; what it raises is counted and told once, and changes nothing."""


class WarmOptions(TypedDict, total=False):
    """How values are loaded; see `Warming`."""

    rate_per_s: float
    deadline_s: float | None
    priority: Callable[[Any], float] | None
    progress: Progress | None
    ttl_s: float | None


DEFAULT_RATE_PER_S: Final = 200.0
AT_ONCE: Final = 8
"""Loads that run at the same time."""
TELL_EVERY_S: Final = 5.0

_LONGEST_NAP_S: Final = 30.0
"""Between looks at the wall clock, which may be set."""


@dataclass(frozen=True, slots=True)
class _Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Start:
    key: Key


class Warming:
    """What is to be loaded when: a state that decides, and that the two drivers below ask. Thread-safe."""

    def __init__(
        self,
        region: Region[Any],
        keys: Iterable[Key],
        *,
        rate_per_s: float = DEFAULT_RATE_PER_S,
        deadline_s: float | None = None,
        priority: Callable[[Any], float] | None = None,
        progress: Progress | None = None,
        ttl_s: float | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Plan it.

        Args:
            region: where values go.
            keys: each is loaded once.
            rate_per_s: loads that are started in a second at most.
            deadline_s: after which no load is started.
            priority: keys for which it is higher come first; without it they come in their order.
            progress: is told every five seconds, and at the end.
            ttl_s: of the values; by default as the region's rules say.
            now_s: monotonic seconds.

        Raises:
            ValueError: `rate_per_s`, `deadline_s` or `ttl_s` is not above 0.
        """
        if not rate_per_s > 0:
            raise ValueError(f"rate_per_s: expected a number above 0, got {rate_per_s!r}")
        if deadline_s is not None and not deadline_s > 0:
            raise ValueError(f"deadline_s: expected a number of seconds above 0, got {deadline_s!r}")
        if ttl_s is not None and not is_duration("ttl_s", ttl_s):
            raise ValueError(f"ttl_s: expected a number of seconds above 0, got {ttl_s!r}")
        planned = list(dict.fromkeys(keys))
        if priority is not None:
            planned.sort(key=priority, reverse=True)
        self.region = region
        self.ttl_s = ttl_s
        self._keys = deque(planned)
        self._planned = len(planned)
        self._gap_s = 1 / rate_per_s
        self._deadline_s = deadline_s
        self._progress = progress
        self._guard = Guard("cache", "progress of a warming")
        self._now_s = now_s
        self._began_s = now_s()
        self._due_s = self._began_s
        self._told_s = self._began_s
        self._counts: Counter[str] = Counter()
        self._under_way = 0
        self._is_cancelled = False
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Start no further load."""
        self._is_cancelled = True

    def step(self) -> _Start | _Wait | WarmOutcome:
        """What to do now: load a key, wait, or end."""
        now_s = self._now_s()
        if self._is_cancelled:
            return WarmOutcome.CANCELLED
        if not self._keys:
            return WarmOutcome.COMPLETE
        if self._deadline_s is not None and now_s - self._began_s >= self._deadline_s:
            return WarmOutcome.DEADLINE
        if now_s < self._due_s:
            return _Wait(self._due_s - now_s)
        if not self._has_room():
            # Loads under way may have promised room that they do not need.
            return _Wait(self._gap_s) if self._under_way else WarmOutcome.FULL
        self._due_s = max(self._due_s, now_s - self._gap_s) + self._gap_s
        with self._lock:
            self._under_way += 1
        return _Start(self._keys.popleft())

    def found(self) -> None:
        """The key was there: it costs nothing of the pace."""
        self._due_s -= self._gap_s
        self._ended("present")

    def loaded(self) -> None:
        """The key was loaded."""
        self._ended("loaded")

    def failed(self) -> None:
        """It could not be."""
        self._ended("failed")

    def report(self, outcome: WarmOutcome | None = None) -> WarmProgress:
        """How far it is, or how it ended."""
        counts = self._counts
        return WarmProgress(
            self.region.name,
            self._planned,
            loaded=counts["loaded"],
            present=counts["present"],
            failed=counts["failed"],
            elapsed_s=round(self._now_s() - self._began_s, 6),
            outcome=outcome,
        )

    def finish(self, outcome: WarmOutcome) -> WarmProgress:
        """Tell that it has ended."""
        report = self.report(outcome)
        self._tell(report)
        return report

    def _ended(self, how: str) -> None:
        with self._lock:
            self._under_way -= 1
            self._counts[how] += 1
            now_s = self._now_s()
            is_due = now_s - self._told_s >= TELL_EVERY_S
            if is_due:
                self._told_s = now_s
        if is_due:
            self._tell(self.report())

    def _tell(self, report: WarmProgress) -> None:
        self.region.telemetry.warmed(report)
        if self._progress is not None:
            self._guard.user(self._progress, report, default=None)

    def _has_room(self) -> bool:
        rules, memory, coming = self.region.rules, self.region.memory, self._under_way + 1
        return (
            len(memory) + coming <= rules.max_entries
            and memory.size_bytes + coming * rules.max_value_bytes <= rules.max_bytes
        )


def _is_in_memory(region: Region[Any], key: Key) -> bool:
    item = region.memory.peek(key)
    return item is not None and item.until > region.stack.clock.now_s() and not item.is_void


def warm(
    warming: Warming, loader: KeyLoader, *, wait: Callable[[float], object] = time.sleep
) -> WarmProgress:
    """Do it, blocking, with a few threads. `wait` waits so many seconds."""
    region = warming.region.sync
    free = threading.Semaphore(AT_ONCE)

    def load(key: Key) -> None:
        try:
            if _is_in_memory(warming.region, key) or _is_fresh(region.get_entry(key)):
                warming.found()
                return
            region.load(key, functools.partial(loader, key), ttl_s=warming.ttl_s)
        except Exception:  # noqa: BLE001 - a loader may raise what it likes: the next key is not its fault
            warming.failed()
        else:
            warming.loaded()
        finally:
            free.release()

    with ThreadPoolExecutor(AT_ONCE, "tickspan-cache-warm") as pool:
        while True:
            match warming.step():
                case _Start(key):
                    free.acquire()
                    pool.submit(contextvars.copy_context().run, load, key)
                case _Wait(seconds):
                    wait(seconds)
                case outcome:
                    break
    return warming.finish(outcome)


async def warm_async(warming: Warming, loader: KeyLoader) -> WarmProgress:
    """Do it with a few tasks of this event loop; a cancelled call starts no further load."""
    region = warming.region
    free = asyncio.Semaphore(AT_ONCE)

    async def load(key: Key) -> None:
        try:
            if _is_in_memory(region, key) or _is_fresh(await region.get_entry(key)):
                warming.found()
                return
            await region.load(key, functools.partial(loader, key), ttl_s=warming.ttl_s)
        except Exception:  # noqa: BLE001 - as above
            warming.failed()
        else:
            warming.loaded()
        finally:
            free.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            while True:
                match warming.step():
                    case _Start(key):
                        await free.acquire()
                        tasks.create_task(load(key))
                    case _Wait(seconds):
                        await asyncio.sleep(seconds)
                    case outcome:
                        break
    except asyncio.CancelledError:
        warming.finish(WarmOutcome.CANCELLED)
        raise
    return warming.finish(outcome)


class Warmed:
    """A warming that is done, or a task of the running event loop. It can be awaited in both cases."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: WarmProgress | asyncio.Task[WarmProgress]) -> None:
        self._outcome = outcome

    def __repr__(self) -> str:
        return f"<Warmed {self._outcome!r}>"

    def __await__(self) -> Generator[Any, None, WarmProgress]:
        if isinstance(self._outcome, WarmProgress):
            return self._outcome
        return (yield from self._outcome)

    def result(self) -> WarmProgress:
        """What became of the keys. Raises `asyncio.InvalidStateError` while they are being loaded."""
        return self._outcome if isinstance(self._outcome, WarmProgress) else self._outcome.result()


def _is_fresh(entry: Entry[Any] | None) -> bool:
    return entry is not None and not entry.is_stale


def moments(times: Iterable[datetime | float]) -> list[float]:
    """Times as seconds since 1970, in order.

    Raises:
        ValueError: a datetime has no zone.
    """
    found: list[float] = []
    for time_ in times:
        if isinstance(time_, datetime):
            if time_.tzinfo is None:
                raise ValueError("times: expected datetimes with a zone, such as those of datetime.now(UTC)")
            found.append(time_.timestamp())
        else:
            found.append(float(time_))
    return sorted(found)


class Appointments:
    """Calls `action` a while before each of some moments, on a thread that ends after the last.

    A moment that is over is left out; one that is nearer than `lead_s` counts at once. The wall clock is
    looked at every half minute, so that it may be set meanwhile.
    """

    def __init__(
        self,
        times: Iterable[datetime | float],
        lead_s: float,
        action: Callable[[float], object],
        *,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """`action` gets the seconds that are left until the moment.

        Raises:
            ValueError: `lead_s` is not above 0, or a datetime has no zone.
        """
        if not lead_s > 0:
            raise ValueError(f"lead_s: expected a number of seconds above 0, got {lead_s!r}")
        self._lead_s = lead_s
        self._action = action
        self._wall_s = wall_s
        self._times = deque(at_s for at_s in moments(times) if at_s > wall_s())
        self._stopping = threading.Event()
        self._guard = Guard("cache", "warming before a moment")
        self._thread = threading.Thread(target=self._run, name="tickspan-cache-appointments", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Appointments {len(self._times)} to come>"

    def cancel(self) -> None:
        """Keep none of those that are left."""
        self._stopping.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the last one is kept, at most so long; whether it was."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._times:
            left_s = self._times[0] - self._lead_s - self._wall_s()
            if left_s > 0:
                if self._stopping.wait(min(left_s, _LONGEST_NAP_S)):
                    return
                continue
            at_s = self._times.popleft()
            if at_s > self._wall_s():
                self._guard.user(self._action, at_s - self._wall_s(), default=None)
