"""Databases that we may ask: a probe for each, by the DSN that a variable of the environment holds."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from tickspan.analysis.plans.budget import Budget
    from tickspan.analysis.plans.probe import Probe

__all__ = ["EXPECTED", "addresses", "namespace_of", "probe_of", "system_of"]

EXPECTED: Final = "expected postgresql://, mysql://, mariadb:// or sqlite:///file"
_DBNAME: Final = re.compile(r"\bdbname\s*=\s*'?([^\s']+)")
_SYSTEMS: Final = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}


def addresses(named: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """DSNs by the names of their databases, of `name=VARIABLE` pairs; without those that are not set."""
    pairs = (pair.partition("=") for pair in named)
    return {name.strip(): dsn for name, _, variable in pairs if (dsn := environ.get(variable.strip()))}


def system_of(dsn: str) -> str:
    """`postgresql`, `mysql` or `sqlite`. Raises `ValueError` that does not show the DSN."""
    scheme, mark, _ = dsn.partition("://")
    if not mark and "=" in dsn:
        return "postgresql"  # libpq's `host=... dbname=...`
    system = _SYSTEMS.get(scheme.partition("+")[0]) if mark else None
    if system is None:
        raise ValueError(EXPECTED)
    return system


def namespace_of(dsn: str) -> str:
    """The database as spans name it in `db.namespace`, a file by its bare name; "" where the DSN names none.

    Raises:
        ValueError: as `system_of`.
    """
    if "://" not in dsn:
        found = _DBNAME.search(dsn)
        return found[1] if found else ""
    path = unquote(urlsplit(dsn).path).lstrip("/")
    return Path(path).name if system_of(dsn) == "sqlite" else path


@contextmanager
def probe_of(dsn: str, budget: Budget | None = None) -> Generator[Probe]:
    """What asks that database, closed at the end.

    Raises:
        ValueError: the DSN is of no database that we know; it is not shown.
        Unreachable: of `analysis.plans.probe`, there is no such file.
    """
    system = system_of(dsn)
    if system == "postgresql":
        from tickspan.processors.queries.probes.postgresql import PostgresqlProbe  # sqlglot, half a second

        with PostgresqlProbe(_without_driver(dsn), budget=budget) as probe:
            yield probe
    elif system == "mysql":
        from tickspan.processors.queries.probes.mysql import MysqlProbe  # pymysql: an extra

        with MysqlProbe(dsn, budget=budget) as probe:
            yield probe
    else:
        from tickspan.processors.queries.probes.sqlite import SqliteProbe  # as the first

        with SqliteProbe(_path(dsn), budget=budget) as probe:
            yield probe


def _without_driver(dsn: str) -> str:
    """SQLAlchemy names a driver in the scheme; libpq does not."""
    scheme, mark, rest = dsn.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}" if mark else dsn


def _path(dsn: str) -> Path:
    from tickspan.analysis.plans.probe import Unreachable  # not for those who ask no database

    path = Path(unquote(urlsplit(dsn).path.removeprefix("/")))
    if not path.is_file():
        raise Unreachable(f"no file '{path}'")
    return path
