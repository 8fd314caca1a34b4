"""Any Python object as an attribute value: something sensible, at a bounded cost, without raising.

What comes out is made of exact built-in types, and every text in it can be encoded: who writes it down calls
nothing foreign. It is decided by `type(value)`, never by `isinstance`: that evaluates `__class__`, which lazy
proxies resolve and which may raise.

Written so that it can be compiled as it is; a class is annotated `Any`, since a compiler takes `type` for
exactly `type`, which a class with a metaclass is not.
"""

from __future__ import annotations

import datetime as dt
import enum
import operator
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from types import NoneType
from typing import Any, Final
from uuid import UUID

from tickspan.recording.attribute import AttributeValue
from tickspan.recording.keys import KNOWN, PLAIN, key_policy
from tickspan.recording.repairs import (
    BIG_INT,
    CUT_BYTES,
    CUT_ITEMS,
    CUT_TEXT,
    DEEP,
    NAME,
    RAISED,
    REPAIRS,
    SURROGATE,
    TIME,
)
from tickspan.recording.scan import scrubbed

MAX_TEXT: Final = 16 * 1024
"""Characters of a text, bytes of a byte string, that are kept."""
MAX_DEPTH: Final = 4
MAX_ITEMS: Final = 256
"""Items of one container."""
MAX_NODES: Final = 1024
"""Items of one value with all that is nested in it."""
MAX_NESTED_TEXT: Final = 64 * 1024
"""Characters and bytes of one value with all that is nested in it."""
SLOW_NS: Final = 5_000_000
MAX_TIME: Final = 2**64 - 1

_MARK: Final = "…[cut]"
_DEEP: Final = "<deep>"
_UNNAMED: Final = "<unnamed>"
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_MAX_TEXT_BITS: Final = 14_284  # 4,300 decimal digits, beyond which `str()` raises
_FOREIGN_ROOM_NS: Final = 4 * SLOW_NS
_MAX_AVOIDED: Final = 1024
_STRIKES: Final = 3
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SIZED: Final = frozenset(
    {
        "array",
        "cudf",
        "cupy",
        "dask",
        "jax",
        "jaxlib",
        "numpy",
        "pandas",
        "polars",
        "pyarrow",
        "torch",
        "xarray",
    }
)
"""Packages whose objects may hold a million numbers: shape and type are told."""
_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_EXACT: Final = frozenset({Decimal, UUID, dt.datetime, dt.date, dt.time, dt.timedelta, complex, range})
"""Types whose own text is exact, quick, and not foreign."""

_avoided: Final[dict[str, None]] = {}
_strikes: Final[dict[str, int]] = {}


class _Room:
    """What is left for one value with all that is nested in it."""

    __slots__ = ("foreign_ns", "nodes", "text")

    def __init__(self) -> None:
        self.nodes = MAX_NODES
        self.text = MAX_NESTED_TEXT
        self.foreign_ns = _FOREIGN_ROOM_NS


def clean_text(text: Any) -> str:
    """At most 16 KiB of a text, cut before any other work, with a mark, without lone surrogates."""
    if type(text) is str and len(text) <= MAX_TEXT and text.isascii():
        return text
    return _clean_long_text(text, MAX_TEXT)


def clean_key(key: Any) -> str:
    """`key` as an attribute name."""
    if type(key) is str and key:
        return clean_text(key)
    return clean_name(key)


def clean_name(name: Any) -> str:
    """`name` as a name: of a span, an event, a metric, an attribute. An empty one is `<unnamed>`."""
    kind = type(name)
    if kind is str:
        if name:
            return clean_text(name)
    elif issubclass(kind, str):
        return _clean_long_text(name, MAX_TEXT) or _UNNAMED
    REPAIRS.add(NAME)
    return _UNNAMED if kind is str else _as_text(name) or _UNNAMED


def clean_value(value: Any) -> AttributeValue:
    """`value` as an attribute value. A price (`Decimal`) stays exact text; secrets inside mappings go."""
    kind = type(value)
    if kind is str:
        return clean_text(value)
    if kind is int:
        return value if _INT64_MIN <= value <= _INT64_MAX else _clean_int(value)
    if kind is float or kind is bool or kind is NoneType:
        return value
    if kind is Decimal:
        return clean_text(str(value))
    return _clean_nested(value, kind, (), _Room())


def clean_attribute(key: str, value: Any) -> AttributeValue:
    """What may be recorded of `value` under `key`, which is clean: the value, cleaned, by that key's rule."""
    cleaned = clean_value(value)
    policy = KNOWN.get(key)
    if policy is None:
        policy = key_policy(key)
    return cleaned if policy is PLAIN else policy.apply(cleaned)


def clean_attributes(attributes: Any) -> dict[str, AttributeValue]:
    """`attributes` with clean keys and values, without those that are None; nothing if it is no mapping."""
    kind = type(attributes)
    try:
        pairs = list(dict.items(attributes) if issubclass(kind, dict) else attributes.items())
        named = [(clean_key(key), value) for key, value in pairs]
    except Exception:  # noqa: BLE001 - a foreign mapping, or one that another thread changes meanwhile
        REPAIRS.add(RAISED)
        return {}
    cleaned = [(key, clean_attribute(key, value)) for key, value in named]
    return {key: value for key, value in cleaned if value is not None}


def clean_time(value: Any, now: int | Callable[[], int]) -> int:
    """`value` as nanoseconds since the epoch, from 0 to 2⁶⁴ - 1.

    Integers, also foreign ones by `__index__`, and floats are nanoseconds: the unit is never guessed. An
    aware `datetime` is understood. None and anything else is `now`: a time, or our clock, which is read only
    then.
    """
    kind = type(value)
    if kind is int:
        nanoseconds = value
    elif kind is NoneType:
        return _read(now)
    else:
        try:
            nanoseconds = _nanoseconds(value, kind)
        except Exception:  # noqa: BLE001 - NaN, a naive `datetime`, a time zone that raises, anything else
            REPAIRS.add(TIME)
            return _read(now)
    if 0 <= nanoseconds <= MAX_TIME:
        return nanoseconds
    REPAIRS.add(TIME)
    return 0 if nanoseconds < 0 else MAX_TIME


def _read(now: Any) -> Any:
    return now() if callable(now) else now


def type_text(kind: Any) -> str:
    """`<module.Type>`: what is told of an object that cannot be asked."""
    try:
        return clean_text(f"<{kind.__module__}.{kind.__qualname__}>"[:256])
    except Exception:  # noqa: BLE001 - a metaclass may answer as it likes
        return "<unknown>"


def foreign_text(value: Any) -> str:
    """`str(value)`, guarded, cut to 4 KiB, without secrets; `<module.Type>` if it raises or has been slow."""
    return _as_text(value)


def _nanoseconds(value: Any, kind: Any) -> int:
    if issubclass(kind, float):
        number = float.__float__(value)
        if number in {float("inf"), float("-inf")}:
            return -1 if number < 0 else MAX_TIME + 1
        return int(number)
    if issubclass(kind, dt.datetime):
        since = dt.datetime.__sub__(value, _EPOCH)  # a naive one raises
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    return operator.index(value)


def _clean_long_text(text: Any, limit: int) -> str:
    """As `clean_text`, of a subclass too, whose methods are foreign code and are not called."""
    if str.__len__(text) > limit:
        REPAIRS.add(CUT_TEXT)
        text = str.__getitem__(text, slice(max(0, limit - len(_MARK)))) + _MARK
    else:
        text = str.__str__(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        REPAIRS.add(SURROGATE)
        # Two halves of one character become that character.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _clean_int(value: Any) -> AttributeValue:
    """Of an exact int."""
    if _INT64_MIN <= value <= _INT64_MAX:
        return value
    REPAIRS.add(BIG_INT)
    bits = value.bit_length()
    if bits <= _MAX_TEXT_BITS:
        try:
            return str(value)
        except ValueError:  # the application has lowered Python's limit
            pass
    return f"<int: {bits} bits>"


def _clean_nested(value: Any, kind: Any, path: tuple[Any, ...], room: _Room) -> AttributeValue:
    """`value` inside the containers of `path`, which are compared by identity only. Never raises."""
    if kind is bool or kind is float or kind is NoneType:
        return value
    if kind is str:
        return _within(value, room)
    if kind is int:
        return _clean_int(value)
    try:
        return _clean_structure(value, kind, path, room)
    except Exception:  # noqa: BLE001 - a container that another thread changes meanwhile, a zone that raises
        REPAIRS.add(RAISED)
        return type_text(kind)


def _clean_structure(value: Any, kind: Any, path: tuple[Any, ...], room: _Room) -> AttributeValue:
    if issubclass(kind, dict):
        return _clean_dict(value, path, room)
    for base in _SEQUENCES:
        if issubclass(kind, base):
            return _clean_sequence(value, base, path, room)
    if kind in _EXACT:
        return _within(str(value), room)
    return _clean_foreign(value, kind, room)


def _within(text: str, room: _Room) -> str:
    """A nested text, from the room that all of them share."""
    limit = max(0, min(MAX_TEXT, room.text))
    kept = text if len(text) <= limit and text.isascii() else _clean_long_text(text, limit)
    room.text -= len(kept)
    return kept


def _is_too_deep(value: Any, path: tuple[Any, ...]) -> bool:
    if len(path) < MAX_DEPTH:
        for outer in path:  # noqa: SIM110 - no closure in a compiled function
            if outer is value:
                return True
        return False
    return True


def _clean_sequence(value: Any, base: Any, path: tuple[Any, ...], room: _Room) -> AttributeValue:
    if _is_too_deep(value, path):
        REPAIRS.add(DEEP)
        return _DEEP
    # The items as they are now: what cleans them may change the container.
    items = list(islice(base.__iter__(value), min(MAX_ITEMS, room.nodes)))
    room.nodes -= len(items)
    if len(items) < base.__len__(value):
        REPAIRS.add(CUT_ITEMS)
    inner = (*path, value)
    return tuple([_clean_nested(item, type(item), inner, room) for item in items])


def _clean_dict(value: Any, path: tuple[Any, ...], room: _Room) -> AttributeValue:
    if _is_too_deep(value, path):
        REPAIRS.add(DEEP)
        return _DEEP
    pairs = list(islice(dict.items(value), min(MAX_ITEMS, room.nodes)))
    room.nodes -= len(pairs)
    if len(pairs) < dict.__len__(value):
        REPAIRS.add(CUT_ITEMS)
    inner = (*path, value)
    cleaned: dict[str, AttributeValue] = {}
    for key, item in pairs:
        name = _within(clean_key(key), room)
        policy = key_policy(name)
        kept = _clean_nested(item, type(item), inner, room)
        cleaned[name] = kept if policy is PLAIN else policy.apply(kept)
    return cleaned


def _clean_foreign(value: Any, kind: Any, room: _Room) -> AttributeValue:
    """A subclass of a scalar by its base class; an object by what it says of itself."""
    if issubclass(kind, enum.Enum):
        return _clean_enum(value, kind, room)
    if issubclass(kind, str):
        return _within(clean_text(value), room)
    if issubclass(kind, int):
        return _clean_int(int.__int__(value))
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, bytes | bytearray) or kind is memoryview:
        return _clean_bytes(value, kind, room)
    return _clean_object(value, kind, room)


def _clean_object(value: Any, kind: Any, room: _Room) -> AttributeValue:
    package = _sized_package(kind)
    if package:
        return _clean_sized(value, kind, package, room)
    return _within(_asked(str, value, kind, room), room)


def _clean_bytes(value: Any, kind: Any, room: _Room) -> bytes:
    given = value.cast("B") if kind is memoryview else value
    base: Any = bytes if issubclass(kind, bytes) else bytearray if issubclass(kind, bytearray) else memoryview
    limit = max(0, min(MAX_TEXT, room.text))
    if base.__len__(given) > limit:
        REPAIRS.add(CUT_BYTES)
    kept = bytes(base.__getitem__(given, slice(limit)))
    room.text -= len(kept)
    return kept


def _clean_enum(value: Any, kind: Any, room: _Room) -> AttributeValue:
    """The member's value if that is a scalar, which is what a reader compares with; else its name."""
    inner = object.__getattribute__(value, "_value_")  # `value` may be overridden
    inner_kind = type(inner)
    if (
        inner_kind is str
        or inner_kind is int
        or inner_kind is float
        or inner_kind is bool
        or inner_kind in _EXACT
    ):
        return _clean_nested(inner, inner_kind, (), room)
    return _within(f"{kind.__qualname__}.{object.__getattribute__(value, '_name_')}", room)


def _sized_package(kind: Any) -> str:
    """The package that an object's class, or one it is derived from, comes from, if objects there are big."""
    for base in kind.__mro__:
        module = base.__module__
        if type(module) is str:
            package = module.partition(".")[0]
            if package in _SIZED:
                return package
    return ""


def _clean_sized(value: Any, kind: Any, package: str, room: _Room) -> AttributeValue:
    """A NumPy scalar as Python's; an array, a table or a column by its shape and type."""
    if package == "numpy" and not issubclass(kind, dt.datetime) and _derives_from(kind, "generic"):
        item = _asked(_python_scalar, value, kind, room)
        item_kind = type(item)
        if item_kind is bytes:
            return _clean_bytes(item, bytes, room)
        return _clean_nested(item, item_kind, (), room) if item_kind in _SCALARS else type_text(kind)
    outline = _asked(_outline, value, kind, room)
    return _within(_asked(str, value, kind, room) if outline is None else outline, room)


_SCALARS: Final = frozenset({str, bool, int, float, NoneType})


def _derives_from(kind: Any, name: str) -> bool:
    for base in kind.__mro__:  # noqa: SIM110 - no closure in a compiled function
        if base.__name__ == name:
            return True
    return False


def _python_scalar(value: Any) -> Any:
    """What `.item()` gives, if it is one of Python's scalars; a time in nanoseconds would lose its unit."""
    item = value.item() if value.dtype.kind not in "mM" else None
    kind = type(item)
    return item if kind is not NoneType and (kind in _SCALARS or kind is bytes) else str(value)


def _outline(value: Any) -> Any:
    """`<numpy.ndarray float64 (1000, 3)>`; None for what has no extent, such as a `pandas.Period`."""
    shape = getattr(value, "shape", None)
    if shape is None:
        length = getattr(value, "__len__", None)
        if length is None:
            return None
        shape = (int(length()),)
    # Of the class, since a table gives a column of that name.
    dtype = next((getattr(value, name) for name in ("dtype", "typecode") if hasattr(type(value), name)), None)
    said = "" if dtype is None else f"{str(dtype)[:64]} "
    return f"{type_text(type(value))[:-1]} {said}{str(tuple(shape))[:64]}>"


def _as_text(value: Any) -> str:
    try:
        return _asked(str, value, type(value), _Room())
    except Exception:  # noqa: BLE001 - a metaclass that raises
        REPAIRS.add(RAISED)
        return type_text(type(value))


def _asked(question: Any, value: Any, kind: Any, room: _Room) -> Any:
    """What foreign code answers. A type that raised or was slow once is not asked again.

    A text is clean and without secrets: who prints an object does not know that it is recorded.
    """
    name = type_text(kind)
    if name in _avoided or room.foreign_ns <= 0:
        REPAIRS.add(RAISED)
        return name
    cpu_ns = time.thread_time_ns()
    started_ns = time.perf_counter_ns()
    try:
        answer = question(value)
    except Exception as error:  # noqa: BLE001 - a raising `__str__` is the value's own business
        if kind not in _EXACT and not isinstance(error, RecursionError | MemoryError):
            _avoid(name)
        REPAIRS.add(RAISED)
        return name
    took_ns = time.perf_counter_ns() - started_ns
    room.foreign_ns -= took_ns
    if took_ns > SLOW_NS:
        _note_slowness(name, time.thread_time_ns() - cpu_ns)
    elif _strikes:
        _strikes.pop(name, None)
    return scrubbed(clean_text(answer)) if issubclass(type(answer), str) else answer


def _note_slowness(name: str, cpu_ns: int) -> None:
    """By its own work a type is slow at once; by waiting only when it does so three times running.

    Python switches threads every 5 ms: the wait of one call is likely to be another thread's work.
    """
    if cpu_ns > SLOW_NS:
        _avoid(name)
        return
    strikes = _strikes.get(name, 0) + 1
    if strikes >= _STRIKES:
        _strikes.pop(name, None)
        _avoid(name)
    elif len(_strikes) < _MAX_AVOIDED:
        _strikes[name] = strikes


def _avoid(name: str) -> None:
    if len(_avoided) < _MAX_AVOIDED:
        _avoided[name] = None
