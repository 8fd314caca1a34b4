"""A function with a span around it, in each shape a Python call has: plain, coroutine, generator, callback.

The caller's world first: arguments, results, exceptions and signatures are the original's. Whatever is ours
runs before and after the call, behind the guard, never around it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Running(Protocol):
    """What runs from the beginning of a call to its end: an operation, or a measurement. Never raises."""

    def resume(self) -> None:
        """Be current in this context until `release`."""
        ...

    def release(self) -> None:
        """Stop being current; it goes on."""
        ...

    def fail(self, error: BaseException) -> None:
        """End with the caller's own exception."""
        ...


Begin = Callable[[tuple[Any, ...], Mapping[str, Any]], Running | None]
"""Decides whether this call is an operation, and starts it. Never raises."""

Finish = Callable[[Any, Any], None]
"""Ends what `Begin` has started with the call's result. Never raises."""


@dataclass(frozen=True, slots=True)
class CallbackParameter:
    """Which argument is the callback whose call ends the operation."""

    name: str
    position: int

    @staticmethod
    def of(original: Callable[..., Any], name: str) -> CallbackParameter:
        """Look `name` up in the signature of `original`; a `ValueError` names the parameters there are."""
        names = list(inspect.signature(original).parameters)
        if name not in names:
            raise ValueError(f"callback: expected a parameter of {original!r}, one of {names}, got {name!r}")
        return CallbackParameter(name, names.index(name))

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The callback of this call; None if it has none."""
        given = args[self.position] if self.position < len(args) else kwargs.get(self.name)
        return given if callable(given) else None

    def replaced(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], callback: Any
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The arguments with `callback` in place of the one found."""
        if self.position >= len(args):
            return args, {**kwargs, self.name: callback}
        return (*args[: self.position], callback, *args[self.position + 1 :]), kwargs


def wrapped(original: Any, begin: Begin, finish: Finish, callback: str | None = None) -> Any:
    """`original` with an operation around each call, of the same kind of callable as it was.

    Raises:
        TypeError: `original` cannot be called, as a property cannot.
        ValueError: `original` has no parameter `callback`.
    """
    if not callable(original):
        raise TypeError(f"expected a function or method to wrap, got {original!r}")
    if callback is not None:
        return _with_callback(original, begin, finish, CallbackParameter.of(original, callback))
    if inspect.isasyncgenfunction(original):
        return _async_generator(original, begin, finish)
    if inspect.iscoroutinefunction(original):
        return _coroutine(original, begin, finish)
    if inspect.isgeneratorfunction(original):
        return _generator(original, begin, finish)
    return _plain(original, begin, finish)


def _plain(original: Any, begin: Begin, finish: Finish) -> Any:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        active = begin(args, kwargs)
        if active is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            active.fail(error)
            raise
        kind = type(result)
        # Also those of compiled libraries. A kind of coroutine can be awaited: most results are told sooner.
        if hasattr(kind, "__await__") and issubclass(kind, Coroutine):
            active.release()
            return _awaited(result, active, finish)
        finish(active, result)
        return result

    return call


def _coroutine(original: Any, begin: Begin, finish: Finish) -> Any:
    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        active = begin(args, kwargs)
        if active is None:
            return await original(*args, **kwargs)
        return await _awaited(original(*args, **kwargs), active, finish)

    return call


async def _awaited(awaitable: Awaitable[Any], active: Running, finish: Finish) -> Any:
    """The result of `awaitable`; the operation is current while it runs."""
    active.resume()
    try:
        result = await awaitable
    except BaseException as error:
        active.fail(error)
        raise
    finish(active, result)
    return result


def _generator(original: Any, begin: Begin, finish: Finish) -> Any:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        active = begin(args, kwargs)
        if active is None:
            return (yield from original(*args, **kwargs))
        return (yield from _stepped(original(*args, **kwargs), active, finish))

    return call


def _stepped(
    generator: Generator[Any, Any, Any], active: Running, finish: Finish
) -> Generator[Any, Any, Any]:
    """`generator`; the operation is current inside it, and not in its consumer between two items."""
    step: Callable[[], Any] = functools.partial(next, generator)
    while True:
        active.resume()
        try:
            item = step()
        except StopIteration as stop:
            finish(active, stop.value)
            return stop.value
        except GeneratorExit:  # closed by its consumer, who had enough
            finish(active, None)
            raise
        except BaseException as error:
            active.fail(error)
            raise
        active.release()
        try:
            sent = yield item
        except BaseException as error:  # noqa: BLE001 - thrown in by the consumer, handed on below
            step = functools.partial(generator.throw, error)
        else:
            step = functools.partial(generator.send, sent)


def _async_generator(original: Any, begin: Begin, finish: Finish) -> Any:
    """As `_generator`. Python has no `yield from` for these: the steps are written out, told or not."""

    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        active = begin(args, kwargs)
        generator: AsyncGenerator[Any, Any] = original(*args, **kwargs)
        step: Callable[[], Awaitable[Any]] = generator.__anext__
        while True:
            try:
                item = await _step(step, active, finish)
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer, handed on
                step = functools.partial(generator.athrow, error)
            else:
                step = functools.partial(generator.asend, sent)

    return call


async def _step(step: Callable[[], Awaitable[Any]], active: Running | None, finish: Finish) -> Any:
    """The generator's next item; the operation is current only meanwhile, and ends with the generator."""
    if active is None:
        return await step()
    active.resume()
    try:
        item = await step()
    except (StopAsyncIteration, GeneratorExit):  # exhausted, or closed by its consumer, who had enough
        finish(active, None)
        raise
    except BaseException as error:
        active.fail(error)
        raise
    active.release()
    return item


def _with_callback(original: Any, begin: Begin, finish: Finish, parameter: CallbackParameter) -> Any:
    without_callback = wrapped(original, begin, finish)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        callback = parameter.found(args, kwargs)
        if callback is None:
            return without_callback(*args, **kwargs)
        active = begin(args, kwargs)
        if active is None:
            return original(*args, **kwargs)
        told_args, told_kwargs = parameter.replaced(args, kwargs, _ending(active, finish, callback))
        try:
            result = original(*told_args, **told_kwargs)
        except BaseException as error:
            active.fail(error)
            raise
        active.release()
        return result

    return call


def _ending(active: Running, finish: Finish, callback: Any) -> Any:
    """`callback`, of the same kind, that ends the operation before it runs."""

    @functools.wraps(callback)
    def call(*args: Any, **kwargs: Any) -> Any:
        finish(active, args[0] if args else None)
        return callback(*args, **kwargs)

    @functools.wraps(callback)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        finish(active, args[0] if args else None)
        return await callback(*args, **kwargs)

    return call_async if inspect.iscoroutinefunction(callback) else call
