"""What the cache of a program finds here: a Redis that answers and tells of changes, or memory only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from tickspan.cache.presets import CacheSettings
from tickspan.cli.finding import Finding
from tickspan.config import Settings

_SUBJECT: Final = "cache"
_PREFIX: Final = "doctor:"


def cache_findings(settings: Settings, timeout_s: float) -> Iterable[Finding]:
    """One finding, and one of a disk that cannot be used; a Redis that is named is asked, and not changed."""
    try:
        cache = CacheSettings.of(settings)
        place = None if cache.url is None else cache.redis.with_url(cache.url).place()
    except ImportError as error:
        yield Finding(_SUBJECT, is_well=False, detail=str(error))
        return
    except ValueError as error:
        yield Finding(_SUBJECT, is_well=False, detail=f"cannot be made: {error}")
        return
    below = "memory and disk" if cache.disk else "memory only"
    problem = None if cache.disk is None else _disk_problem(Path(cache.disk).expanduser())
    if problem is not None:
        yield Finding(_SUBJECT, is_well=False, detail=f"cache.disk cannot be used: {problem}")
        below = "memory only"
    if place is None:
        yield Finding(_SUBJECT, None, f"{below}: cache.url names no Redis")
    elif place.sentinels or place.cluster:
        yield Finding(
            _SUBJECT, None, f"Redis by {'sentinels' if place.sentinels else 'a cluster'}: not asked"
        )
    else:
        yield _asked(str(cache.url), str(place), below, cache.namespace, timeout_s)


def _disk_problem(folder: Path) -> str | None:
    """Why the folder cannot be made or written; None if it can."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"{there}: {error.strerror}"


def _asked(url: str, place: str, below: str, namespace: str, timeout_s: float) -> Finding:
    import redis  # an extra: who names no Redis needs none
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    at = f"at {place}"
    try:
        client: Any = redis.Redis.from_url(
            url,
            protocol=3,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
        )
    except redis.RedisError as error:
        told = f"Redis {at} does not answer ({type(error).__name__}): the cache goes on with {below}"
        return Finding(_SUBJECT, is_well=False, detail=told)
    try:
        version = client.info("server")["redis_version"]
        client.execute_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", f"{namespace}:{_PREFIX}")
    except redis.RedisError as error:
        told = f"Redis {at} answers, but refuses CLIENT TRACKING ({type(error).__name__}): what others change"
        return Finding(_SUBJECT, None, f"{told} is seen a second late")
    finally:
        client.close()
    return Finding(_SUBJECT, is_well=True, detail=f"Redis {version} {at} answers and tells of changes")
