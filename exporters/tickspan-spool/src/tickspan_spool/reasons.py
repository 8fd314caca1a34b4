"""Reason: why an item will never be delivered. The set is closed, so that a ledger can be checked."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why items were dropped; the values are what ledgers, metrics and files say."""

    RING_FULL = "ring_full"
    """No disk took them, and memory has its bound."""
    DISK_BOUND = "disk_bound"
    """The oldest of them made room on the disk."""
    EXPIRED = "expired"
    """They waited longer than the age limit."""
    TOO_BIG = "too_big"
    """One record larger than a segment or a request may hold."""
    INVALID = "invalid"
    """What was handed over is not a record."""
    TORN = "torn"
    """Unfinished when their process died."""
    DAMAGED = "damaged"
    """The file changed after it was written."""
    REJECTED = "rejected"
    """The receiver took the batch and said it does not want these."""
    REFUSED = "refused"
    """The receiver refused the batch for good; it is kept as a dead letter."""
    FILTERED = "filtered"
    """A filter, or nobody at all, wanted them."""
    AFTER_SHUTDOWN = "after_shutdown"
    """Recorded after an explicit shutdown."""


REASONS: Final[tuple[Reason, ...]] = tuple(Reason)
"""Their order on disk; new ones are added at the end."""
