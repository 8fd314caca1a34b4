"""Tokens: where somebody stopped reading, as a short text from which a later process goes on.

A token is base64url without padding: one byte of version, four of CRC-32, then JSON of the source's
fingerprint, the rows to skip and the position. It holds the key of the last row and no statement. A key only
ever becomes a bound parameter, so a forged token can choose where reading starts, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from tickspan.lazy.source import Position

MOST_CHARACTERS: Final = 1024
_VERSION: Final = 1
_HEAD_BYTES: Final = 5
_FINGERPRINT_CHARACTERS: Final = 16
_MOST_SKIPPED: Final = 10_000_000
"""Rows of one chunk, which are fetched again to be passed over."""


class TokenError(ValueError):
    """A token that is damaged, of another source, or cannot be made; the message never has the key."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two rows: the rows after `position`, without the first `skip` of them."""

    position: Position = None
    skip: int = 0


def digest(fingerprint: str) -> str:
    """The form in which a fingerprint stands in a token: 16 hex digits of its SHA-256."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:_FINGERPRINT_CHARACTERS]


def write(mark: Mark, fingerprint: str) -> str:
    """The token of a place in the source with this fingerprint.

    Raises:
        TokenError: a value of the position is of a type that a token cannot hold, or they are too long.
    """
    body = json.dumps(
        [digest(fingerprint), mark.skip, _to_json(mark.position)], separators=(",", ":")
    ).encode()
    head = bytes((_VERSION,)) + zlib.crc32(body).to_bytes(4, "big")
    token = base64.urlsafe_b64encode(head + body).rstrip(b"=").decode()
    if len(token) > MOST_CHARACTERS:
        raise TokenError(
            f"the key of the last row is too long for a token: {len(token):,} characters of "
            f"{MOST_CHARACTERS:,}; page by a shorter key"
        )
    return token


def read(token: str, fingerprint: str) -> Mark:
    """The place that a token of this source tells.

    Raises:
        TokenError: it is damaged, of a later version, or of another source.
    """
    found, skip, position = _parsed(token)
    if found != digest(fingerprint):
        raise TokenError("the token belongs to another source: table, condition, parameters or key differ")
    try:
        return Mark(_from_json(position), skip)
    except (ValueError, TypeError, KeyError, OverflowError, InvalidOperation, RecursionError) as error:
        raise _damaged() from error


def _parsed(token: object) -> tuple[str, int, Any]:
    if not isinstance(token, str) or len(token) > MOST_CHARACTERS:
        raise _damaged()
    try:
        raw = base64.b64decode(
            token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True
        )
    except (ValueError, binascii.Error) as error:
        raise _damaged() from error
    if len(raw) <= _HEAD_BYTES or zlib.crc32(raw[_HEAD_BYTES:]).to_bytes(4, "big") != raw[1:_HEAD_BYTES]:
        raise _damaged()
    if raw[0] != _VERSION:
        raise TokenError(f"the token has format {raw[0]}; this version of tickspan reads {_VERSION}")
    try:
        body = json.loads(raw[_HEAD_BYTES:])
    except (ValueError, RecursionError) as error:
        raise _damaged() from error
    match body:
        case [str(found), int(skip), position] if 0 <= skip <= _MOST_SKIPPED and not isinstance(skip, bool):
            return found, skip, position
        case _:
            raise _damaged()


def _damaged() -> TokenError:
    return TokenError("the token is damaged: it is not what `rows.token` gave")


def _to_json(value: Position) -> Any:
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    for kind, tag, written in _WRITERS:
        if isinstance(value, kind):
            return [tag, written(value)]
    raise TokenError(
        f"a key of type {type(value).__name__} cannot stand in a token: page by int, str, float, Decimal, "
        "datetime, date, time, timedelta, bytes, UUID or None"
    )


def _from_json(value: Any) -> Position:
    if isinstance(value, list):
        tag, written = value
        return _READERS[tag](written)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ValueError(type(value).__name__)


def _many(written: Any) -> tuple[Position, ...]:
    if not isinstance(written, list):
        raise ValueError(type(written).__name__)  # noqa: TRY004 - `read` catches values that are wrong
    return tuple(_from_json(one) for one in written)


def _microseconds(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


_WRITERS: Final[tuple[tuple[type[Any] | tuple[type[Any], ...], str, Callable[[Any], Any]], ...]] = (
    (float, "f", float.hex),
    (Decimal, "n", str),
    (datetime, "t", datetime.isoformat),  # before `date`, whose subclass it is
    (date, "d", date.isoformat),
    (time, "c", time.isoformat),
    (timedelta, "i", _microseconds),
    (UUID, "u", lambda value: value.hex),
    ((bytes, bytearray, memoryview), "b", lambda value: base64.b64encode(bytes(value)).decode()),
    ((tuple, list), "l", lambda value: [_to_json(one) for one in value]),
)
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "f": float.fromhex,
    "n": Decimal,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "c": time.fromisoformat,
    "i": lambda written: timedelta(microseconds=written),
    "u": UUID,
    "b": lambda written: base64.b64decode(written, validate=True),
    "l": _many,
}


def written_values(values: Mapping[str, Any]) -> str:
    """Values of a statement as text, for a fingerprint; what no token holds is written by its `repr`."""
    return json.dumps({name: _to_text(value) for name, value in sorted(values.items())})


def _to_text(value: Any) -> Any:
    try:
        return _to_json(value)
    except TokenError:
        return repr(value)
