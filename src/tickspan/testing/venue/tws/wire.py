"""TWS frames: four bytes of length, then fields, each with a zero byte behind it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

SERVER_VERSION: Final = 176
"""The protocol that this venue speaks: the newest that both ib_insync and ib_async know."""

UNSET: Final = "1.7976931348623157E308"
"""How TWS says that a number is not set."""

Value = str | int | float | bool | Decimal | None
Message = tuple[Value, ...]
"""A message's id, then its fields."""

_LENGTH: Final = struct.Struct(">I")
_LONGEST: Final = 1 << 20
_PREAMBLE: Final = b"API\0"


class BrokenFrameError(Exception):
    """What came is no TWS frame."""


def frame(message: Iterable[Value]) -> bytes:
    """One message as bytes."""
    body = b"".join(_text(value).encode() + b"\0" for value in message)
    return _LENGTH.pack(len(body)) + body


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


async def read_fields(reader: asyncio.StreamReader) -> list[str]:
    """The fields of the next message.

    Raises:
        BrokenFrameError: it is longer than any request, or does not end with a zero byte.
        asyncio.IncompleteReadError: the connection has ended.
    """
    body = await _read_body(reader)
    if not body.endswith(b"\0"):
        raise BrokenFrameError(f"expected fields that end with a zero byte, got {body[:80]!r}")
    return body[:-1].decode(errors="replace").split("\0")


async def read_versions(reader: asyncio.StreamReader) -> range:
    """The protocol versions that a client offers when it connects: `API`, then `v157..176`.

    Raises:
        BrokenFrameError: it is no TWS client.
        asyncio.IncompleteReadError: the connection has ended.
    """
    preamble = await reader.readexactly(len(_PREAMBLE))
    if preamble != _PREAMBLE:
        raise BrokenFrameError(f"expected {_PREAMBLE!r}, got {preamble!r}")
    offered = (await _read_body(reader)).decode(errors="replace").partition(" ")[0]
    oldest, _, newest = offered.removeprefix("v").partition("..")
    try:
        return range(int(oldest), int(newest or oldest) + 1)
    except ValueError:
        raise BrokenFrameError(f"expected versions such as 'v157..176', got {offered!r}") from None


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > _LONGEST:
        raise BrokenFrameError(f"expected at most {_LONGEST} bytes, got a length of {length}")
    return await reader.readexactly(length)
