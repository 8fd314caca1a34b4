"""What a pool's logic asks of whoever runs it: calls, waits, sleeps; and who does that, threads and tasks.

The logic is a generator that yields effects. A thread performs them one after the other; a task awaits what a
call returns. Both run the same lines, so they cannot come to differ.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Call the application's `function`; a task also awaits what it returns, at most so long."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    timeout_s: float | None = None


@dataclass(slots=True)
class Make:
    """Call `function`, which makes something or does away with it, and is not to be left half done.

    A task that is cancelled meanwhile, or has no patience left, leaves it going.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    timeout_s: float
    """How long a coroutine may take, whoever waits for it."""
    patience_s: float
    late: Callable[[Any, BaseException | None], None]
    """Is told what came of it, once, if it was left."""
    is_left: bool = False


class OverdueError(TimeoutError):
    """What was to be made was not there in time, whoever waited for it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a bell, at most so long. The answer is whether it has rung."""

    bell: Bell
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass."""

    duration_s: float


Effect = Call | Make | Wait | Sleep
Logic = Generator[Effect, Any, T]


class Bell:
    """Rings once, for one thread or task. Made before anybody can ring it, by who is going to wait."""

    __slots__ = ("_future", "_lock")

    def __init__(self, *, is_async: bool) -> None:
        self._future: asyncio.Future[None] | None = None
        self._lock: threading.Lock | None = None
        if is_async:
            self._future = asyncio.get_running_loop().create_future()
        else:
            self._lock = threading.Lock()
            self._lock.acquire()

    def ring(self) -> bool:
        """Wake who waits; False where its event loop is closed."""
        if self._lock is not None:
            if self._lock.locked():
                self._lock.release()
            return True
        future = self._future
        assert future is not None
        try:
            future.get_loop().call_soon_threadsafe(_resolve, future)
        except RuntimeError:
            return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """As a thread."""
        assert self._lock is not None
        return self._lock.acquire(timeout=min(max(0.0, timeout_s), threading.TIMEOUT_MAX))

    async def wait_async(self, timeout_s: float) -> bool:
        """As a task."""
        assert self._future is not None
        try:
            async with asyncio.timeout(timeout_s):
                await self._future
        except TimeoutError:
            return False
        return True


def run(logic: Logic[T]) -> T:
    """Perform the effects in this thread. Returns what `logic` returns, and raises what it raises."""
    step: Callable[[], Effect] = lambda: next(logic)  # noqa: E731 - the next step is one of three calls
    while True:
        try:
            effect = step()
        except StopIteration as stop:
            return stop.value
        try:
            answer = _performed(effect)
        except BaseException as error:  # noqa: BLE001 - the logic decides what it means
            step = _throwing(logic, error)
        else:
            step = _sending(logic, answer)


async def run_async(logic: Logic[T]) -> T:
    """The same in this task."""
    step: Callable[[], Effect] = lambda: next(logic)  # noqa: E731 - as above
    while True:
        try:
            effect = step()
        except StopIteration as stop:
            return stop.value
        try:
            answer = await _performed_async(effect)
        except BaseException as error:  # noqa: BLE001 - as above
            step = _throwing(logic, error)
        else:
            step = _sending(logic, answer)


def _sending(logic: Logic[Any], answer: Any) -> Callable[[], Effect]:
    return lambda: logic.send(answer)


def _throwing(logic: Logic[Any], error: BaseException) -> Callable[[], Effect]:
    return lambda: logic.throw(error)


def _performed(effect: Effect) -> Any:
    match effect:
        case Call() | Make():
            return _refusing_coroutines(effect.function(*effect.args))
        case Wait():
            return effect.bell.wait(effect.timeout_s)
        case Sleep():
            return time.sleep(effect.duration_s)


def _refusing_coroutines(result: Any) -> Any:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(
            "a function of a pool for threads returned a coroutine: create the pool with a coroutine function"
            " as its factory, or with is_async=True"
        )
    return result


async def _performed_async(effect: Effect) -> Any:
    match effect:
        case Call():
            result = effect.function(*effect.args)
            if not inspect.isawaitable(result):
                return result
            async with asyncio.timeout(effect.timeout_s):
                return await result
        case Make():
            return await _made(effect)
        case Wait():
            return await effect.bell.wait_async(effect.timeout_s)
        case Sleep():
            return await asyncio.sleep(effect.duration_s)


_running: Final[set[asyncio.Future[Any]]] = set()


def kept(task: asyncio.Future[T]) -> asyncio.Future[T]:
    """`task`: one that nobody refers to may be collected before it is done."""
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


async def _made(effect: Make) -> Any:
    """In a task of its own: who waits for it may be cancelled, and what it makes is not lost by that."""

    async def make() -> Any:
        result = effect.function(*effect.args)
        if not inspect.isawaitable(result):
            return result
        limit = asyncio.timeout(effect.timeout_s)
        try:
            async with limit:
                return await result
        except TimeoutError as error:
            raise (OverdueError() if limit.expired() else error) from None

    task = kept(asyncio.ensure_future(make()))
    try:
        async with asyncio.timeout(effect.patience_s):
            return await asyncio.shield(task)
    except BaseException:
        if not task.done() or task.cancelled() or task.exception() is None:
            effect.is_left = True
            task.add_done_callback(lambda done: effect.late(*_outcome(done)))
        raise


def _outcome(task: asyncio.Future[Any]) -> tuple[Any, BaseException | None]:
    if task.cancelled():
        return None, asyncio.CancelledError()
    error = task.exception()
    return (None, error) if error is not None else (task.result(), None)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
