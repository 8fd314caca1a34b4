"""Becomes a background process, and then the program it was given. Run as a file, not imported by the agent.

`python -I -S detach.py PROGRAM [ARGUMENT ...]`: the process that was started ends within milliseconds, so
that its parent can reap it; its child goes on in a session of its own. The standard library is all there is.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

NICENESS = 10
OOM_SCORE = 500
"""Of 1000: when memory runs out, the kernel is to end the agent and not the strategy."""


def main(arguments: Sequence[str]) -> None:
    """Leave the parent and become the program; raises OSError when there is none."""
    if os.fork():
        os._exit(0)  # at once: nothing of this process may linger for the application's os.wait()
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    close_inherited()
    take_a_back_seat()
    os.execv(arguments[0], list(arguments))  # noqa: S606 - becoming it is the point


def close_inherited() -> None:
    """Close everything but the standard streams: a pipe held open here would keep its reader waiting."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - `pathlib` would be imported for this alone
        if int(name) > sys.stderr.fileno():
            with contextlib.suppress(OSError):  # the listing's own descriptor is in the listing
                os.close(int(name))


def take_a_back_seat() -> None:
    """Ordinary scheduling, low priority, away from the caller's cores, first to go when memory is short."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    with contextlib.suppress(OSError):
        _change_cores()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:  # noqa: PTH123 - as above
        file.write(b"%d" % max(OOM_SCORE, int(file.read())))


def _change_cores() -> None:
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the kernel keeps to what the control group allows
    os.sched_setaffinity(0, cores(pinned, os.sched_getaffinity(0), _isolated()))


def cores(pinned: set[int], possible: set[int], isolated: set[int]) -> set[int]:
    """Where the agent may run: not on cores that the application chose for itself, not on isolated ones."""
    shared = possible - isolated
    chosen = pinned if pinned < possible else set[int]()
    return shared - chosen or shared or possible


def _isolated() -> set[int]:
    try:
        with open("/sys/devices/system/cpu/isolated", encoding="ascii") as file:  # noqa: PTH123 - as above
            return parse_cores(file.read())
    except OSError:
        return set()


def parse_cores(text: str) -> set[int]:
    """Core numbers from the kernel's list, such as "2-5,7"."""
    found = set[int]()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
