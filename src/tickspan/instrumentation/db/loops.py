"""Whether a synchronous driver's call holds up an event loop."""

from __future__ import annotations

import sys
from asyncio import _get_running_loop  # pyright: ignore[reportPrivateUsage] - what `get_running_loop` asks, without its exception
from collections.abc import Callable
from typing import Final

__all__ = ["BLOCKING_CALL", "RunningLoop", "running_loop"]

RunningLoop = Callable[[], object | None]
"""The event loop that runs in this thread; None where none does."""

BLOCKING_CALL: Final = "blocking_call_in_loop"
"""The rule's id: `analysis.sql.rules` would load all of them."""

_NOTEBOOK: Final = "ipykernel"


def running_loop() -> RunningLoop:
    """Whom to ask before each call: a function of C, some tens of nanoseconds.

    In a notebook, whose cells all run in the kernel's loop, nobody is: there it says nothing of the code.
    """
    return _nobody if _NOTEBOOK in sys.modules else _get_running_loop


def _nobody() -> None:
    """No loop."""
