"""Any Python object as an attribute value: something sensible, at a bounded cost, without raising."""

from __future__ import annotations

import enum
import itertools
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

Scalar = str | bool | int | float
AttributeValue = Scalar | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]

MAX_TEXT: Final = 16 * 1024
"""Characters of a text that are kept."""
MAX_ITEMS: Final = 256
_MARK: Final = "…[cut]"
_INT64: Final = range(-(2**63), 2**63)
_MAX_TEXT_BITS: Final = 4_000  # `str()` of more than 4,300 digits raises
_SCALARS: Final = frozenset({str, bool, int, float})
_CONTAINERS: Final = frozenset({list, tuple, set, frozenset})
_MAX_DEPTH: Final = 4
_MAX_NESTED: Final = 16
_MAX_NESTED_TEXT: Final = 128


def clean_text(text: str) -> str:
    """At most 16 KiB of `text`, cut before any other work, without lone surrogates."""
    is_long = str.__len__(text) > MAX_TEXT  # methods of a subclass are foreign code
    text = str.__getitem__(text, slice(MAX_TEXT)) + _MARK if is_long else str.__str__(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def clean_key(key: object) -> str:
    """`key` as an attribute name."""
    return (clean_text(cast("str", key)) if issubclass(type(key), str) else _described(key)) or "<unnamed>"


def clean_value(value: Any) -> AttributeValue | None:
    """`value` as an attribute value; None where there is nothing to record.

    Decided by `type(value)`, never `isinstance`: that evaluates `__class__`, which lazy proxies resolve
    and which may raise. A price (`Decimal`) stays exact text.
    """
    kind: type = type(value)
    if kind is str:
        return clean_text(value)
    if kind is bool or kind is float or value is None:
        return value
    if kind is int:
        return _clean_int(value)
    try:
        return _clean_items(value) if kind in _CONTAINERS else _clean_foreign(value, kind)
    except Exception:  # noqa: BLE001 - a raising property, or a set that another thread changes meanwhile
        return _type_only(value)


def clean_attributes(attributes: Mapping[Any, Any]) -> dict[str, AttributeValue]:
    """`attributes` with clean keys and values, without those that are None."""
    cleaned = ((clean_key(key), clean_value(value)) for key, value in attributes.items())
    return {key: value for key, value in cleaned if value is not None}


def _clean_int(value: int) -> int | str:
    if value in _INT64:
        return value
    if value.bit_length() > _MAX_TEXT_BITS:
        return f"<int: {value.bit_length()} bits>"
    return str(value)


def _clean_items(items: Iterable[Any]) -> AttributeValue:
    """A tuple of one scalar type, as OTel asks; mixed or nested items become text."""
    values: list[Any] = [_clean_item(item) for item in itertools.islice(items, MAX_ITEMS)]
    kinds = {type(value) for value in values}
    if len(kinds) <= 1 and kinds <= _SCALARS:
        return tuple(values)
    return tuple(value if type(value) is str else str(value) for value in values)


def _clean_item(item: Any) -> AttributeValue | None:
    return _nested(item) if type(item) in _CONTAINERS else clean_value(item)


def _clean_foreign(value: Any, kind: type) -> AttributeValue | None:
    if issubclass(kind, enum.Enum):
        inner = getattr(value, "value", None)
        return clean_value(inner) if type(inner) in _SCALARS else _described(value)
    if issubclass(kind, str):
        return clean_text(value)
    if issubclass(kind, int):
        return _clean_int(int.__int__(value))
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, bytes | bytearray):
        return clean_text(value[:MAX_TEXT].decode("utf-8", "replace"))
    return _nested(value) if kind is dict else _described(value)


def _described(value: object) -> str:
    try:
        return clean_text(str(value))
    except Exception:  # noqa: BLE001 - a raising `__str__` is the value's own business
        return _type_only(value)


def _nested(value: object) -> str:
    """A container in brackets and braces, four levels deep at most: it may hold itself."""
    outline = reprlib.Repr()
    outline.maxlevel = _MAX_DEPTH
    outline.maxlist = outline.maxtuple = outline.maxset = outline.maxfrozenset = outline.maxdict = _MAX_NESTED
    outline.maxstring = outline.maxlong = outline.maxother = _MAX_NESTED_TEXT
    return clean_text(outline.repr(value))


def _type_only(value: object) -> str:
    kind = type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"
