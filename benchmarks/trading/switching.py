"""Tickspan in a child of the nursery: switched on as a program does it, flushed, ended as an exit does."""

from __future__ import annotations

import time
from typing import Any, Final

_FLUSH_S: Final = 30


def begin(**trading: Any) -> None:
    """Everything as `init()` sets it up, with these settings of `trading` beside the environment."""
    import tickspan

    tickspan.init({"trading": {"environment": "simulated", **trading}}, service_name="tickspan")


def flush() -> None:
    """What was recorded is in the spool."""
    from tickspan.distro.distro import process_pipeline

    process_pipeline().force_flush(_FLUSH_S)


def end(settle_s: float = 0.0) -> None:
    """Lives that are due are written; what still waits elsewhere has so long to come."""
    from tickspan import trading
    from tickspan.distro.distro import process_pipeline

    trading.shutdown()
    time.sleep(settle_s)
    flush()
    process_pipeline().close()
