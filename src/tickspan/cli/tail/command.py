"""`tickspan tail`: options, and the loop that looks, collects and prints."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tickspan.cli.durations import duration_s

if TYPE_CHECKING:
    from tickspan.cli.tail.assembly import Ended
    from tickspan.cli.tail.block import Wanted

__all__ = ["TailCommand"]

_PACE_S: Final = 0.1
_NS_PER_S: Final = 1e9


class TailCommand:
    """Exit status 0 when it ends, by an interrupt, a limit or a closed pipe."""

    name = "tail"
    summary = "show each trace of the programs on this host as it ends"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="a line of JSON for each trace")
        parser.add_argument(
            "--service", action="append", metavar="NAME", help="programs of this service.name; repeatable"
        )
        parser.add_argument(
            "--min-duration",
            type=duration_s,
            default=0.0,
            metavar="TIME",
            help="traces that took as long, such as 50ms or 2s",
        )
        parser.add_argument("--errors", action="store_true", help="traces in which something failed")
        parser.add_argument("--orders", action="store_true", help="traces of orders")
        parser.add_argument(
            "--since",
            type=duration_s,
            metavar="TIME",
            help="begin with what ended this long ago and still lies in the spool, such as 90s, 15m or 2h",
        )
        parser.add_argument("-n", "--limit", type=_count, metavar="N", help="end after so many traces")
        parser.add_argument("--seconds", type=duration_s, metavar="TIME", help="end after so long")
        parser.add_argument(
            "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
        )

    def run(self, options: argparse.Namespace) -> int:
        """Print traces until interrupted."""
        try:
            _begin(options)
        except KeyboardInterrupt:
            return 0
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end
        return 0


def _begin(options: argparse.Namespace) -> None:
    from tickspan_spool.spool import SpoolPlan  # the verb's own, and slow to import

    from tickspan.cli.tail.block import Wanted

    since_ns = time.time_ns() - round((options.since or 0.0) * _NS_PER_S)
    directory = options.directory or SpoolPlan.from_environment(os.environ).directory
    wanted = Wanted(
        frozenset(options.service or ()),
        options.min_duration,
        options.errors,
        options.orders,
        since_ns,
    )
    if sys.stderr.isatty():
        print(f"waiting for traces in {directory}; Ctrl-C ends", file=sys.stderr)
    _follow(directory, wanted, options)


def _follow(directory: Path, wanted: Wanted, options: argparse.Namespace) -> None:
    from tickspan.cli.tail.assembly import Assembly
    from tickspan.cli.tail.following import SpoolFollower  # protobuf: nothing else of this verb needs it

    assembly, printer = Assembly(), _Printer(wanted, options)
    deadline_s = float("inf") if options.seconds is None else time.monotonic() + options.seconds
    with closing(SpoolFollower(directory, from_begin=options.since is not None)) as follower:
        while not printer.is_full:
            now_s = time.monotonic()
            printer.print(assembly.add(follower.new_spans(), now_s))
            printer.print(assembly.over(now_s))
            if now_s >= deadline_s:
                printer.print(assembly.rest())
                return
            if not printer.is_full:
                time.sleep(_PACE_S)


class _Printer:
    """Prints what is wanted, up to the limit."""

    def __init__(self, wanted: Wanted, options: argparse.Namespace) -> None:
        self._wanted = wanted
        self._is_json: bool = options.json
        self._left: int | None = options.limit
        self._has_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self._left == 0

    def print(self, traces: Iterable[Ended]) -> None:
        """Each as one write: what reads us never gets half a trace."""
        from tickspan.cli.tail.block import block, record

        for trace in traces:
            if self.is_full or not self._wanted.accepts(trace):
                continue
            if self._is_json:
                text = record(trace)
            else:
                columns = shutil.get_terminal_size((100, 24)).columns
                text = block(trace, columns, has_colours=self._has_colours) + "\n"
            print(text, flush=True)
            if self._left is not None:
                self._left -= 1


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number of traces, got '{text}'")
    return int(text)
