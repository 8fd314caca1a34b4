"""The arguments of a call as a key: the same call, however it is spelled, has the same key, and no other has.

Arguments are first put in the order of the signature, with its defaults. A str or int stands in the key as it
is; of other types the key's first part tells which, since `1`, `True` and `1.0` are equal in Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from tickspan.cache.entry import Key

__all__ = ["KINDS_MARK", "CallKeys", "UnkeyableError"]

KINDS_MARK: Final = "\x1f"
"""Between a prefix and the kinds of the arguments; no prefix may contain it."""

_ITEM_MARK: Final = "\x1e"
_DEEPEST: Final = 8
_ESCAPES: Final = str.maketrans({"\\": "\\\\", _ITEM_MARK: "\\e"})


class UnkeyableError(Exception):
    """A call has an argument that no key can tell apart."""


class CallKeys:
    """Makes the keys of one function's calls.

    Args:
        function: its signature says how arguments are spelled.
        prefix: the first part of all keys.
    """

    __slots__ = ("_defaults", "_places", "_signature", "_tails", "arity", "is_plain", "prefix")

    def __init__(self, function: Callable[..., Any], prefix: str) -> None:
        self.prefix = prefix
        self._signature = inspect.signature(function)
        parameters = tuple(self._signature.parameters.values())
        self._places = {parameter.name: place for place, parameter in enumerate(parameters)}
        self.is_plain = all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        """Whether every parameter can be given by place and by name."""
        self.arity = len(parameters)
        self._defaults = tuple(parameter.default for parameter in parameters)
        self._tails = tuple(_tail(self._defaults[given:]) for given in range(self.arity + 1))
        """What stands for those after so many that are given; None where one of them must be given."""

    def __repr__(self) -> str:
        return f"<CallKeys {self.prefix}{self._signature}>"

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Key:
        """The key of a call.

        Raises:
            UnkeyableError: an argument is of a type that has no key.
            TypeError: the function does not take these arguments.
        """
        values = self._values(args, kwargs)
        for value in values:
            kind = type(value)
            if kind is not str and kind is not int:
                return self._with_kinds(values)
        return (self.prefix, *values)

    def _values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        if self.is_plain and len(args) <= self.arity:
            tail = None if kwargs else self._tails[len(args)]
            if tail is not None:
                return args + tail
            spelled = self._spelled(args, kwargs)
            if spelled is not None:
                return spelled
        return self._bound(args, kwargs)

    def _spelled(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The same by hand, since `Signature.bind` costs microseconds; None for what it is to judge."""
        values = [*args, *self._defaults[len(args) :]]
        for name, value in kwargs.items():
            place = self._places.get(name, -1)
            if place < len(args):
                return None
            values[place] = value
        return None if any(value is inspect.Parameter.empty for value in values) else tuple(values)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values: list[Any] = []
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                values += [len(value), *value]
            elif kind is inspect.Parameter.VAR_KEYWORD:
                for one in sorted(value):
                    values += [one, value[one]]
            else:
                values.append(value)
        return tuple(values)

    def _with_kinds(self, values: tuple[Any, ...]) -> Key:
        pairs = [_encoded(value, 0) for value in values]
        kinds = "".join(kind for kind, _ in pairs)
        return (self.prefix + KINDS_MARK + kinds, *(part for _, part in pairs))


def _tail(defaults: tuple[Any, ...]) -> tuple[Any, ...] | None:
    return None if any(default is inspect.Parameter.empty for default in defaults) else defaults


def _encoded(value: Any, depth: int) -> tuple[str, str | int]:
    """One letter for the type, and a part that no other value of that type has.

    Raises:
        UnkeyableError: there is no such part.
    """
    kind = type(value)
    encode = _ENCODERS.get(kind)
    if encode is not None:
        return encode(value)
    if isinstance(value, Enum):
        return "e", f"{kind.__module__}.{kind.__qualname__}.{value.name or value.value}"
    if (kind is tuple or kind is list) and depth < _DEEPEST:
        return ("(" if kind is tuple else "["), _items(value, depth + 1)
    raise UnkeyableError(f"an argument of type {kind.__name__} has no key")


def _items(values: tuple[Any, ...] | list[Any], depth: int) -> str:
    """Each item ends with a mark, which its own text cannot contain."""
    parts: list[str] = []
    for value in values:
        letter, part = _encoded(value, depth)
        parts.append(f"{letter}{str(part).translate(_ESCAPES)}{_ITEM_MARK}")
    return "".join(parts)


_ENCODERS: Final[Mapping[type, Callable[[Any], tuple[str, str | int]]]] = {
    str: lambda value: ("s", value),
    int: lambda value: ("i", value),
    bool: lambda value: ("b", int(value)),
    float: lambda value: ("f", repr(value)),
    type(None): lambda _value: ("n", 0),
    bytes: lambda value: ("y", value.hex()),
    Decimal: lambda value: ("d", str(value)),
    UUID: lambda value: ("u", value.hex),
    datetime: lambda value: ("t", f"{value.isoformat()}/{value.fold}"),
    date: lambda value: ("D", value.isoformat()),
    time: lambda value: ("T", f"{value.isoformat()}/{value.fold}"),
    timedelta: lambda value: ("l", repr(value)),
}
