"""What holds for a pool whose maker says nothing: the settings `pools.*`, where they have been read."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from tickspan.config import PoolSettings


class Given(Enum):
    """Where a value comes from that is not given in a call."""

    BY_SETTINGS = "settings"

    def __repr__(self) -> str:
        return "<by the settings>"


BY_SETTINGS: Final = Given.BY_SETTINGS
Seconds = float | None | Given
"""None is never."""
Reclaim = Literal["dead"] | None | Given

_settings = PoolSettings()


def use_settings(settings: PoolSettings) -> None:
    """Let pools that are made from now on follow these."""
    global _settings
    _settings = settings


def settings_used() -> PoolSettings:
    """Those that pools follow now."""
    return _settings


def max_hold_s(given: Seconds) -> float | None:
    """After how long a connection is told as a suspected leak."""
    return given if not isinstance(given, Given) else _settings.max_hold_s or None


def max_lifetime_s(given: Seconds) -> float | None:
    """How old a connection gets in a pool that `create_database_pool` made."""
    return given if not isinstance(given, Given) else _settings.max_lifetime_s or None


def reclaim(given: Reclaim) -> Literal["dead"] | None:
    """Whether what dead holders hold is closed."""
    if not isinstance(given, Given):
        return given
    return "dead" if _settings.reclaim_dead else None
