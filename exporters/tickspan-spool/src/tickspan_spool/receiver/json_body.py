"""JSON bodies: OTLP/JSON to the protobuf messages, strictly, by the messages' own descriptors.

The protobuf library's `json_format` does not know OTLP's two exceptions (ids in hex, enums as numbers only)
and has recursed without bound before (CVE-2026-0994). Here depth and size are counted on the text first.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import cache
from http import HTTPStatus
from typing import Any, NoReturn, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from .limits import Limits
from .refusal import Reason, Refusal, malformed, too_large

# An unfinished string runs to the end: were it no match, each quote in it would be tried again (quadratic).
_STRING = re.compile(rb'"(?:[^"\\]++|\\(?:.|\Z))*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[{]|[\]}]")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_ID_BYTES = {"traceId": 16, "spanId": 8, "parentSpanId": 8}

_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_ENUM,
    }
)
_FLOATS = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})


def fill_from_json(message: Message, body: bytes, limits: Limits) -> None:
    """Decode an OTLP/JSON body into `message`. Unknown members are ignored, as OTLP demands.

    Args:
        message: an empty export request.
        body: plain JSON text in UTF-8.
        limits: `nesting` and `json_values` are looked at.

    Raises:
        Refusal: no JSON, or a value that its field cannot take (400); too deep (400); too many values (413).
    """
    _check_size(body, limits)
    _fill(message, _parse(body), "$")


def _check_size(body: bytes, limits: Limits) -> None:
    structure = _STRING.sub(b"", body)
    values = sum(map(structure.count, (b"{", b"[", b",")))
    if values > limits.json_values:
        raise too_large(
            Reason.RECORDS, f"JSON body: more than {limits.json_values} values; send less at once"
        )
    depth = 0
    for bracket in _BRACKET.finditer(structure):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > limits.nesting:
            message = f"JSON body: brackets nest deeper than {limits.nesting}"
            raise Refusal(Reason.NESTING, HTTPStatus.BAD_REQUEST, message)


def _parse(body: bytes) -> object:
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError, an integer of too many digits
        raise malformed(f"JSON body: {error}"[:200]) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is no JSON; OTLP writes it as a string: "{name}"')


@cache
def _members(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return {member.json_name: member for member in descriptor.fields}


def _fill(message: Message, value: object, path: str) -> None:
    members = _members(message.DESCRIPTOR)
    for name, item in _object(value, path).items():
        member = members.get(name)
        if member is None or item is None:
            continue
        inner = f"{path}.{name}"
        if member.is_repeated:
            _fill_list(getattr(message, member.name), member, item, inner)
        elif member.message_type is not None:
            child = getattr(message, member.name)
            child.SetInParent()  # `{"arrayValue": {}}` is an empty array, not an absent value
            _fill(child, item, inner)
        else:
            _store(message, member, _scalar(member, item, inner), inner)


def _fill_list(target: Any, member: FieldDescriptor, value: object, path: str) -> None:
    if not isinstance(value, list):
        raise _unexpected("an array", value, path)
    for index, item in enumerate(cast("list[object]", value)):
        inner = f"{path}[{index}]"
        if member.message_type is not None:
            _fill(target.add(), item, inner)
            continue
        try:
            target.append(_scalar(member, item, inner))
        except (ValueError, TypeError):
            raise _unexpected(f"a number that fits {member.name}", item, inner) from None


def _store(message: Message, member: FieldDescriptor, value: object, path: str) -> None:
    try:
        setattr(message, member.name, value)
    except (ValueError, TypeError):  # beyond the field's range, or a lone surrogate
        raise _unexpected(f"a value that fits {member.name}", value, path) from None


def _scalar(member: FieldDescriptor, value: object, path: str) -> object:
    kind = member.cpp_type
    if kind in _INTEGERS:
        return _integer(value, path)
    if kind in _FLOATS:
        return _float(value, path)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _unexpected("true or false", value, path)
        return value
    if not isinstance(value, str):
        raise _unexpected("a string", value, path)
    if member.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(member, value, path)
    return value


def _object(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _unexpected("an object", value, path)
    return cast("dict[str, object]", value)


def _integer(value: object, path: str) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _unexpected("an integer, as a number or a string", value, path)


def _float(value: object, path: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number: object = value
    elif value in {"NaN", "Infinity", "-Infinity"}:
        number = value
    else:
        raise _unexpected('a number, "NaN", "Infinity" or "-Infinity"', value, path)
    try:
        return float(cast("float | str", number))
    except OverflowError:
        raise _unexpected("a number that a double can hold", value, path) from None


def _bytes(member: FieldDescriptor, value: str, path: str) -> bytes:
    size = _ID_BYTES.get(member.json_name)
    if size is not None:
        if len(value) not in {0, 2 * size} or not _HEX.fullmatch(value):
            raise _unexpected(f"an id of {2 * size} hexadecimal digits", value, path)
        return bytes.fromhex(value)
    try:
        return base64.b64decode(value.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _unexpected("base64", value, path) from None


def _unexpected(expected: str, value: object, path: str) -> Refusal:
    """Names the place and the kind of what came, never the value: it may be a secret."""
    where = path if len(path) <= 120 else f"…{path[-120:]}"  # noqa: PLR2004 - readable in one line
    return malformed(f"JSON body: {where}: expected {expected}, got {_kind(value)}")


def _kind(value: object) -> str:
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else "an array"
