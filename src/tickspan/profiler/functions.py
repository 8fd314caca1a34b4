"""Functions that are measured each time they run: by decorator, by section, or watched from outside."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload
from weakref import WeakSet

from tickspan.analysis.complexity import Complexity, complexity
from tickspan.profiler._impl import tally as _tally
from tickspan.recording.guard import Guard

if TYPE_CHECKING:
    from tickspan.profiler.tally import Steps, Tally, measured, size_of, size_of_result, stepped
else:
    Steps, Tally, measured = _tally.Steps, _tally.Tally, _tally.measured
    size_of, size_of_result, stepped = _tally.size_of, _tally.size_of_result, _tally.stepped

__all__ = ["FunctionRecord", "FunctionStatistics", "Functions", "SizeOf"]

P = ParamSpec("P")
T = TypeVar("T")
SizeOf = Callable[..., int]
"""The size of a call's input, of its arguments."""

MOST_FUNCTIONS: Final = 2_000
_LARGEST: Final = (1 << 63) - 1
_NS_PER_S: Final = 1e9
_clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class FunctionStatistics:
    """What one function did.

    Attributes:
        name: module and qualified name, or the section's.
        calls: that have ended.
        errors: of them, that ended by an exception.
        wall_s: from begin to end; a call within a call of the same function counts in both.
        running_s: of it, without the time in which a coroutine or a generator was suspended.
        longest_s: the longest call.
        complexity: how its time grows with the size of its input, as far as that is known.
    """

    name: str
    calls: int
    errors: int
    wall_s: float
    running_s: float
    longest_s: float
    complexity: Complexity | None = None

    @property
    def suspended_s(self) -> float:
        """Time in which others ran."""
        return self.wall_s - self.running_s


@dataclass(slots=True, eq=False)
class FunctionRecord:
    """Counts of one function, and how the size of its input is known. Safe from any thread."""

    name: str
    size: SizeOf | None = None
    tally: Tally = field(default_factory=Tally)
    _guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self._guard = Guard("profiled function", self.name)

    def size_of(self, args: Any, kwargs: Any) -> int | None:
        """The size of a call's input, before it can change it; None where it has none."""
        if self.size is None:
            return size_of(args, kwargs)
        return self._guard.user(self._asked, args, kwargs, default=None)

    def _asked(self, args: Any, kwargs: Any) -> int | None:
        size = None if self.size is None else int(self.size(*args, **kwargs))
        return size if size is not None and 0 < size <= _LARGEST else None

    def ended(
        self, wall_ns: int, running_ns: int, *, is_error: bool, size: int | None = None, result: Any = None
    ) -> None:
        """One more call; where its input has no size, what it returned may have one."""
        if size is None and self.size is None:
            size = size_of_result(result)
        self.tally.add(wall_ns, running_ns, is_error, size)

    def statistics(self) -> FunctionStatistics:
        """Counts at this moment."""
        calls, errors, wall_ns, running_ns, longest_ns, fastest = self.tally.totals()
        points = [(float(size), ns / _NS_PER_S) for size, ns in fastest]
        return FunctionStatistics(
            self.name,
            calls,
            errors,
            wall_ns / _NS_PER_S,
            running_ns / _NS_PER_S,
            longest_ns / _NS_PER_S,
            _growth(points),
        )


def _growth(points: Sequence[tuple[float, float]]) -> Complexity | None:
    """The verdict; None where fewer than two sizes are known."""
    try:
        return complexity(points)
    except ValueError:
        return None


class Functions:
    """The measured functions of a process, 2,000 at most; those beyond are counted as one, `[others]`."""

    def __init__(self, most: int = MOST_FUNCTIONS) -> None:
        self._most = most
        self._records: dict[str, FunctionRecord] = {}
        self._decorated: WeakSet[Any] = WeakSet()

    def __repr__(self) -> str:
        return f"<Functions {len(self._records)}>"

    def record(self, name: str, size: SizeOf | None = None) -> FunctionRecord:
        """The record of a function; the same one for the same name."""
        known = self._records.get(name)
        if known is None:
            if len(self._records) >= self._most:
                name = "[others]"
            known = self._records.setdefault(name, FunctionRecord(name, size))
        return known

    def statistics(self) -> tuple[FunctionStatistics, ...]:
        """Of each that was called, the one with most time first."""
        found = [record.statistics() for record in self._records.copy().values()]
        return tuple(sorted((one for one in found if one.calls), key=lambda one: (-one.running_s, one.name)))

    def clear(self) -> None:
        """Forget all counts; decorated functions go on being measured."""
        for record in self._records.copy().values():
            record.tally.clear()

    def after_fork(self) -> None:
        """A forked child."""
        for record in self._records.values():
            record.tally.after_fork()

    @overload
    def profile(
        self, function: Callable[P, T], /, *, size: SizeOf | None = None, name: str | None = None
    ) -> Callable[P, T]: ...
    @overload
    def profile(
        self, function: None = None, /, *, size: SizeOf | None = None, name: str | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
    def profile(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        size: SizeOf | None = None,
        name: str | None = None,
    ) -> Any:
        """Measure a function each time it runs: synchronous, asynchronous, or a generator of either kind.

        Args:
            function: to decorate; left out with options.
            size: the size of its input, of its arguments; else the length of the first builtin container
                among them, else of the first text, else of what was returned. Taken before the call.
            name: instead of its module and qualified name.
        """
        if function is None:
            return functools.partial(self._decorate, size=size, name=name)
        return self._decorate(function, size, name)

    def is_decorated(self, function: Callable[..., Any]) -> bool:
        """Whether it is measured by its decorator."""
        return function in self._decorated

    def _decorate(self, function: Any, size: SizeOf | None, name: str | None) -> Any:
        wrapped = self.wrapped(function, size, name)
        if inspect.isfunction(inner := getattr(function, "__func__", function)):
            self._decorated.add(inner)
        return wrapped

    def wrapped(self, function: Any, size: SizeOf | None = None, name: str | None = None) -> Any:
        """As `profile`, of a function that is replaced for a while.

        Raises:
            ValueError: it is no function, and no static or class method.
        """
        if isinstance(function, staticmethod | classmethod):
            method: Any = cast("Any", function)
            return type(method)(self.wrapped(method.__func__, size, name))
        if not callable(function) or inspect.isclass(function):
            raise ValueError(
                f"expected a function to profile, got {_told(function)}; in a class profile its methods"
                if inspect.isclass(function)
                else f"expected a function to profile, got {_told(function)}"
            )
        record = self.record(name or _name_of(function), size)
        if inspect.isasyncgenfunction(function):
            return _of_async_generator(function, record)
        if inspect.iscoroutinefunction(function):
            return _of_coroutine(function, record)
        if inspect.isgeneratorfunction(function):
            return _of_generator(function, record)
        return measured(function, record.tally) if size is None else _of_sized(function, record)

    @contextmanager
    def timed(self, name: str) -> Generator[FunctionRecord]:
        """Count the body as one call of `name`."""
        record = self.record(name)
        begun_ns = _clock()
        is_error = True
        try:
            yield record
            is_error = False
        finally:
            wall_ns = _clock() - begun_ns
            record.ended(wall_ns, wall_ns, is_error=is_error)


def _told(thing: object) -> str:
    return f"the class {thing.__qualname__}" if isinstance(thing, type) else type(thing).__name__


def _name_of(function: Any) -> str:
    """Module and qualified name; of a callable object or a `partial`, those of its type."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _of_sized(function: Callable[..., T], record: FunctionRecord) -> Callable[..., T]:
    """A function with a `size=` of its own, which is asked before each call."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> T:
        size = record.size_of(args, kwargs)
        begun_ns = _clock()
        is_error = True
        try:
            result = function(*args, **kwargs)
            is_error = False
        finally:
            wall_ns = _clock() - begun_ns
            record.ended(wall_ns, wall_ns, is_error=is_error, size=size)
        return result

    return called


# What a caller can tell by looking stays as it was: a coroutine function gives coroutines, and so on. The
# outer one is of Python therefore, and its steps are timed by what may be compiled.


def _of_coroutine(
    function: Callable[..., Coroutine[Any, Any, T]], record: FunctionRecord
) -> Callable[..., Coroutine[Any, Any, T]]:
    if record.size is not None:

        @functools.wraps(function)
        async def sized(*args: Any, **kwargs: Any) -> T:
            size = record.size_of(args, kwargs)
            return await Steps(function(*args, **kwargs), record.tally, size)

        return sized

    @functools.wraps(function)
    async def called(*args: Any, **kwargs: Any) -> T:
        return await stepped(function, args, kwargs, tally)

    tally = record.tally
    return called


def _of_generator(
    function: Callable[..., Generator[Any, Any, T]], record: FunctionRecord
) -> Callable[..., Generator[Any, Any, T]]:
    if record.size is not None:

        @functools.wraps(function)
        def sized(*args: Any, **kwargs: Any) -> Generator[Any, Any, T]:
            size = record.size_of(args, kwargs)
            return (yield from Steps(function(*args, **kwargs), record.tally, size))

        return sized

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Generator[Any, Any, T]:
        return (yield from stepped(function, args, kwargs, tally))

    tally = record.tally
    return called


def _of_async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], record: FunctionRecord
) -> Callable[..., AsyncGenerator[Any, Any]]:
    @functools.wraps(function)
    async def called(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        begun_ns = _clock()
        running_ns = 0
        is_error = True
        inner = function(*args, **kwargs)
        following: Any = inner.asend(None)
        try:
            while True:
                steps = Steps(following)
                try:
                    given = await steps
                except StopAsyncIteration:
                    is_error = False
                    return
                finally:
                    running_ns += steps.running_ns
                try:
                    following = inner.asend((yield given))
                except GeneratorExit:
                    is_error = False
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the inner one's
                    following = inner.athrow(error)
        finally:
            try:
                await inner.aclose()
            finally:
                record.ended(_clock() - begun_ns, running_ns, is_error=is_error)

    return called
