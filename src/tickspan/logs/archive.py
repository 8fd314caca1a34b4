"""Archive: a full log file as compressed frames of 1 MiB, and an index of what is in each.

`zstdcat` or `zcat` reads the file: it is one frame after another. The index stands beside it, `.idx`; without
it, or with a damaged one, a search reads all frames.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tickspan.logs.bloom import bloom_of, may_hold
from tickspan.logs.codec import Codec, FrameError, best, of_suffix

__all__ = [
    "FRAME_BYTES",
    "Frame",
    "compress",
    "frames_without_index",
    "index_path",
    "is_word_key",
    "number_word",
    "read_index",
    "words_of",
]

FRAME_BYTES: Final = 1 << 20
_MAGIC: Final = b"TSLOGIX1"
_HEAD: Final = struct.Struct("<II")
_WORD_KEY: Final = re.compile(
    r"(?:^|.*[._])(?:id|symbol|instrument|ticker|order|trade|account)|.*(?:Id|ID)|.*_id"
)
_EXACT_BELOW: Final = 2**53


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        offset: of its first byte in the file.
        size: of it, compressed.
        raw_size: of the lines.
        lines: how many.
        first: the earliest time of a line, as `line.time_text`.
        last: the latest.
        severities: OTLP's numbers that occur.
        categories: that occur; "" for lines without one.
        bloom: of trace ids, ids and symbols.
    """

    offset: int
    size: int
    raw_size: int
    lines: int
    first: str
    last: str
    severities: frozenset[int]
    categories: frozenset[str]
    bloom: bytes = field(repr=False)

    def may_hold(self, word: str) -> bool:
        """False only where no line has this word as an id or symbol."""
        return may_hold(self.bloom, word)


def index_path(path: Path) -> Path:
    """Where the index of a file stands."""
    return path.with_name(path.name + ".idx")


def compress(path: Path, codec: Codec | None = None) -> Path:
    """Compress a full file, which is then gone; the new file's path.

    Under a temporary name, written through to the disk, then renamed: whenever this ends, either the old file
    or the new one is whole. Raises OSError.
    """
    codec = codec or best()
    done = path.with_name(path.name + codec.suffix)
    temporary = _temporary(done)
    try:
        frames = _written_frames(path, temporary, codec)
        _write_index(index_path(done), frames)
    except OSError:
        for left in (temporary, _temporary(index_path(done))):
            with suppress(OSError):
                left.unlink(missing_ok=True)
        raise
    temporary.rename(done)
    path.unlink()
    _sync_folder(path.parent)
    return done


def _written_frames(path: Path, target_path: Path, codec: Codec) -> list[Frame]:
    frames: list[Frame] = []
    with path.open("rb") as source, _private(target_path) as target:
        for block in _blocks(source):
            frame = codec.compress(block)
            frames.append(_described(block, target.tell(), len(frame)))
            target.write(frame)
        target.flush()
        os.fsync(target.fileno())
    return frames


def read_index(path: Path) -> tuple[Frame, ...] | None:
    """The frames of a file as its index tells; None where there is none that is whole."""
    try:
        data = index_path(path).read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + _HEAD.size
    if len(data) < head or not data.startswith(_MAGIC):
        return None
    size, check = _HEAD.unpack_from(data, len(_MAGIC))
    if zlib.crc32(data[head:]) != check:
        return None
    blooms = memoryview(data)[head + size :]
    frames: list[Frame] = []
    at = 0
    for told in json.loads(data[head : head + size]):
        offset, compressed, raw, lines, first, last, severities, categories, length = told
        bloom = bytes(blooms[at : at + length])
        at += length
        frames.append(
            Frame(
                offset,
                compressed,
                raw,
                lines,
                first,
                last,
                frozenset(severities),
                frozenset(categories),
                bloom,
            )
        )
    return tuple(frames)


def words_of(line: Mapping[str, Any]) -> Iterator[str]:
    """What a line can be found by through the index: its trace, and fields that are ids or symbols."""
    trace = line.get("trace_id")
    if isinstance(trace, str):
        yield trace
    fields: Any = line.get("fields")
    if isinstance(fields, dict):
        yield from _field_words(fields, "")


def _field_words(fields: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in fields.items():
        path = f"{above}{key}"
        if isinstance(value, dict):
            yield from _field_words(value, f"{path}.")
        elif isinstance(value, str):
            if value and is_word_key(path):
                yield value
        elif isinstance(value, int | float) and not isinstance(value, bool) and is_word_key(path):
            yield number_word(value)


def number_word(value: float) -> str:
    """A number in one way however it was written: 5 and 5.0 are the same."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_BELOW:
        return str(int(value))
    return str(value)


def is_word_key(key: str) -> bool:
    """Whether values of this field are in the index."""
    return _WORD_KEY.fullmatch(key) is not None


def _blocks(source: Any) -> Iterator[bytes]:
    """Whole lines, about 1 MiB at a time."""
    while block := source.read(FRAME_BYTES):
        yield block if block.endswith(b"\n") else block + source.readline()


def _described(block: bytes, offset: int, size: int) -> Frame:
    words: set[str] = set()
    times: list[str] = []
    severities: set[int] = set()
    categories: set[str] = set()
    lines = 0
    for line in _parsed(block):
        lines += 1
        times.append(str(line.get("time", "")))
        severities.add(int(line.get("severity", 0)))
        categories.add(str(line.get("category", "")))
        words.update(words_of(line))
    first, last = (min(times), max(times)) if times else ("", "")
    return Frame(
        offset,
        size,
        len(block),
        lines,
        first,
        last,
        frozenset(severities),
        frozenset(categories),
        bloom_of(words),
    )


def _parsed(block: bytes) -> Iterator[dict[str, Any]]:
    for text in block.splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # somebody wrote into the file
            continue
        if isinstance(line, dict):
            yield line


def _write_index(path: Path, frames: Iterable[Frame]) -> None:
    frames = list(frames)
    table = json.dumps(
        [
            (
                frame.offset,
                frame.size,
                frame.raw_size,
                frame.lines,
                frame.first,
                frame.last,
                sorted(frame.severities),
                sorted(frame.categories),
                len(frame.bloom),
            )
            for frame in frames
        ]
    ).encode()
    body = table + b"".join(frame.bloom for frame in frames)
    temporary = _temporary(path)
    with _private(temporary) as target:
        target.write(_MAGIC + _HEAD.pack(len(table), zlib.crc32(body)) + body)
        target.flush()
        os.fsync(target.fileno())
    temporary.rename(path)


def _temporary(path: Path) -> Path:
    """The name of a file that is not whole yet."""
    return path.with_name(f".{path.name}.new")


def _private(path: Path) -> Any:
    """A new file that only its owner reads, in place of one that an earlier attempt left."""
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def frames_without_index(data: bytes, suffix: str) -> Iterator[tuple[int, bytes | None]]:
    """Frames of a file whose index is not there: where each begins, and its lines; None for a damaged one."""
    codec = of_suffix(suffix)
    magic = b"\x28\xb5\x2f\xfd" if suffix == ".zst" else b"\x1f\x8b\x08"
    starts = _starts(data, magic)
    position = 0
    while position < len(starts):
        start = starts[position]
        for ahead in range(position + 1, min(position + 4, len(starts) + 1)):  # the magic may occur inside
            end = starts[ahead] if ahead < len(starts) else len(data)
            lines = _tried(codec, data[start:end])
            if lines is not None:
                yield start, lines
                position = ahead
                break
        else:
            yield start, None
            position += 1


def _starts(data: bytes, magic: bytes) -> list[int]:
    found: list[int] = []
    at = data.find(magic)
    while at >= 0:
        found.append(at)
        at = data.find(magic, at + 1)
    return found


def _tried(codec: Codec, frame: bytes) -> bytes | None:
    try:
        return codec.decompress(frame, None)
    except FrameError:
        return None
