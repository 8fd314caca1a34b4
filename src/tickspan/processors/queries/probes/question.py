"""One question to a database: within its budget, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from tickspan.analysis.plans.budget import Budget
from tickspan.analysis.plans.probe import Refused, Unreachable

__all__ = ["CATALOG_TIMEOUT_S", "PLANNING_TIMEOUT_S", "Overrun", "missing_driver", "question"]

PLANNING_TIMEOUT_S: Final = 0.25
"""How long a database may plan for us."""
CATALOG_TIMEOUT_S: Final = 10.0
"""How long one read of its catalog may take, which is rare."""


class Overrun(Refused):
    """The database had no time for us; too many in a row open the breaker."""


def missing_driver(driver: str) -> Unreachable:
    """What is told when a driver is not installed."""
    return Unreachable(f"{driver} is not installed: pip install 'tickspan[queries]'")


@contextmanager
def question(budget: Budget | None, clock: Callable[[], float] = time.monotonic) -> Generator[None]:
    """Spend the budget on what happens inside.

    Args:
        budget: of the database; None for a person who waits for the answer.
        clock: monotonic, in seconds.

    Raises:
        Refused: nothing may be asked now.
    """
    began_s = clock()
    refusal = budget.refusal(began_s) if budget is not None else None
    if refusal is not None:
        raise Refused(refusal)
    is_failure = True
    try:
        yield
        is_failure = False
    except Refused as refused:
        is_failure = isinstance(refused, Overrun)
        raise
    finally:
        if budget is not None:
            budget.spent(began_s, clock(), is_failure=is_failure)
