"""`tickspan profile record --pid N`: ask a running program for a profile, by a file in the spool's folder."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tickspan.cli.errors import CommandError
from tickspan.cli.profile import files
from tickspan.cli.queries.options import spool_of

__all__ = ["NAME", "SUMMARY", "UNANSWERED", "add_options", "run"]

NAME: Final = "record"
SUMMARY: Final = "sample a program that runs under tickspan for a while, without stopping it"
UNANSWERED: Final = 3
_TAKEN_S: Final = 5.0
_ANSWER_S: Final = 10.0
_HEAP_ANSWER_S: Final = 60.0
"""A heap of which much has been seen takes seconds to be told."""
_LOOK_S: Final = 0.05


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--pid", type=int, required=True, metavar="PID", help="the process")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long (10, 600 at most)")
    parser.add_argument("--hz", type=files.checked_hz, default=99.0, metavar="HZ", help="looks a second (99)")
    parser.add_argument(
        "--heap",
        nargs="?",
        const="tracemalloc",
        default="",
        choices=("tracemalloc", "memray"),
        help="where memory is allocated meanwhile that is still in use at the end, in place of where threads"
        " are; with memray, C libraries too. The program is slower for so long",
    )
    parser.add_argument(
        "--frames", type=int, default=8, metavar="N", help="of each allocation, with --heap (8, 25 at most)"
    )
    files.add_output(parser)
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )


def run(options: argparse.Namespace) -> int:
    """Ask, wait, write."""
    from tickspan.profiler import control  # the verb's own

    try:
        request = control.Request.load(
            control.Request(
                secrets.token_hex(8), options.seconds, options.hz, options.heap, options.frames
            ).dump()
        )
    except ValueError as error:
        raise CommandError(str(error)) from None
    if not _is_alive(options.pid):
        raise CommandError(f"--pid: no process {options.pid}")
    spool = spool_of(options)
    asked, answer = (
        control.request_path(spool, options.pid),
        control.answer_path(spool, options.pid, request.id),
    )
    try:
        control.ask(spool, options.pid, request)
    except OSError as error:
        raise CommandError(f"{spool}: {error.strerror}") from None
    try:
        _wait(options, spool, asked, answer)
    finally:  # also when somebody interrupts: nothing is to be sampled for nobody
        with suppress(OSError):
            asked.unlink()
    _refuse_if_declined(answer, options.pid)
    profile = files.read(answer)
    with suppress(OSError):
        answer.unlink()
    for output in options.output or [Path("profile.html")]:
        files.write(profile, output)
        print(f"{profile!r} written to {output}")
    return 0


def _wait(options: argparse.Namespace, spool: Path, asked: Path, answer: Path) -> None:
    """Until there is an answer. Raises `CommandError`."""
    pid: int = options.pid
    if not _until(lambda: not asked.exists() or not _is_alive(pid), _TAKEN_S):
        raise CommandError(
            f"process {pid} does not look into {spool}: run it by tickspan, with profiler.control on"
            " and the same spool",
            UNANSWERED,
        )
    if sys.stderr.isatty():
        print(f"process {pid} is sampled for {options.seconds:g} s", file=sys.stderr)
    patience_s = options.seconds + (_HEAP_ANSWER_S if options.heap else _ANSWER_S)
    if not _until(lambda: answer.exists() or not _is_alive(pid), patience_s):
        raise CommandError(f"process {pid} took the request and did not answer", UNANSWERED)
    if not answer.exists():
        raise CommandError(f"process {pid} ended before it answered", UNANSWERED)


def _refuse_if_declined(answer: Path, pid: int) -> None:
    from tickspan.profiler import control  # the verb's own

    with suppress(OSError):
        said = answer.read_bytes()
        if said.startswith(control.DECLINED):
            answer.unlink()
            why = said.removeprefix(control.DECLINED).decode(errors="replace")
            raise CommandError(f"process {pid} declined: {why}", UNANSWERED)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _until(holds: Callable[[], bool], timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_LOOK_S)
    return True
