"""Protobuf fields of an answer, walked by hand: an answer is small, untrusted, and maybe cut off."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_CONTINUED = 0x80
_VARINT_BYTES = 10
_SIGN_BIT = 1 << 63


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers and values of a message's fields, until its end or the first byte that is not protobuf.

    A number is given unsigned; content that ends early is given as far as it came. Fixed-width fields, which
    no answer of OTLP has, are skipped.
    """
    position = 0
    while position < len(message):
        try:
            key, position = _varint(message, position)
            wire = key & 7
            if wire == _VARINT:
                number, position = _varint(message, position)
                yield key >> 3, number
            elif wire == _LENGTH:
                length, position = _varint(message, position)
                yield key >> 3, message[position : position + length]
                position += length
            elif wire in {_FIXED32, _FIXED64}:
                position += 4 if wire == _FIXED32 else 8
            else:
                return
        except IndexError:
            return


def first_bytes(message: bytes, number: int) -> bytes:
    """The content of the first field of that number, empty when there is none."""
    return next(
        (value for found, value in fields(message) if found == number and isinstance(value, bytes)), b""
    )


def first_number(message: bytes, number: int) -> int:
    """The first field of that number as int64, 0 when there is none."""
    value = next((value for found, value in fields(message) if found == number and isinstance(value, int)), 0)
    return value - (_SIGN_BIT << 1) if value & _SIGN_BIT else value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and where it ends. Raises IndexError when it does not end."""
    value = 0
    for index in range(_VARINT_BYTES):
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < _CONTINUED:
            return value & (_SIGN_BIT << 1) - 1, position + index + 1
    raise IndexError(position)
