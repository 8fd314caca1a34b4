"""`tickspan bench all`, and `tickspan bench`: every figure that tickspan is held to, on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tickspan.cli.bench import cache, pools, redis, sampling, transactions
from tickspan.cli.bench.place import NO_POSTGRESQL, NO_REDIS, postgresql_url, redis_url
from tickspan.cli.bench.report import Figure, add_common_options, tell
from tickspan.cli.bench.rows import Row, Table, publish_table
from tickspan.cli.bench.targets import TARGETS, judged
from tickspan.cli.bench.timing import timed
from tickspan.cli.errors import CommandError

__all__ = ["NAME", "ROWS", "SUMMARY", "add_options", "run"]

NAME: Final = "all"
SUMMARY: Final = "every figure that tickspan is held to: target, figure of this machine, method and limit"
_SECONDS: Final = 0.5
_MISSING: Final = 2
"""Exit status of an error that says that something is not there."""


class _Measure(NamedTuple):
    what: str
    target: str
    figure: Callable[[argparse.Namespace], Figure | str]
    """Measures; a text says why that was not possible."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--only",
        action="append",
        choices=tuple(ROWS),
        metavar="ROW",
        help=f"this row; may be given again; of {', '.join(ROWS)}",
    )
    parser.add_argument(
        "--redis",
        metavar="URL",
        help="of the Redis to measure, where keys 'tickspan-bench:…' are written and removed; default: one is"
        " started, or one on this host",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="of the PostgreSQL to measure, for SQLAlchemy; only a temporary table is made; default:"
        " DATABASE_URL, or one on this host",
    )
    add_common_options(parser, _SECONDS)


def run(options: argparse.Namespace) -> int:
    """Measure and print; exit status 0 when all targets are met, 1 when one is missed."""
    names = [name for name in ROWS if not options.only or name in options.only]
    tell(cache.EMPTY)
    empty = timed(_nothing, range(1_000), options.seconds)
    rows = tuple(_row(name, options) for name in names)
    return publish_table(Table(rows, empty.per_second), as_json=options.json)


def _row(name: str, options: argparse.Namespace) -> Row:
    measure = ROWS[name]
    tell(name)
    try:
        found = measure.figure(options)
    except CommandError as error:
        if error.status != _MISSING or _is_named(name, options):
            raise
        found = str(error)
    if isinstance(found, str):
        return Row.unmeasured(name, measure.what, measure.target, found)
    return Row.of_rule(name, found) if name in TARGETS else Row.of(name, found)


def _is_named(name: str, options: argparse.Namespace) -> bool:
    """Whether the user has said where to measure: then it is an error that nothing can be measured there."""
    return bool({"redis": options.redis, "postgresql": options.database}.get(name))


def _nothing(_: int) -> None:
    pass


def _of_redis(options: argparse.Namespace) -> Figure | str:
    with redis_url(options.redis) as url:
        return NO_REDIS if url is None else redis.figure(redis.measured(url, options.seconds, "--redis"))


def _of_sqlite(options: argparse.Namespace) -> Figure:
    return _of_database("", options.seconds)


def _of_postgresql(options: argparse.Namespace) -> Figure | str:
    url = postgresql_url(options.database)
    return NO_POSTGRESQL if url is None else _of_database(url, options.seconds)


def _of_database(url: str, seconds: float) -> Figure:
    paths = pools.measured(url, seconds, (pools.BARE, pools.TOLD))
    return pools.figure(paths, pools.database_of(url))


def _of_memory(options: argparse.Namespace) -> Figure:
    return cache.figure(cache.measured(options.seconds))


def _of_transactions(options: argparse.Namespace) -> Figure:
    return transactions.figure(transactions.measured(options.seconds))


def _of_samples(options: argparse.Namespace) -> Figure:
    return sampling.figure(*sampling.measured(options.seconds))


def _of_target(name: str) -> Callable[[argparse.Namespace], Figure]:
    return lambda _: judged(TARGETS[name])


ROWS: Final[Mapping[str, _Measure]] = {
    "redis": _Measure("GET and SET of Redis", redis.TARGET, _of_redis),
    "sqlite": _Measure("simple SELECT, sqlite", pools.TARGET, _of_sqlite),
    "postgresql": _Measure("simple SELECT, PostgreSQL", pools.TARGET, _of_postgresql),
    "memory": _Measure("GET of a value in memory", cache.TARGET, _of_memory),
    "transaction": _Measure(transactions.WHAT, transactions.TARGET, _of_transactions),
    "sample": _Measure(sampling.WHAT, sampling.TARGET, _of_samples),
    **{name: _Measure(target.what, target.wanted, _of_target(name)) for name, target in TARGETS.items()},
}
"""By the name for `--only`."""
