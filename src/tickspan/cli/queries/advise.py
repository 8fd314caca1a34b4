"""`tickspan queries advise`: indexes that a workload is missing, with proof, and DDL that others run."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.databases import probe_of, system_of
from tickspan.cli.queries.options import (
    UNREACHABLE,
    add_dsn,
    add_format,
    add_since,
    add_source,
    dsn,
    spool_of,
)

if TYPE_CHECKING:
    from tickspan.analysis.findings import Finding
    from tickspan.analysis.indexes.advice import WorkloadAnalysis
    from tickspan.analysis.indexes.whatif import WhatIf
    from tickspan.analysis.plans.probe import Probe
    from tickspan.analysis.sql import Dialect
    from tickspan.analysis.sql.schema import Schema

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "advise"
SUMMARY: Final = "indexes that the program's queries are missing; prints DDL and never runs it"
_STORAGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_source(parser)
    add_dsn(parser)
    parser.add_argument(
        "--schema",
        type=Path,
        metavar="FILE.sql",
        help="CREATE TABLE and INDEX statements, without a database",
    )
    parser.add_argument(
        "--storage", type=_bytes, metavar="SIZE", help="that all indexes may take together, such as 500MB"
    )
    parser.add_argument(
        "--scratch-schema",
        metavar="NAME",
        help="MariaDB: an empty schema for empty copies of the tables, which are dropped at the end",
    )
    add_since(parser, "14d")
    parser.add_argument("--service", metavar="NAME", help="of this service only")
    parser.add_argument(
        "--dialect",
        choices=("postgresql", "mysql", "sqlite"),
        default="postgresql",
        help="without --dsn-env (postgresql)",
    )
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print the advice; exit status 2 for bad input, 3 when the database cannot be asked."""
    if options.dsn_env and options.schema:
        raise CommandError("expected one of --dsn-env and --schema, got both")
    from tickspan.analysis.sql import Dialect  # sqlglot below: half a second, for this action alone
    from tickspan.cli.queries.advice_text import WRITERS, Told
    from tickspan.cli.queries.workloads import workload_of
    from tickspan.processors.queries.databases import namespace_of

    with ExitStack() as stack:
        address = dsn(options) if options.dsn_env else ""
        probe = stack.enter_context(probe_of(address)) if address else None
        dialect = Dialect.of(system_of(address) if address else options.dialect)
        workload = workload_of(options, dialect, probe, namespace_of(address) if address else "")
        if not workload.queries:
            raise CommandError(f"--from {options.source}: no statement of {dialect} that could be read")
        schema, remarks = _schema(options, dialect, probe)
        whatif, why_not = stack.enter_context(_whatif(options, address, probe, schema))
        analysis = _advised(workload.queries, schema, dialect, whatif, options)
        findings = _catalog_findings(probe, schema, dialect) if probe is not None else ()
    if probe is not None:
        _remember(options, analysis)
    remarks = [*remarks, *([why_not] if why_not else []), *analysis.unknown]
    print(WRITERS[options.format](Told(analysis, dialect, findings, workload.unread, tuple(remarks))))
    return 0


def _schema(options: argparse.Namespace, dialect: Dialect, probe: Probe | None) -> tuple[Schema, list[str]]:
    from tickspan.analysis.sql.ddl import read_ddl
    from tickspan.analysis.sql.schema import Schema

    if probe is not None:
        return probe.schema(), []
    if options.schema is None:
        return Schema(), []
    try:
        text = options.schema.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise CommandError(f"--schema: {options.schema}: {why}") from None
    schema, problems = read_ddl(text, dialect)
    if not len(schema):
        raise CommandError(f"--schema: {options.schema}: no CREATE TABLE in it that could be read")
    return schema, [f"{options.schema}: {problem}" for problem in problems]


@contextmanager
def _whatif(
    options: argparse.Namespace, address: str, probe: Probe | None, schema: Schema
) -> Generator[tuple[WhatIf | None, str]]:
    """A what-if of the database, or why there is none. Raises `CommandError`."""
    from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
    from tickspan.processors.queries.probes.sqlite import SqliteProbe

    try:
        if isinstance(probe, PostgresqlProbe):
            from tickspan.processors.queries.whatif.hypopg import HypopgWhatIf

            with HypopgWhatIf(probe, schema) as whatif:
                yield whatif, ""
        elif isinstance(probe, SqliteProbe):
            from tickspan.processors.queries.whatif.sqlite import SqliteWhatIf

            with SqliteWhatIf(probe, schema) as whatif:
                yield whatif, ""
        elif probe is not None and options.scratch_schema:
            from tickspan.processors.queries.whatif.mariadb import MariadbWhatIf

            with MariadbWhatIf(address, schema, options.scratch_schema) as whatif:
                yield whatif, ""
        elif probe is not None:
            yield None, "no --scratch-schema: nothing was tried, the advice is by the texts alone"
        else:
            yield None, ""
    except LookupError as error:
        raise CommandError(str(error), UNREACHABLE) from None


def _advised(
    queries: tuple[object, ...],
    schema: Schema,
    dialect: Dialect,
    whatif: WhatIf | None,
    options: argparse.Namespace,
) -> WorkloadAnalysis:
    from tickspan.analysis.indexes.advice import advise

    return advise(
        queries,  # pyright: ignore[reportArgumentType] - imported late
        schema,
        dialect,
        whatif=whatif,
        storage_bytes=options.storage,
        progress=_progress,
    )


def _progress(line: str) -> None:
    print(line, file=sys.stderr)


def _catalog_findings(probe: Probe, schema: Schema, dialect: Dialect) -> tuple[Finding, ...]:
    from tickspan.analysis.indexes.rules import CATALOG_CHECKS
    from tickspan.processors.queries.judging import catalog_context

    context = catalog_context(probe, schema, dialect)
    return tuple(finding for _, check in CATALOG_CHECKS for finding in check(context))


def _remember(options: argparse.Namespace, analysis: WorkloadAnalysis) -> None:
    from tickspan.processors.queries.advised import Advised, remember

    now_s = time.time()
    try:
        remember(
            spool_of(options),
            (
                Advised(
                    advice.id,
                    advice.name,
                    advice.index.table,
                    advice.fingerprints,
                    "; ".join(advice.rollback_ddl) + ";",
                    now_s,
                )
                for advice in (*analysis.advice, *analysis.untried)
            ),
        )
    except OSError as error:
        _progress(f"the advice is not remembered, 'verify' will not know it: {error.strerror}")


def _bytes(text: str) -> int:
    found = _STORAGE.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 500MB or 2GiB, got '{text}'")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** _POWERS[found[2].lower()])
