"""Surroundings that programs find themselves in: `python awkward.py WAY`."""

import gc
import logging
import os
import random
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import witness


def records_when_told():
    """So many of each signal as a line of standard input says."""
    witness.start()
    for line in sys.stdin:
        witness.everything(int(line))
        witness.note("told")


def looks_for_children():
    """Once an agent runs, nothing of it is a child of this process."""
    witness.start()
    witness.everything(10)
    while not _agents():
        time.sleep(0.01)
    try:
        found = os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        found = None
    pid = _child_that_lives_for(0.1)
    witness.note("children", found=found, waited=os.wait()[0] - pid)


def _child_that_lives_for(seconds: float) -> int:
    pid = os.fork()
    if not pid:
        time.sleep(seconds)
        os._exit(0)
    return pid


def _agents() -> list[Path]:
    return list(Path(os.environ["TICKSPAN_SPOOL_DIR"]).glob("v1/agents/*.status.json"))


def has_closed_streams():
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    witness.start()
    witness.everything(10)


def has_no_directory():
    Path("gone").mkdir()
    os.chdir("gone")
    Path("../gone").rmdir()
    witness.start()
    witness.everything(10)


def is_embedded():
    """An interpreter inside another program: `sys.executable` is empty, or that program."""
    sys.executable = ""
    witness.start()
    witness.everything(10)
    witness.end_of_main()


def just_records():
    witness.start()
    witness.everything(10)
    witness.end_of_main()


def is_first_process():
    witness.start()
    witness.everything(10)
    witness.note("pid", number=os.getpid())
    witness.end_of_main()


def compares_its_surroundings():
    """What belongs to the application, before and after telemetry."""
    logging.basicConfig(level=logging.ERROR)
    random.Random(1)
    before = _surroundings()
    witness.start()
    witness.everything(100)
    after = _surroundings()
    witness.note("changed", names=[name for name in before if before[name] != after[name]])


def _others_callbacks() -> list[object]:
    """Who is called by the garbage collector beside us, who note its pauses."""
    return [
        one
        for one in gc.callbacks
        if not type(getattr(one, "__self__", None)).__module__.startswith("tickspan")
    ]


def _surroundings() -> dict[str, Any]:
    root = logging.getLogger()
    numbers = [number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP}]
    return {
        "random": random.getstate(),
        "numpy": _numpy_state(),
        "excepthook": sys.excepthook,
        "threading.excepthook": threading.excepthook,
        "unraisablehook": sys.unraisablehook,
        "displayhook": sys.displayhook,
        "signals": [signal.getsignal(number) for number in numbers],
        "signal mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "timers": signal.getitimer(signal.ITIMER_REAL),
        "gc": (
            gc.isenabled(),
            gc.get_threshold(),
            gc.get_debug(),
            _others_callbacks(),
            gc.get_freeze_count(),
        ),
        "switch interval": sys.getswitchinterval(),
        "recursion limit": sys.getrecursionlimit(),
        "trace": (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
        "root logger": (
            list(root.handlers),
            root.level,
            list(root.filters),
            root.disabled,
            root.manager.disable,
        ),
        "logging": (logging.lastResort, logging.getLoggerClass(), logging.getLogRecordFactory()),
        "captured warnings": warnings.showwarning,
        "warnings": [
            entry for entry in warnings.filters if "opentelemetry" not in str(entry)
        ],  # the SDK's own
        "directory": Path.cwd(),
        "umask": _umask(),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "path": list(sys.path),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "affinity": os.sched_getaffinity(0),
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _numpy_state() -> Any:
    try:
        import numpy as np
    except ImportError:
        return None
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - the global state is the point
    return kind, str(keys.tobytes()), rest  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    globals()[sys.argv[1]]()
