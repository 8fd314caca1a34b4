"""Each way to fork."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..case import Case, Rules  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_RECORDS: Final = Rules(judges=("traces", "logs"), longest_ms=600.0)


def _methods(name: str, act: str) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"{name}, {method}",
            "fork",
            act,
            {"method": method},
            rules=Rules(longest_ms=600.0),
            is_quick=method == "fork",
        )
        for method in ("fork", "spawn", "forkserver")
    )


CASES: Final = (
    Case("os.fork, the child ends by os._exit", "fork", "fork", rules=_RECORDS, is_quick=True),
    Case("os.fork, the child returns", "fork", "fork and return"),
    Case("os.fork, five children", "fork", "fork", {"children": 5}, rules=_RECORDS),
    Case("os.fork before any record", "fork", "fork before records", rules=replace(_RECORDS, may_wait=True)),
    Case("os.fork while threads record", "fork", "fork while recording", rules=_RECORDS),
    Case("os.fork, three generations", "fork", "fork in generations", rules=_RECORDS),
    Case("os.fork with an open span", "fork", "fork with open span", rules=_RECORDS),
    Case("os.fork, the child is killed", "fork", "fork killed child", rules=_RECORDS),
    Case("os.fork, the parent ends first", "fork", "fork parent ends first", rules=_RECORDS),
    Case("os.fork, nobody listens", "fork", "fork", link=down(Mode.REFUSE), rules=_RECORDS),
    Case("daemon by a double fork", "fork", "daemonise", rules=_RECORDS),
    *_methods("multiprocessing.Process", "processes"),
    *_methods("ProcessPoolExecutor", "process pool"),
    Case("multiprocessing.Pool, terminated", "fork", "terminated pool", rules=_RECORDS),
    Case("programs as children", "fork", "child program"),
    Case("gunicorn, preloaded", "fork", "gunicorn", needs=("gunicorn",), rules=_RECORDS),
    Case("celery, prefork", "fork", "celery", needs=("celery",), rules=_RECORDS),
)
