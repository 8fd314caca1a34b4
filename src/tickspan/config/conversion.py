"""A raw value of a variable or a file as the kind of value that a setting has."""

from __future__ import annotations

import types
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin

_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})


def convert(raw: Any, kind: Any) -> Any:
    """`raw` as `kind`. Raises `ValueError` that says what was expected and what came."""
    if get_origin(kind) in (types.UnionType, Union):
        inner = next(option for option in get_args(kind) if option is not type(None))
        return None if raw is None else convert(raw, inner)
    if get_origin(kind) is tuple:
        return _as_names(raw)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _as_choice(raw, kind)
    return _SCALARS[kind](raw)


def _as_names(raw: Any) -> tuple[str, ...]:
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple):
        raise _expected("a list of names, such as 'redis,sqlalchemy'", raw)
    return tuple(str(item).strip() for item in items if str(item).strip())


def _as_choice(raw: Any, kind: type[Enum]) -> Enum:
    choices = [str(choice.value) for choice in kind]
    # YAML reads an unquoted `off` as a boolean.
    text = "off" if raw is False else str(raw).strip().lower()
    if text not in choices:
        raise _expected(f"one of {', '.join(choices)}", raw)
    return kind(text)


def _as_text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise _expected("a text", raw)
    return raw


def _as_bool(raw: Any) -> bool:
    text = str(raw).strip().lower()
    if text not in _YES | _NO:
        raise _expected("true or false", raw)
    return text in _YES


def _as_int(raw: Any) -> int:
    try:
        number = int(str(raw).replace("_", ""))
    except ValueError:
        raise _expected("a whole number, zero or more", raw) from None
    if number < 0 or isinstance(raw, bool):
        raise _expected("a whole number, zero or more", raw)
    return number


def _as_float(raw: Any) -> float:
    try:
        number = float(str(raw))
    except ValueError:
        raise _expected("a number, zero or more", raw) from None
    if not 0 <= number < float("inf") or isinstance(raw, bool):
        raise _expected("a number, zero or more", raw)
    return number


_SCALARS: Final[dict[Any, Callable[[Any], Any]]] = {
    str: _as_text,
    bool: _as_bool,
    int: _as_int,
    float: _as_float,
}


def _expected(what: str, raw: Any) -> ValueError:
    return ValueError(f"expected {what}, got {raw!r}")
