"""Each way to exit; each with a healthy network, and some with a dead one."""

from __future__ import annotations

from typing import Any, Final

from ..case import BATCH, Case, Outrage, Rules  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_RECORDS: Final = ("traces", "logs")
"""The counter's last value is collected at an orderly end only: a crash is not one."""


def _crash(status: int, **given: Any) -> Rules:
    return Rules(status=status, judges=_RECORDS, may_wait=True, **given)


CASES: Final = (
    Case("falls off the end", "exit", "end normally"),
    Case("exception", "exit", "end by exception", rules=Rules(status=1, is_silent=False)),
    Case("MemoryError", "exit", "end with sudden loss of memory", rules=Rules(status=1, is_silent=False)),
    Case("sys.exit(3)", "exit", "end by sys exit", rules=Rules(status=3)),
    Case("os._exit(4)", "exit", "end by os exit", rules=_crash(4), is_quick=True),
    Case("SIGTERM, default", "exit", "end by signal", {"signal": "SIGTERM"}, rules=_crash(-15)),
    Case("SIGTERM, handled", "exit", "end by handled sigterm"),
    Case("SIGINT", "exit", "end by signal", {"signal": "SIGINT"}, rules=Rules(status=-2, is_silent=False)),
    Case("SIGHUP", "exit", "end by signal", {"signal": "SIGHUP"}, rules=_crash(-1)),
    Case("SIGKILL", "exit", "end by signal", {"signal": "SIGKILL"}, rules=_crash(-9), is_quick=True),
    Case("segmentation fault", "exit", "end by fault", rules=_crash(-11)),
    Case("abort", "exit", "end by abort", rules=_crash(-6)),
    Case("os.execv", "exit", "end by exec", rules=Rules(judges=_RECORDS)),
    Case("daemon threads record at exit", "exit", "end with daemon threads", rules=Rules(judges=_RECORDS)),
    Case("threads outlive the main thread", "exit", "end with late threads"),
    Case(
        "atexit handlers record",
        "exit",
        "end with atexit",
        {"before_atexit": True},
        rules=Rules(judges=_RECORDS),
    ),
    Case("an object records when it is destroyed", "exit", "end with objects", rules=Rules(judges=_RECORDS)),
    Case(
        "records after an explicit shutdown",
        "exit",
        "shut down and go on",
        rules=Rules(lost=40, is_silent=False),
    ),
    Case(
        "falls off the end, black hole",
        "exit",
        "end normally",
        link=down(Mode.BLACK_HOLE),
        rules=Rules(doubled=BATCH),
        is_quick=True,
    ),
    Case("sys.exit(3), refused", "exit", "end by sys exit", link=down(Mode.REFUSE), rules=Rules(status=3)),
    Case(
        "SIGKILL, refused",
        "exit",
        "end by signal",
        {"signal": "SIGKILL"},
        link=down(Mode.REFUSE),
        rules=_crash(-9),
    ),
    Case(
        "exception, answers drip",
        "exit",
        "end by exception",
        link=down(Mode.DRIP),
        rules=Rules(status=1, doubled=BATCH, is_silent=False),
    ),
    Case(
        "SIGTERM from outside at a random moment",
        "exit",
        settings={"seconds": 3.0},
        rules=_crash(-15),
        outrage=Outrage.TERMINATE,
    ),
)
