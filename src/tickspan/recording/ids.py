"""Trace and span ids from a generator of our own, so that a back-test's random draws never change."""

from __future__ import annotations

import os
import random
from typing import Final

_INVALID: Final = 0


class PrivateIds:
    """Random ids, seeded by the operating system, seeded anew in a forked child."""

    __slots__ = ("_getrandbits", "_pid")

    def __init__(self) -> None:
        self._seed()

    def trace_id(self) -> int:
        """128 random bits, never zero."""
        return self._draw(128)

    def span_id(self) -> int:
        """64 random bits, never zero."""
        return self._draw(64)

    def _seed(self) -> None:
        self._pid = os.getpid()
        self._getrandbits = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - ids are no secrets

    def _draw(self, bits: int) -> int:
        if self._pid != os.getpid():
            self._seed()
        value = self._getrandbits(bits)
        while value == _INVALID:
            value = self._getrandbits(bits)
        return value
