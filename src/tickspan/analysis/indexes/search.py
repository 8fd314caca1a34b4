"""The search for the set of indexes that is worth most: greedy, then swaps, merges and drops.

A set is put together by what the library of plans lets guess, then verified by EXPLAINs; what they teach the
next round knows. EXPLAINs that are left go to the neighbours of the best set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from tickspan.analysis.indexes.ddl import column_of
from tickspan.analysis.indexes.library import Library, Task
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.indexes.worth import Worth, singly

__all__ = ["MIN_QUERY_GAIN", "Search"]

MIN_QUERY_GAIN: Final = 0.3
"""Share by which a statement's cost must fall through an index, or those of several together.

Less is within a cost model's error.
"""

_MIN_GAIN: Final = 0.002
"""Share of the workload that an index must be worth in any case."""

_SHARES: Final = ((0.75, 180), (0.9, 110), (1.0, 60))
"""Parts of the storage to search one after the other, and the EXPLAINs to keep for what comes after each."""

_ROOMS: Final = (1.0, 0.95, 0.9)
"""Parts of the storage, each searched for itself."""

_MAX_RISE: Final = 0.05
_PAGE: Final = 8192
_ROUNDS: Final = 12
_PASSES: Final = 4
_LARGEST_MOVE: Final = 3
_MOST_TOGETHER: Final = 5
_MAX_INCLUDES: Final = 5
_EXPONENTS: Final = (0.0, 0.5, 1.0)
"""Of an index's size, in what a step is worth; without a limit of storage size does not count."""


class Search:
    """One search.

    Args:
        tasks: statements, explored.
        library: what is known of their plans.
        worth: of sets.
        storage_bytes: that all chosen indexes may take; None for any.
        most: how many may be chosen; None for any.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        library: Library,
        worth: Worth,
        storage_bytes: int | None,
        most: int | None,
    ) -> None:
        self._library = library
        self._worth = worth
        self._storage = self._room = storage_bytes
        self._most = most
        used = [some for task in tasks for some in library.used_sets(task)]
        self._moves = list(dict.fromkeys([*singly(worth.pool), *_together(used)]))

    def best(self) -> list[IndexSpec]:
        """The best set that was found, what adds most first.

        A search that may use a little less at times finds what one that may use it all passes by; it knows
        all plans that were asked for before.
        """
        whole = self._storage
        rooms = [None] if whole is None else [int(whole * share) for share in _ROOMS]
        return self._ordered(max((self._settled(room) for room in rooms), key=self._worth.proven))

    def _settled(self, whole: int | None) -> int:
        """The best set of a storage, of indexes that some statement gains enough from."""
        chosen = 0
        moves = self._moves
        for _ in range(_PASSES):
            found = self._narrowed(self._grown(chosen, whole))
            chosen = self._without_weak(found)
            weak = found & ~chosen
            if not weak:
                break
            self._moves = [move for move in self._moves if not move & weak]
        self._moves = moves
        return chosen

    def _grown(self, chosen: int, whole: int | None) -> int:
        """The best set of a part of the storage, then of more of it: a search of the whole sticks earlier."""
        steps = _SHARES if whole is not None else _SHARES[-1:]
        for share, kept in steps:
            self._room = None if whole is None else int(whole * share)
            if not self._fits(chosen):
                continue
            chosen = self._polished(self._best_from(chosen), kept)
        return chosen

    def _best_from(self, best: int) -> int:
        exponents = (0.0,) if self._storage is None else _EXPONENTS
        for _ in range(_ROUNDS):
            asked = 0
            for exponent in exponents:
                chosen = self._improved(self._greedy(0, exponent))
                asked += self._worth.verify(chosen)
                best = max((best, chosen), key=self._worth.proven)
            chosen = self._improved(best)
            asked += self._worth.verify(chosen)
            best = max((best, chosen), key=self._worth.proven)
            if not asked:
                break
        return best

    # -- by guesses

    def _greedy(self, start: int, exponent: float) -> int:
        chosen = start
        while (step := self._best_step(chosen, exponent)) is not None:
            chosen = step
        return chosen

    def _best_step(self, chosen: int, exponent: float) -> int | None:
        best: int | None = None
        best_score = 0.0
        for step in self._steps(chosen):
            gain = self._worth.guessed_change(chosen, step)
            score = self._score(gain, step, chosen, exponent)
            if gain >= _MIN_GAIN * (step & ~chosen).bit_count() and score > best_score:
                best, best_score = step, score
        return best

    def _score(self, gain: float, step: int, chosen: int, exponent: float) -> float:
        if not exponent:
            return gain / max(1, step.bit_count() - chosen.bit_count())
        grown = self._worth.size(step) - self._worth.size(chosen)
        return gain / max(grown, _PAGE) ** exponent

    def _steps(self, chosen: int) -> Iterator[int]:
        """Every set that one move makes of this one."""
        done = chosen | self._worth.covered(chosen)
        seen: set[int] = set()
        for move in self._moves:
            new = move & ~done
            if not new:
                continue
            step = (chosen & ~self._worth.covered(new)) | new
            if step not in seen and self._fits(step):
                seen.add(step)
                yield step

    def _fits(self, chosen: int) -> bool:
        if self._most is not None and chosen.bit_count() > self._most:
            return False
        return self._room is None or self._worth.size(chosen) <= self._room

    def _improved(self, chosen: int) -> int:
        """After swaps, merges, drops and additions, while they help."""
        for _ in range(_PASSES):
            changed = self._greedy(self._without_idle(self._merged(self._swapped(chosen))), 0.0)
            if changed == chosen or self._worth.guessed_change(chosen, changed) <= _MIN_GAIN / 4:
                break
            chosen = changed
        return chosen

    def _swapped(self, chosen: int) -> int:
        for old in singly(chosen):
            if not old & chosen:
                continue
            best, best_gain = chosen, _MIN_GAIN / 4
            for step in self._steps(chosen & ~old):
                gain = self._worth.guessed_change(chosen, step)
                if gain > best_gain:
                    best, best_gain = step, gain
            chosen = best
        return chosen

    def _merged(self, chosen: int) -> int:
        """Two indexes in one, where the keys of one begin the other's and their columns fit in."""
        for one, other in combinations(list(singly(chosen)), 2):
            if not (one & chosen and other & chosen):
                continue
            merged = _merge(self._library.specs(one)[0], self._library.specs(other)[0])
            if merged is None:
                continue
            step = (chosen & ~(one | other)) | self._worth.admit(merged)
            if self._fits(step) and self._worth.guessed_change(chosen, step) > -_MIN_GAIN:
                chosen = step
        return chosen

    def _without_idle(self, chosen: int) -> int:
        """Without those that add next to nothing beside the others."""
        for bit in self._largest_first(chosen):
            if self._worth.guessed_change(chosen, chosen & ~bit) > -_MIN_GAIN:
                chosen &= ~bit
        return chosen

    def _largest_first(self, chosen: int) -> list[int]:
        return sorted(singly(chosen), key=lambda bit: (-self._worth.size(bit), bit))

    # -- by proof

    def _polished(self, chosen: int, kept: int) -> int:
        """After every neighbour that might be better was tried, as far as EXPLAINs go."""
        while self._library.left > kept:
            better = self._better_neighbour(chosen, kept)
            if better is None:
                break
            chosen = better
        return chosen

    def _better_neighbour(self, chosen: int, kept: int) -> int | None:
        now = self._worth.proven(chosen)
        neighbours = dict.fromkeys(self._neighbours(chosen))
        hoped = [step for step in neighbours if self._worth.hoped(step) > now + _MIN_GAIN]
        for step in sorted(hoped, key=lambda step: (-self._worth.guessed_change(chosen, step), step)):
            if self._library.left <= kept:
                break
            self._worth.verify(step, now + _MIN_GAIN / 4)
            if self._worth.proven(step) > now + _MIN_GAIN / 4:
                return step
        return None

    def _neighbours(self, chosen: int) -> Iterator[int]:
        for rest in (chosen, *(chosen & ~old for old in singly(chosen))):
            yield from self._steps(rest)

    def _narrowed(self, chosen: int) -> int:
        """With shorter indexes where the longer ones are worth next to nothing more.

        Stored columns go when the workload does not miss them; keys, when no statement does.
        """
        for bit in self._largest_first(chosen):
            width = self._library.specs(bit)[0].width
            for narrow in _narrower(self._library.specs(bit)[0]):
                step = (chosen & ~bit) | self._worth.admit(narrow, like=bit)
                if step == chosen & ~bit:
                    continue
                self._worth.verify(step)
                if self._worth.proven(step) <= self._worth.proven(chosen) - _MIN_GAIN:
                    continue
                if narrow.width == width or self._worth.largest_rise(chosen, step) < _MAX_RISE:
                    chosen = step
                    break
        return chosen

    def _without_weak(self, chosen: int) -> int:
        """Without those through which no statement gains much, nor several together."""
        for bit in self._largest_first(chosen):
            if self._worth.summed_gain(chosen, chosen & ~bit) < MIN_QUERY_GAIN:
                chosen &= ~bit
        return chosen

    def _ordered(self, chosen: int) -> list[IndexSpec]:
        found = 0
        ordered: list[IndexSpec] = []
        while found != chosen:
            bit = max(
                singly(chosen & ~found),
                key=lambda bit: (self._worth.proven(found | bit), -self._worth.size(bit)),
            )
            found |= bit
            ordered += self._library.specs(bit)
        return ordered


def _together(sets: Sequence[int]) -> Iterator[int]:
    """What plans used together, and parts of it: a join may need an index on both sides to pay."""
    for used in sets:
        if used.bit_count() <= _MOST_TOGETHER:
            for count in range(2, _LARGEST_MOVE + 1):
                yield from (sum(some) for some in combinations(singly(used), count))


def _narrower(spec: IndexSpec) -> Iterator[IndexSpec]:
    """The same with fewer keys, or without what it stores beside them; the narrowest first."""
    for width in range(1, spec.width + 1):
        if width < spec.width or spec.includes:
            yield replace(spec, keys=spec.keys[:width], includes=())


def _merge(one: IndexSpec, other: IndexSpec) -> IndexSpec | None:
    if one.table != other.table or one.predicate or other.predicate or one.method != other.method:
        return None
    longer, shorter = (one, other) if one.width >= other.width else (other, one)
    if longer.keys[: shorter.width] != shorter.keys:
        return None
    held = {column_of(key) for key in longer.keys}
    includes = dict.fromkeys(column for column in (*longer.includes, *shorter.includes) if column not in held)
    merged = IndexSpec(longer.table, longer.keys, tuple(includes), longer.method)
    return merged if merged not in {one, other} and len(includes) <= _MAX_INCLUDES else None
