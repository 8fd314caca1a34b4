"""The governor of the garbage collector: plans that are applied, watched, and taken back as a whole.

Nothing is changed unless a call asks. A plan keeps what was there before; `revert` restores exactly that. A
later plan takes the place of the earlier one. A plan under which the process grows too much is taken back by
itself: thresholds that are right for one program let cycles pile up in another.

Under the plan for short pauses full collections are frequent: they walk only what was born since the freeze,
and free little garbage each. Where that becomes too much to be walked in a short time they are put off to the
next idle window, which freezes what is left.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from opentelemetry._logs import SeverityNumber

from tickspan.instrumentation.forks import renew_after_fork
from tickspan.memory import libc
from tickspan.memory.telling import event
from tickspan.recording import AttributeValue
from tickspan.recording.gc_pauses import PAUSES, GcPauses
from tickspan.recording.looks import limit_looks
from tickspan.recording.loops import LOOPS, Loops
from tickspan.recording.ticker import Ticker, ticker
from tickspan.recording.usage import UsageReader
from tickspan.semconv import memory as names

__all__ = [
    "CollectorState",
    "Freeze",
    "Governor",
    "IdleWindow",
    "Plan",
    "best_thresholds",
    "governor",
    "reason_to_decline",
]

Thresholds = tuple[int, int, int]

ONLY_IDLE: Final = 1_000_000
"""A third threshold that is never reached: full collections happen in idle windows only."""
_SHORT_PAUSES: Final = (1_000, 5, 1)
"""Twelve thousand objects at most are born between two full ones, so none has much to free."""
SHORT_S: Final = 0.02
"""A full collection that takes longer is no short pause."""
_LONG_ONES: Final = 10
"""Full collections in a row that must have been too long: the machine may have been busy during some."""
_WALKED: Final = 100_000
"""Objects that are few enough to be walked in a short time: else it is the machine that is slow."""
_FEWEST_FROZEN: Final = 5_000
"""That a freeze leaves. Fewer are what Python 3.12 sets aside by itself: objects that live for ever."""
_FULL: Final = 2
"""The generation of a full collection."""
HEARTBEAT_HFT_S: Final = 0.02
LOOKS_HFT_HZ: Final = 10.0
_LEAST_GROWTH_BYTES: Final = 256 << 20
_GROWTH_SHARE: Final = 0.25
_LOOK_S: Final = 1.0
_REST_S: Final = 3_600.0
"""After a plan was taken back."""
_MOST_REVERTS: Final = 2
_ARENAS: Final = 2
_MIB: Final = 1 << 20
_NS_PER_S: Final = 1e9
_Version = tuple[int, int, int]


class CollectorState(NamedTuple):
    """What a plan changes."""

    thresholds: Thresholds
    is_enabled: bool
    frozen: int
    """Objects that the collector leaves alone."""
    heartbeat_s: float


class Freeze(NamedTuple):
    """What `warmed_up` did.

    Attributes:
        frozen: objects that the collector leaves alone from now on.
        pause_s: that the collection before took.
    """

    frozen: int
    pause_s: float


class IdleWindow(NamedTuple):
    """What was done in an idle window.

    Attributes:
        collected: objects that a full collection freed; None where nobody wanted one.
        pause_s: that it took.
        trimmed: whether memory was given back to the system; None where nobody wanted that, or nobody can.
    """

    collected: int | None
    pause_s: float
    trimmed: bool | None


def best_thresholds(version: _Version = sys.version_info[:3]) -> Thresholds:
    """That save collections without letting young garbage pile up; from 3.13 on fewer are saved anyway."""
    return (50_000, 20, 100) if version < (3, 13) else (10_000, 20, 100)


def reason_to_decline(version: _Version = sys.version_info[:3]) -> str | None:
    """Why an interpreter's collector had better be left alone; None if not.

    3.14.0 to 3.14.4 collect incrementally, with up to five times the memory; 3.14.5 took that back.
    """
    if (3, 14) <= version < (3, 14, 5):
        return "Python 3.14.0 to 3.14.4 collect incrementally: thresholds mean something else there"
    if version >= (3, 15) or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "the governor is not tested with this interpreter"
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What was changed. `declined` says why nothing was."""

    name: str
    before: CollectorState
    after: CollectorState
    wants: _Wants
    owner: Governor
    declined: str | None = None

    def __repr__(self) -> str:
        state = self.declined or f"{self.before.thresholds} -> {self.after.thresholds}"
        return f"<Plan {self.name} {state}, {self.after.frozen} frozen>"

    @property
    def is_applied(self) -> bool:
        """Whether it holds now."""
        return self.owner.current is self

    def revert(self) -> None:
        """Restore what was there before; nothing happens when another plan has taken its place."""
        self.owner.revert(self)


@dataclass(frozen=True, slots=True)
class _Wants:
    thresholds: Thresholds
    freeze: bool
    idle_collect: bool = True
    max_growth_bytes: int | None = None
    trim: bool = False
    arenas: bool = False
    heartbeat_s: float | None = None
    looks_hz: float | None = None
    """Of a sampler, at most."""
    longest_s: float | None = None
    """Of full collections; longer ones are put off to idle windows."""


class Governor:
    """See the module. Safe from any thread.

    Args:
        clock: the ticker that watches a plan.
        resident: bytes that the process has, or None.
        monotonic: seconds.
        loops: whose heartbeat a plan may change.
        version: of the interpreter.
        pauses: of the garbage collector.
        count_old: objects that full collections walk.
    """

    def __init__(
        self,
        clock: Callable[[], Ticker] = ticker,
        resident: Callable[[], int | None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        loops: Loops = LOOPS,
        version: _Version = sys.version_info[:3],
        pauses: GcPauses = PAUSES,
        count_old: Callable[[], int] = lambda: len(gc.get_objects(_FULL)),
    ) -> None:
        self.current: Plan | None = None
        """The plan that holds."""
        self.reverts = 0
        """How often one was taken back because the process grew."""
        self.is_put_off = False
        """Whether full collections wait for an idle window, since they would take too long."""
        self._clock = clock
        self._resident = resident or _resident
        self._monotonic = monotonic
        self._loops = loops
        self._version = version
        self._pauses = pauses
        self._count_old = count_old
        self._looked_ns = 0
        self._longs = 0
        self._is_noting = False
        self._comes_back: Plan | None = None
        self._lock = threading.RLock()
        self._arenas = libc.ArenaLimit(_ARENAS)
        self._freeze: Freeze | None = None
        self._is_frozen_by_us = False
        self._first_bytes = 0
        self._cancel: Callable[[], None] | None = None
        self.frozen_blocks = 0
        """Memory blocks of the interpreter when it froze: lists of all objects leave theirs out."""
        self.changes = 0
        """How often the collector was changed: series of memory mean something else after each."""
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Governor {self.current or 'at rest'}, {self.reverts} taken back>"

    def warmed_up(self) -> Freeze:
        """Collect once, then let the collector leave alone all that is there. Later calls change nothing.

        For the moment when everything that lives long has been made. Without the collection garbage would
        never be freed.
        """
        with self._lock:
            if self._freeze is None:
                had_frozen = gc.get_freeze_count() >= _FEWEST_FROZEN
                pause_s = self._collect()[1]
                self._set_aside()
                self._is_frozen_by_us = not had_frozen
                self._freeze = Freeze(gc.get_freeze_count(), pause_s)
            return self._freeze

    def plan(
        self,
        thresholds: Thresholds | None = None,
        *,
        freeze: bool = True,
        idle_collect: bool = True,
        max_growth_bytes: int | None = None,
    ) -> Plan:
        """Apply a plan; see `tickspan.memory.plan`."""
        if thresholds is not None and (len(thresholds) != 3 or min(thresholds) < 0):  # noqa: PLR2004 - generations
            raise ValueError(f"thresholds: expected three numbers from 0 on, got {thresholds!r}")
        if max_growth_bytes is not None and max_growth_bytes <= 0:
            raise ValueError(f"max_growth_bytes: expected bytes above 0, got {max_growth_bytes!r}")
        found = thresholds or best_thresholds(self._version)
        return self._apply("plan", _Wants(found, freeze, idle_collect, max_growth_bytes))

    def optimize_for_high_frequency_trading(self) -> Plan:
        """Freeze, short collections, long ones in idle windows only, 20 ms heartbeats, samples at 10 Hz."""
        wants = _Wants(
            _SHORT_PAUSES,
            freeze=True,
            heartbeat_s=HEARTBEAT_HFT_S,
            looks_hz=LOOKS_HFT_HZ,
            longest_s=SHORT_S,
        )
        return self._apply("high frequency trading", wants)

    def optimize_for_large_datasets(self) -> Plan:
        """Rare collections, no freeze, since the heap changes; free memory goes back in idle windows."""
        wants = _Wants(best_thresholds(self._version), freeze=False, trim=True, arenas=True)
        return self._apply("large datasets", wants)

    def resume(self, plan: Plan) -> Plan:
        """Apply once more what an earlier plan wanted, in place of the one that holds."""
        return self._apply(plan.name, plan.wants)

    @contextmanager
    def idle_window(self) -> Generator[IdleWindow]:
        """A time in which nobody is kept waiting: what the plan has put off is done at its beginning."""
        back, self._comes_back = self._comes_back, None
        if back is not None and self.current is None:
            self._apply(back.name, back.wants)
        plan = self.current
        wants = None if plan is None else plan.wants
        collected, pause_s = self._collect() if wants is None or wants.idle_collect else (None, 0.0)
        if plan is not None and self.is_put_off and collected is not None:
            self._take_up(plan)
        yield IdleWindow(collected, pause_s, libc.trim() if wants is not None and wants.trim else None)

    def revert(self, plan: Plan) -> None:
        """Take a plan back, if it holds."""
        with self._lock:
            if self.current is plan:
                self._end(plan)
                self._tell(plan, "reverted", "asked for")

    def after_fork_in_child(self) -> None:
        """The lock may be held by a thread that is not here."""
        self._lock = threading.RLock()

    def look(self) -> None:
        """For the ticker: put off what takes long, take back a plan under which the process grew too much."""
        plan = self.current
        if plan is None:
            return
        if plan.wants.longest_s is not None and not self.is_put_off:
            self._look_at_pauses(plan, plan.wants.longest_s)
        now_bytes = self._resident()
        if now_bytes is None:
            return
        grown = now_bytes - self._first_bytes
        if grown < self._allowed_growth(plan):
            return
        with self._lock:
            if self.current is not plan:
                return
            self.reverts += 1
            self._end(plan)
            self._collect()
        self._tell(plan, "reverted", f"the process grew by {grown / _MIB:.0f} MiB")
        if self.reverts < _MOST_REVERTS:
            self._cancel = self._clock().once(_REST_S, lambda: self._again(plan))

    def _look_at_pauses(self, plan: Plan, longest_s: float) -> None:
        """Put full collections off when the last ones were all too long."""
        for pause in self._pauses.since(self._looked_ns):
            self._looked_ns = pause.stop_ns
            if pause.generation == _FULL:
                is_long = pause.stop_ns - pause.start_ns > longest_s * _NS_PER_S
                self._longs = self._longs + 1 if is_long else 0
        if self._longs < _LONG_ONES:
            return
        if self._count_old() <= _WALKED:
            self._longs = 0
            return
        with self._lock:
            if self.current is not plan:
                return
            self.is_put_off = True
            gc.set_threshold(*plan.wants.thresholds[:2], ONLY_IDLE)
        self._tell(plan, "put off", f"full collections took more than {longest_s * 1e3:.0f} ms")

    def _take_up(self, plan: Plan) -> None:
        """After a collection in an idle window: what is left lives long, so later ones need not walk it."""
        with self._lock:
            if self.current is not plan:
                return
            if plan.wants.freeze:
                self._set_aside()
            gc.set_threshold(*plan.wants.thresholds)
            self.is_put_off = False
            self._longs = 0

    def _set_aside(self) -> None:
        """Let the collector leave alone all that is there."""
        gc.freeze()
        gc.collect()  # of nothing: else full collections wait for a quarter of what there was before
        self.frozen_blocks = sys.getallocatedblocks()
        self.changes += 1

    def _end(self, plan: Plan) -> None:
        self._restore(plan.before)
        self.current = None
        self._watch(None)

    def _again(self, plan: Plan) -> None:
        """Apply a plan that was taken back; one that freezes waits for an idle window to collect in."""
        if self.current is None:
            if plan.wants.freeze:
                self._comes_back = plan
            else:
                self._apply(plan.name, plan.wants)

    def _apply(self, name: str, wants: _Wants) -> Plan:
        declined = reason_to_decline(self._version)
        with self._lock:
            earlier = self.current
            if earlier is not None and (earlier.name, earlier.wants) == (name, wants):
                return earlier
            before = self._state() if earlier is None else earlier.before
            if declined is not None:
                plan = Plan(name, before, before, wants, self, declined)
                self._tell(plan, "declined", declined)
                return plan
            self._comes_back = None
            if earlier is not None:
                self._restore(before, stays_frozen=wants.freeze)
            if wants.freeze:
                self.warmed_up()
            gc.set_threshold(*wants.thresholds)
            self.changes += 1
            limit_looks(wants.looks_hz)
            if wants.heartbeat_s is not None:
                self._loops.set_period(wants.heartbeat_s)
            if wants.arenas:
                self._arenas.set()
            self.current = plan = Plan(name, before, self._state(), wants, self)
            self._first_bytes = self._resident() or 0
            self._watch(self.look)
            self._looked_ns = max((pause.stop_ns for pause in self._pauses.since(0)), default=0)
        self._tell(plan, "applied", "asked for")
        return plan

    def _restore(self, before: CollectorState, *, stays_frozen: bool = False) -> None:
        self.changes += 1
        self.is_put_off = False
        self._longs = 0
        gc.set_threshold(*before.thresholds)
        if self._is_frozen_by_us and before.frozen < _FEWEST_FROZEN and not stays_frozen:
            gc.unfreeze()
            self.frozen_blocks = 0
            self._is_frozen_by_us = False
            self._freeze = None
        self._loops.set_period(before.heartbeat_s)
        limit_looks(None)
        self._arenas.unset()

    def _state(self) -> CollectorState:
        return CollectorState(gc.get_threshold(), gc.isenabled(), gc.get_freeze_count(), self._loops.period_s)

    def _allowed_growth(self, plan: Plan) -> int:
        given = plan.wants.max_growth_bytes
        return given or max(_LEAST_GROWTH_BYTES, int(self._first_bytes * _GROWTH_SHARE))

    def _watch(self, look: Callable[[], None] | None) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if self._is_noting:
            self._pauses.stop()
        self._is_noting = look is not None
        if look is not None:
            self._pauses.start()
            self._cancel = self._clock().every(_LOOK_S, look)

    def _collect(self) -> tuple[int, float]:
        start_s = self._monotonic()
        collected = gc.collect()
        return collected, self._monotonic() - start_s

    def _tell(self, plan: Plan, action: str, reason: str) -> None:
        attributes: dict[str, AttributeValue] = {
            names.GC_PLAN_ACTION: action,
            names.GC_PLAN_REASON: reason,
            names.GC_PLAN_THRESHOLDS: gc.get_threshold(),
            names.GC_PLAN_FROZEN: gc.get_freeze_count(),
        }
        is_news = reason != "asked for"
        severity = SeverityNumber.WARN if is_news else SeverityNumber.INFO
        event(
            names.EVENT_GC_PLAN,
            f"Plan '{plan.name}' of the garbage collector {action}: {reason}",
            attributes,
            severity=severity,
        )


def _resident() -> int | None:
    usage = UsageReader().read()
    return None if usage is None else usage.resident


_made: Final[list[Governor]] = []


def governor() -> Governor:
    """The one of this process."""
    if not _made:
        _made.append(Governor())
    return _made[0]
