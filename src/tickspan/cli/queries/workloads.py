"""Workloads for index advice: from the agent's store, a file of SQL, or what a server has counted."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tickspan.analysis.indexes import WorkloadQuery
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.parsed import Reason, parse
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.options import LOCAL, STATEMENTS_VIEW, spool_of
from tickspan.cli.queries.server import counted_by
from tickspan.cli.queries.texts import statements_of

if TYPE_CHECKING:
    from tickspan.analysis.plans.probe import Probe

__all__ = ["Workload", "workload_of"]

_SYSTEMS: Final = {
    Dialect.POSTGRESQL: ("postgresql",),
    Dialect.MYSQL: ("mysql", "mariadb"),
    Dialect.SQLITE: ("sqlite",),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """Statements of one database, and those that could not be read: by file, line and column."""

    queries: tuple[WorkloadQuery, ...]
    unread: tuple[str, ...] = ()


def workload_of(
    options: argparse.Namespace, dialect: Dialect, probe: Probe | None, namespace: str = ""
) -> Workload:
    """What `--from` names.

    Args:
        options: of the command.
        dialect: of the database.
        probe: asks it; None for nobody.
        namespace: of it, as spans tell; what was recorded of others is left out where any was of this one.

    Raises:
        CommandError: there is no such source.
    """
    source: str = options.source
    if source == LOCAL:
        return _local(options, dialect, namespace)
    if source == STATEMENTS_VIEW:
        return _counted(probe)
    if source.endswith(".sql"):
        return _file(Path(source), dialect)
    raise CommandError(f"--from: expected {LOCAL}, FILE.sql or {STATEMENTS_VIEW}, got '{source}'")


def _local(options: argparse.Namespace, dialect: Dialect, namespace: str) -> Workload:
    from tickspan.cli.queries.local import rows  # the store: other sources need none

    recorded = rows(spool_of(options), time.time() - options.since)
    own = [row for row in recorded if row.database.partition(" ")[2] == namespace]
    found = own if namespace and own else recorded
    return Workload(
        tuple(
            WorkloadQuery(row.text, row.fingerprint, row.calls, row.time_s / max(row.calls, 1), row.summary)
            for row in found
            if row.text
            and row.database.partition(" ")[0] in _SYSTEMS.get(dialect, ())
            and options.service in {None, row.service}
        )
    )


def _counted(probe: Probe | None) -> Workload:
    queries: list[WorkloadQuery] = []
    unread: list[str] = []
    for counted in counted_by(probe):
        parsed = parse(counted.sql, Dialect.POSTGRESQL)
        fingerprint = parsed.statement.fingerprint
        # Everything that the server counted is there: SET, BEGIN and the like are no workload for indexes.
        if parsed.trees:
            mean_s = counted.total_s / max(counted.calls, 1)
            queries.append(WorkloadQuery(counted.sql, fingerprint, counted.calls, mean_s))
        elif parsed.problems[0].reason is not Reason.KIND:
            unread.append(f"{fingerprint}: {parsed.problems[0]}")
    return Workload(tuple(queries), tuple(unread))


def _file(path: Path, dialect: Dialect) -> Workload:
    queries: list[WorkloadQuery] = []
    unread: list[str] = []
    for piece in statements_of(path, dialect):
        parsed = parse(piece.text, dialect)
        problems = [problem for problem in parsed.problems if problem.reason is not Reason.KIND]
        if problems:
            unread.append(piece.placed(problems[0], str(path)))
        elif parsed.trees:
            statement = parsed.statement
            name = f"{path}:{piece.line} {statement.summary}".rstrip()
            queries.append(WorkloadQuery(piece.text, statement.fingerprint, name=name))
    return Workload(tuple(queries), tuple(unread))
