"""User code that raises, is slow, or answers nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..case import Case, Rules  # noqa: TID252

_SPEAKS: Final = Rules(is_silent=False, stderr_bytes=4096)
_SLOW: Final = Rules(is_silent=False, longest_ms=250.0, exit_s=4.0)
_RECORDS: Final = ("traces", "logs")
_BROKEN: Final = ("raises", "recurses", "returns nonsense")


def _ways(name: str, act: str, *ways: str, **settings: Any) -> Iterator[Case]:
    for way in ways:
        rules = _SLOW if way == "dawdles" else _SPEAKS
        yield Case(f"{name} {way}", "user code", act, {"way": way, **settings}, rules=rules)


CASES: Final = (
    *_ways(
        "a span processor's on_start", "user processor", "raises", "recurses", "dawdles", methods=["on_start"]
    ),
    *_ways(
        "a span processor's on_end", "user processor", "raises", "recurses", "dawdles", methods=["on_end"]
    ),
    *_ways("a span processor's _on_ending", "user processor", "raises", methods=["_on_ending"]),
    *_ways("a span processor's shutdown", "user processor", "raises", methods=["shutdown", "force_flush"]),
    *_ways("the first span processor", "user processor first", "raises"),
    *_ways("a log processor", "user log processor", "raises"),
    *_ways("a sampler", "user sampler", "raises", "recurses", "dawdles"),
    *_ways("an id generator", "user ids", "raises"),
    *(
        Case(
            f"an id generator gives ids that are {way}", "user code", "user ids", {"way": way}, rules=_SPEAKS
        )
        for way in ("zero", "too wide", "text", "negative")
    ),
    *_ways("a second exporter", "user exporter", "raises", "dawdles"),
    Case(
        "a second exporter, simple processor, raises",
        "user code",
        "user exporter",
        {"way": "raises", "simple": True},
        rules=Rules(is_silent=False, stderr_bytes=40_000),
        why="the SDK's own processor prints each error",
    ),
    *_ways("a metric callback", "user callback", *_BROKEN),
    Case("a handler of the root logger records", "user code", "user log handler"),
    Case(
        "SystemExit in a processor passes",
        "user code",
        "user exit in hook",
        rules=Rules(status=9, judges=_RECORDS, lost=1, is_silent=False, has_ledger=False),
    ),
    Case("the application's random numbers", "user code", "user random", is_quick=True),
)
