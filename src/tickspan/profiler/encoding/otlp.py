"""OTLP profiles: an export request of the profiles signal, `v1development` of opentelemetry-proto 1.10.

The first entry of each table is the zero value, no entry stands twice, and each is referred to. Samples that
are alike are one, with their sum; the profile's value is wall time, or bytes in use. The signal is still
changing: `is_supported` says whether the installed messages are those that this was written for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final, Generic, TypeVar
from zlib import crc32

from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.profiles.v1development import profiles_pb2 as pb

from tickspan.analysis.profiles import SPACE, Frame, Link, Profile, Sample
from tickspan.semconv.common import SERVICE_NAME, SERVICE_VERSION
from tickspan.semconv.profiler import CPYTHON, PROFILE_FRAME_TYPE, PROFILER_STATE, THREAD_NAME

__all__ = ["MOST_BYTES", "is_supported", "request", "requests"]

K = TypeVar("K")
_ID_BYTES: Final = 16
MOST_BYTES: Final = 3 << 20
"""Of a request: below the bound of 4 MiB that servers of gRPC have unless told otherwise."""
_KNOWN: Final = 0x4B3B76D
"""Of the generated description of the messages, as of opentelemetry-proto 1.10."""


@cache
def is_supported() -> bool:
    """Whether the installed messages are those that this encoder fills."""
    return crc32(pb.DESCRIPTOR.serialized_pb) == _KNOWN


class _Table(Generic[K]):
    """Entries by what they are equal by, each made when first asked for; the first is the zero value."""

    def __init__(self, entries: Any, make: Callable[[K], Any], zero: Any) -> None:
        self._entries = entries
        self._make = make
        self._numbers: dict[K, int] = {}
        entries.append(zero)

    def index(self, key: K) -> int:
        known = self._numbers.get(key)
        if known is None:
            made = self._make(key)
            known = self._numbers[key] = len(self._entries)
            self._entries.append(made)
        return known


class _Dictionary:
    """The tables of a request."""

    def __init__(self, message: pb.ProfilesDictionary) -> None:
        message.mapping_table.append(pb.Mapping())
        self._strings: _Table[str] = _Table(message.string_table, str, "")
        self.links: _Table[Link] = _Table(message.link_table, _link, pb.Link())
        self.attributes: _Table[tuple[str, str]] = _Table(
            message.attribute_table, self._attribute, pb.KeyValueAndUnit()
        )
        self._functions: _Table[tuple[str, str, int]] = _Table(
            message.function_table, self._function, pb.Function()
        )
        self._locations: _Table[Frame] = _Table(message.location_table, self._location, pb.Location())
        self.stacks: _Table[tuple[Frame, ...]] = _Table(message.stack_table, self._stack, pb.Stack())

    def string(self, text: str) -> int:
        return self._strings.index(_clean(text)) if text else 0

    def stack(self, frames: tuple[Frame, ...]) -> int:
        return self.stacks.index(frames) if frames else 0

    def _attribute(self, key: tuple[str, str]) -> pb.KeyValueAndUnit:
        name, text = key
        return pb.KeyValueAndUnit(key_strindex=self.string(name), value=AnyValue(string_value=text))

    def _function(self, key: tuple[str, str, int]) -> pb.Function:
        name, file, first_line = key
        return pb.Function(
            name_strindex=self.string(name), filename_strindex=self.string(file), start_line=first_line
        )

    def _location(self, frame: Frame) -> pb.Location:
        key = (frame.name, frame.file, frame.first_line)
        function = self._functions.index(key) if any(key) else 0
        return pb.Location(
            lines=[pb.Line(function_index=function, line=frame.line)],
            attribute_indices=[self.attributes.index((PROFILE_FRAME_TYPE, CPYTHON))],
        )

    def _stack(self, frames: tuple[Frame, ...]) -> pb.Stack:
        return pb.Stack(location_indices=[self._locations.index(frame) for frame in frames])


def requests(profile: Profile, resource: bytes, profile_id: bytes) -> Iterator[bytes]:
    """The profile as export requests: one, or as many as are needed for none to be too large."""
    encoded = request(profile, resource, profile_id).SerializeToString()
    if len(encoded) <= MOST_BYTES or len(profile.samples) < 2:  # noqa: PLR2004 - one cannot be halved
        yield encoded
        return
    middle = len(profile.samples) // 2
    yield from requests(replace(profile, samples=profile.samples[:middle]), resource, profile_id)
    rest = replace(profile, samples=profile.samples[middle:])
    yield from requests(rest, resource, secrets.token_bytes(_ID_BYTES))


def request(
    profile: Profile, resource: Mapping[str, str] | bytes | None = None, profile_id: bytes | None = None
) -> ExportProfilesServiceRequest:
    """The profile as an export request.

    Args:
        profile: to encode.
        resource: attributes besides the service's, or a whole `Resource` message.
        profile_id: 16 bytes; drawn unless given.
    """
    made = ExportProfilesServiceRequest()
    tables = _Dictionary(made.dictionary)
    group = made.resource_profiles.add()
    if isinstance(resource, bytes):
        group.resource.ParseFromString(resource)
    else:
        named = {SERVICE_NAME: profile.service, SERVICE_VERSION: profile.version, **(resource or {})}
        group.resource.attributes.extend(
            KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in named.items() if text
        )
    scope = group.scope_profiles.add()
    scope.scope.name = "tickspan.profiler"
    kind, unit = ("inuse_space", "bytes") if profile.kind == SPACE else ("wall", "nanoseconds")
    value_type = pb.ValueType(type_strindex=tables.string(kind), unit_strindex=tables.string(unit))
    scope.profiles.append(
        pb.Profile(
            sample_type=value_type,
            period_type=value_type,
            period=profile.period_ns,
            time_unix_nano=profile.started_unix_ns,
            duration_nano=profile.duration_ns,
            profile_id=profile_id or secrets.token_bytes(_ID_BYTES),
            samples=_samples(profile, tables),
        )
    )
    return made


def _samples(profile: Profile, tables: _Dictionary) -> Sequence[pb.Sample]:
    found: dict[tuple[int, tuple[int, ...], int], int] = {}
    for sample in profile.samples:
        key = _identity(profile, sample, tables)
        found[key] = found.get(key, 0) + sample.wall_ns
    return [
        pb.Sample(stack_index=stack, attribute_indices=attributes, link_index=link, values=[wall_ns])
        for (stack, attributes, link), wall_ns in found.items()
    ]


def _identity(profile: Profile, sample: Sample, tables: _Dictionary) -> tuple[int, tuple[int, ...], int]:
    attributes = ((THREAD_NAME, _clean(sample.thread)), (PROFILER_STATE, sample.state))
    return (
        tables.stack(tuple(map(_clean_frame, profile.frames_of(sample)))),
        tuple(tables.attributes.index(one) for one in attributes),
        0 if sample.link is None else tables.links.index(sample.link),
    )


def _clean_frame(frame: Frame) -> Frame:
    if frame.name.isascii() and frame.file.isascii():
        return frame
    return frame._replace(name=_clean(frame.name), file=_clean(frame.file))


def _clean(text: str) -> str:
    """Half a surrogate pair is no text in protobuf."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _link(link: Link) -> pb.Link:
    return pb.Link(trace_id=link.trace_id.to_bytes(16, "big"), span_id=link.span_id.to_bytes(8, "big"))
