"""A workload: the operation that is timed, and the spans that it must leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sidebyside.stories import Expected
from sidebyside.telemetry import Telemetry


def _nothing() -> None:
    """For workloads that have nothing to end."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One operation, prepared."""

    library: str
    """What is called, with its version; "" for Python itself."""
    run: Callable[[int], None]
    """Does it that many times."""
    expected: tuple[Expected, ...] = ()
    """What each operation leaves."""
    finish: Callable[[], None] = _nothing
    """Completes the spans of a turn, after the caller's clock has stopped."""
    close: Callable[[], None] = _nothing


Prepare = Callable[[Telemetry, str], Workload]
"""`(telemetry, address of the workload's server, "" if it has none)`. Raises UnavailableError."""


class UnavailableError(Exception):
    """The workload cannot run here; the message says what is missing."""
