"""Connections of our own to a database, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.options import UNREACHABLE
from tickspan.processors.queries import databases

if TYPE_CHECKING:
    from tickspan.analysis.plans.probe import Probe

__all__ = ["probe_of", "system_of"]

_DRIVERS: Final = frozenset({"psycopg", "pymysql"})


def system_of(dsn: str) -> str:
    """`postgresql`, `mysql` or `sqlite`. Raises `CommandError`, which does not show the DSN."""
    try:
        return databases.system_of(dsn)
    except ValueError as error:
        raise CommandError(f"--dsn-env: {error}") from None


@contextmanager
def probe_of(dsn: str) -> Generator[Probe]:
    """What asks the database. Raises `CommandError`, with status 3 when it cannot be reached."""
    from tickspan.analysis.plans.probe import Unreachable  # loaded by the actions that ask a database

    system_of(dsn)
    try:
        with databases.probe_of(dsn) as probe:
            yield probe
    except ModuleNotFoundError as error:
        if error.name not in _DRIVERS:
            raise
        raise CommandError(f"{error.name} is not installed; pip install 'tickspan[queries]'") from None
    except Unreachable as error:
        raise CommandError(f"{error}", UNREACHABLE) from None
