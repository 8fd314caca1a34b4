"""pprof: the profile as `perftools.profiles.Profile`, written and read field by field.

https://github.com/google/pprof/blob/main/proto/profile.proto. Values are samples and wall nanoseconds, of
memory blocks and bytes in use; thread and state are labels, and so are trace and span of a linked sample.
Comments, `service.name=bot`, tell what pprof has no field for. The file is compressed, as pprof expects it.
"""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tickspan.analysis.profiles import SPACE, WALL, Frame, Link, Profile, Sample
from tickspan.semconv.common import PROCESS_PID, SERVICE_NAME, SERVICE_VERSION
from tickspan.semconv.profiler import PROFILE_LOST

__all__ = ["pprof", "read_pprof"]

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_LARGEST_BYTES: Final = 256 << 20
_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRINGS = 1, 2, 4, 5, 6
_TIME, _DURATION, _PERIOD_TYPE, _PERIOD, _COMMENT, _DEFAULT_TYPE = 9, 10, 11, 12, 13, 14

_VALUES: Final[Mapping[str, tuple[str, str, str]]] = {
    WALL: ("samples", "wall", "nanoseconds"),
    SPACE: ("inuse_objects", "inuse_space", "bytes"),
}
"""By kind of profile: what is counted, and the value with its unit."""


def pprof(profile: Profile, comments: Mapping[str, str] | None = None) -> bytes:
    """The profile as the content of a `.pb.gz` file; comments beside those that `read_pprof` wants."""
    return gzip.compress(encoded(profile, comments or {}), mtime=0)


def encoded(profile: Profile, comments: Mapping[str, str]) -> bytes:
    """The message itself."""
    strings = _Strings()
    number, value, unit = _VALUES[profile.kind]
    parts = [
        _message(_SAMPLE_TYPE, _value_type(strings, number, "count")),
        _message(_SAMPLE_TYPE, _value_type(strings, value, unit)),
    ]
    stacks = [_message(1, b"".join(_varint(index + 1) for index in stack)) for stack in profile.stacks]
    labels = _Labels(strings)
    parts += [_message(_SAMPLE, _sample(sample, stacks[sample.stack], labels)) for sample in profile.samples]
    functions: dict[tuple[str, str, int], int] = {}
    for number, frame in enumerate(profile.frames, 1):
        key = (frame.name, frame.file, frame.first_line)
        function = functions.setdefault(key, len(functions) + 1)
        line = _number(1, function) + _number(2, frame.line)
        parts.append(_message(_LOCATION, _number(1, number) + _message(4, line)))
    parts += [
        _message(_FUNCTION, _function(number, Frame(name, file, 0, first_line), strings))
        for (name, file, first_line), number in functions.items()
    ]
    told = {
        SERVICE_NAME: profile.service,
        SERVICE_VERSION: profile.version,
        PROCESS_PID: profile.pid,
        PROFILE_LOST: profile.lost,
        **comments,
    }
    parts += [
        _number(_TIME, profile.started_unix_ns),
        _number(_DURATION, profile.duration_ns),
        _message(_PERIOD_TYPE, _value_type(strings, "space" if profile.kind == SPACE else value, unit)),
        _number(_PERIOD, profile.period_ns),
        *(_number(_COMMENT, strings.index(f"{key}={text}")) for key, text in told.items()),
        _number(_DEFAULT_TYPE, strings.index(value)),
    ]
    parts += [_message(_STRINGS, text.encode(errors="replace")) for text in strings.texts]
    return b"".join(parts)


class _Strings:
    """The table of strings; the first is empty."""

    def __init__(self) -> None:
        self._numbers = {"": 0}

    @property
    def texts(self) -> Iterable[str]:
        return self._numbers.keys()

    def index(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))


class _Labels:
    """Labels of samples, encoded once: few threads and states, and spans with many samples."""

    def __init__(self, strings: _Strings) -> None:
        self._strings = strings
        self._encoded: dict[tuple[str, str], bytes] = {}

    def of(self, key: str, text: str) -> bytes:
        encoded_label = self._encoded.get((key, text))
        if encoded_label is None:
            named = _number(1, self._strings.index(key)) + _number(2, self._strings.index(text))
            encoded_label = self._encoded[key, text] = _message(3, named)
        return encoded_label


def _sample(sample: Sample, stack: bytes, labels: _Labels) -> bytes:
    values = _varint(sample.count) + _varint(sample.wall_ns)
    parts = [stack, _message(2, values), labels.of("thread", sample.thread), labels.of("state", sample.state)]
    if sample.link is not None:
        parts.append(labels.of("trace_id", f"{sample.link.trace_id:032x}"))
        parts.append(labels.of("span_id", f"{sample.link.span_id:016x}"))
    return b"".join(parts)


def _function(number: int, frame: Frame, strings: _Strings) -> bytes:
    # Without a system name: pprof takes one for C++, and `<module>` and `<locals>` for its templates.
    return (
        _number(1, number)
        + _number(2, strings.index(frame.name))
        + _number(4, strings.index(frame.file))
        + _number(5, frame.first_line)
    )


def _value_type(strings: _Strings, kind: str, unit: str) -> bytes:
    return _number(1, strings.index(kind)) + _number(2, strings.index(unit))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value) if value else b""


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    encoded_value = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits in a byte
        encoded_value.append(value & 0x7F | 0x80)
        value >>= 7
    encoded_value.append(value)
    return bytes(encoded_value)


def read_pprof(data: bytes) -> Profile:
    """A file that `pprof` wrote.

    Raises:
        ValueError: it is none: damaged, too large, or written by another program.
    """
    try:
        unpacker = zlib.decompressobj(wbits=31)
        message = unpacker.decompress(data, _LARGEST_BYTES)
        is_whole = unpacker.eof
        profile = _Reading(message).profile()
    except (zlib.error, IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"expected a pprof file that tickspan wrote: {error}") from None
    if not is_whole:
        raise ValueError("expected a pprof file that tickspan wrote: it is cut off, or larger than 256 MiB")
    return profile


class _Reading:
    """A message, taken apart by field."""

    def __init__(self, message: bytes) -> None:
        self._fields = _fields(message)
        self._strings = [text.decode() for text in self._fields.messages[_STRINGS]]

    def profile(self) -> Profile:
        numbers = self._fields.numbers
        comments = dict(self._strings[index].split("=", 1) for index in numbers[_COMMENT])
        places, frames = self._frames()
        stacks: dict[tuple[int, ...], int] = {(): 0}
        samples = tuple(self._sample(_fields(one), places, stacks) for one in self._fields.messages[_SAMPLE])
        return Profile(
            service=comments[SERVICE_NAME],
            version=comments[SERVICE_VERSION],
            pid=int(comments[PROCESS_PID]),
            started_unix_ns=_last(numbers[_TIME]),
            duration_ns=_last(numbers[_DURATION]),
            period_ns=_last(numbers[_PERIOD]),
            frames=frames,
            stacks=tuple(stacks),
            samples=samples,
            lost=int(comments[PROFILE_LOST]),
            kind=SPACE if self._strings[_last(numbers[_DEFAULT_TYPE])] == "inuse_space" else WALL,
        )

    def _frames(self) -> tuple[dict[int, int], tuple[Frame, ...]]:
        functions: dict[int, _Fields] = {}
        for one in map(_fields, self._fields.messages[_FUNCTION]):
            functions[_last(one.numbers[1])] = one
        places: dict[int, int] = {}
        frames: list[Frame] = []
        for location in map(_fields, self._fields.messages[_LOCATION]):
            line = _fields(location.messages[4][0])
            function = functions[_last(line.numbers[1])].numbers
            places[_last(location.numbers[1])] = len(frames)
            frames.append(
                Frame(
                    self._strings[_last(function[2])],
                    self._strings[_last(function[4])],
                    _last(line.numbers[2]),
                    _last(function[5]),
                )
            )
        return places, tuple(frames)

    def _sample(
        self, sample: _Fields, places: Mapping[int, int], stacks: dict[tuple[int, ...], int]
    ) -> Sample:
        stack = tuple(places[number] for number in _packed_numbers(sample.messages[1]))
        count, wall_ns = _packed_numbers(sample.messages[2])
        labels = {
            self._strings[_last(one.numbers[1])]: self._strings[_last(one.numbers[2])]
            for one in map(_fields, sample.messages[3])
        }
        is_linked = "span_id" in labels
        return Sample(
            stacks.setdefault(stack, len(stacks)),
            labels["thread"],
            labels["state"],
            Link(int(labels["trace_id"], 16), int(labels["span_id"], 16)) if is_linked else None,
            count,
            wall_ns,
        )


class _Fields:
    """Values of a message by the number of their field, in order."""

    def __init__(self) -> None:
        self.numbers: defaultdict[int, list[int]] = defaultdict(list)
        self.messages: defaultdict[int, list[bytes]] = defaultdict(list)


def _fields(message: bytes) -> _Fields:
    found = _Fields()
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _read_varint(message, position)
            found.numbers[key >> 3].append(value)
        elif kind == _BYTES:
            size, position = _read_varint(message, position)
            if position + size > len(message):
                raise ValueError("it is cut off")
            found.messages[key >> 3].append(message[position : position + size])
            position += size
        elif kind in _FIXED_BYTES:
            position += _FIXED_BYTES[kind]
        else:
            raise ValueError(f"it has the wire type {kind}")
    return found


def _packed_numbers(parts: Iterable[bytes]) -> Iterator[int]:
    for part in parts:
        position = 0
        while position < len(part):
            number, position = _read_varint(part, position)
            yield number


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says there is more
            return value, position
        shift += 7


def _last(numbers: list[int]) -> int:
    """Of a field that is not repeated; one that is not there is 0."""
    return numbers[-1] if numbers else 0
