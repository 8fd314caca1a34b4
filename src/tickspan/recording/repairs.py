"""How often a given value was not recordable as it was, by what was done to it."""

from __future__ import annotations

from typing import Final

from tickspan.recording.tally import Tally

CUT_TEXT: Final = "cut_text"
SURROGATE: Final = "surrogate"
CUT_BYTES: Final = "cut_bytes"
BIG_INT: Final = "big_int"
CUT_ITEMS: Final = "cut_items"
DEEP: Final = "deep"
RAISED: Final = "raised"
"""Foreign code raised; or the type had raised or been slow before, and was not asked again."""
NAME: Final = "name"
"""A key or name that was no text, or empty."""
TIME: Final = "time"

REPAIRS: Final = Tally((CUT_TEXT, SURROGATE, CUT_BYTES, BIG_INT, CUT_ITEMS, DEEP, RAISED, NAME, TIME))


def repairs() -> dict[str, int]:
    """Repairs so far by kind."""
    return REPAIRS.counts()
