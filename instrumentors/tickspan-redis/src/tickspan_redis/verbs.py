"""Which of Redis's commands wait on the server until there is something to read."""

from __future__ import annotations

from typing import Final

BLOCKING: Final = frozenset(
    "BLMOVE BLMOVEM BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN".split()  # noqa: SIM905 - words read better than quoted words
)
"""Reads that wait on the server until there is something to read."""

BLOCKING_IF_ASKED: Final = frozenset({"XREAD", "XREADGROUP"})
"""Reads that wait when an argument is `BLOCK`."""
