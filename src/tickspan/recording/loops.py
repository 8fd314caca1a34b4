"""Event loops by their heartbeat: how late they are, when they were blocked, and by what.

A beat is a timer in the loop. While it is overdue the loop runs one callback and nothing else; the ticker
then takes the stack of the loop's thread, once. What is late counts from the beat's time, so a block is never
overstated, and understated by one heartbeat at most. Frames, contexts and handles are let go at once.
A loop may be stopped and started again, as by each `run_until_complete`: what lies between is no block.

To wake up ten times a second would be most of what an idle program does. A loop in which no span is open, and
whose thread has had next to nothing to do for some seconds, beats once a second until a span starts there or
the thread works again.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
import time
import weakref
from asyncio.events import Handle
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from tickspan.recording.marks import SpanMarks
from tickspan.recording.ticker import Ticker, ticker

__all__ = ["HEARTBEAT_S", "LOOPS", "Block", "Load", "LoopWatch", "Loops", "News", "Overlap", "Place"]

HEARTBEAT_S: Final = 0.1
OVERDUE_S: Final = 0.05
"""A beat that is later is a block; of quick heartbeats one that is later by half of one."""
REST_S: Final = 1.0
"""Between the beats of a loop that rests."""
QUIET_S: Final = 5.0
"""After so long without anything to do, a loop rests."""
_BUSY_SHARE: Final = 0.02
"""Of a CPU: a thread that has used less since the last beat had nothing to do."""
_SOONEST_S: Final = 0.001
_STOPPED_S: Final = 1.0
"""Between two looks at a loop that was stopped."""
LASTING_S: Final = 10.0
"""A block that goes on for so long is told before it ends: it may never."""
_MOST_STEPS: Final = 1_000
"""Of beats that one block let be missed, so many are told."""
_BLOCKS_KEPT: Final = 64
_LATES_KEPT: Final = 4_096
_MAX_DEPTH: Final = 48
_NS_PER_S: Final = 1_000_000_000
_RUN: Final = Handle._run.__code__  # noqa: SLF001 - the frame in which each callback of a stock loop runs

SpanOf = Callable[[Context], object]
"""What is to be kept of a context: names and ids, nothing that keeps objects alive."""


class Place(NamedTuple):
    """One frame of a stack."""

    code: CodeType
    line: int


class Block(NamedTuple):
    """A time in which a loop ran one callback, by `time.perf_counter_ns`.

    Attributes:
        start_ns: when the beat was due.
        stop_ns: when it came.
        places: the stack, innermost first; empty when nobody caught it.
        span: what `SpanOf` made of the callback's context, or None.
        is_over: False for one that goes on; `stop_ns` is then the moment at which it was told.
    """

    start_ns: int
    stop_ns: int
    places: tuple[Place, ...] = ()
    span: object = None
    is_over: bool = True


class Overlap(NamedTuple):
    """What a time has in common with blocks of a loop.

    Attributes:
        delay_ns: in all.
        places: the stack of the longest of them.
    """

    delay_ns: int
    places: tuple[Place, ...] = ()


class News:
    """What loops have noted and nobody has taken, with their names; the oldest go first. For one taker."""

    __slots__ = ("blocks", "lates")

    def __init__(self) -> None:
        self.lates: deque[tuple[str, float]] = deque(maxlen=_LATES_KEPT)
        """Seconds by which beats were late, those included that a block let be missed."""
        self.blocks: deque[tuple[str, Block]] = deque(maxlen=_BLOCKS_KEPT)
        """Blocks that ended, or last long; each once."""


class _Caught(NamedTuple):
    due_ns: int
    places: tuple[Place, ...]
    span: object
    is_told: bool = False


class Load(NamedTuple):
    """For how long a loop ran callbacks, at least, of the time for which it was watched while it ran."""

    busy_ns: int = 0
    watched_ns: int = 0


class LoopWatch:
    """The heartbeat of one loop. `beat` runs in the loop, everything else in any thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        period_s: float = HEARTBEAT_S,
        news: News | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        wall_ns: Callable[[], int] = time.time_ns,
        cpu_ns: Callable[[], int] = time.thread_time_ns,
        marks: SpanMarks | None = None,
    ) -> None:
        self.name = name
        self.period_s = period_s
        self.late_at_ns = sys.maxsize
        """From this moment of the spans' clock on the loop is blocked, unless it beats before."""
        self.last_stop_ns = 0
        """When the last block ended, by the clock of spans."""
        self.marks = marks or SpanMarks()
        self.is_resting = False
        """Whether the next beat is a second away because nothing happens."""
        self.on_wake: Callable[[], object] | None = None
        """Called when a loop beats quickly again before its next beat was due."""
        self.on_schedule: Callable[[], object] | None = None
        """Called when `late_at_ns` has changed."""
        self.load = Load()
        self._news = news
        self.beats = 0
        self._loop = weakref.ref(loop)
        self._clock_ns = clock_ns
        self._wall_ns = wall_ns
        self._cpu_ns = cpu_ns
        self._thread_id = 0
        self._number = 0
        self._beaten_ns = self._worked_ns = clock_ns()
        self._used_ns = 0
        self._due_ns = 0
        self._overdue_ns = _overdue_ns(period_s)
        self._was_idle = False
        self._run: Callable[[], object] = _nothing
        self._steps = 0
        self._seen_ns = 0
        self._is_stopped = False
        self._caught: _Caught | None = None
        self._blocks: deque[Block] = deque(maxlen=_BLOCKS_KEPT)

    def __repr__(self) -> str:
        return f"<LoopWatch {self.name}, {self.beats} beats, {len(self._blocks)} blocks kept>"

    @property
    def is_over(self) -> bool:
        """Whether the loop is closed or gone, or nobody watches it any more."""
        loop = self._loop()
        return self._is_stopped or loop is None or loop.is_closed()

    def begin(self) -> None:
        """Schedule the first beat; in the thread of the loop."""
        self._thread_id = threading.get_ident()
        self._schedule()

    def stop(self) -> None:
        """Beat no more."""
        self._is_stopped = True
        self._become_late_at(sys.maxsize)

    def beat(self) -> None:
        """The loop has come round."""
        if self._is_stopped:
            return
        now_ns = self._clock_ns()
        late_ns = max(0, now_ns - self._due_ns)
        self.beats += 1
        self._thread_id = threading.get_ident()
        caught, self._caught = self._caught, None
        if self._was_idle or self._is_new_run():  # nobody was kept waiting
            self._was_idle = False
            self._beaten_ns, self._used_ns = now_ns, self._cpu_ns()
        else:
            if self._news is not None:
                self._tell_missed(late_ns)
                self._news.lates.append((self.name, late_ns / _NS_PER_S))
            if late_ns >= self._overdue_ns:
                self._note(now_ns, caught)
            self._pace(now_ns, late_ns)
        self._schedule()

    def resume(self) -> None:
        """A span starts, and a beat is late or was given up: count anew if the loop has been started again.

        In the thread of the loop.
        """
        if not self._is_stopped and (self._was_idle or self._is_new_run()):
            self._was_idle = False
            self._caught = None
            self._thread_id = threading.get_ident()
            self._worked_ns = self._beaten_ns = self._clock_ns()
            self._used_ns = self._cpu_ns()
            self.is_resting = False
            self._schedule()
            if self.on_wake is not None:
                self.on_wake()

    def wake(self) -> None:
        """Something begins: beat quickly again, if the loop rests; in its thread."""
        now_ns = self._clock_ns()
        if not self.is_resting or self._is_stopped or now_ns >= self._due_ns:
            return  # a beat that is late comes next
        self.is_resting = False
        self._worked_ns = now_ns
        self._schedule()
        if self.on_wake is not None:
            self.on_wake()

    def look(self, span_of: SpanOf | None = None) -> float | None:
        """For the ticker: if a beat is overdue, take the stack of the thread, once for each block.

        Returns in how many seconds to look again; None for a loop that is not there any more.
        """
        loop = self._loop()
        if loop is None or self.is_over:
            self._give_up()
            return None
        due_ns, now_ns = self._due_ns, self._clock_ns()
        late_ns = now_ns - due_ns
        if late_ns < self._overdue_ns:
            return (self._overdue_ns - late_ns) / _NS_PER_S
        if not loop.is_running():
            self._give_up()
            return _STOPPED_S
        self._seen_ns = now_ns
        if self._news is not None:
            self._tell_missed(late_ns)
        if self._caught is not None:
            if late_ns >= LASTING_S * _NS_PER_S:
                self._tell_lasting(now_ns)
            return self.period_s
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - the interpreter's documented way
        try:
            caught = _Caught(due_ns, _places(frame), _span_of(frame, loop, span_of))
        finally:
            del frame
        if due_ns == self._due_ns:
            self._caught = caught
        return self.period_s

    def tasks(self, most: int) -> list[asyncio.Task[Any]]:
        """Tasks of the loop that are not done; none where they cannot be told from another thread."""
        loop = self._loop()
        if loop is None or self.is_over:
            return []
        try:
            return list(asyncio.all_tasks(loop))[:most]
        except RuntimeError:  # they change too fast to be listed
            return []

    def overlap(self, start_ns: int, stop_ns: int) -> Overlap | None:
        """What a time has in common with blocks, the one that goes on included; times of `perf_counter_ns`.

        In the thread of the loop. None for less than half a heartbeat.
        """
        delay_ns = 0
        longest_ns, places = 0, ()
        for block in self._known(stop_ns):
            common_ns = min(stop_ns, block.stop_ns) - max(start_ns, block.start_ns)
            if common_ns > 0:
                delay_ns += common_ns
                if common_ns > longest_ns:
                    longest_ns, places = common_ns, block.places
        return Overlap(delay_ns, places) if delay_ns >= self.period_s * _NS_PER_S / 2 else None

    def load_now(self) -> Load:
        """The load so far, a block that goes on included. From any thread."""
        load, now_ns = self.load, self._clock_ns()
        late_ns = now_ns - self._due_ns
        if late_ns < self._overdue_ns or self._was_idle or self._is_stopped:
            return load
        return Load(load.busy_ns + late_ns, load.watched_ns + now_ns - self._beaten_ns)

    def _known(self, stop_ns: int) -> Iterator[Block]:
        due_ns, caught = self._due_ns, self._caught
        yield from tuple(self._blocks)
        stop_ns = min(stop_ns, self._clock_ns())  # a span may say that it ends in the future
        if stop_ns - due_ns >= self._overdue_ns and not self._was_idle and not self._is_new_run():
            yield Block(due_ns, stop_ns, () if caught is None else caught.places)

    def _give_up(self) -> None:
        """The loop was stopped: what it was caught at has ended, one look ago at the earliest."""
        caught, self._caught = self._caught, None
        self._was_idle = True
        self._become_late_at(sys.maxsize)
        if caught is not None and caught.due_ns == self._due_ns < self._seen_ns:
            self._note(self._seen_ns, caught)

    def _note(self, stop_ns: int, caught: _Caught | None) -> None:
        is_told = False
        if caught is not None and caught.due_ns == self._due_ns:
            block = Block(self._due_ns, stop_ns, caught.places, caught.span)
            is_told = caught.is_told
        else:
            block = Block(self._due_ns, stop_ns)
        self._blocks.append(block)
        if self._news is not None and not is_told:
            self._news.blocks.append((self.name, block))
        self.last_stop_ns = self._wall_ns()
        self.marks.held_ns = max(self.marks.held_ns, self.last_stop_ns)

    def _tell_lasting(self, now_ns: int) -> None:
        caught = self._caught
        if caught is None or caught.is_told or caught.due_ns != self._due_ns:
            return
        self._caught = caught._replace(is_told=True)
        if self._news is not None:
            block = Block(caught.due_ns, now_ns, caught.places, caught.span, is_over=False)
            self._news.blocks.append((self.name, block))

    def _tell_missed(self, late_ns: int) -> None:
        """Whoever had asked for the loop's time a heartbeat later, and so on, was late too.

        Without them a loop that is blocked for half of each minute would be late once in 300 times.
        """
        period_ns = max(1, int(self.period_s * _NS_PER_S))
        missed = min(_MOST_STEPS, late_ns // period_ns)
        while self._steps < missed and self._news is not None:
            self._steps += 1
            self._news.lates.append((self.name, self._steps * period_ns / _NS_PER_S))

    def _pace(self, now_ns: int, late_ns: int) -> None:
        """Rest, or go on, by what has happened since the last beat."""
        used_ns, passed_ns = self._cpu_ns(), now_ns - self._beaten_ns
        worked_ns = max(0, used_ns - self._used_ns)
        is_busy = worked_ns > _BUSY_SHARE * passed_ns
        self._beaten_ns, self._used_ns = now_ns, used_ns
        busy_ns = min(passed_ns, max(worked_ns, late_ns))
        self.load = Load(self.load.busy_ns + busy_ns, self.load.watched_ns + passed_ns)
        if is_busy or self.marks.open_spans > 0 or late_ns >= self._overdue_ns:
            self._worked_ns = now_ns
        is_quiet = now_ns - self._worked_ns >= QUIET_S * _NS_PER_S
        self.is_resting = is_quiet and self.period_s < REST_S
        if self.is_resting:
            self.marks.loop_id = 0  # the next span is to wake it

    def _schedule(self) -> None:
        loop = self._loop()
        if loop is None or loop.is_closed():
            self._become_late_at(sys.maxsize)
            return
        self._run = _this_run()
        self._steps = 0
        wait_s = REST_S if self.is_resting else self.period_s
        wait_ns = int(wait_s * _NS_PER_S)
        self._overdue_ns = _overdue_ns(self.period_s)
        self._due_ns = self._clock_ns() + wait_ns
        self._become_late_at(self._wall_ns() + wait_ns + self._overdue_ns)
        self._number += 1
        loop.call_later(wait_s, self._come, self._number, context=Context())

    def _come(self, number: int) -> None:
        """A beat, unless an earlier one has taken its place: a handle that is kept would keep the loop."""
        if number == self._number:
            self.beat()

    def _become_late_at(self, ns: int) -> None:
        self.late_at_ns = ns
        if self.on_schedule is not None:
            self.on_schedule()

    def _is_new_run(self) -> bool:
        """Whether the loop was stopped, and started again, since the beat was asked for."""
        return self._run() is not sys.get_asyncgen_hooks().firstiter


def _this_run() -> Callable[[], object]:
    """What calls a weak reference to an object that each run of a loop makes anew, and lets go at its end.

    Loops install hooks for asynchronous generators whenever they start.
    """
    hook: Any = sys.get_asyncgen_hooks().firstiter
    try:
        return _nothing if hook is None else weakref.ref(hook)
    except TypeError:
        return lambda: hook


def _nothing() -> None:
    """No run."""


class Loops:
    """All loops of the process that are watched.

    Args:
        clock: the ticker that looks after them.
        period_s: of heartbeats that are begun from now on.
    """

    def __init__(self, clock: Callable[[], Ticker] = ticker, period_s: float = HEARTBEAT_S) -> None:
        self.period_s = period_s
        self.news = News()
        self.span_of: SpanOf | None = None
        """Asked for the context of the callback that blocks."""
        self.marks = SpanMarks()
        self._clock = clock
        self._known: dict[int, tuple[Callable[[], object], LoopWatch | None]] = {}
        self._cancel: Callable[[], None] | None = None
        self._is_known_to_forks = False

    def __repr__(self) -> str:
        return f"<Loops {len(self.watches())} watched, every {self.period_s:g} s>"

    def watches(self) -> tuple[LoopWatch, ...]:
        """Of loops that are there."""
        return tuple(watch for watch in self._watches() if not watch.is_over)

    def use_marks(self, marks: SpanMarks) -> None:
        """Keep these from now on: one pair of eyes for all spans."""
        self.marks = marks
        for watch in self._watches():
            watch.marks = marks
        self._mark_late()

    def meet(self, loop: asyncio.AbstractEventLoop) -> LoopWatch | None:
        """The watch of a loop; a stock one that is met for the first time gets one. In the loop's thread.

        Loops of other classes may keep a time of their own, in which a heartbeat would never end.
        """
        known = self._known.get(id(loop))
        if known is not None and known[0]() is loop:
            self.marks.loop_id = id(loop)
            return known[1]
        if not _is_stock(loop):
            self._keep(loop, None)
            return None
        return self.watch(loop)

    def watch(
        self, loop: asyncio.AbstractEventLoop, name: str | None = None, period_s: float | None = None
    ) -> LoopWatch:
        """Watch a loop, whatever its class; in its thread. One that is watched goes on as it is."""
        entry = self._known.get(id(loop))
        known = entry[1] if entry is not None and entry[0]() is loop else None
        if known is not None and not known.is_over and period_s in (None, known.period_s):
            known.name = name or known.name
            return known
        if known is not None:
            known.stop()
        period_s = period_s or self.period_s
        made = LoopWatch(loop, name or _name_of_thread(), period_s, self.news, marks=self.marks)
        made.on_wake = self._look_soon
        made.on_schedule = self._mark_late
        self._keep(loop, made)
        made.begin()
        self._look_soon()
        return made

    def set_period(self, period_s: float) -> None:
        """Let heartbeats go on at this period, also those that are there, from their next beat on."""
        self.period_s = period_s
        for watch in self.watches():
            watch.period_s = period_s
        if self._cancel is not None:
            self._look_soon()

    def look(self) -> float | None:
        """For the ticker. Returns in how many seconds the next beat may be overdue; None without any."""
        found = [watch.look(self.span_of) for watch in self._watches()]
        self._forget_the_gone()
        return min((max(_SOONEST_S, seconds) for seconds in found if seconds is not None), default=None)

    def _look_soon(self) -> None:
        """A beat is due earlier than the ticker knows."""
        cancel, self._cancel = self._cancel, self._clock().paced(self.period_s, self.look)
        if cancel is not None:
            cancel()

    def stop(self) -> None:
        """Watch none any more."""
        self._forget()
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _watches(self) -> list[LoopWatch]:
        return [watch for _, watch in list(self._known.values()) if watch is not None]

    def _keep(self, loop: asyncio.AbstractEventLoop, watch: LoopWatch | None) -> None:
        if not self._is_known_to_forks and hasattr(os, "register_at_fork"):
            self._is_known_to_forks = True
            os.register_at_fork(after_in_child=_forgetting(weakref.ref(self)))
        number, marks = id(loop), self.marks

        def gone(_: object) -> None:
            marks.loop_id = 0  # another loop may come to the same place

        self._known[number] = (weakref.ref(loop, gone), watch)
        marks.loop_id = number

    def _forget_the_gone(self) -> None:
        for number, (loop, watch) in list(self._known.items()):
            if loop() is None or (watch is not None and watch.is_over):
                self._known.pop(number, None)
        self._mark_late()

    def _forget(self) -> None:
        """None is watched any more; of a forked child, none of the parent's."""
        for watch in self._watches():
            watch.stop()
        self._known = {}
        self.marks.loop_id = self.marks.open_spans = 0
        self.news.lates.clear()
        self.news.blocks.clear()

    def _mark_late(self) -> None:
        """The earliest moment from which on a loop may be blocked."""
        moments = [watch.late_at_ns for watch in self.watches()]
        self.marks.late_ns = min(moments, default=sys.maxsize)
        if sys.maxsize in moments:  # one was stopped: its next span is to be told
            self.marks.loop_id = 0


def _forgetting(loops: Callable[[], Loops | None]) -> Callable[[], None]:
    def forget() -> None:
        known = loops()
        if known is not None:
            known._forget()  # noqa: SLF001 - of this module

    return forget


def _overdue_ns(period_s: float) -> int:
    return int(min(OVERDUE_S, period_s / 2) * _NS_PER_S)


def _is_stock(loop: asyncio.AbstractEventLoop) -> bool:
    """Exactly a class of asyncio or uvloop, no subclass."""
    kind = type(loop)
    return (kind.__module__, kind.__name__) in _STOCK


_STOCK: Final = {
    ("asyncio.unix_events", "_UnixSelectorEventLoop"),
    ("asyncio.windows_events", "_WindowsSelectorEventLoop"),
    ("asyncio.windows_events", "ProactorEventLoop"),
    ("uvloop", "Loop"),
}


def _name_of_thread() -> str:
    """Without its numbers: each thread of a pool would be a series of its own."""
    name = threading.current_thread().name
    return _NUMBERS.sub("", name).strip() or name


_NUMBERS: Final = re.compile(r"[-_]\d+(?=\b|_)")


def _places(frame: FrameType | None) -> tuple[Place, ...]:
    found: list[Place] = []
    while frame is not None and frame.f_code is not _RUN and len(found) < _MAX_DEPTH:
        found.append(Place(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def _span_of(frame: FrameType | None, loop: asyncio.AbstractEventLoop, span_of: SpanOf | None) -> object:
    """Of the innermost callback of a stock loop, or of the task that runs; None where nobody can know."""
    if span_of is None:
        return None
    while frame is not None and frame.f_code is not _RUN:
        frame = frame.f_back
    with suppress(AttributeError):  # it has just ended: `_run` lets go of itself
        if frame is not None:
            handle: Any = frame.f_locals.get("self")
            return span_of(handle._context)  # noqa: SLF001 - public nowhere
        task: Any = asyncio.current_task(loop)  # uvloop runs callbacks without a frame
        return span_of(task.get_context())  # not in Python 3.11
    return None


LOOPS: Final = Loops()
"""Those of this process."""
