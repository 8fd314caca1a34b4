"""Codec: how frames of full log files are compressed: zstd where Python or a package has it, else gzip."""

from __future__ import annotations

import gzip
import importlib
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

__all__ = ["Codec", "FrameError", "best", "of_suffix"]

_LEVEL: Final = 3
_GZIP_LEVEL: Final = 6
MAX_FRAME_BYTES: Final = 64 << 20
"""A frame that says it is larger is damaged, or somebody's trap."""


class FrameError(ValueError):
    """Bytes of a frame that are damaged, or that nothing installed can read."""


class Codec(Protocol):
    """Compresses one frame at a time; a frame is a whole file of its format."""

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        ...

    def compress(self, data: bytes) -> bytes:
        """A frame."""
        ...

    def decompress(self, frame: bytes, size: int | None) -> bytes:
        """The `size` bytes that it was made of; None is any number up to 64 MiB. Raises `FrameError`."""
        ...


@dataclass(frozen=True, slots=True)
class _Zstandard:
    """The package `zstandard`."""

    module: Any
    suffix: str = ".zst"

    def compress(self, data: bytes) -> bytes:
        return self.module.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data)

    def decompress(self, frame: bytes, size: int | None) -> bytes:
        try:
            return _sized(self.module.ZstdDecompressor().decompress(frame, max_output_size=_most(size)), size)
        except self.module.ZstdError as error:
            raise FrameError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Standard:
    """`compression.zstd` of Python 3.14, or its back-port."""

    module: Any
    suffix: str = ".zst"

    def compress(self, data: bytes) -> bytes:
        options = {
            self.module.CompressionParameter.compression_level: _LEVEL,
            self.module.CompressionParameter.checksum_flag: 1,
        }
        return self.module.compress(data, options=options)

    def decompress(self, frame: bytes, size: int | None) -> bytes:
        try:
            return _sized(self.module.ZstdDecompressor().decompress(frame, max_length=_most(size) + 1), size)
        except (self.module.ZstdError, EOFError) as error:
            raise FrameError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Gzip:
    """The standard library's; `zcat` reads it."""

    suffix: str = ".gz"

    def compress(self, data: bytes) -> bytes:
        return gzip.compress(data, _GZIP_LEVEL, mtime=0)

    def decompress(self, frame: bytes, size: int | None) -> bytes:
        reader = zlib.decompressobj(wbits=31)
        try:
            data = reader.decompress(frame, _most(size) + 1)
        except zlib.error as error:
            raise FrameError(str(error)) from None
        if not reader.eof:
            raise FrameError("the frame is not whole")
        return _sized(data, size)


@cache
def best() -> Codec:
    """What is installed."""
    return _zstd() or _Gzip()


def of_suffix(suffix: str) -> Codec:
    """What reads files of this ending. Raises `FrameError` when nothing installed does."""
    if suffix == ".gz":
        return _Gzip()
    found = _zstd() if suffix == ".zst" else None
    if found is None:
        raise FrameError(f"nothing that reads {suffix} is installed: 'pip install zstandard' does for .zst")
    return found


@cache
def _zstd() -> Codec | None:
    for name, kind in (
        ("compression.zstd", _Standard),
        ("backports.zstd", _Standard),
        ("zstandard", _Zstandard),
    ):
        try:
            return kind(importlib.import_module(name))
        except ImportError:
            continue
    return None


def _most(size: int | None) -> int:
    if size is not None and size > MAX_FRAME_BYTES:
        raise FrameError(f"expected at most {MAX_FRAME_BYTES} bytes in a frame, got {size}")
    return MAX_FRAME_BYTES if size is None else size


def _sized(data: bytes, size: int | None) -> bytes:
    if size is not None and len(data) != size:
        raise FrameError(f"expected {size} bytes, got {len(data)}")
    return data
