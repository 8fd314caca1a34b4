"""Drivers: a routine says what it needs from outside, one blocking and one asynchronous driver get it.

A routine is a generator that yields requests and returns its result. All that a region decides stands in
routines, so that its blocking and its asynchronous calls cannot drift apart.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tickspan.cache.flights import Flight
from tickspan.cache.tiers import AnyRequest, LowerTier, TierUnavailable
from tickspan.recording import Guard

__all__ = [
    "Ask",
    "Call",
    "Launch",
    "Outcome",
    "Pause",
    "Routine",
    "Wait",
    "drive",
    "drive_async",
    "in_loop",
    "is_async",
]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a tier. Answered by its answer, or by `TierUnavailable` raised in the routine."""

    tier: LowerTier
    request: AnyRequest


@dataclass(frozen=True, slots=True)
class Call:
    """Call a loader, sync or async. Answered by an `Outcome`: what it raises is a value here.

    A plain function is called in the thread of a blocking routine, in a worker thread by an asynchronous one.
    What can be awaited is awaited in the event loop, or in a new one of a blocking routine's thread.
    """

    loader: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a loader returned, or raised."""

    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """Run a flight's routine: in a task of its own, or in this thread when blocking.

    With `is_behind` the caller goes on at once, also the blocking one: then a thread is made for it.
    """

    flight: Flight
    routine: Callable[[], Routine[Any]]
    is_behind: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until a flight has ended, at most so long."""

    flight: Flight
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for a while."""

    seconds: float


Request = Ask | Call | Launch | Wait | Pause
Routine = Generator[Request, Any, R]

_guard: Final = Guard("cache", "tiers")
_THREADS_MAX: Final = 32
"""Loads behind blocking callers at one time; beyond it they run in the caller's thread."""
_left: Final[set[asyncio.Task[Any]]] = set()
_threads_now: Final[set[threading.Thread]] = set()


def drive(routine: Routine[R]) -> R:
    """Run a routine, blocking."""
    try:
        request = next(routine)
        while True:
            try:
                answer = _answer(request)
            except TierUnavailable as error:
                request = routine.throw(error)
            else:
                request = routine.send(answer)
    except StopIteration as stop:
        return stop.value


async def drive_async(routine: Routine[R]) -> R:
    """Run a routine in the running event loop."""
    try:
        request = next(routine)
        while True:
            try:
                answer = await _answer_async(request)
            except TierUnavailable as error:
                request = routine.throw(error)
            except BaseException:
                routine.close()
                raise
            else:
                request = routine.send(answer)
    except StopIteration as stop:
        return stop.value


async def drive_to_end(routine: Routine[R]) -> R:
    """As `drive_async`, for what must not stop half way: a task does the rest if the caller is cancelled."""
    request: Request | None = None
    try:
        request = next(routine)
        while True:
            try:
                answer = await _answer_async(request)
            except TierUnavailable as error:
                request = routine.throw(error)
            except BaseException:
                _leave_rest(routine, request)
                raise
            else:
                request = routine.send(answer)
    except StopIteration as stop:
        return stop.value


def resumed(routine: Routine[R], request: Request) -> Routine[R]:
    """Go on with a routine that has yielded `request` already."""
    try:
        while True:
            try:
                answer = yield request
            except TierUnavailable as error:
                request = routine.throw(error)
            else:
                request = routine.send(answer)
    except StopIteration as stop:
        return stop.value


def _leave_rest(routine: Routine[Any], request: Request) -> None:
    """The request was interrupted: the tier sees to that. The steps after it are still to be done."""
    if not isinstance(request, Ask):
        routine.close()
        return
    try:
        following = routine.throw(TierUnavailable(request.tier.level, "cancelled"))
    except StopIteration:
        return
    task = asyncio.get_running_loop().create_task(drive_async(resumed(routine, following)))
    _left.add(task)
    task.add_done_callback(_left.discard)


def in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _answer(request: Request) -> Any:
    if isinstance(request, Ask):
        try:
            return request.tier.perform(request.request)
        except TierUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of a tier is no fault of the caller's
            _guard.caught(error)
            raise TierUnavailable(request.tier.level, "fault") from None
    if isinstance(request, Call):
        return _called(request.loader)
    if isinstance(request, Wait):
        return request.flight.wait(request.seconds)
    if isinstance(request, Launch):
        return _launch(request)
    time.sleep(request.seconds)
    return None


async def _answer_async(request: Request) -> Any:
    if isinstance(request, Ask):
        try:
            return await request.tier.perform_async(request.request)
        except TierUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _guard.caught(error)
            raise TierUnavailable(request.tier.level, "fault") from None
    if isinstance(request, Call):
        return await _awaited(request.loader)
    if isinstance(request, Wait):
        return await request.flight.wait_async(request.seconds)
    if isinstance(request, Launch):
        _launch_async(request)
        return None
    await asyncio.sleep(request.seconds)
    return None


def _called(loader: Callable[[], Any]) -> Outcome:
    try:
        value = loader()
        if inspect.isawaitable(value):
            value = asyncio.run(_result(value))
    except BaseException as error:  # noqa: BLE001 - it is handed to those who wait, as it is
        return Outcome(error=error)
    return Outcome(value)


async def _awaited(loader: Callable[[], Any]) -> Outcome:
    try:
        if is_async(loader):
            return Outcome(await loader())
        done = await asyncio.to_thread(_plainly_called, loader)
        if done.error is None and inspect.isawaitable(done.value):
            return Outcome(await done.value)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the flight is cancelled, not only what it waits for
        return Outcome(error=error)
    except BaseException as error:  # noqa: BLE001 - as above
        return Outcome(error=error)
    return done


def _plainly_called(loader: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(loader())
    except BaseException as error:  # noqa: BLE001 - a future would not carry every exception
        return Outcome(error=error)


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def is_async(loader: Callable[[], Any]) -> bool:
    """Whether a call of `loader` gives a coroutine; also of partial functions and callable objects."""
    function = loader
    while hasattr(function, "func"):
        function = function.func  # pyright: ignore[reportFunctionMemberAccess] - functools.partial
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - its kind is asked for, not whether it is there
    )


def _launch(launch: Launch) -> None:
    if launch.is_behind and len(_threads_now) < _THREADS_MAX and _launch_thread(launch):
        return
    _fly(launch)


def _launch_thread(launch: Launch) -> bool:
    context = contextvars.copy_context()

    def run() -> None:
        try:
            context.run(_fly, launch)
        finally:
            _threads_now.discard(thread)

    thread = threading.Thread(target=run, name="tickspan-cache-load", daemon=True)
    _threads_now.add(thread)
    try:
        thread.start()
    except RuntimeError:  # no thread starts while the interpreter shuts down
        _threads_now.discard(thread)
        return False
    return True


def _fly(launch: Launch) -> None:
    try:
        drive(launch.routine())
    except Exception as error:  # noqa: BLE001 - a loader's own is a result: this is a fault of ours
        _guard.caught(error)
    finally:
        launch.flight.abandon()


def _launch_async(launch: Launch) -> None:
    flight = launch.flight
    loop = asyncio.get_running_loop()
    task = loop.create_task(_fly_async(launch), name="tickspan-cache-load")
    flight.belongs_to(loop, task)
    task.add_done_callback(lambda _: flight.abandon())


async def _fly_async(launch: Launch) -> None:
    try:
        await drive_async(launch.routine())
    except Exception as error:  # noqa: BLE001 - as above
        _guard.caught(error)
    finally:
        launch.flight.abandon()
