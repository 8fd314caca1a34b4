"""The sampler: a thread that looks at the others, as often as its budget of CPU time allows.

It is silent while a critical section is open. It keeps no frame, context or span after a look.

A thread that wants the interpreter's lock gets it where another lets go of it, or after the switch interval.
With the usual 5 ms, a loop whose callbacks are shorter would be seen in its selector only. So the sampler
wakes up to two intervals before it is to look, makes the interval short, and comes back at a moment that was
drawn before: in the middle of whatever runs. Short is 0.1 ms where one thread runs and the rest waits, and
0.2 ms where a few do. A shorter one makes who waits for the lock busy: at 5 µs with half a processor.
"""

from __future__ import annotations

import _thread
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import BuiltinFunctionType
from typing import Any, Final, NamedTuple

from tickspan.analysis.profiles import Link, Profile, Sample
from tickspan.profiler._impl import snapshot
from tickspan.profiler.clocks import ThreadClocks
from tickspan.profiler.linking import context_variable, holds, link_in
from tickspan.profiler.rows import Rows, slimmed, unlinked
from tickspan.profiler.states import Leaf, State, state_of
from tickspan.profiler.tables import NOWHERE, Tables
from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.gc_pauses import pauses_since
from tickspan.recording.guard import Guard
from tickspan.recording.looks import most_looks_hz
from tickspan.recording.sections import depth as critical_depth
from tickspan.recording.sections import quiet

__all__ = ["BOUNDS_HZ", "DEPTH", "Sampler", "SamplerStatistics", "Seen"]

BOUNDS_HZ: Final = (0.01, 1_000.0)
DEPTH: Final = 128
"""Frames of a stack at most, from the leaf."""
_MOST_ROWS: Final = 50_000
_MOST_LINKS: Final = 10_000
_TIDY_EVERY_S: Final = 60.0
_STACKS_LEFT: Final = 8_000
"""Of the rows, once the tables are nearly full."""
_CROWDED: Final = 0.75
_SMOOTHING: Final = 0.2
_NS_PER_S: Final = 1_000_000_000
_LONGEST_SLEEP_S: Final = 60.0
_SHORT_S: Final = 0.000097
_SHORT_FOR_FEW_S: Final = 0.000197
"""The switch interval just before a look, for one thread that runs and for several. No program sets these."""
_FEW: Final = 4
"""Threads that run; of more, one or another is in the middle of something at every switch."""
_JITTER: Final = (0.75, 1.25)
"""Of the period, so that no rhythm of the program is taken for its whole."""
_LEAST_RUN: Final = 50
"""One in so many parts of the time: what a thread has to run to be awaited in the middle of it."""
_OURS: Final = "tickspan-"
"""What the names of threads of this distribution begin with: they wait for work, not for a lock."""


class Seen(NamedTuple):
    """One sample of one thread.

    Attributes:
        at_unix_ns: when.
        stack: its number in the tables.
        thread: its name.
        state: what it did since its last sample.
        link: the span that was current, if it is known.
        wall_ns: since its last sample.
    """

    at_unix_ns: int
    stack: int
    thread: str
    state: State
    link: Link | None
    wall_ns: int


@dataclass(slots=True)
class _Thread:
    """What is remembered of a thread between two samples."""

    ident: int
    native_id: int
    name: str
    at_ns: int
    cpu_ns: int = -1
    delay_ns: int = -1
    stack: int = NOWHERE
    link: Link | None = None
    leaf: Leaf = Leaf.CALL


@dataclass(frozen=True, slots=True)
class SamplerStatistics:
    """What the sampler did.

    Attributes:
        is_running: now.
        hz: passes a second that are asked for.
        passes: over all threads.
        samples: of single threads, by state.
        linked: samples whose span is known.
        lost: samples that found no room in the tables.
        silent: passes that were left out because a critical section was open.
        cpu_s: CPU time of its own.
        pass_cpu_s: of one pass, as of late.
    """

    is_running: bool
    hz: float
    passes: int
    samples: dict[str, int]
    linked: int
    lost: int
    silent: int
    cpu_s: float
    pass_cpu_s: float


class Sampler:
    """See the module. `start` and `stop` are for any thread; a forked child has none running."""

    def __init__(
        self,
        hz: float = 10.0,
        cpu_budget: float = 0.01,
        seen: Callable[[Seen], object] | None = None,
        *,
        service: tuple[str, str] = ("", ""),
        pauses: Callable[[int], Iterable[tuple[int, int, int]]] = pauses_since,
        used: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        """Prepare.

        Args:
            hz: passes a second.
            cpu_budget: share of one processor that it may use in the long run.
            seen: gets each sample, in the sampler's thread.
            service: `service.name` and `service.version` for profiles.
            pauses: (start, stop, generation) of collections since an instant of `perf_counter_ns`.
            used: stacks by number that whoever gets the samples still wants to know; asked once a minute.

        Raises:
            ValueError: a rate or a budget that is none.
        """
        self.set_rate(hz)
        if not 0.0 < cpu_budget <= 1.0:
            raise ValueError(f"expected a share of one processor above 0 and up to 1, got {cpu_budget!r}")
        self._budget = cpu_budget
        self._seen = seen
        self._service = service
        self._pauses = pauses
        self._used = used
        self._clocks = ThreadClocks()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell: Any = None
        self.tables = Tables()
        self._random = random.Random()  # noqa: S311 - when to look is no secret
        self._usual_s = self._short_s = 0.0
        self._forget()
        os.register_at_fork(after_in_child=self._after_fork)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return (
            f"<Sampler {state} at {self._hz:g} Hz, {self._passes} passes, {self._cpu_ns / 1e9:.3f} s of CPU>"
        )

    @property
    def is_running(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def set_rate(self, hz: float) -> None:
        """Passes a second from now on.

        Raises:
            ValueError: no number from 0.01 to 1,000.
        """
        if not BOUNDS_HZ[0] <= hz <= BOUNDS_HZ[1]:
            raise ValueError(f"expected {BOUNDS_HZ[0]} to {BOUNDS_HZ[1]:,.0f} passes a second, got {hz!r}")
        self._hz = float(hz)

    @property
    def rate(self) -> float:
        """Passes a second that the budget and the process's plan allow, with what a pass costs as of late."""
        return 1.0 / self._period_s()

    def start(self) -> None:
        """Sample from now on; nothing if it does. What was sampled before is kept.

        Where no thread can be had, in a subinterpreter or under gevent's patches, a warning says so.
        """
        with self._lock:
            if self.is_running:
                return
            if not isinstance(_thread.start_new_thread, BuiltinFunctionType):
                diagnostics.warning("profiler: not started: threads are greenlets here, and cannot look on")
                return
            bell = snapshot.Bell(quiet())
            arguments = (bell,)
            try:
                thread = threading.Thread(
                    target=self._run, args=arguments, name="tickspan-profiler", daemon=True
                )
                thread.start()
            except RuntimeError as error:  # a subinterpreter, or the end of the process
                diagnostics.warning("profiler: not started: %s", error)
                return
            self._thread, self._bell = thread, bell
            self._begun_ns = self._begun_ns or time.time_ns()
            self._running_since_ns = time.perf_counter_ns()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Sample no more."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._bell.ring()
            self._silent += self._bell.silent
            self._bell = None
            self._sampled_ns += time.perf_counter_ns() - self._running_since_ns
            self._running_since_ns = 0
        if thread is not threading.current_thread():
            thread.join(timeout_s)

    def statistics(self) -> SamplerStatistics:
        """Counters at this moment."""
        bell = self._bell
        return SamplerStatistics(
            self.is_running,
            self._hz,
            self._passes,
            {state.value: count for state, count in sorted(self._states.copy().items())},
            self._linked,
            self._lost + self.tables.overflowed,
            self._silent + (0 if bell is None else bell.silent),
            self._cpu_ns / _NS_PER_S,
            self._cost_ns / _NS_PER_S,
        )

    def profile(self) -> Profile:
        """Everything that was sampled so far."""
        rows = self._rows.copy()
        duration_ns = self._sampled_ns
        if self._running_since_ns:
            duration_ns += time.perf_counter_ns() - self._running_since_ns
        frames, stacks, places = self.tables.compact(dict.fromkeys(row[0] for row in rows))
        sums: Rows = {}
        for (stack, thread, state, link), (count, wall_ns) in rows.items():
            row = sums.setdefault((places[stack], thread, state, link), [0, 0])
            row[0] += count
            row[1] += wall_ns
        return Profile(
            service=self._service[0],
            version=self._service[1],
            pid=os.getpid(),
            started_unix_ns=self._begun_ns,
            duration_ns=duration_ns,
            period_ns=int(_NS_PER_S / self._hz),
            frames=frames,
            stacks=stacks,
            samples=tuple(
                Sample(stack, thread, state.value, link, count, wall_ns)
                for (stack, thread, state, link), (count, wall_ns) in sums.items()
            ),
            lost=self._lost + self.tables.overflowed,
            own_cpu_ns=self._cpu_ns,
        )

    def clear(self) -> None:
        """Forget what was sampled so far."""
        self._rows = {}
        self._begun_ns = time.time_ns() if self.is_running else 0
        self._sampled_ns = 0
        if self.is_running:
            self._running_since_ns = time.perf_counter_ns()

    def take(self, own: int) -> None:
        """One pass over all threads but `own`. For the sampler's thread, and for tests."""
        now_ns, unix_ns = time.perf_counter_ns(), time.time_ns()
        threads = self._threads
        # Clocks first: a thread that runs on before its stack is taken is looked at again next time.
        cpus_ns = snapshot.cpu_ns([thread.native_id for thread in threads.values()])
        clocks = dict(zip(threads, cpus_ns, strict=True))
        standing = {own}
        standing.update(
            ident for ident, cpu_ns in clocks.items() if cpu_ns >= 0 and cpu_ns == threads[ident].cpu_ns
        )
        began_ns = time.perf_counter_ns()
        taken = snapshot.take(standing, DEPTH, self._variable)
        # From here on other threads may run: what was taken are numbers, names and values that do not change.
        # Interpreted, whoever waits for the interpreter's lock may have got it meanwhile, after so long.
        shortest_ns = min(_SHORT_S, sys.getswitchinterval()) * _NS_PER_S
        is_whole = snapshot.IS_COMPILED or time.perf_counter_ns() - began_ns < shortest_ns
        standing.discard(own)
        self._note_standing(standing, now_ns, unix_ns)
        found = [self._thread_of(one[0], now_ns) for one in taken]
        delays_ns = snapshot.delays_ns([thread.native_id for thread in found])
        self._running.clear()
        for thread, delay_ns, (ident, key, codes, context, place) in zip(
            found, delays_ns, taken, strict=True
        ):
            stack = self.tables.stack(key, codes)
            link = self._link(context, self.tables.stacks[stack], place) if is_whole else None
            self._note(thread, (clocks.get(ident, -1), delay_ns), stack, link, now_ns, unix_ns)
        if len(threads) > len(standing) + len(taken):
            for ident in threads.keys() - standing - {one[0] for one in taken}:
                del threads[ident]
        self._passes += 1

    def _note_standing(self, standing: set[int], now_ns: int, unix_ns: int) -> None:
        """Threads that have not run at all: where they were, and in what."""
        for ident in standing:
            thread = self._threads[ident]
            wall_ns = now_ns - thread.at_ns
            state = state_of(thread.leaf, wall_ns, gc_ns=self._gc_ns(thread.at_ns, now_ns), cpu_ns=0)
            thread.at_ns = now_ns
            self._keep(Seen(unix_ns, thread.stack, thread.name, state, thread.link, wall_ns))

    def _note(
        self,
        thread: _Thread,
        clocks_ns: tuple[int, int],
        stack: int,
        link: Link | None,
        now_ns: int,
        unix_ns: int,
    ) -> None:
        """A thread whose stack was taken; its clock of CPU time is of just before."""
        wall_ns, (cpu_ns, delay_ns) = now_ns - thread.at_ns, clocks_ns
        run_ns = None if cpu_ns < 0 or thread.cpu_ns < 0 else cpu_ns - thread.cpu_ns
        waited_ns = 0 if delay_ns < 0 or thread.delay_ns < 0 else delay_ns - thread.delay_ns
        if run_ns is not None and run_ns * _LEAST_RUN > wall_ns:
            self._running.add(thread.ident)
        frames = self.tables.stacks[stack]
        leaf = self.tables.instruction(frames[0]).leaf if frames else Leaf.CALL
        is_waiting_of_ours = leaf is Leaf.LOCK and thread.name.startswith(_OURS)
        thread.leaf = Leaf.IDLE if is_waiting_of_ours else leaf
        thread.cpu_ns, thread.delay_ns, thread.stack, thread.link = cpu_ns, delay_ns, stack, link
        gc_ns = self._gc_ns(thread.at_ns, now_ns)
        state = state_of(thread.leaf, wall_ns, gc_ns=gc_ns, cpu_ns=run_ns, delay_ns=waited_ns)
        thread.at_ns = now_ns
        self._keep(Seen(unix_ns, stack, thread.name, state, link, wall_ns))

    def _thread_of(self, ident: int, now_ns: int) -> _Thread:
        """What is known of a thread; of one that is new, no clock yet."""
        thread, native_id = self._threads.get(ident), self._clocks.native_id(ident)
        if thread is None or thread.native_id != native_id:
            began_ns = now_ns - int(_NS_PER_S / self._hz)
            thread = _Thread(ident, native_id, self._clocks.name(ident), began_ns)
            self._threads[ident] = thread
        return thread

    def _link(self, context: Any, frames: tuple[int, ...], place: int) -> Link | None:
        if context is None:
            return None
        if place >= 0 and not (frames and holds(frames, place, self.tables.instruction, self._function)):
            return None
        return link_in(context)

    def _function(self, frame: int) -> str:
        return self.tables.code(frame).co_name

    def _gc_ns(self, since_ns: int, until_ns: int) -> int:
        return sum(
            max(0, min(stop_ns, until_ns) - max(start_ns, since_ns))
            for start_ns, stop_ns, _ in self._recent_pauses
            if stop_ns > since_ns
        )

    def _keep(self, seen: Seen) -> None:
        self._states[seen.state] += 1
        if seen.link is not None:
            self._linked += 1
        link = seen.link
        if link is not None and link not in self._links:
            if len(self._links) < _MOST_LINKS:
                self._links.add(link)
            else:
                link = None
        key = (seen.stack, seen.thread, seen.state, link)
        row = self._rows.get(key)
        if row is not None:
            row[0] += 1
            row[1] += seen.wall_ns
        elif len(self._rows) < _MOST_ROWS:
            self._rows[key] = [1, seen.wall_ns]
        else:
            self._lost += 1
        if self._seen is not None:
            self._seen(seen)

    def _run(self, bell: Any) -> None:
        guard = Guard("thread", "profiler")
        own = threading.get_ident()
        guard.own(self._prepare, default=None)
        spent_ns = time.thread_time_ns()
        self._cpu_ns += spent_ns
        due_s = time.monotonic() + self._period_s()
        while not (guard.is_disabled or self._waited(bell, due_s)):
            guard.own(self._pass, own, default=None)
            now_ns = time.thread_time_ns()
            cost_ns, spent_ns = now_ns - spent_ns, now_ns  # with what it takes to wait and to wake up
            self._cpu_ns += cost_ns
            self._cost_ns += (cost_ns - self._cost_ns) * _SMOOTHING
            period_s = max(self._period_s(), min(_LONGEST_SLEEP_S, cost_ns / _NS_PER_S / self._budget))
            due_s = max(due_s + period_s * self._random.uniform(*_JITTER), time.monotonic() + period_s / 2)

    def _waited(self, bell: Any, due_s: float) -> bool:
        """Come back in the middle of what runs, see the module; true when it is time to stop."""
        usual_s = sys.getswitchinterval()
        ahead_s = due_s - time.monotonic()
        if critical_depth() or usual_s <= _SHORT_FOR_FEW_S or len(self._running) > _FEW:
            return bell.wait(max(0.0, ahead_s))
        if bell.wait(max(0.0, ahead_s - usual_s * self._random.uniform(1.0, 2.0))):
            return True
        self._set_short(usual_s)
        try:
            return bell.wait(max(due_s - time.monotonic(), usual_s * self._random.random()))
        finally:
            self._put_back()

    def _set_short(self, usual_s: float) -> None:
        self._short_s = _SHORT_S if len(self._running) <= 1 else _SHORT_FOR_FEW_S
        self._usual_s = (
            usual_s  # before it is short: a child that is forked in between is to put it back, too
        )
        sys.setswitchinterval(self._short_s)

    def _put_back(self) -> None:
        """The switch interval as it was, unless somebody else has set it meanwhile."""
        usual_s = self._usual_s
        if usual_s and abs(sys.getswitchinterval() - self._short_s) < _SHORT_S / 100:
            sys.setswitchinterval(usual_s)
        self._usual_s = 0.0

    def _prepare(self) -> None:
        """What costs once, and more than a pass."""
        snapshot.hasten()
        if self._variable is None:
            self._variable = context_variable()

    def _pass(self, own: int) -> None:
        if critical_depth():
            self._silent += 1
            return
        self._tidy()
        oldest_ns = min((thread.at_ns for thread in self._threads.values()), default=time.perf_counter_ns())
        self._recent_pauses = tuple(self._pauses(oldest_ns))
        self.take(own)

    def _tidy(self) -> None:
        """Once a minute: make room where it runs short, so that what is new has its stack and its span."""
        now_s = time.monotonic()
        if now_s < self._tidy_at_s:
            return
        self._tidy_at_s = now_s + _TIDY_EVERY_S
        if len(self._rows) > _CROWDED * _MOST_ROWS or len(self._links) > _CROWDED * _MOST_LINKS:
            self._rows = unlinked(self._rows)
            self._links = set()
        if self.tables.is_crowded:
            self._rows, lost = slimmed(self._rows, _STACKS_LEFT)
            self._lost += lost
            in_rows = {row[0] for row in self._rows}
            self.tables.forget({*in_rows, *(one.stack for one in self._threads.values()), *self._used()})

    def _period_s(self) -> float:
        hz = min(self._hz, most_looks_hz())
        return max(1.0 / hz, min(_LONGEST_SLEEP_S, self._cost_ns / _NS_PER_S / self._budget))

    def _forget(self) -> None:
        self._threads: dict[int, _Thread] = {}
        self._running: set[int] = set()
        self._rows: Rows = {}
        self._links: set[Link] = set()
        self._states: Counter[State] = Counter()
        self._recent_pauses: tuple[tuple[int, int, int], ...] = ()
        self._variable: Any = None
        self._begun_ns = self._sampled_ns = self._running_since_ns = 0
        self._passes = self._silent = self._linked = self._lost = 0
        self._cpu_ns = 0
        self._cost_ns = 0.0
        self._tidy_at_s = time.monotonic() + _TIDY_EVERY_S

    def _after_fork(self) -> None:
        """A forked child: what was sampled is the parent's, and so was the thread."""
        was_running = self._thread is not None
        self._put_back()
        self._lock = threading.Lock()
        self._thread = self._bell = None
        self.tables = Tables()
        self._forget()
        if was_running:
            self.start()
