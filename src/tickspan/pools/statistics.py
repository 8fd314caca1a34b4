"""What pools say of themselves, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HolderStatistics:
    """Who has had a connection for how long."""

    holder: str
    """Name of the thread or task."""
    held_s: float
    is_alive: bool
    is_suspected: bool
    """Whether it has been told as a leak."""
    position: tuple[str, ...] = ()
    """Where it was taken, innermost first, where that was noted: `function (file:line)`."""


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A pool now, and since it has been measured."""

    name: str
    library: str
    used: int | None
    """None where the pool does not count."""
    idle: int | None
    max: int | None
    """None without a limit."""
    pending: int
    lent: int
    created: int
    timeouts: int
    mean_wait_s: float
    mean_use_s: float
    leaks: int
    """How often a connection was held too long."""
    advised_size: int | None = None
    """What the load of the last minute asks for; None where too little happened."""
    closed: Mapping[str, int] = field(default_factory=dict[str, int])
    """Connections that were closed for a reason other than the pool's own size."""
    holders: tuple[HolderStatistics, ...] = ()
    """The longest first."""
