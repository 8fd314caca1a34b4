"""A process that asks a cache for the keys of a trace, and tells how many were there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks.data.contenders import library_of
from benchmarks.data.traces import TRACES, Trace
from benchmarks.sidebyside.lines import answer, questions

_KEYS_PER_ENTRY: Final[Mapping[str, float]] = {"loop": 1.25}
_MANY: Final = 10.0


def main(contender: str) -> None:
    """Answer each question `{"trace", "requests", "capacity", "seed"}` with the share of hits by policy."""
    library = library_of(contender)
    answer({"library": library.version, "policies": list(library.replays)})
    for question in questions():
        capacity, name = question["capacity"], question["trace"]
        keys = int(capacity * _KEYS_PER_ENTRY.get(name, _MANY))
        asked = list(TRACES[name](Trace(question["requests"], keys, question["seed"])))
        told: dict[str, Any] = {
            policy: _share(make(capacity), asked) for policy, make in library.replays.items()
        }
        answer(told)


def _share(ask: Callable[[int], bool], keys: Sequence[int]) -> float:
    """Of the second half: in the first one the cache fills, and those that learn do."""
    hits = list(map(ask, keys))
    later = hits[len(hits) // 2 :]
    return sum(later) / len(later)


if __name__ == "__main__":
    main(*sys.argv[1:])
