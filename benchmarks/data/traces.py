"""Traces: sequences of keys that caches are asked for, generated from a seed: the same ones everywhere.

A key is an int. What a trace is like depends on how many keys it has beside the capacity of the cache.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["TRACES", "Trace", "loop", "scan", "shift", "zipf"]


@dataclass(frozen=True, slots=True)
class Trace:
    """How long, over how many keys, from which seed."""

    length: int
    keys: int
    seed: int = 1


def zipf(trace: Trace, *, skew: float = 0.9) -> Iterator[int]:
    """The n-th most wanted key is asked for 1/n**skew times as often as the first; ranks are shuffled."""
    ranks = list(range(trace.keys))
    rng = random.Random(trace.seed)  # noqa: S311 - a trace is no secret
    rng.shuffle(ranks)
    return (ranks[rank] for rank in _ranks(rng, trace.length, trace.keys, skew))


def scan(trace: Trace) -> Iterator[int]:
    """`zipf`, where after each `keys` requests half as many keys come that come once and never again."""
    fresh = itertools.count(trace.keys)
    wanted = zipf(trace)
    length = trace.length
    while length > 0:
        yield from itertools.islice(wanted, min(trace.keys, length))
        length -= trace.keys
        yield from itertools.islice(fresh, min(trace.keys // 2, max(0, length)))
        length -= trace.keys // 2


def shift(trace: Trace, *, moves: int = 8) -> Iterator[int]:
    """`zipf` whose wanted keys move on: each of `moves` times nine in ten of them lose their rank."""
    rng = random.Random(trace.seed)  # noqa: S311 - a trace is no secret
    ranks = list(range(trace.keys))
    for _ in range(moves):
        moved = [place for place in range(trace.keys) if rng.random() < 0.9]
        shuffled = [ranks[place] for place in moved]
        rng.shuffle(shuffled)
        for place, key in zip(moved, shuffled, strict=True):
            ranks[place] = key
        for rank in _ranks(rng, trace.length // moves, trace.keys, 0.9):
            yield ranks[rank]


def loop(trace: Trace) -> Iterator[int]:
    """All keys in turn, again and again: LRU finds none of them once there are more than it holds."""
    return itertools.islice(itertools.cycle(range(trace.keys)), trace.length)


TRACES: Final[Mapping[str, Callable[[Trace], Iterator[int]]]] = {
    "zipf": zipf,
    "scan": scan,
    "shift": shift,
    "loop": loop,
}
"""By name."""


def _ranks(rng: random.Random, length: int, keys: int, skew: float) -> Iterator[int]:
    weights = itertools.accumulate(1 / rank**skew for rank in range(1, keys + 1))
    cumulative = list(weights)
    for _ in range(length):
        yield min(bisect(cumulative, rng.random() * cumulative[-1]), keys - 1)
