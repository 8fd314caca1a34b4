"""A program with one way to use memory, planted or healthy, whose memory is really looked at.

python -m benchmarks.runtime.growing KIND SEED BUCKETS     time is simulated: one JSON value with all samples
python -m benchmarks.runtime.growing KIND SEED - SECONDS   in real time, with tickspan and an agent
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import mmap
import random
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from typing import Any, Final

STEPS: Final = 6
"""Of the work, and looks at the memory, in each bucket."""
_SEEN_EVERY: Final = 31
"""Steps from one full collection to the next."""
KEPT: Final = 250
"""Objects that a leak keeps in each step."""

trades: list[list[int]] = []
spare: list[bytearray] = []
draws: Final = random.Random()  # noqa: S311 - a simulation


class Book:
    """With orders that nobody takes out."""

    def __init__(self) -> None:
        self.orders: dict[int, list[int]] = {}


book = Book()


def subscribed() -> Callable[[int], None]:
    """A function whose closure keeps what it was given."""
    handlers: list[Callable[[], int]] = []

    def subscribe(number: int) -> None:
        handlers.append(lambda: number)

    return subscribe


subscribe = subscribed()


@functools.cache
def priced(number: int) -> list[int]:
    """A cache without a bound."""
    return [number]


def keep_in_list(step: int) -> None:
    """Leak: a list of the module."""
    trades.extend([number] for number in range(step * KEPT, (step + 1) * KEPT))


def keep_in_attribute(step: int) -> None:
    """Leak: an attribute of an object."""
    book.orders.update({number: [number] for number in range(step * KEPT, (step + 1) * KEPT)})


def keep_in_closure(step: int) -> None:
    """Leak: a variable of a closure."""
    for number in range(step * KEPT, (step + 1) * KEPT):
        subscribe(number)


def keep_in_cache(step: int) -> None:
    """Leak: results that are never forgotten."""
    for number in range(step * KEPT, (step + 1) * KEPT):
        priced(number)


@functools.cache
def _library() -> Any:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    return library


def keep_in_library(_: int) -> None:
    """Leak: memory of the C library."""
    ctypes.memset(_library().malloc(60_000), 1, 60_000)


def churn(_: int) -> None:
    """Healthy: objects come and go."""


def saw(step: int) -> None:
    """Healthy: what is collected is let go, now and then."""
    if step // STEPS % _period() == 0:
        trades.clear()
    keep_in_list(step)


def warm_up(step: int) -> None:
    """Healthy: a cache fills, and is full."""
    if step < _period() * STEPS:
        keep_in_cache(step)


def map_files(_: int) -> None:
    """Healthy: pages of a file, as a spool has."""
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 17)
        segment = mmap.mmap(file.fileno(), 1 << 17)
    segment[:] = bytes(1 << 17)
    segments.append(segment)


segments: list[mmap.mmap] = []


@functools.cache
def _period() -> int:
    """Buckets."""
    return random.Random(len(sys.argv) > 2 and sys.argv[2]).randrange(5, 40)  # noqa: S311 - a simulation


KINDS: Final[dict[str, Callable[[int], None]]] = {
    "list": keep_in_list,
    "attribute": keep_in_attribute,
    "closure": keep_in_closure,
    "cache": keep_in_cache,
    "native": keep_in_library,
    "churn": churn,
    "saw-tooth": saw,
    "warm-up": warm_up,
    "mmap": map_files,
}


def work() -> None:
    """What every program does besides: messages, buffers, objects that live for a moment."""
    rows = [{"price": draws.random(), "size": number} for number in range(draws.randrange(800))]
    json.loads(json.dumps(rows))
    spare[:] = [bytearray(draws.randrange(1, 50_000)) for _ in range(draws.randrange(20))]


def simulate(kind: str, buckets: int) -> dict[str, Any]:
    """All samples, four numbers each, as fast as the work goes; whom a census names at two thirds."""
    from tickspan.memory.censor import Censor
    from tickspan.memory.libc import free_share
    from tickspan.recording.usage import UsageReader

    reader, censor, act = UsageReader(), Censor(), KINDS[kind]
    samples = array("q")  # a list of numbers would be a leak of its own
    owner = None
    live = 0
    for step in range(buckets * STEPS):
        work()
        act(step)
        if step % _SEEN_EVERY == 0:
            gc.collect()
            live = sys.getallocatedblocks()
        usage = reader.read()
        assert usage is not None
        samples.extend((usage.anonymous, usage.mapped, sys.getallocatedblocks(), live))
        if step == buckets * STEPS // 3:
            censor.take()
        if step == buckets * STEPS * 2 // 3:
            owner = censor.take().owner
    return {"samples": list(samples), "owner": owner, "free": free_share()}


def live(kind: str, seconds: float) -> None:
    """In real time."""
    import tickspan

    tickspan.init()
    act, until_s, step = KINDS[kind], time.monotonic() + seconds, 0
    while time.monotonic() < until_s:
        act(step)
        step += 1
        time.sleep(0.02)


def main() -> None:
    """See the module."""
    kind, seed, buckets, *seconds = sys.argv[1:]
    draws.seed(seed)
    if seconds:
        live(kind, float(seconds[0]))
    else:
        json.dump(simulate(kind, int(buckets)), sys.stdout)


if __name__ == "__main__":
    main()
