"""What `tickspan doctor --import` tells of a program's loggers: those that `dictConfig` has silenced."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from tickspan.cli.finding import Finding

__all__ = ["logger_findings"]

_MOST_TOLD: Final = 10


def logger_findings() -> Iterable[Finding]:
    """One finding where loggers of this process are disabled: they record nothing, here or anywhere.

    `logging.config` disables each logger that is there and that it is not told of, unless
    `disable_existing_loggers` is false. Only loggers that say so are looked at: nothing is changed.
    """
    names = sorted(
        name
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and logger.disabled
    )
    if not names:
        return
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    yield Finding(
        "loggers",
        is_well=False,
        detail=f"disabled, and record nothing: {', '.join(names[:_MOST_TOLD])}{more}; logging's configuration"
        " does that to loggers it does not name, unless disable_existing_loggers is false",
    )
