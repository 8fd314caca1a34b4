"""A hash by which equal parameters are recognised within one process, and by nobody told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from types import NoneType
from typing import Any, Final
from uuid import UUID

MAX_PARAMETERS: Final = 16
MAX_LENGTH: Final = 1024
"""Of one text or byte string; a statement with a longer one gets no hash."""

_PLAIN: Final = frozenset({bool, date, datetime, Decimal, float, int, NoneType, time, timedelta, UUID})
"""Types whose `repr` is the value, and runs no code of the application."""
_SIZED: Final = frozenset({bytes, str})

HashParameters = Callable[[Any, str], str | None]
"""`(parameters, text)` to 16 hex digits; None where there are too many, too long or unknown ones."""


def keyed_hash() -> HashParameters:
    """A hash function with a random key of its own."""
    keyed = blake2b(digest_size=8, key=os.urandom(16))

    def hash_parameters(parameters: Any, text: str) -> str | None:
        """BLAKE2b-64 of positional or named parameters, after `text` where that holds data itself."""
        values = _values(parameters)
        if values is None or len(values) > MAX_PARAMETERS:
            return None
        for value in values:
            kind = type(value)
            if kind not in _PLAIN and (kind not in _SIZED or len(value) > MAX_LENGTH):
                return None
        seen = f"{text}{values!r}".encode("utf-8", "surrogatepass")
        digest = keyed.copy()  # half the time of a new one with the key
        digest.update(seen)
        return digest.hexdigest()

    return hash_parameters


def _values(parameters: Any) -> list[Any] | None:
    if parameters is None:
        return []
    kind = type(parameters)
    if kind is tuple or kind is list:
        return [*parameters]
    if isinstance(parameters, Mapping):
        return [*parameters.values()]
    return [*parameters] if isinstance(parameters, list | tuple) else None
