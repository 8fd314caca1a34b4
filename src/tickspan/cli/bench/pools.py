"""`tickspan bench pools`: checkouts and simple SELECTs of a database, bare, governed and recorded."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path as File
from typing import Any, Final

from tickspan.cli.bench.report import Figure, Path, Report, add_common_options, missing, publish, tell
from tickspan.cli.bench.timing import Timing
from tickspan.cli.errors import CommandError

__all__ = [
    "BARE",
    "GOVERNED",
    "NAME",
    "SUMMARY",
    "TARGET",
    "TOLD",
    "add_options",
    "database_of",
    "figure",
    "measured",
    "run",
]

NAME: Final = "pools"
SUMMARY: Final = "checkouts and simple SELECTs of a database: bare, governed, recorded"
BARE, GOVERNED, TOLD = "bare", "governed", "told"
_TIMEOUT_S: Final = 60.0
_TARGET_PER_S: Final = 1_000
_TARGET_S: Final = 0.05
TARGET: Final = f"10 to {_TARGET_S * 1e3:g} ms, {_TARGET_PER_S:,} a second"
_CHECKOUT, _SELECT = "checkout", "SELECT by key"
_LABELS: Final = {
    BARE: "bare",
    GOVERNED: "from create_database_pool",
    TOLD: "under tickspan.init()",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--url",
        help="of the database, for SQLAlchemy; only a temporary table is made; default: a new SQLite file."
        " Better in DATABASE_URL, where others cannot read it",
    )
    add_common_options(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    url: str = options.url or os.environ.get("DATABASE_URL", "")
    paths = measured(url, options.seconds)
    return publish(Report("pools", paths, (figure(paths, database_of(url)),), ("sqlalchemy",)), options)


def measured(url: str, seconds: float, kinds: Iterable[str] = tuple(_LABELS)) -> tuple[Path, ...]:
    """Checkouts and SELECTs, each for so many seconds.

    Args:
        url: of the database; "" makes a new SQLite file.
        seconds: for each path.
        kinds: of `BARE`, `GOVERNED`, `TOLD`; the first must be `BARE`.

    Raises:
        CommandError: the database, its driver or SQLAlchemy is not there, or gave other values than were
            stored.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise missing(error, "pools") from None
    del sqlalchemy
    turns: dict[str, dict[str, Timing]] = {}
    with tempfile.TemporaryDirectory(prefix="tickspan-bench-") as name:
        folder = File(name)
        for kind in kinds:
            tell(_LABELS[kind])
            turns[kind] = _turn(kind, url or f"sqlite:///{folder / 'bench.db'}", folder, seconds)
    return tuple(
        Path(_named(what, kind), turns[kind][key], "" if kind == BARE else _named(what, BARE))
        for what, key in ((_CHECKOUT, "checkout"), (_SELECT, "select"))
        for kind in turns
    )


def database_of(url: str) -> str:
    """What a URL is of, such as `postgresql+psycopg`; nothing else of it."""
    return url.partition(":")[0] or "sqlite"


def _named(what: str, kind: str) -> str:
    return f"{what}, {_LABELS[kind]}"


def _turn(kind: str, url: str, folder: File, seconds: float) -> dict[str, Timing]:
    """In a process of its own, whose records go nowhere but into the folder.

    Raises:
        CommandError: the database or its driver is not there, or gave other values than were stored.
    """
    from tickspan.instrumentation import redact

    settings = {"TICKSPAN_SPOOL_DIR": str(folder / "spool"), "TICKSPAN_AGENT": "off"}
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tickspan.cli.bench.selecting", kind, str(seconds)],
        env={**os.environ, **settings},
        input=f"{url}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S + 4 * seconds,
    )
    if done.returncode:
        words = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        kind_of_error = words.partition(":")[0].rpartition(".")[2]
        raise CommandError(
            f"{redact.url(url)} cannot be measured: {kind_of_error}; is the URL right, and its server up?"
        )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if said["wrong"]:
        raise CommandError(f"{redact.url(url)} gave other values than were stored: nothing was measured", 1)
    return {name: Timing(**said[name]) for name in ("select", "checkout")}


def figure(paths: Sequence[Path], database: str) -> Figure:
    """What is asked of a simple SELECT, and what `measured` found."""
    by_name = {path.name: path.timing for path in paths}
    told, bare = by_name[_named(_SELECT, TOLD)], by_name[_named(_SELECT, BARE)]
    return Figure(
        f"simple SELECT, {database}",
        TARGET,
        f"p99 {told.p99_s * 1e3:.2f} ms, {told.per_second:,.0f} a second",
        "SQLAlchemy: checkout, SELECT of a row by its key, value compared once; one thread, recorded with"
        " spans and metrics",
        f"the same without tickspan: p99 {bare.p99_s * 1e3:.2f} ms, {bare.per_second:,.0f} a second",
        told.p99_s <= _TARGET_S and told.per_second >= _TARGET_PER_S,
    )
