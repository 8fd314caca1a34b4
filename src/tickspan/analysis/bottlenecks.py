"""Bottlenecks: what holds a program up, each with its share, its evidence and the next step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.complexity import Complexity
from tickspan.analysis.profiles import Frame, Profile

__all__ = ["Finding", "Grown", "bottlenecks"]

_BUSY: Final = frozenset({"cpu", "gc", "gil", "runqueue", "lock", "io", "blocked"})
"""States of a thread that has something to do."""
_RUNNING: Final = frozenset({"cpu", "gil", "runqueue"})
_WAITS: Final = frozenset({"idle", "lock", "io"})
_FEWEST_SAMPLES: Final = 50
_LEAST_LOAD: Final = 0.05
"""Of one processor, over the whole profile: what takes less holds nobody up."""
_OWN_THREADS: Final = "tickspan-"
_GC_CALLBACK: Final = "tickspan/recording/gc_pauses.py"
_RUN_ONCE: Final = ("_run_once", "asyncio/base_events.py")
_RUN: Final = ("Handle._run", "asyncio/events.py")
_RUNNER: Final = ("Runner.run", "asyncio/runners.py")
_WAITING_FOR_WORK: Final = (
    ("Thread.join", "threading.py"),
    ("Thread._wait_for_tstate_lock", "threading.py"),
    ("_shutdown", "threading.py"),
    ("Event.wait", "threading.py"),
    ("Queue.get", "queue.py"),
    ("_worker", "concurrent/futures/thread.py"),
    ("Future.result", "concurrent/futures/_base.py"),
    ("wait", "concurrent/futures/_base.py"),
)
"""Who waits there waits for others to give it something: no lock is contended."""
_SERIALISERS: Final = (
    "json",
    "pickle",
    "orjson",
    "ujson",
    "msgpack",
    "msgspec",
    "yaml",
    "simplejson",
    "marshal",
)
_LOGGERS: Final = ("logging", "loguru", "structlog")
_TOLD_BY_CALLER: Final = frozenset({*_SERIALISERS, *_LOGGERS})
_SUPERLINEAR: Final = frozenset({"n²", "n³"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that holds the program up.

    Attributes:
        kind: `hot_function`, `gc`, `gil`, `lock`, `blocked_loop`, `io`, `runqueue`, `serialisation`,
            `logging` or `superlinear`.
        where: a function or a thread.
        share: of the time in which threads had something to do, from 0 to 1.
        evidence: what was counted.
        advice: the next step, one sentence.
    """

    kind: str
    where: str
    share: float
    evidence: Mapping[str, str | int | float]
    advice: str


@dataclass(frozen=True, slots=True)
class Grown:
    """A measured function: how its time grows."""

    name: str
    complexity: Complexity


@dataclass(frozen=True, slots=True)
class _Seen:
    """A sample of a thread that had something to do.

    Attributes:
        state: as of the sample; `blocked` where it waited, or slept, within a callback of an event loop.
        frames: the application's, leaf first.
        count: of samples.
        wall_ns: that they stand for.
        is_linked: whether a span was current.
    """

    state: str
    frames: Sequence[Frame]
    count: int
    wall_ns: int
    is_linked: bool

    @property
    def function(self) -> str:
        """The innermost one."""
        return self.frames[0].function if self.frames else "[no room]"


def _seen(profile: Profile) -> Iterator[_Seen]:
    """Without threads of ours, and without those that wait for something to do."""
    for sample in profile.samples:
        if sample.thread.startswith(_OWN_THREADS):
            continue
        frames, state = profile.frames_of(sample), sample.state
        if frames and frames[0].file.replace("\\", "/").endswith(_GC_CALLBACK):
            frames, state = frames[1:], "gc"  # that callback is where a collection lets others look
        if state in _WAITS:
            if _is_in_callback(frames):
                state = "blocked"
            elif any(_is(frame, known) for frame in frames[:3] for known in _WAITING_FOR_WORK):
                continue
        if state in _BUSY:
            yield _Seen(state, frames, sample.count, sample.wall_ns, sample.link is not None)


def _is_in_callback(frames: Sequence[Frame]) -> bool:
    """Whether an event loop runs a callback, which holds up all others of that loop.

    A loop that is no Python code, such as uvloop's, shows nothing between its runner and the callback.
    """
    for place, frame in enumerate(frames):
        if _is(frame, _RUN):
            return place > 0
        if _is(frame, _RUN_ONCE):
            return False
        if _is(frame, _RUNNER):
            return place > 0 and not frames[place - 1].file.endswith("asyncio/base_events.py")
    return False


@dataclass(frozen=True, slots=True)
class _Busy:
    """The samples of threads that had something to do."""

    samples: Sequence[_Seen]
    duration_ns: int

    @property
    def count(self) -> int:
        return sum(one.count for one in self.samples)

    def share(self, count: int) -> float:
        return count / self.count

    def some(self, *states: str) -> list[_Seen]:
        """Those in these states."""
        return [one for one in self.samples if one.state in states]

    def holds_up(self, samples: Iterable[_Seen]) -> bool:
        """Whether these take enough of the time to matter."""
        return sum(one.wall_ns for one in samples) >= _LEAST_LOAD * self.duration_ns


def _by_function(samples: Iterable[_Seen]) -> Counter[str]:
    """Samples by the innermost function."""
    found: Counter[str] = Counter()
    for one in samples:
        found[one.function] += one.count
    return found


_Rule = Callable[[_Busy], Iterator[Finding]]


def bottlenecks(profile: Profile, grown: Iterable[Grown] = ()) -> list[Finding]:
    """What holds the program up, the largest share first; none out of fewer than 50 busy samples.

    What takes less than a twentieth of the time is none, however large its share of a program that is idle.
    """
    busy = _Busy(list(_seen(profile)), profile.duration_ns)
    found = [finding for rule in _RULES for finding in rule(busy)] if busy.count >= _FEWEST_SAMPLES else []
    found += _superlinear(grown)
    return sorted(found, key=lambda one: (-one.share, one.kind, one.where))


def _hot_functions(busy: _Busy) -> Iterator[Finding]:
    """A function that has a fifth of the time itself; of serialisers and loggers the caller is told."""
    running = [one for one in busy.some(*_RUNNING) if not _is_of(one.frames[:1], _TOLD_BY_CALLER)]
    for function, count in _by_function(running).most_common(3):
        own = [one for one in running if one.function == function]
        if busy.share(count) >= 0.2 and busy.holds_up(own):  # noqa: PLR2004 - as told
            total = sum(
                one.count for one in busy.samples if any(frame.function == function for frame in one.frames)
            )
            evidence = {"samples": count, "samples_with_callees": total}
            advice = f"make {function} cheaper, or call it less often"
            yield Finding("hot_function", function, busy.share(count), evidence, advice)


def _of_state(kind: str, state: str, least: float, advice: str) -> _Rule:
    """A state that takes at least this share, told at the function where most of it is spent."""

    def rule(busy: _Busy) -> Iterator[Finding]:
        samples = busy.some(state)
        if kind == "io" and any(one.is_linked for one in busy.samples):
            samples = [one for one in samples if one.is_linked]  # outside of spans it waits for its next work
        counts = _by_function(samples)
        if samples and busy.share(counts.total()) >= least and busy.holds_up(samples):
            where, most = counts.most_common(1)[0]
            evidence = {"samples": counts.total(), "samples_there": most}
            yield Finding(kind, where, busy.share(counts.total()), evidence, advice)

    return rule


def _blocked_loops(busy: _Busy) -> Iterator[Finding]:
    """A call that waits or sleeps inside of a callback of an event loop: all others on it wait too."""
    blocked = busy.some("blocked")
    for function, count in _by_function(blocked).most_common(3):
        samples = [one for one in blocked if one.function == function]
        if busy.share(count) >= 0.02 and busy.holds_up(samples):  # noqa: PLR2004 - it is felt by all tasks
            caller = _caller(samples)
            evidence = {"samples": count, "called_by": caller}
            run = "it" if caller == function else caller
            advice = f"await an asynchronous call instead of {function}, or run {run} by asyncio.to_thread"
            yield Finding("blocked_loop", function, busy.share(count), evidence, advice)


def _caller(samples: Sequence[_Seen]) -> str:
    """The application's function that most of these came from: the innermost outside of the libraries."""
    found: Counter[str] = Counter()
    for one in samples:
        own = next((frame for frame in one.frames if not _is_library(frame)), one.frames[0])
        found[own.function] += one.count
    return found.most_common(1)[0][0]


def _is_library(frame: Frame) -> bool:
    file = frame.file.replace("\\", "/")
    return "/lib/python" in file or "site-packages" in file or file.startswith("<frozen")


def _is(frame: Frame, known: tuple[str, str]) -> bool:
    return frame.name.endswith(known[0]) and frame.file.replace("\\", "/").endswith(known[1])


def _of_modules(kind: str, names: Collection[str], least: float, advice: str) -> _Rule:
    """Time below functions of these modules, told at who calls them most."""

    def rule(busy: _Busy) -> Iterator[Finding]:
        within = [one for one in busy.samples if one.state != "gc" and _is_of(one.frames, names)]
        counts: Counter[str] = Counter()
        for one in within:
            last = max(place for place, frame in enumerate(one.frames) if _module(frame) in names)
            counts[one.frames[min(last + 1, len(one.frames) - 1)].function] += one.count
        if within and busy.share(counts.total()) >= least and busy.holds_up(within):
            where, most = counts.most_common(1)[0]
            evidence = {"samples": counts.total(), "samples_there": most}
            yield Finding(kind, where, busy.share(counts.total()), evidence, advice)

    return rule


def _is_of(frames: Iterable[Frame], names: Collection[str]) -> bool:
    """Whether one of them is of these modules."""
    return any(_module(frame) in names for frame in frames)


def _module(frame: Frame) -> str:
    """The package of the standard library or of a distribution, else the module."""
    parts = frame.file.replace("\\", "/").removesuffix(".py").split("/")
    return (
        parts[-2]
        if parts[-1] in {"__init__", "encoder", "decoder", "handlers"} and len(parts) > 1
        else parts[-1]
    )


def _superlinear(grown: Iterable[Grown]) -> Iterator[Finding]:
    for one in grown:
        if one.complexity.order in _SUPERLINEAR:
            low, high = one.complexity.exponent_interval
            evidence = {"order": one.complexity.order, "exponent_low": low, "exponent_high": high}
            advice = (
                f"{one.name} grows as {one.complexity.order}: look for a loop within a loop over its input"
            )
            yield Finding("superlinear", one.name, 0.0, evidence, advice)


_RULES: Final[tuple[_Rule, ...]] = (
    _hot_functions,
    _of_state("gc", "gc", 0.02, "see what allocates: gc.freeze after start-up, or tickspan.memory.plan"),
    _of_state(
        "gil", "gil", 0.1, "move work off the threads that compute: a process, or code that frees the lock"
    ),
    _of_state("lock", "lock", 0.1, "hold the lock for less, or let fewer threads share it"),
    _blocked_loops,
    _of_state("io", "io", 0.5, "overlap the waits, or ask for more at once"),
    _of_state("runqueue", "runqueue", 0.05, "give the process more processors, or run less beside it"),
    _of_modules("serialisation", _SERIALISERS, 0.1, "serialise less, once, or by a faster library"),
    _of_modules("logging", _LOGGERS, 0.05, "log less on this path, or by get_direct_logger"),
)
