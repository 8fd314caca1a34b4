"""Load: bursts, threads, exhausted descriptors."""

from __future__ import annotations

from typing import Final

from ..case import Case, Rules  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_SPANS: Final = Rules(judges=("traces",))

CASES: Final = (
    Case(
        "20,000 spans in one burst",
        "load",
        "burst",
        {"count": 20_000},
        patience_s=15.0,
        rules=_SPANS,
        is_quick=True,
    ),
    Case(
        "20,000 spans in one burst, nobody listens",
        "load",
        "burst",
        {"count": 20_000},
        link=down(Mode.REFUSE),
        patience_s=15.0,
        rules=_SPANS,
    ),
    Case("8 threads at once", "load", "threads", {"threads": 8, "count": 150}, rules=Rules(longest_ms=400.0)),
    Case(
        "100 threads at once", "load", "threads", {"threads": 100, "count": 10}, rules=Rules(longest_ms=600.0)
    ),
    Case("a thread for each record", "load", "short threads"),
    Case(
        "a signal handler records inside of recording", "load", "signal handler", rules=_SPANS, is_quick=True
    ),
    Case("spans end in the garbage collector", "load", "collected by gc", rules=_SPANS),
    Case("no descriptor left for a second", "load", "descriptors", is_quick=True),
    Case(
        "no descriptor left before the set-up",
        "load",
        "several",
        {"before_descriptors": 9},
        rules=Rules(is_silent=False),
    ),
    Case("no thread can be started", "load", "suppressed thread start"),
    Case("all descriptors closed by the application", "load", "other sockets", is_quick=True),
    Case("the application waits for its children", "load", "child process is ours"),
    Case("60 spans of 100 KiB", "load", "fat spans", rules=_SPANS),
    Case("5,000 series of one counter", "load", "many series", rules=Rules(is_silent=False)),
)
