"""Trace and span ids from a generator of our own, so that a back-test's random draws never change."""

from __future__ import annotations

import os
import random
from functools import partial
from typing import Final

_generator: Final = random.Random(os.urandom(32))  # noqa: S311 - ids are no secrets


def _seed_anew() -> None:
    _generator.seed(os.urandom(32))


os.register_at_fork(after_in_child=_seed_anew)

draw_trace_id: Final = partial(_generator.getrandbits, 128)
"""128 random bits; zero, which is no id, once in 10^38 draws: `or draw_trace_id()` makes it never."""
draw_span_id: Final = partial(_generator.getrandbits, 64)
"""64 random bits; the same holds."""


class PrivateIds:
    """Random ids, seeded by the operating system, seeded anew in a forked child."""

    __slots__ = ()

    def trace_id(self) -> int:
        """128 random bits, never zero."""
        return draw_trace_id() or self.trace_id()

    def span_id(self) -> int:
        """64 random bits, never zero."""
        return draw_span_id() or self.span_id()
