"""`@cached`: a function whose results are kept, by its arguments."""

from __future__ import annotations

import functools
import inspect
import secrets
import weakref
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, Protocol, Self, TypeVar, cast, overload

from tickspan.cache.arguments import KINDS_MARK, CallKeys, UnkeyableError
from tickspan.cache.cache import Cache
from tickspan.cache.driving import drive, drive_async, in_loop
from tickspan.cache.entry import Item, Key
from tickspan.cache.memory import UNCOUNTED
from tickspan.cache.parcels import Terms, is_duration
from tickspan.cache.region import Region, check_tags
from tickspan.instrumentation import type_name
from tickspan.recording import diagnostics

__all__ = ["CacheInfo", "CachedFunction", "cached"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_OFTEN: Final = 0b111
"""One hit in eight looks whether its value is about to expire."""
_BOUND: Final = ("self", "cls")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What one decorated function has been asked for, in this process."""

    hits: int
    """Calls that were answered from memory."""
    misses: int
    """Calls that were answered by a lower tier or by the function."""
    bypassed: int
    """Calls that went straight to the function: an argument has no key, or its result cannot be kept."""

    @property
    def hit_ratio(self) -> float:
        """Hits of all calls, from 0 to 1; 0 before the first one."""
        calls = self.hits + self.misses + self.bypassed
        return self.hits / calls if calls else 0.0


class CachedFunction(Protocol[P, R_co]):
    """A function with a cache before it. Of an asynchronous one, `invalidate` and `refresh` are awaited."""

    __wrapped__: Callable[..., Any]

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: Any = None, /) -> Callable[..., R_co]: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any:
        """Of a method, that of an object; `Class.method` has the other calls, which take `self` first."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result, kept or new."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Forget the result for these arguments; raises TypeError for arguments without a key."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and keep its result; an error of it passes, and what was kept stays."""
        ...

    def cache_info(self) -> CacheInfo:
        """The counts so far."""
        ...

    def cache_plan(self, arguments: Iterable[Any], /) -> tuple[Region[Any], Callable[[Any], Any], list[Key]]:
        """For `warm_cache`: the region, the loader of a key, and the keys of calls with one argument each."""
        ...


class Decorator(Protocol):
    """What `cached` returns."""

    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]:
        """Put the cache before `function`."""
        ...


def cached(
    cache: Cache | Region[Any] | None = None,
    *,
    ttl: float | None = None,
    key_prefix: str | None = None,
    key: Callable[..., Key] | None = None,
    tags: Iterable[str] = (),
) -> Decorator:
    """Keep the results of a function, plain or asynchronous, by its arguments.

    All who ask for the same arguments while the function runs wait for that one call. An argument of a type
    that has no key, such as a dict or an object, makes the call go straight to the function, and so does a
    result that the region cannot hold; both are counted in `cache_info`. Arguments may be str, int, bool,
    float, None, bytes, Decimal, UUID, dates and times, enumerations, and tuples and lists of them; `1`,
    `True` and `1.0` are different ones.

        @cached(cache, ttl=60, key_prefix="market_data")
        def market_data(symbol): ...

    Args:
        cache: a cache, whose default region is used, or a region; None is `tickspan.get_cache()`, at the
            first call.
        ttl: seconds; by default as the region's rules say.
        key_prefix: the first part of the keys, by default the function's module and name. Functions that are
            given one prefix share their results. Without it, of a module's living lambdas, and of functions
            that one function has made, only the first one shares its results with other processes.
        key: makes the key out of the arguments instead; methods need it, since `self` has no key.
        tags: by which the results can be invalidated together.

    Raises:
        TypeError: what is decorated is a generator, a class, a method without `key`, or no function; an
            object's method, a partial function or another object without `key_prefix`; or an argument is of
            another type than said.
        ValueError: `ttl` is not above 0, or `key_prefix` has the character U+001F.
    """
    given: Any = cache
    if given is not None and not isinstance(given, (Cache, Region)):
        raise TypeError(
            f"@cached: expected a cache, a region or nothing, as in @cached(), got {_name_of(cache)}"
        )
    if ttl is not None and not is_duration("ttl", ttl):
        raise ValueError(f"ttl: expected a number of seconds above 0, got {ttl!r}")
    _check_key(key_prefix, key)
    named = check_tags(tags)

    def decorate(function: Callable[P, R], /) -> CachedFunction[P, R]:
        _check(function, key)
        if key_prefix is None and (inspect.ismethod(function) or not hasattr(function, "__qualname__")):
            raise TypeError(f"@cached: {_name_of(function)} may be one of many: give key_prefix=")
        prefix = key_prefix if key_prefix is not None else _own_prefix(function, cache)
        calls = _Calls(function, cache, CallKeys(function, prefix), key, ttl, named)
        return calls.wrapper()

    return decorate


def _check_key(key_prefix: Any, key: Any) -> None:
    if key_prefix is not None and not isinstance(key_prefix, str):
        raise TypeError(f"key_prefix: expected a str, got {type(key_prefix).__name__}")
    if key_prefix is not None and KINDS_MARK in key_prefix:
        raise ValueError("key_prefix: expected text without the character U+001F")
    if key is not None and not callable(key):
        raise TypeError(f"key: expected a function of the arguments, got {type(key).__name__}")


_named: Final[weakref.WeakValueDictionary[tuple[int, str], Any]] = weakref.WeakValueDictionary()
"""The living functions that have a prefix made of their name, by the cache and the prefix."""


def _own_prefix(function: Callable[..., Any], cache: Cache | Region[Any] | None) -> str:
    """Made of the function's name, which several may have that are made within a function, and lambdas.

    A module's function that is defined again takes the place of the one before.
    """
    prefix = f"{function.__module__}.{_name_of(function)}"
    if "<" not in prefix:
        return prefix
    place = (id(cache.default if isinstance(cache, Cache) else cache), prefix)
    try:
        first = _named.setdefault(place, function)
    except TypeError:  # what was written in C may not be referred to weakly
        return prefix
    if first is function:
        return prefix
    diagnostics.warning(
        "@cached %s: another function has this name: give key_prefix= to share results among processes",
        prefix,
    )
    return f"{prefix}#{secrets.token_hex(8)}"


def _check(function: Callable[..., Any], key: Callable[..., Key] | None) -> None:
    if isinstance(function, (staticmethod, classmethod)):
        raise TypeError(f"@cached: put it below @{type(function).__name__}, which then gets the function")
    if inspect.isclass(function) or not callable(function):
        raise TypeError(f"@cached: expected a function, got {_name_of(function)}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"@cached: {_name_of(function)} is a generator, which can be read only once: return a list"
        )
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except ValueError as error:  # some functions in C do not tell
        raise TypeError(f"@cached: {_name_of(function)} has no signature") from error
    if first in _BOUND and key is None:
        raise TypeError(
            f"@cached: {_name_of(function)} is a method, and '{first}' has no key: give key=, such as"
            f" key=lambda {first}, symbol: ({first}.venue, symbol)"
        )


def _name_of(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - it is called; whether it can be is known
    )


class _Calls(Generic[P, R]):
    """The calls of one decorated function."""

    def __init__(
        self,
        function: Callable[P, R],
        cache: Cache | Region[Any] | None,
        keys: CallKeys,
        key: Callable[..., Key] | None,
        ttl_s: float | None,
        tags: tuple[str, ...],
    ) -> None:
        self._function: Callable[..., Any] = function
        self._cache = cache
        self._keys = keys
        self._given_key = key
        self._ttl_s = ttl_s
        self._tags = tags
        self._terms = Terms(ttl_s, tags)
        self._region: Region[Any] | None = None
        self._misses = 0
        self._bypassed = 0
        self._is_told = False

    def wrapper(self) -> CachedFunction[P, R]:
        made = self._async() if _is_async(self._function) else self._sync()
        return cast("CachedFunction[P, R]", made)

    def region(self) -> Region[Any]:
        region = self._region
        if region is None:
            region = self._region = _region_of(self._cache)
        return region

    def _sync(self) -> Callable[..., Any]:
        function, prefix, place = self._function, self._keys.prefix, self._lone_place()
        look, miss, key_of = self._look, self._miss, self._key
        hits = 0

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal hits, look
            if len(args) == place and not kwargs and type(args[0]) is str:
                key = (prefix, args[0])
            else:
                key = key_of(args, kwargs)
            if key is not None:
                kept = look(key, UNCOUNTED)
                if kept is not UNCOUNTED:
                    hits += 1
                    if not hits & _OFTEN:
                        self._refresh_early(key, functools.partial(function, *args, **kwargs))
                    return kept
            look = self._look
            return miss(key, functools.partial(function, *args, **kwargs))

        def invalidate(*args: Any, **kwargs: Any) -> None:
            self.region().sync.invalidate(self._sure_key(args, kwargs))

        def refresh(*args: Any, **kwargs: Any) -> Any:
            return self._refresh(self._sure_key(args, kwargs), functools.partial(function, *args, **kwargs))

        return self._with(call, invalidate, refresh, lambda: hits)

    def _async(self) -> Callable[..., Any]:
        function, prefix, place = self._function, self._keys.prefix, self._lone_place()
        look, miss, key_of = self._look, self._miss_async, self._key
        hits = 0

        async def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal hits, look
            if len(args) == place and not kwargs and type(args[0]) is str:
                key = (prefix, args[0])
            else:
                key = key_of(args, kwargs)
            if key is not None:
                kept = look(key, UNCOUNTED)
                if kept is not UNCOUNTED:
                    hits += 1
                    if not hits & _OFTEN:
                        await self._refresh_early_async(key, functools.partial(function, *args, **kwargs))
                    return kept
            look = self._look
            return await miss(key, functools.partial(function, *args, **kwargs))

        async def invalidate(*args: Any, **kwargs: Any) -> None:
            await self.region().invalidate(self._sure_key(args, kwargs))

        async def refresh(*args: Any, **kwargs: Any) -> Any:
            key = self._sure_key(args, kwargs)
            return await self._refresh_async(key, functools.partial(function, *args, **kwargs))

        return self._with(call, invalidate, refresh, lambda: hits)

    def _with(
        self,
        call: Callable[..., Any],
        invalidate: Callable[..., Any],
        refresh: Callable[..., Any],
        hits: Callable[[], int],
    ) -> Callable[..., Any]:
        made: Any = functools.wraps(self._function)(call)
        made.invalidate = invalidate
        made.refresh = refresh
        made.cache_info = lambda: CacheInfo(hits(), self._misses, self._bypassed)
        made.cache_plan = self._plan
        return made

    def _plan(self, arguments: Iterable[Any]) -> tuple[Region[Any], Callable[[Any], Any], list[Key]]:
        """For warming: the region, what makes the value of a key, and the keys of calls with one argument."""
        planned = {self._sure_key((argument,), {}): argument for argument in arguments}
        function = self._function

        def load(key: Key) -> Any:
            return function(planned[key])

        return self.region(), load, list(planned)

    def _lone_place(self) -> int:
        """1 for a function of one argument, whose key needs no thought; -1 for others."""
        return 1 if self._given_key is None and self._keys.is_plain and self._keys.arity == 1 else -1

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key | None:
        """The key of a call; None for a call that has none, or that the function does not take."""
        try:
            return self._checked_key(args, kwargs)
        except (UnkeyableError, TypeError):
            return None
        except Exception as error:  # noqa: BLE001 - the user's `key` may raise what it likes; the call goes on
            self._tell(f"its key= failed with {type_name(error)}")
            return None

    def _sure_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        try:
            return self._checked_key(args, kwargs)
        except UnkeyableError as error:
            raise TypeError(f"{_name_of(self._function)}: {error}") from None

    def _checked_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        if self._given_key is None:
            return self._keys.key(args, kwargs)
        given = self._given_key(*args, **kwargs)
        return (self._keys.prefix, *given) if isinstance(given, tuple) else (self._keys.prefix, given)

    @property
    def _look(self) -> Callable[[Key, Any], Any]:
        """The region's `get_nowait`; before the first call, what finds the region."""
        if self._region is not None:
            return self._region.get_nowait
        return lambda key, default: self.region().get_nowait(key, default)

    def _miss(self, key: Key | None, call: Callable[[], Any]) -> Any:
        if key is None:
            self._bypassed += 1
            return call()
        loader, region = _Loader(call), self.region()
        try:
            if in_loop():
                kept = region.sync.get_or_load(key, loader, ttl_s=self._ttl_s, tags=self._tags)
            else:  # memory has been asked, and has counted it
                kept = drive(region.loading.get_or_load(key, loader, self._terms)).result()
        except TypeError as error:
            if loader.has_failed:
                raise
            return loader.result if self._passes(loader, error) else call()
        self._misses += 1
        return kept

    async def _miss_async(self, key: Key | None, call: Callable[[], Awaitable[Any]]) -> Any:
        if key is None:
            self._bypassed += 1
            return await call()
        loader, region = _AsyncLoader(call), self.region()
        try:
            given = await drive_async(region.loading.get_or_load(key, loader, self._terms))
            kept = given.result()
        except TypeError as error:
            if loader.has_failed:
                raise
            return loader.result if self._passes(loader, error) else await call()
        self._misses += 1
        return kept

    def _refresh_early(self, key: Key, call: Callable[[], Any]) -> None:
        """Load a value anew behind the caller, if it is about to expire."""
        item = self._item_due(key)
        if item is not None and not in_loop():
            drive(self.region().loading.refresh(key, item, call, self._terms))

    async def _refresh_early_async(self, key: Key, call: Callable[[], Any]) -> None:
        item = self._item_due(key)
        if item is not None:
            await drive_async(self.region().loading.refresh(key, item, call, self._terms))

    def _item_due(self, key: Key) -> Item | None:
        region = self.region()
        item = region.memory.peek(key)
        return item if item is not None and region.stack.parcels.is_due_early(item) else None

    def _refresh(self, key: Key, call: Callable[[], Any]) -> Any:
        loader = _Loader(call)
        try:
            return self.region().sync.load(key, loader, ttl_s=self._ttl_s, tags=self._tags)
        except TypeError as error:
            if not self._passes(loader, error):
                raise
            return loader.result

    async def _refresh_async(self, key: Key, call: Callable[[], Awaitable[Any]]) -> Any:
        loader = _AsyncLoader(call)
        try:
            return await self.region().load(key, loader, ttl_s=self._ttl_s, tags=self._tags)
        except TypeError as error:
            if not self._passes(loader, error):
                raise
            return loader.result

    def _passes(self, loader: _Loader, error: TypeError) -> bool:
        """Whether the function has a result; then it is the region that refused the result, or the key."""
        self._bypassed += 1
        self._tell(
            str(error) if loader.has_result else "a key is too long, or another call's result was refused"
        )
        return loader.has_result

    def _tell(self, what: str) -> None:
        if not self._is_told:
            self._is_told = True
            diagnostics.warning("@cached %s: not kept: %s", _name_of(self._function), what)


class _Loader:
    """Calls the function, and remembers what it gave: the region may refuse to hold it."""

    __slots__ = ("_call", "has_failed", "has_result", "result")

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.has_result = False
        self.has_failed = False
        self.result: Any = None

    def __call__(self) -> Any:
        try:
            self.result = self._call()
        except BaseException:
            self.has_failed = True
            raise
        self.has_result = True
        return self.result


class _AsyncLoader(_Loader):
    """The same, awaited."""

    __slots__ = ()

    async def __call__(self) -> Any:
        try:
            self.result = await self._call()
        except BaseException:
            self.has_failed = True
            raise
        self.has_result = True
        return self.result


def _region_of(cache: Cache | Region[Any] | None) -> Region[Any]:
    if cache is None:
        from tickspan.cache.shared import get_cache  # its settings are read at the first call, not before

        cache = get_cache()
    return cache if isinstance(cache, Region) else cache.default
