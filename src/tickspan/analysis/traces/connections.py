"""How a pool of connections was used between two looks at its metrics."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Connections"]


@dataclass(frozen=True, slots=True)
class Connections:
    """What one pool did.

    Attributes:
        name: of the pool.
        creates: connections that were made.
        checkouts: times that one was taken.
        create_s: seconds spent making them.
        at_ns: of the second look.
    """

    name: str
    creates: int
    checkouts: int
    create_s: float
    at_ns: int
