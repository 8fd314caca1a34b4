"""FIX on the wire: fields to bytes and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from tickspan.testing.venue.fix.tags import Tag

BEGIN_STRING: Final = "FIX.4.4"
_SOH: Final = b"\x01"
_ENCODING: Final = "latin-1"  # every byte is a character: what is read can be written again
_TRAILER_BYTES: Final = len(b"10=000\x01")
_HEAD: Final = re.compile(rb"8=FIX[^\x01]{1,8}\x019=(\d{1,7})\x01")
_LONGEST_HEAD: Final = 32
_FRAMING: Final = frozenset({Tag.BEGIN_STRING, Tag.BODY_LENGTH, Tag.MSG_TYPE, Tag.CHECK_SUM})

# Fields whose value may hold any byte, by the field before them that says how long it is.
_DATA_BY_LENGTH: Final[Mapping[int, int]] = {
    90: 91,
    93: 89,
    95: 96,
    212: 213,
    348: 349,
    350: 351,
    352: 353,
    354: 355,
    356: 357,
    358: 359,
    360: 361,
    362: 363,
    364: 365,
    445: 446,
    618: 619,
    621: 622,
}

Field = tuple[int, object]
"""A tag and what it is set to: text, numbers and decimals as they read; None leaves the field out."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was received; `fields` without those of the framing, in the order of the wire."""

    type: str
    fields: tuple[tuple[int, str], ...]
    text: str

    def get(self, tag: int) -> str | None:
        """The first field of that tag."""
        return next((value for known, value in self.fields if known == tag), None)

    def all(self, tag: int) -> tuple[str, ...]:
        """Every field of that tag, as in a repeating group."""
        return tuple(value for known, value in self.fields if known == tag)

    def whole(self, tag: int) -> int | None:
        """The field as a whole number; None if it is absent or none."""
        text = self.get(tag) or ""
        return int(text) if text.isascii() and text.isdigit() else None

    def decimal(self, tag: int) -> Decimal | None:
        """The field as a finite decimal number; None if it is absent or none."""
        try:
            number = Decimal(self.get(tag) or "")
        except InvalidOperation:
            return None
        return number if number.is_finite() else None

    def is_set(self, tag: int) -> bool:
        """Whether a flag is there and says yes."""
        return self.get(tag) == "Y"


def encode(msg_type: str, fields: Iterable[Field]) -> bytes:
    """The message with its framing: begin string, body length, type and check sum."""
    pairs: list[Field] = [(Tag.MSG_TYPE, msg_type), *fields]
    body = b"".join(_written(tag, value) for tag, value in pairs if value is not None)
    head = _written(Tag.BEGIN_STRING, BEGIN_STRING) + _written(Tag.BODY_LENGTH, len(body))
    return head + body + _written(Tag.CHECK_SUM, f"{_check_sum(head + body):03d}")


class Splitter:
    """Cuts a stream of bytes into messages. What is garbled is skipped, as the specification asks."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes."""
        self._waiting += data
        messages: list[Message] = []
        while (found := self._next()) is not None:
            message = _parsed(found)
            if message is not None:
                messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        """The bytes of the next message whose framing is sound; None until it is complete."""
        while True:
            start = self._waiting.find(b"8=FIX")
            if start < 0:
                self._waiting = self._waiting[-_LONGEST_HEAD:]
                return None
            self._waiting = self._waiting[start:]
            head = _HEAD.match(self._waiting)
            if head is None:
                if len(self._waiting) < _LONGEST_HEAD:
                    return None
                self._skip()
                continue
            end = head.end() + int(head[1]) + _TRAILER_BYTES
            if len(self._waiting) < end:
                return None
            found = self._waiting[:end]
            if not _is_sound(found):
                self._skip()
                continue
            self._waiting = self._waiting[end:]
            return found

    def _skip(self) -> None:
        self._waiting = self._waiting[1:]


def utc_timestamp(unix_ms: int) -> str:
    """Milliseconds since 1970 as FIX writes them: `20240131-09:30:00.123`."""
    moment = datetime.fromtimestamp(unix_ms / 1_000, UTC)
    return f"{moment:%Y%m%d-%H:%M:%S}.{unix_ms % 1_000:03d}"


def unix_ms(text: str) -> int | None:
    """The reverse of `utc_timestamp`, with or without a fraction of a second; None if it cannot be read."""
    whole, _, fraction = text.partition(".")
    try:
        moment = datetime.strptime(whole, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1_000 + int(f"{fraction[:3]:0<3}")
    except ValueError:
        return None


def _written(tag: int, value: object) -> bytes:
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return f"{int(tag)}={text}".encode(_ENCODING, "replace") + _SOH


def _check_sum(data: bytes) -> int:
    return sum(data) % 256


def _is_sound(data: bytes) -> bool:
    body, trailer = data[:-_TRAILER_BYTES], data[-_TRAILER_BYTES:]
    return trailer == _written(Tag.CHECK_SUM, f"{_check_sum(body):03d}")


def _parsed(data: bytes) -> Message | None:
    fields: list[tuple[int, str]] = []
    position, length = 0, None
    while position < len(data):
        tag_text, _, _ = data[position : position + 12].partition(b"=")
        start = position + len(tag_text) + 1
        if not tag_text.isdigit():
            return None
        tag = int(tag_text)
        end = start + length if length is not None else data.find(_SOH, start)
        if end < 0 or data[end : end + 1] != _SOH:
            return None
        value = data[start:end].decode(_ENCODING)
        length = int(value) if tag in _DATA_BY_LENGTH and value.isdigit() else None
        fields.append((tag, value))
        position = end + 1
    msg_type = next((value for tag, value in fields if tag == Tag.MSG_TYPE), None)
    if msg_type is None:
        return None
    kept = tuple(field for field in fields if field[0] not in _FRAMING)
    return Message(msg_type, kept, data.decode(_ENCODING))
