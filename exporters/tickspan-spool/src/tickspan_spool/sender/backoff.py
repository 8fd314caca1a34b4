"""Backoff: how long to leave a failing destination alone."""

from __future__ import annotations

from random import Random

_FIRST_S = 0.5
_LONGEST_S = 30.0
_LONGEST_EXPONENT = 16  # beyond it the bound rules anyway, and 2.0 ** 1100 raises


class Backoff:
    """Exponential, full jitter: attempt n waits a random time in [0, min(30 s, 0.5 s · 2ⁿ)].

    It never gives up. Its random numbers are its own: the application's sequence must not change.
    """

    __slots__ = ("_failures", "_random")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def after_failure(self, asked_s: float) -> float:
        """Seconds to wait now: our own draw, or what the server asked for where that is more."""
        bound_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(self._failures, _LONGEST_EXPONENT))
        self._failures += 1
        return max(self._random.uniform(0.0, bound_s), asked_s)

    def after_success(self) -> None:
        """The next failure is the first again."""
        self._failures = 0
