"""`tickspan profile -- COMMAND`: run a program sampled, and write its profile when it has ended.

The program writes it as it exits; one that is killed leaves none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tickspan.cli.errors import CommandError
from tickspan.cli.profile import files
from tickspan.cli.run import NOT_FOUND, command_of, environment

__all__ = ["add_options", "run"]

_DEFAULT_HZ: Final = 99.0
_BUDGET: Final = "0.05"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    files.add_output(parser)
    parser.add_argument(
        "--hz", type=files.checked_hz, default=_DEFAULT_HZ, metavar="HZ", help="looks a second (99)"
    )


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Run it; returns its exit status."""
    command = command_of(words)
    program = shutil.which(command[0])
    if program is None:
        raise CommandError(f"no program '{command[0]}' on PATH", NOT_FOUND)
    with tempfile.TemporaryDirectory(prefix="tickspan-") as folder:
        path = Path(folder, "run.profile")
        status = _ended(program, command, _environment(options, os.environ, path))
        if not path.exists():
            raise CommandError(
                f"the program left no profile; it ended with status {status}. One that is killed, or ends by"
                " os._exit, leaves none, nor does what is not Python",
                status or 1,
            )
        profile = files.read(path)
    for output in options.output or [Path("profile.html")]:
        files.write(profile, output)
        print(f"{profile!r} written to {output}")
    return status


def _environment(options: argparse.Namespace, inherited: Mapping[str, str], path: Path) -> dict[str, str]:
    """As of `tickspan run`, with the profiler switched on."""
    launcher = argparse.Namespace(
        endpoint=None, service_name=None, config=None, preset=None, debug=False, subprocesses=False
    )
    return {
        **environment(launcher, inherited),
        "TICKSPAN_PROFILER_MODE": "continuous",
        "TICKSPAN_PROFILER_HZ": str(options.hz),
        "TICKSPAN_PROFILER_CPU_BUDGET": _BUDGET,
        "TICKSPAN_PROFILER_FILE": str(path),
    }


def _ended(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Its status, as a shell tells it. An interrupt is the program's to handle, and so is a termination."""
    started = subprocess.Popen(command, executable=program, env=environ)  # noqa: S603 - running it is the point
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminated = signal.signal(signal.SIGTERM, lambda number, _frame: started.send_signal(number))
    try:
        status = started.wait()
    finally:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)
    return status if status >= 0 else 128 - status
