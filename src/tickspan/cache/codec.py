"""Values as bytes and back: MessagePack by msgspec, typed or not; compression; who may be shared.

Nothing is ever pickled, imported or executed. This module needs msgspec (`tickspan[cache]`); it is imported
when the first region is made.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

try:
    import msgspec
except ImportError as error:
    raise ImportError("the cache needs msgspec: pip install 'tickspan[cache]'") from error

from tickspan.cache.parcels import PayloadError

__all__ = ["COMPRESS_FROM_BYTES", "Codec", "PayloadError", "difference", "is_immutable"]

COMPRESS_FROM_BYTES: Final = 1024
_WORTH: Final = 0.9
"""What compression must reach of the length to be worth it."""
_PLAIN: Final = 0
_ZSTD: Final = 1
_ZLIB: Final = 2
_ZLIB_LEVEL: Final = 1
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
_SCALARS: Final[frozenset[type]] = frozenset({type(None), bool, float, bytes})
_IMMUTABLE: Final[frozenset[type]] = frozenset(
    {type(None), bool, int, float, complex, str, bytes, Decimal, datetime, date, time, timedelta, UUID}
)
_DEPTH_MAX: Final = 200
"""Of containers in one another; a deeper value, or one that holds itself, is refused."""
_UNTYPED_SCHEMA: Final = zlib.crc32(b"tickspan untyped 1")


class Codec:
    """Encodes values of one type. Safe for any thread.

    Args:
        type_: what a region holds, as msgspec understands types; None takes what comes back equal: None,
            bool, int of 64 bits, float, str, bytes, aware datetime, and lists and str-keyed dicts of them.
        max_value_bytes: no payload is inflated beyond it.
        compress: whether payloads are compressed that shrink by a tenth.

    Raises:
        TypeError: msgspec does not know the type, or a part of it.
    """

    def __init__(self, type_: Any = None, *, max_value_bytes: int, compress: bool = True) -> None:
        self.schema: int = _UNTYPED_SCHEMA if type_ is None else zlib.crc32(_described(type_).encode())
        """Tells values of another type apart."""
        self._type: Any = type_
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Any] = (
            msgspec.msgpack.Decoder() if type_ is None else msgspec.msgpack.Decoder(type_)
        )
        self.max_value_bytes = max_value_bytes
        """No payload is inflated beyond it."""
        self._zstd = _Zstd.found() if compress else None
        self._compress = compress

    def __repr__(self) -> str:
        of = "untyped" if self._type is None else _name(self._type)
        return f"<Codec {of}, schema {self.schema:08x}>"

    def encode(self, value: Any) -> bytes:
        """The payload of a value, not compressed.

        Raises:
            TypeError: it would not come back as it is; the message has the path to the part, and no value.
        """
        if self._type is None and (problem := _problem(value, "$", 0)):
            raise TypeError(f"value: {problem}; declare a type for the region or convert it")
        try:
            payload = self._encoder.encode(value)
            returned = self._decoder.decode(payload)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise TypeError(f"value: {type(value).__name__} cannot be stored: {_told(error)}") from None
        if self._type is not None and (path := _unlike(value, returned)):
            raise TypeError(f"value: the part at {path} would not come back as it is")
        return payload

    def decode(self, payload: bytes) -> Any:
        """The value of a payload that is not compressed; a new object each time.

        Raises:
            PayloadError: it is none of this type.
        """
        try:
            return self._decoder.decode(payload)
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
            raise PayloadError("payload") from None

    def pack(self, payload: bytes) -> tuple[int, bytes]:
        """How the payload is compressed, and the bytes of that."""
        if not self._compress or len(payload) < COMPRESS_FROM_BYTES:
            return _PLAIN, payload
        if self._zstd is not None:
            codec, packed = _ZSTD, self._zstd.compress(payload)
        else:
            codec, packed = _ZLIB, zlib.compress(payload, _ZLIB_LEVEL)
        return (codec, packed) if len(packed) <= _WORTH * len(payload) else (_PLAIN, payload)

    def unpack(self, codec: int, packed: bytes, raw_length: int) -> bytes:
        """The payload of packed bytes, never more than `max_value_bytes` of it.

        Raises:
            PayloadError: it has another length than it should, is too long, damaged, or of an unknown codec.
        """
        if raw_length > self.max_value_bytes:
            raise PayloadError("oversize")
        if codec == _PLAIN:
            payload = packed
        elif codec == _ZLIB:
            payload = _inflated(packed, raw_length)
        elif codec == _ZSTD:
            zstd = self._zstd or _Zstd.found()
            if zstd is None:
                raise PayloadError("zstd")
            payload = zstd.decompress(packed, raw_length)
        else:
            raise PayloadError("codec")
        if len(payload) != raw_length:
            raise PayloadError("length")
        return payload


class _Zstd:
    """zstandard, where it is installed; its contexts are made per call, since threads may not share one."""

    def __init__(self, library: Any) -> None:
        self._library = library

    @classmethod
    def found(cls) -> _Zstd | None:
        try:
            import zstandard  # optional: payloads are compressed by zlib without it
        except ImportError:
            return None
        return cls(zstandard)

    def compress(self, payload: bytes) -> bytes:
        packed: bytes = self._library.ZstdCompressor(level=1).compress(payload)
        return packed

    def decompress(self, packed: bytes, raw_length: int) -> bytes:
        library = self._library
        try:
            size = library.frame_content_size(packed)
            if size not in {-1, raw_length}:
                raise PayloadError("length")
            payload: bytes = library.ZstdDecompressor().decompress(
                packed, max_output_size=raw_length, allow_extra_data=False
            )
        except library.ZstdError:
            raise PayloadError("zstd") from None
        return payload


def _inflated(packed: bytes, raw_length: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        payload = machine.decompress(packed, raw_length + 1)
    except zlib.error:
        raise PayloadError("zlib") from None
    if not machine.eof or machine.unused_data:
        raise PayloadError("length")
    return payload


def is_immutable(value: object) -> bool:
    """Whether nobody can alter a value, so that all callers may share it."""
    return _is_immutable(value, 0)


def _is_immutable(value: object, depth: int) -> bool:
    kind = type(value)
    if kind in _IMMUTABLE or isinstance(value, Enum):
        return True
    if kind is dict or kind is list or depth > _DEPTH_MAX:
        return False
    if kind is tuple or kind is frozenset:
        return all(_is_immutable(part, depth + 1) for part in value)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
    if isinstance(value, msgspec.Struct):
        return value.__struct_config__.frozen and all(
            _is_immutable(getattr(value, name), depth + 1) for name in value.__struct_fields__
        )
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        return False
    fields = dataclasses.fields(value)  # pyright: ignore[reportArgumentType] - a dataclass, seen above
    return all(_is_immutable(getattr(value, each.name), depth + 1) for each in fields)


def difference(one: object, other: object, path: str = "$") -> str | None:
    """Where two values differ in type or content, as a path; None where nowhere. NaN is like NaN."""
    if type(one) is not type(other):
        return path
    parts: Callable[[Any], Mapping[Any, Any]] | None = _parts_of(one)
    if parts is None:
        are_nan = (
            isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
        )
        is_like = are_nan or one == other
        return None if is_like else path
    ours, theirs = parts(one), parts(other)
    if ours.keys() != theirs.keys():
        return path
    for name, part in ours.items():
        found = difference(part, theirs[name], f"{path}{_step(name)}")
        if found is not None:
            return found
    return None


def _parts_of(value: object) -> Callable[[Any], Mapping[Any, Any]] | None:
    if isinstance(value, dict):
        return dict[Any, Any]
    if isinstance(value, list | tuple):
        return _numbered
    if isinstance(value, msgspec.Struct):
        return lambda struct: {name: getattr(struct, name) for name in struct.__struct_fields__}
    if dataclasses.is_dataclass(value):
        return lambda record: {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    return None


def _numbered(parts: Any) -> Mapping[Any, Any]:
    return dict(enumerate(parts))


def _step(name: object) -> str:
    if isinstance(name, int):
        return f"[{name}]"
    return f".{name}" if isinstance(name, str) and name.isidentifier() else "[...]"


def _unlike(value: Any, returned: Any) -> str | None:
    """As `difference`; values that are equal and of one type are not looked into."""
    if type(value) is type(returned) and value == returned:
        return None
    try:
        return difference(value, returned)
    except RecursionError:
        return "$"


def _problem(value: Any, path: str, depth: int) -> str | None:
    """What stands in an untyped region's way, with its path."""
    kind = type(value)
    if kind is str or kind in _SCALARS:
        return None
    if kind is list or kind is dict:
        if depth > _DEPTH_MAX:
            return f"the value at {path[:80]}... is nested deeper than {_DEPTH_MAX}"
        return _problem_inside(value, path, depth + 1)
    if kind is int:
        return None if _INT_MIN <= value <= _INT_MAX else f"the int at {path} has more than 64 bits"
    if kind is datetime and value.tzinfo is not None:
        return None
    what = "datetime without a time zone" if kind is datetime else _name(kind)
    return f"the {what} at {path} would not come back as it is"


def _problem_inside(value: Any, path: str, depth: int) -> str | None:
    is_list = type(value) is list
    for name, part in enumerate(value) if is_list else value.items():
        if not is_list and type(name) is not str:
            return f"a key at {path} is {_name(type(name))}, not str"
        kind = type(part)
        if kind is not str and kind not in _SCALARS and (found := _problem(part, path + _step(name), depth)):
            return found
    return None


def _described(type_: Any) -> str:
    """A type with all its parts as text, the same in every process."""
    try:
        return _Describing().text(msgspec.inspect.type_info(type_))
    except (TypeError, NameError, ValueError) as error:
        raise TypeError(f"type: msgspec cannot hold {_name(type_)}: {error}") from None


class _Describing:
    def __init__(self) -> None:
        self._seen: set[int] = set()

    def text(self, part: Any) -> str:
        if isinstance(part, msgspec.inspect.CustomType):
            raise TypeError(f"{_name(part.cls)} is no type that MessagePack has a form for")
        if isinstance(part, msgspec.inspect.Type | msgspec.inspect.Field):
            named = getattr(part, "cls", None)
            if named is not None and id(named) in self._seen:
                return f"^{named.__qualname__}"
            if named is not None:
                self._seen.add(id(named))
            inner = ",".join(
                f"{name}={self.text(getattr(part, name))}"
                for name in part.__struct_fields__
                if not name.startswith("default")
            )
            return f"{type(part).__name__}({inner})"
        if isinstance(part, tuple | list):
            return f"[{','.join(map(self.text, part))}]"
        if isinstance(part, type):
            if issubclass(part, Enum):
                return f"{part.__qualname__}{[member.value for member in part]}"
            return part.__qualname__
        return repr(part)


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", None) or str(type_)


def _told(error: Exception) -> str:
    """What msgspec says, which has paths and types; other errors may quote the value."""
    return str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__
