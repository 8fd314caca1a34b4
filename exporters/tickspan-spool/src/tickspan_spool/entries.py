"""Entry: one record on its way out, and how records become an OTLP export request by joining bytes.

The three signals share their shape on the wire. An export request holds resource groups (field 1), a resource
group holds its resource (1), scope groups (2) and a schema URL (3), a scope group holds its scope (1),
records (2) and a schema URL (3). So nothing here depends on the signal, and nothing is encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

# The same literal as the receiver's, which loads protobuf: the sending side does not.
Signal = Literal["traces", "metrics", "logs", "profiles", "samples"]

_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"
_CONTINUED = 0x80


@dataclass(frozen=True, slots=True)
class StreamKey:
    """Where records belong: what they have in common and what is therefore written once.

    Attributes:
        signal: "traces", "metrics" or "logs"; "profiles", of which each record is a whole request; "samples",
            which are for taps of the agent alone and are in a form of their own.
        resource: a serialised `Resource` message, may be empty.
        scope: a serialised `InstrumentationScope` message, may be empty.
        resource_schema_url: of the resource group.
        scope_schema_url: of the scope group.
    """

    signal: Signal
    resource: bytes
    scope: bytes
    resource_schema_url: str = ""
    scope_schema_url: str = ""


class Entry(NamedTuple):
    """One record as it was appended.

    Attributes:
        stream: where it belongs.
        body: one or more entries of field 2 of a scope group, tag and length included.
        items: how many spans, log records or metric points it holds.
        sequence: the number of its first item, per process and signal.
    """

    stream: StreamKey
    body: bytes
    items: int
    sequence: int


class _ScopeGroup(NamedTuple):
    stream: StreamKey
    bodies: list[bytes]


_ResourceGroup = dict[tuple[bytes, str], _ScopeGroup]


def export_request(entries: Sequence[Entry]) -> bytes:
    """The `Export{Trace,Metrics,Logs,Profiles}ServiceRequest` of these entries, which are all of one signal.

    Resources, and scopes below them, stand in the order of first appearance; records keep their order within
    a scope. No entries make the empty request `b""`, which OTLP allows. A profile has tables of its own,
    which cannot be joined: give one at a time.
    """
    if len(entries) == 1 and entries[0].stream.signal == "profiles":
        return entries[0].body
    parts: list[bytes] = []
    for group in _grouped(entries).values():
        _append_resource_group(parts, list(group.values()))
    return b"".join(parts)


def _grouped(entries: Sequence[Entry]) -> dict[tuple[bytes, str], _ResourceGroup]:
    resources: dict[tuple[bytes, str], _ResourceGroup] = {}
    bodies_of: dict[StreamKey, list[bytes]] = {}
    latest, bodies = None, list[bytes]()
    for entry in entries:
        stream = entry.stream
        if stream is not latest:  # neighbours mostly share the very same key: no hash for them
            latest = stream
            found = bodies_of.get(stream)
            if found is None:
                scopes = resources.setdefault((stream.resource, stream.resource_schema_url), {})
                scope = (stream.scope, stream.scope_schema_url)
                found = bodies_of[stream] = scopes.setdefault(scope, _ScopeGroup(stream, [])).bodies
            bodies = found
        bodies.append(entry.body)
    return resources


def _append_resource_group(parts: list[bytes], scopes: list[_ScopeGroup]) -> None:
    stream = scopes[0].stream
    content = [_FIELD_1, varint(len(stream.resource)), stream.resource]
    for scope in scopes:
        _append_scope_group(content, scope)
    _append_text(content, stream.resource_schema_url)
    parts += (_FIELD_1, varint(_size(content)))
    parts += content


def _append_scope_group(parts: list[bytes], group: _ScopeGroup) -> None:
    stream = group.stream
    content = [_FIELD_1, varint(len(stream.scope)), stream.scope, *group.bodies]
    _append_text(content, stream.scope_schema_url)
    parts += (_FIELD_2, varint(_size(content)))
    parts += content


def _append_text(parts: list[bytes], schema_url: str) -> None:
    if schema_url:
        text = schema_url.encode(errors="replace")
        parts += (_FIELD_3, varint(len(text)), text)


def _size(parts: Iterable[bytes]) -> int:
    return sum(map(len, parts))


def varint(number: int) -> bytes:
    """A non-negative number as protobuf writes it: seven bits a byte, lowest first."""
    encoded = bytearray()
    while number >= _CONTINUED:
        encoded.append(number & 0x7F | _CONTINUED)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
