"""Category: what a log record is about."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

__all__ = ["Category", "category_name"]


class Category(StrEnum):
    """The words that every trading system needs. Any other `[a-z][a-z0-9_.]{0,40}` is a category too."""

    TRADING = "trading"
    RISK = "risk"
    MARKET_DATA = "market_data"
    AUDIT = "audit"
    PERFORMANCE = "performance"
    SECURITY = "security"
    SYSTEM = "system"


_WORD: Final = re.compile(r"[a-z][a-z0-9_.]{0,40}")
_MAX_NAMES: Final = 256
_known: Final[dict[str, str]] = {str(one.value): str(one.value) for one in Category}


def category_name(category: object) -> str:
    """The word itself.

    Raises:
        ValueError: it is no word of lower-case letters, digits, dots and underscores; or the process has 256
            of them already: each is a series of metrics.
    """
    known = _known.get(str(category)) if type(category) in {str, Category} else None
    if known is not None:
        return known
    if not isinstance(category, str) or not _WORD.fullmatch(category):
        raise ValueError(
            f"expected a category such as Category.TRADING or 'my.words' ([a-z][a-z0-9_.]{{0,40}}),"
            f" got {category!r:.80}"
        )
    if len(_known) >= _MAX_NAMES:
        raise ValueError(f"expected at most {_MAX_NAMES} categories in a process, got one more: {category!r}")
    return _known.setdefault(str(category), str(category))
