"""`tickspan bench redis`: GET and SET by the auto-pipelined path and the cache, beside redis-py."""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from tickspan.cli.bench.report import Figure, Path, Report, add_common_options, check, missing, publish, tell
from tickspan.cli.bench.timing import Timing, timed, timed_by_tasks, timed_in_batches
from tickspan.cli.errors import CommandError

__all__ = ["NAME", "SUMMARY", "TARGET", "URL", "add_options", "figure", "measured", "run"]

NAME: Final = "redis"
SUMMARY: Final = "GET and SET of a running Redis, beside redis-py and pipelines"
URL: Final = "redis://localhost:6379/0"
_KEYS: Final = 500
_PIPELINE: Final = 100
_TASKS: Final = (1, 20, 100)
_LIFETIME_S: Final = 600
"""Of the keys that are written: if they are not removed at the end, they go by themselves."""
_CONNECT_S: Final = 2.0
_TARGET_PER_S: Final = 100_000
_TARGET_S: Final = 0.005
TARGET: Final = f"1 to {_TARGET_S * 1e3:g} ms, {_TARGET_PER_S:,} a second"
_SINGLE_GET, _SINGLE_SET = "redis-py: GET", "redis-py: SET"
_PIPELINED: Final = f"redis-py: pipelines of {_PIPELINE} GETs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--url",
        default=URL,
        help="of the server; keys 'tickspan-bench:…' are written and removed; default: %(default)s",
    )
    add_common_options(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    paths = measured(options.url, options.seconds)
    return publish(Report("Redis", paths, (figure(paths),), ("redis", "hiredis")), options)


def measured(url: str, seconds: float, option: str = "--url") -> tuple[Path, ...]:
    """Each path to the server for so many seconds; what was written is removed. `option` names the server.

    Raises:
        CommandError: the server does not answer, a library is not installed, or a value came back otherwise
            than it was stored.
    """
    from tickspan.instrumentation import redact

    try:
        import redis
    except ImportError as error:
        raise missing(error, "cache") from None
    prefix = f"tickspan-bench:{secrets.token_hex(4)}"
    try:
        client: Any = redis.Redis.from_url(url, socket_connect_timeout=_CONNECT_S, socket_timeout=_CONNECT_S)
        client.ping()
    except ValueError as error:
        raise CommandError(f"{option}: {redact.text(str(error))}") from None
    except redis.RedisError as error:
        raise CommandError(
            f"{redact.url(url)} does not answer ({type(error).__name__}); start a server, or name one"
            f" with {option}"
        ) from None
    try:
        return _measured(client, url, prefix, seconds)
    except ImportError as error:
        raise missing(error, "cache") from None
    except redis.RedisError as error:
        raise CommandError(f"{redact.url(url)}: {type(error).__name__} while measuring", 1) from None
    finally:
        _clear(client, prefix)
        client.close()


def _measured(client: Any, url: str, prefix: str, seconds: float) -> tuple[Path, ...]:
    values = {f"{prefix}:{number}": b"bid=50000.25 ask=50000.75 #%d" % number for number in range(_KEYS)}
    keys = list(values)
    for key, value in values.items():
        client.set(key, value, ex=_LIFETIME_S)
    return (
        *_blocking(client, keys, values, seconds),
        *asyncio.run(_of_tasks(url, keys, values, seconds)),
        *asyncio.run(_through_a_region(url, prefix, seconds)),
    )


def _blocking(client: Any, keys: Sequence[str], values: dict[str, bytes], seconds: float) -> list[Path]:
    def pipelined(batch: Sequence[str]) -> list[bytes]:
        pipeline = client.pipeline(transaction=False)
        for key in batch:
            pipeline.get(key)
        found: list[bytes] = pipeline.execute()
        return found

    tell(_SINGLE_GET)
    check([client.get(key) for key in keys], list(values.values()), _SINGLE_GET)
    get = timed(client.get, keys, seconds)
    tell(_SINGLE_SET)
    kept = timed(lambda key: client.set(key, values[key], ex=_LIFETIME_S), keys, seconds)
    tell(_PIPELINED)
    batches = [keys[first : first + _PIPELINE] for first in range(0, len(keys), _PIPELINE)]
    check([value for batch in batches for value in pipelined(batch)], list(values.values()), _PIPELINED)
    many = timed_in_batches(pipelined, batches, seconds)
    return [
        Path(_SINGLE_GET, get),
        Path(_SINGLE_SET, kept),
        Path(_PIPELINED, many, _SINGLE_GET),
    ]


async def _of_tasks(url: str, keys: Sequence[str], values: dict[str, bytes], seconds: float) -> list[Path]:
    """redis.asyncio, then ours, by the same tasks."""
    import redis.asyncio

    from tickspan.cache import Cache

    peer: Any = redis.asyncio.Redis.from_url(url)
    cache = Cache.from_url(url)

    mux = cache.mux

    def keep(key: str) -> Awaitable[Any]:
        return mux.call("SET", key, values[key], "EX", _LIFETIME_S)

    paths: list[Path] = []
    try:
        for tasks in _TASKS:
            theirs, ours = _by_tasks("redis.asyncio", tasks), _by_tasks("cache.mux", tasks)
            timing = await _timed(peer.get, keys, values, seconds, tasks, theirs)
            paths.append(Path(theirs, timing, _SINGLE_GET))
            timing = await _timed(mux.get, keys, values, seconds, tasks, ours)
            paths.append(Path(ours, timing, theirs))
        most = _TASKS[-1]
        name = f"cache.mux: SET by {most} tasks"
        tell(name)
        paths.append(Path(name, await timed_by_tasks(keep, keys, seconds, most), _SINGLE_SET))
    finally:
        await peer.aclose()
        await cache.aclose()
    return paths


async def _timed(
    call: Callable[[Any], Awaitable[Any]],
    keys: Sequence[str],
    values: Mapping[str, Any],
    seconds: float,
    tasks: int,
    name: str,
) -> Timing:
    tell(name)
    found = [await call(key) for key in keys]
    check(found, list(values.values()), name)
    return await timed_by_tasks(call, keys, seconds, tasks)


def _by_tasks(path: str, tasks: int) -> str:
    return f"{path}: GET by {tasks} task{'' if tasks == 1 else 's'}"


async def _through_a_region(url: str, prefix: str, seconds: float) -> list[Path]:
    """Values that only Redis holds, checked and decoded: memory has room for one."""
    from tickspan.cache import Cache

    keys = [f"SYM{number:04d}" for number in range(_KEYS)]
    values = {key: f"{key} bid=50000.25 ask=50000.75" for key in keys}
    cache = Cache.from_url(url, namespace=prefix.replace(":", "-"))
    region = cache.region("quotes_of_bench", str, ttl_s=float(_LIFETIME_S), max_entries=1)
    try:
        for key, value in values.items():
            await region.set(key, value)
        paths: list[Path] = []
        for tasks in (_TASKS[0], _TASKS[-1]):
            name = _by_tasks("a region", tasks)
            timing = await _timed(region.get, keys, values, seconds, tasks, name)
            paths.append(Path(name, timing, _by_tasks("redis.asyncio", tasks)))
        return paths
    finally:
        await cache.aclose()


def _clear(client: Any, prefix: str) -> None:
    """Remove what was written; what a server that has gone meanwhile still has, goes by itself."""
    import redis

    with suppress(redis.RedisError):
        for start in (prefix, prefix.replace(":", "-")):
            found = list(client.scan_iter(match=f"{start}:*", count=1_000))
            if found:
                client.unlink(*found)


def figure(paths: Sequence[Path]) -> Figure:
    """What is asked of Redis, and what `measured` found."""
    by_name = {path.name: path.timing for path in paths}
    get, kept, many = by_name[_SINGLE_GET], by_name[_SINGLE_SET], by_name[_PIPELINED]
    most = _TASKS[-1]
    muxed = by_name[_by_tasks("cache.mux", most)]
    return Figure(
        "GET and SET of Redis",
        TARGET,
        f"p99 {muxed.p99_s * 1e3:.2f} ms, {muxed.per_second:,.0f} a second",
        f"`cache.mux`, GETs of {_KEYS} keys by {most} tasks of one event loop; by pipelines of {_PIPELINE}:"
        f" {many.per_second:,.0f} a second",
        f"one call after another: {get.per_second:,.0f} GETs and {kept.per_second:,.0f} SETs a second"
        f" with redis-py, p99 {get.p99_s * 1e3:.2f} ms; a single caller waits for the wire each time, so"
        " only concurrent callers or pipelines go beyond that",
        muxed.p99_s <= _TARGET_S and muxed.per_second >= _TARGET_PER_S,
    )
