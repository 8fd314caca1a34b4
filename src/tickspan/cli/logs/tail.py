"""`tickspan logs tail`: lines of all processes as they are written."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.logs.options import add_place, add_query, directory_of
from tickspan.cli.logs.search import query_text
from tickspan.cli.logs.shown import shown

if TYPE_CHECKING:
    from tickspan.logs.query import Query

__all__ = ["NAME", "SUMMARY", "Follower", "add_options", "run"]

NAME: Final = "tail"
SUMMARY: Final = "lines of all processes as they are written"
_PACE_S: Final = 0.1
_LAST_BYTES: Final = 1 << 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_query(parser)
    parser.add_argument(
        "-n", "--lines", type=_count, default=10, metavar="N", help="old lines to begin with (10)"
    )
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="end after so long")
    add_place(parser)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of lines, got {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Print lines until interrupted: exit status 130 then, 0 after `--seconds`."""
    from tickspan.logs.query import Query, QueryError  # the verb's own, and slow to import

    try:
        query = Query.of(
            query_text(options.query), trace=options.trace, order=options.order, grep=options.grep
        )
    except QueryError as error:
        raise CommandError(str(error)) from None
    follower = Follower(directory_of(options), options.prefix)
    try:
        _follow(follower, query, options)
    finally:
        follower.close()
    return 0


def _follow(follower: Follower, query: Query, options: argparse.Namespace) -> None:
    """Old lines by time, then new ones as they come."""
    deadline_s = time.monotonic() + options.seconds if options.seconds else float("inf")
    old = sorted(_met(follower, query), key=lambda line: str(line.get("time", "")))
    _print(old[len(old) - min(options.lines, len(old)) :], options)
    while time.monotonic() < deadline_s:
        time.sleep(_PACE_S)
        _print(_met(follower, query), options)


def _met(follower: Follower, query: Query) -> Iterator[Mapping[str, Any]]:
    """New lines that meet the query."""
    for text in follower.new_lines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and query.holds(line, text):
            yield line


def _print(lines: Iterable[Mapping[str, Any]], options: argparse.Namespace) -> None:
    for line in lines:
        print(shown(line, is_json=options.json), flush=True)


class Follower:
    """Lines that were added to a folder's files since the last look; the last of each at the first look.

    Files stay open: one that is full, compressed and gone between two looks is read to its end.
    """

    def __init__(self, folder: Path, prefix: str | None = None) -> None:
        self._folder = folder
        self._prefix = prefix
        self._open: dict[Path, _Followed] = {}
        self._has_looked = False

    def __repr__(self) -> str:
        return f"<Follower {self._folder}, {len(self._open)} files>"

    def close(self) -> None:
        """Let go of all files."""
        for followed in self._open.values():
            followed.file.close()
        self._open.clear()

    def new_lines(self) -> Iterator[str]:
        """Whole lines only: one that is being written comes next time. Of each file in its order."""
        from tickspan.logs.names import files_in  # the verb's own, and slow to import

        names = [name for name in files_in(self._folder, self._prefix) if not name.suffix]
        for name in names:
            if name.path not in self._open:
                with suppress(OSError):
                    self._open[name.path] = _Followed(name.path.open("rb"))
                    if not self._has_looked:
                        self._open[name.path].skip_to_last()
        self._has_looked = True
        there = {name.path for name in names}
        for path, followed in list(self._open.items()):
            yield from followed.new_lines()
            if path not in there or followed.is_replaced(path):
                yield from followed.new_lines()  # what came before it was let go of
                followed.file.close()
                del self._open[path]


@dataclass(slots=True)
class _Followed:
    """An open file, read up to the end of a line."""

    file: BinaryIO

    def skip_to_last(self) -> None:
        """Begin not far from its end, at the begin of a line."""
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(max(0, size - _LAST_BYTES))
        if size > _LAST_BYTES:
            self.file.readline()

    def new_lines(self) -> Iterator[str]:
        """What was added."""
        start = self.file.tell()
        if os.fstat(self.file.fileno()).st_size < start:  # somebody has cut it off
            start = 0
        self.file.seek(start)
        data = self.file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.file.seek(start + len(whole))
        for text in whole.split(b"\n")[:-1]:
            yield text.decode(errors="replace")

    def is_replaced(self, path: Path) -> bool:
        """Whether another file has its name now."""
        held = os.fstat(self.file.fileno())
        try:
            named = path.stat()
        except OSError:
            return True
        return (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino)
