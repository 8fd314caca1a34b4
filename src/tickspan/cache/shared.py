"""The cache of the process, and its sessions: made at their first use of what the settings say."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

from tickspan.cache.cache import Cache
from tickspan.cache.presets import CacheSettings
from tickspan.config import Settings, SettingsError, read_settings
from tickspan.instrumentation.forks import renew_after_fork

if TYPE_CHECKING:
    from tickspan.cache.sessions import SessionStore

__all__ = ["cache_made", "get_cache", "get_sessions", "settings_used", "use_cache", "use_settings"]

_OURS = ("cache.", "redis.", "sessions.")


class _Place:
    """Where the process's cache stands."""

    def __init__(self) -> None:
        self.cache: Cache | None = None
        self.sessions: SessionStore | None = None
        self.settings: Settings | None = None
        self.after_fork_in_child()
        renew_after_fork(self)

    def after_fork_in_child(self) -> None:
        """The parent's lock may be held by a thread that is not here; the cache itself goes on."""
        self.lock = threading.RLock()


_place = _Place()


def get_cache() -> Cache:
    """The cache of this process: the same one each time, closed at its end.

    Settings are those of `tickspan.init()` or the launcher; without them, of the environment and the settings
    file.

    Raises:
        SettingsError: a setting of the cache cannot be understood, and nobody has started telemetry.
        ValueError: a setting is out of its range.
        ImportError: Redis is asked for, and what `tickspan[cache]` brings is not installed.
    """
    cache = _place.cache
    if cache is not None:
        return cache
    with _place.lock:
        if _place.cache is None:
            _place.cache = Cache.from_settings(CacheSettings.of(_settings()))
            atexit.register(_place.cache.close)
        return _place.cache


def get_sessions() -> SessionStore:
    """The sessions of this process, in the cache of `get_cache`: the same one each time.

    A session that nobody uses for `sessions.idle_ttl_s` is over, and every one after a day.

    Raises:
        ValueError: as `get_cache`, or `sessions.idle_ttl_s` is out of range.
        ImportError: as `get_cache`.
    """
    from tickspan.cache.sessions import SessionStore  # only for programs with users

    with _place.lock:
        if _place.sessions is None:
            _place.sessions = SessionStore(get_cache(), _settings().sessions.idle_ttl_s)
        return _place.sessions


def cache_made() -> Cache | None:
    """The cache of this process, if it is made."""
    return _place.cache


def settings_used() -> Settings | None:
    """What `use_settings` was given."""
    return _place.settings


def use_cache(cache: Cache | None) -> None:
    """Make `cache` the process's own from now on; None: the next call of `get_cache` makes another one."""
    with _place.lock:
        _place.cache = cache
        _place.sessions = None


def use_settings(settings: Settings | None) -> None:
    """Settings for `get_cache`, without effect on a cache that is there; None: it reads them itself."""
    _place.settings = settings


def _settings() -> Settings:
    if _place.settings is not None:
        return _place.settings
    reading = read_settings(environ=os.environ)
    problems = tuple(problem for problem in reading.problems if problem.key.startswith(_OURS))
    if problems:
        raise SettingsError(problems)
    return reading.settings
