"""Any Python object as an attribute value: something sensible, at a bounded cost, without raising."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

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
_EXACT_TEXT: Final = (decimal.Decimal, uuid.UUID, dt.datetime, dt.date, dt.time)


def clean_text(text: str) -> str:
    """At most 16 KiB of `text`, cut before any other work, without lone surrogates."""
    text = str.__str__(text[:MAX_TEXT] + _MARK if len(text) > MAX_TEXT else text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def clean_key(key: object) -> str:
    """`key` as an attribute name."""
    return (clean_text(key) if isinstance(key, str) else _described(key)) or "<unnamed>"


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
    if kind in _CONTAINERS:
        return _clean_items(value)
    return _clean_foreign(value, kind)


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
    values: list[Any] = [clean_value(item) for item in itertools.islice(items, MAX_ITEMS)]
    kinds = {type(value) for value in values}
    if len(kinds) <= 1 and kinds <= _SCALARS:
        return tuple(values)
    return tuple(value if type(value) is str else str(value) for value in values)


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
    return _described(value)


def _described(value: object) -> str:
    kind = type(value)
    if issubclass(kind, _EXACT_TEXT):
        return str(value)
    try:
        return clean_text(str(value))
    except Exception:  # noqa: BLE001 - a raising `__str__` is the value's own business
        return f"<{kind.__module__}.{kind.__qualname__}>"
