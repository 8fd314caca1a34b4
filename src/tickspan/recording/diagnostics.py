"""The logger that tickspan speaks of itself on: private, so that the application's logging never changes.

A handler on the root logger would switch off `logging.lastResort` and a later `basicConfig()`. This logger
does not propagate. Its warnings go to stderr; `logging.getLogger("tickspan").setLevel("DEBUG")` shows more.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what `sys.stderr` is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("tickspan: %(message)s"))

    @property
    def stream(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - late binding is the point
        return sys.stderr


def _private_logger() -> logging.Logger:
    logger = logging.getLogger("tickspan")
    logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(_Stderr())
    return logger


diagnostics: Final = _private_logger()
