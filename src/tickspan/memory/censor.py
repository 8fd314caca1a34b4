"""A census: how many objects of which types there are, and the longest containers by what holds them.

Types alone miss leaks: the collector does not track dictionaries and tuples of plain values, nor what was
frozen. So containers are looked for from where programs keep them: globals of modules, attributes, and what
functions that run hold. Names are those of the program's code; keys and values of its data are never told.

The list of all tracked objects comes in one piece that stops the process: without a budget for that it is
left out, and the census says so. Everything else happens in slices.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import heapq
import queue
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from tickspan.recording.gc_pauses import PAUSES
from tickspan.recording.loops import LOOPS

__all__ = ["Censor", "Census", "Held", "TypeCount"]

BUDGET_S: Final = 0.0005
_S_PER_BLOCK: Final = 17e-9
"""Of `gc.get_objects`, for each memory block of the interpreter."""
_SLICE_S: Final = 0.0005
_SLICE: Final = 8
_LISTED_S: Final = 0.8
"""For which the list of all objects may be held: it keeps everything alive."""
_DROPPED_AT_ONCE: Final = 4_096
_SHOWN: Final = 20
_FEWEST: Final = 100
"""Shorter containers are nobody's leak."""
_MOST_VISITS: Final = 100_000
_MOST_TASKS: Final = 1_000
_DEPTH: Final = 4
_CONTAINERS: Final[tuple[type[Any], ...]] = (dict, list, set, deque, bytearray)
"""Whose lengths can be asked for without running code of the program, also those of subclasses."""
_BYTES_PER_ENTRY: Final = 64
"""A buffer that grows is compared with containers whose entries are of this size."""
_MAX_ITEMS: Final = 64
"""Of a container, whose members are looked into as well."""
_LEAVES: Final = frozenset(map(id, (str, bytes, int, float, complex, bool, type(None), ModuleType)))
"""Types by their identity: a metaclass of the program may have a hash of its own."""
_CACHE: Final = type(functools.lru_cache(lambda: None))
_HOLDERS: Final = frozenset(
    {"asyncio.queues", "collections", "concurrent.futures.thread", "queue", "weakref"}
)
"""Modules of the standard library whose objects keep what programs give them."""
_LIBRARIES: Final = ("site-packages", "dist-packages")


class TypeCount(NamedTuple):
    """Objects of one type."""

    name: str
    number: int
    size_bytes: int
    """Of the objects themselves, without what they refer to."""
    grown: int
    """More than at the census before."""


class Held(NamedTuple):
    """A container, by what holds it."""

    name: str
    """`module.name`, `module.name.attribute`, or `function() <Type>.attribute`."""
    kind: str
    length: int
    grown: int
    """Longer than at the census before."""

    def __str__(self) -> str:
        if not self.grown:
            return f"{self.name}: {self.kind} of {self.length:,}"
        return f"{self.name}: {self.kind} {self.length - self.grown:,} -> {self.length:,}"


@dataclass(frozen=True, slots=True)
class Census:
    """What was found."""

    objects: int | None
    """Tracked objects; None where nobody counted."""
    types: tuple[TypeCount, ...]
    """Most grown first, then most."""
    containers: tuple[Held, ...]
    """Most grown first, then longest."""
    longest_piece_s: float
    """For how long at most the census ran in one piece."""
    declined: str | None = None
    """Why types were not counted."""

    @property
    def owner(self) -> str | None:
        """The container that has grown most since the census before; None where none has."""
        return next((str(one) for one in self.containers if one.grown > 0), None)

    @property
    def container_lines(self) -> tuple[str, ...]:
        """Containers for people."""
        return tuple(map(str, self.containers))

    @property
    def type_lines(self) -> tuple[str, ...]:
        """Types for people."""
        return tuple(f"{one.name} {one.number} {one.grown:+}" for one in self.types)

    def __str__(self) -> str:
        lines = [f"{self.objects:,} objects" if self.objects is not None else f"types: {self.declined}"]
        lines += [
            f"{one.name}: {one.number:,} ({one.grown:+,}), {one.size_bytes:,} bytes" for one in self.types
        ]
        lines += self.container_lines
        return "\n".join(lines)


class _Pace:
    """Lets other threads run after each half millisecond."""

    __slots__ = ("_began_s", "_collected_ns", "_steps", "longest_s")

    def __init__(self) -> None:
        self._steps = 0
        self.longest_s = 0.0
        self._begin()

    def step(self) -> None:
        self._steps += 1
        if not self._steps % _SLICE:
            self.breathe(_SLICE_S)

    def breathe(self, after_s: float = 0.0) -> None:
        elapsed_s = time.thread_time() - self._began_s
        if elapsed_s >= after_s:
            collected_s = (_collected_ns() - self._collected_ns) / 1e9
            self.longest_s = max(self.longest_s, elapsed_s - collected_s)
            time.sleep(0)
            self._begin()

    def _begin(self) -> None:
        self._collected_ns = _collected_ns()
        self._began_s = time.thread_time()


def _collected_ns() -> int:
    """In collections of garbage, which would have come without a census too."""
    return sum(one.total_ns for one in PAUSES.totals())


class Censor:
    """Takes one census after the other, and remembers the last for what has grown. For one thread at a time.

    Args:
        blocks: memory blocks that the list of all objects is about: those that are not frozen.
        monotonic: seconds.
    """

    def __init__(
        self,
        blocks: Callable[[], int] = sys.getallocatedblocks,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._blocks = blocks
        self._monotonic = monotonic
        self._counts: array[int] | None = None
        self._lengths: array[int] | None = None

    def __repr__(self) -> str:
        return (
            f"<Censor {len(self._lengths or ()) // 2} containers, {len(self._counts or ()) // 2} types known>"
        )

    def take(self, budget_s: float = BUDGET_S) -> Census:
        """Take one; `budget_s` is for how long the list of all objects may stop the process.

        Raises:
            ValueError: the budget is negative.
        """
        if budget_s < 0:
            raise ValueError(f"budget_s: expected seconds from 0 on, got {budget_s!r}")
        needed_s = self._blocks() * _S_PER_BLOCK
        declined = None if needed_s <= budget_s else f"declined: would stop the process for ~{needed_s:.3g} s"
        pace = _Pace()
        number, types = (None, ()) if declined else self._types(pace)
        if number is None and declined is None:
            declined = f"stopped after {_LISTED_S:g} s: the process is too busy to count them"
        containers = self._containers(pace)
        pace.breathe()
        return Census(number, types, containers, pace.longest_s, declined)

    def _types(self, pace: _Pace) -> tuple[int | None, tuple[TypeCount, ...]]:
        until_s = self._monotonic() + _LISTED_S
        objects = gc.get_objects()
        pace.breathe()
        number = len(objects)
        kinds: dict[int, type[Any]] = {}
        counts: dict[int, int] = {}
        sizes: dict[int, int] = {}
        while objects:  # taken off one by one: a list that is held keeps everything alive
            one = objects.pop()
            kind = type(one)
            key = id(kind)
            kinds[key] = kind
            counts[key] = counts.get(key, 0) + 1
            size = sys.getsizeof(one) if key in _EXACTLY else _of_type(kind, "__basicsize__")
            sizes[key] = sizes.get(key, 0) + size
            pace.step()
            if not len(objects) % _DROPPED_AT_ONCE and self._monotonic() > until_s:
                _drop(objects, pace)
                return None, ()
        named: dict[str, tuple[int, int]] = {}
        for key, count in counts.items():
            name = _type_name(kinds[key])
            before = named.get(name, (0, 0))
            named[name] = (before[0] + count, before[1] + sizes[key])
        known = _looked_up(self._counts)
        self._counts = _kept({name: count for name, (count, _) in named.items()})
        found = [
            TypeCount(name, count, size, 0 if known is None else count - known.get(hash(name), 0))
            for name, (count, size) in named.items()
        ]
        return number, tuple(heapq.nlargest(_SHOWN, found, key=lambda one: (one.grown, one.number)))

    def _containers(self, pace: _Pace) -> tuple[Held, ...]:
        lengths: dict[str, tuple[str, int]] = {}
        for name, kind, length in _walk(pace):
            if length >= _FEWEST and length > lengths.get(name, ("", 0))[1]:
                lengths[name] = (kind, length)
        known = _looked_up(self._lengths)
        self._lengths = _kept({name: length for name, (_, length) in lengths.items()})
        found = [
            Held(name, kind, length, 0 if known is None else length - known.get(hash(name), 0))
            for name, (kind, length) in lengths.items()
        ]
        return tuple(heapq.nlargest(_SHOWN, found, key=_rank))


def _kept(numbers: Mapping[str, int]) -> array[int]:
    """Hashes of names and their numbers in one block: thousands of blocks of ours would look like a leak."""
    return array("q", [value for name, number in numbers.items() for value in (hash(name), number)])


def _looked_up(kept: array[int] | None) -> dict[int, int] | None:
    return None if kept is None else dict(zip(kept[::2], kept[1::2], strict=True))


def _drop(objects: list[Any], pace: _Pace) -> None:
    while objects:
        del objects[-_DROPPED_AT_ONCE:]
        pace.step()


_EXACTLY: Final = frozenset(map(id, _CONTAINERS))


def _rank(one: Held) -> tuple[float, float]:
    share = 1 / _BYTES_PER_ENTRY if one.kind == bytearray.__name__ else 1
    return one.grown * share, one.length * share


class _Counted(NamedTuple):
    """A container as it was found."""

    name: str
    kind: str
    length: int


def _walk(pace: _Pace) -> Iterator[_Counted]:
    """Containers with the names that hold them, nearest names first; each once. The program's own first."""
    seen: set[int] = set()
    for roots in _roots(pace):
        level = roots
        for _ in range(_DEPTH):
            inner: deque[tuple[str, Any]] = deque()
            while level:  # taken off one by one: a long list that is dropped as a whole stops the process
                name, value = level.popleft()
                pace.step()
                if len(seen) >= _MOST_VISITS:
                    continue
                kind = type(value)  # `isinstance` would ask an object for its `__class__`
                if id(kind) in _LEAVES or id(value) in seen:
                    continue
                seen.add(id(value))
                counted = _counted(name, value)
                if counted is not None:
                    yield counted
                inner += _inside(name, value)
            level = inner
    while seen:
        seen.pop()
        pace.step()


def _counted(name: str, value: Any) -> _Counted | None:
    """How long a container is; None of what is none."""
    kind, base = type(value), _base_of(value)
    if base is not None:
        return _Counted(name, _type_name(kind), base.__len__(value))
    if kind is _CACHE:
        return _Counted(name, "functools.lru_cache", value.cache_info().currsize)
    if kind is queue.SimpleQueue:
        return _Counted(name, "queue.SimpleQueue", value.qsize())
    return None


def _base_of(value: Any) -> type[Any] | None:
    """The type of container that a value is of."""
    kind = type(value)
    return next((base for base in _CONTAINERS if issubclass(kind, base)), None)


def _roots(pace: _Pace) -> Iterator[deque[tuple[str, Any]]]:
    """What is held by the program's modules and functions, then what by libraries."""
    own: deque[tuple[str, Any]] = deque()
    of_libraries: deque[tuple[str, Any]] = deque()
    for module_name, module in tuple(sys.modules.items()):
        if _is_standard(module_name) or type(module) is not ModuleType:
            continue
        file = vars(module).get("__file__")
        is_library = type(file) is str and any(part in file for part in _LIBRARIES)
        into = of_libraries if is_library else own
        for name, value in tuple(vars(module).items()):
            pace.step()
            if type(name) is str and not name.startswith("__"):
                into.append((f"{module_name}.{name}", value))
    if sys.version_info >= (3, 13):
        for frame in tuple(sys._current_frames().values()):  # noqa: SLF001 - the interpreter's documented way
            own += _held_by_frames(frame)
    for watch in LOOPS.watches():
        for task in watch.tasks(_MOST_TASKS):
            pace.step()
            own += _held_by_task(task)
    yield own
    yield of_libraries


def _held_by_frames(frame: FrameType | None) -> Iterator[tuple[str, Any]]:
    """What functions of threads hold. Before 3.13, asking for it would change what `locals()` gave them."""
    while frame is not None:
        if frame.f_code.co_name != "<module>" and frame.f_globals.get("__name__") != __name__:
            for name, value in tuple(frame.f_locals.items()):
                yield f"{frame.f_code.co_qualname}().{name}", value
        frame = frame.f_back


def _held_by_task(task: asyncio.Task[Any]) -> Iterator[tuple[str, Any]]:
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        name = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
        for value in gc.get_referents(coroutine):
            if id(type(value)) not in _LEAVES:
                yield f"{name}() <{_type_name(type(value))}>", value
        coroutine = getattr(coroutine, "cr_await", None)


def _members(name: str, container: Any, base: type[Any]) -> list[tuple[str, Any]]:
    """Of a short container: the objects of the program in it, without their keys."""
    if base is bytearray or base.__len__(container) > _MAX_ITEMS:
        return []
    try:
        values = list(dict.values(container) if base is dict else base.__iter__(container))
    except RuntimeError:  # it changed meanwhile
        return []
    return [(f"{name}[...]", value) for value in values]


def _inside(name: str, value: Any) -> list[tuple[str, Any]]:
    """What an object keeps, read without running code of the program."""
    kind, base = type(value), _base_of(value)
    if base is not None:
        return [*_members(name, value, base), *(() if kind is base else _attributes(name, value))]
    if issubclass(kind, type):
        return _of_class(name, value)
    of_callable = _of_callable(name, value)
    return _attributes(name, value) if of_callable is None else of_callable


def _of_callable(name: str, value: Any) -> list[tuple[str, Any]] | None:
    """None for what is no callable of the interpreter's own kinds."""
    kind = type(value)
    if kind is FunctionType:
        return _of_function(name, value)
    if kind is _CACHE:
        return [(name, _own(value).get("__wrapped__"))]
    if kind is MethodType:
        return [(name, value.__func__), (f"{name}.__self__", value.__self__)]
    if kind is staticmethod or kind is classmethod:
        return [(name, value.__func__)]
    if kind is functools.partial:
        given = (*value.args, *value.keywords.values())
        return [(name, value.func), *((f"{name}[...]", one) for one in given)]
    return None


def _of_function(name: str, function: FunctionType) -> list[tuple[str, Any]]:
    """Variables of its closure, defaults of its arguments, attributes."""
    module: Any = function.__module__
    if type(module) is not str or _is_standard(module):
        return []
    found: list[tuple[str, Any]] = []
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found.append((f"{name}.{variable}", cell.cell_contents))
        except ValueError:  # nothing is in it yet
            continue
    code = function.__code__
    arguments = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    found += [
        (f"{name}.{argument}", default)
        for argument, default in zip(arguments[len(arguments) - len(defaults) :], defaults, strict=False)
    ]
    found += [(f"{name}.{key}", held) for key, held in tuple((function.__kwdefaults__ or {}).items())]
    found += [
        (name if key == "__wrapped__" else f"{name}.{key}", held) for key, held in _own(function).items()
    ]
    return found


def _of_class(name: str, value: type[Any]) -> list[tuple[str, Any]]:
    if _is_standard(_module_of(value)):
        return []
    held = _of_type(value, "__dict__")
    return [
        (f"{name}.{key}", one)
        for key, one in tuple(held.items())
        if type(key) is str and not key.startswith("__")
    ]


def _attributes(name: str, value: Any) -> list[tuple[str, Any]]:
    """What an object of the program keeps, or one of the library's that is there to keep things."""
    kind = type(value)
    module = _module_of(kind)
    if _is_standard(module) and module not in _HOLDERS:
        return []
    found = [(f"{name}.{key}", held) for key, held in _own(value).items()]
    for base in _of_type(kind, "__mro__"):
        for slot, descriptor in tuple(_of_type(base, "__dict__").items()):
            if type(descriptor) is MemberDescriptorType:
                try:
                    found.append((f"{name}.{slot}", descriptor.__get__(value)))
                except AttributeError:  # nothing is in it
                    continue
    return found


def _own(value: Any) -> dict[str, Any]:
    """Its `__dict__`, copied: other threads may change it."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    if type(own) is not dict:
        return {}
    return {key: held for key, held in tuple(own.items()) if type(key) is str}


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names and module != "__main__"


def _module_of(kind: type[Any]) -> str:
    """Extension types may have anything there."""
    module = _of_type(kind, "__module__")
    return module if type(module) is str else ""


def _of_type(kind: type[Any], name: str) -> Any:
    """An attribute that all types have; a metaclass of the program may have another of that name."""
    return _TYPE[name].__get__(kind)


_TYPE: Final[dict[str, Any]] = type.__dict__["__dict__"].__get__(type)


def _type_name(kind: type[Any]) -> str:
    module, name = _module_of(kind), _of_type(kind, "__qualname__")
    return name if module in {"", "builtins"} else f"{module}.{name}"
