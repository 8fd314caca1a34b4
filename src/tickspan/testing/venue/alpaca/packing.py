"""How messages travel on Alpaca's streams: JSON in text or binary frames, or MessagePack."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Final

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """A time with its nanoseconds: text in JSON, an extension type in MessagePack."""

    unix_ns: int

    def __str__(self) -> str:
        seconds, nanoseconds = divmod(self.unix_ns, _NANOSECONDS)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


@dataclass(frozen=True, slots=True)
class Packing:
    """One form of messages. `unpack` raises ValueError for what is not of that form."""

    pack: Callable[[object], str | bytes]
    unpack: Callable[[str | bytes], Any]


def json_text(message: object) -> str:
    """Compact JSON; moments as RFC 3339."""
    return json.dumps(message, separators=(",", ":"), default=str)


BINARY_JSON: Final = Packing(lambda message: json_text(message).encode(), json.loads)
"""JSON in binary frames, as the trading stream has it."""

_TEXT_JSON: Final = Packing(json_text, json.loads)


def packing_of(headers: Mapping[str, str]) -> Packing | None:
    """What the handshake asks for; None for MessagePack where no library for it is installed."""
    if "msgpack" not in headers.get("Content-Type", ""):
        return _TEXT_JSON
    return _message_pack() if find_spec("msgpack") is not None else None


def _message_pack() -> Packing:
    import msgpack as library  # optional: who asks for it has it, but the venue may be another process

    msgpack: Any = library

    def pack(message: object) -> bytes:
        return msgpack.packb(message, default=_extended)

    def _extended(value: Moment) -> Any:
        return msgpack.Timestamp.from_unix_nano(value.unix_ns)

    return Packing(pack, msgpack.unpackb)
