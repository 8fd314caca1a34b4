"""Reading: the lines of log files, plain or compressed, in the order in which they were written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tickspan.logs.archive import frames_without_index, read_index
from tickspan.logs.codec import FrameError, of_suffix
from tickspan.logs.names import LogFileName, files_in

__all__ = ["audit_lines", "blocks_backwards", "blocks_of", "last_audit_line"]

_BLOCK_BYTES: Final = 1 << 20


def audit_lines(folder: Path, prefix: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Where each audit line stands (file and number), and its bytes; a damaged frame is one empty line.

    Of this very prefix, or of all.
    """
    for name in files_in(folder, prefix):
        if name.is_audit and prefix in {None, name.prefix}:
            number = 0
            for block in blocks_of(name):
                for text in (b"",) if block is None else block.removesuffix(b"\n").split(b"\n"):
                    number += 1
                    yield f"{name.path.name}:{number}", text


def last_audit_line(folder: Path, prefix: str) -> dict[str, Any] | None:
    """The newest whole audit line of this very prefix."""
    for name in reversed([one for one in files_in(folder, prefix) if one.is_audit and one.prefix == prefix]):
        for block in blocks_backwards(name):
            for text in reversed(block.split(b"\n")[:-1]):
                try:
                    line = json.loads(text)
                    if isinstance(line["audit"]["link"], int) and isinstance(line["audit"]["hash"], str):
                        return line
                except (ValueError, KeyError, TypeError):
                    continue
    return None


def blocks_backwards(name: LogFileName) -> Iterator[bytes]:
    """Whole lines of a file, the last ones first, about a frame at a time; what is damaged is left out."""
    if name.suffix:
        yield from (block for block in reversed(list(blocks_of(name))) if block is not None)
        return
    with suppress(OSError), name.path.open("rb") as file:
        begin = file.seek(0, os.SEEK_END)
        rest = b""
        while begin:
            before = max(0, begin - _BLOCK_BYTES)
            file.seek(before)
            data = file.read(begin - before) + rest
            first, end, whole = data.partition(b"\n") if before else (b"", b"", data)
            begin, rest = before, first + end
            if whole:
                yield whole


def blocks_of(name: LogFileName) -> Iterator[bytes | None]:
    """Whole lines of a file, some at a time; None in place of a frame that is damaged."""
    try:
        data = name.path.read_bytes()
    except OSError:
        yield None
        return
    if not name.suffix:
        yield data
        return
    index = read_index(name.path)
    if index is None:
        for _, lines in frames_without_index(data, name.suffix):
            yield lines
        return
    codec = of_suffix(name.suffix)
    for frame in index:
        try:
            yield codec.decompress(data[frame.offset : frame.offset + frame.size], frame.raw_size)
        except FrameError:
            yield None
