"""`tickspan queries findings`: what could be better, with its evidence and the next step."""

from __future__ import annotations

import argparse
import json
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tickspan.analysis.findings import Finding, Severity
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.layout import WIDTH, count, duration, markdown_table
from tickspan.cli.queries.options import (
    LOCAL,
    STATEMENTS_VIEW,
    add_dsn,
    add_format,
    add_since,
    add_source,
    dsn,
    severity,
    spool_of,
)
from tickspan.cli.queries.shown import FoundItem

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "findings"
SUMMARY: Final = "what could be better in the program's queries, what costs most time first"
_EPILOG: Final = (
    "Of a file and of pg_stat_statements only the texts are looked at. Findings about traces and times come "
    "from a program under 'tickspan run'; those about plans, such as plan_regression, and about a catalog's "
    'indexes besides need queries.plans = "probe".'
)
_NO_PLANS: Final = (
    'no plan was asked for: findings about plans, plan_regression too, need queries.plans = "probe"'
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_source(parser)
    add_dsn(parser)
    add_since(parser, "1d")
    parser.add_argument(
        "--severity",
        type=severity,
        default=Severity.INFO,
        metavar="S",
        help="I, W, E or C: this and worse (I)",
    )
    parser.add_argument(
        "--fail-on", type=severity, metavar="S", help="exit with status 1 when there is one as bad as this"
    )
    parser.add_argument("--service", metavar="NAME", help="of this service only")
    parser.add_argument(
        "--dialect",
        choices=("postgresql", "mysql", "sqlite", "generic"),
        default="postgresql",
        help="of a file of SQL (postgresql)",
    )
    add_format(parser)
    parser.epilog = _EPILOG


def run(options: argparse.Namespace) -> int:
    """Print the findings; exit status 1 when one is as bad as `--fail-on`."""
    found, remarks = _items(options)
    shown = [item for item in found if item.finding.severity >= options.severity]
    shown.sort(key=lambda item: (-item.time_lost_s, -item.finding.severity, item.finding.rule, item.place))
    print(_WRITERS[options.format](shown, remarks))
    limit: Severity | None = options.fail_on
    return 1 if limit is not None and any(item.finding.severity >= limit for item in found) else 0


def _items(options: argparse.Namespace) -> tuple[list[FoundItem], list[str]]:
    source: str = options.source
    if source == LOCAL:
        return _local(options)
    if source == STATEMENTS_VIEW:
        from tickspan.cli.queries.server import rows_of  # psycopg: an extra
        from tickspan.cli.queries.texts import items_of  # sqlglot: half a second

        return items_of([row.text for row in rows_of(dsn(options))], "postgresql")
    if source.endswith(".sql"):
        from tickspan.cli.queries.texts import items_in  # as above

        return items_in(Path(source), options.dialect)
    raise CommandError(f"--from: expected {LOCAL}, FILE.sql or {STATEMENTS_VIEW}, got '{source}'")


def _local(options: argparse.Namespace) -> tuple[list[FoundItem], list[str]]:
    from tickspan.cli.queries.local import opened  # the store: other sources need none
    from tickspan.processors.queries.shelves import as_data

    with opened(spool_of(options)) as reader:
        told = {key.fingerprint: said.text for key, said in reader.statements().items()}
        known = list(reader.findings(time.time() - options.since))
        remarks = [] if reader.has_plans() else [_NO_PLANS]
    items = [
        FoundItem(
            one.finding,
            str(one.example.location),
            one.count,
            one.time_lost_s,
            told.get(one.finding.fingerprint, ""),
            as_data(one),
        )
        for one in known
        if options.service in {None, one.service}
    ]
    return items, remarks


def _text(found: Sequence[FoundItem], remarks: Sequence[str]) -> str:
    blocks = ["\n".join(_block(item)) for item in found]
    return "\n\n".join([*blocks, "\n".join([*remarks, _sum(found)])])


def _block(item: FoundItem) -> list[str]:
    finding = item.finding
    head = [finding.severity.letter, finding.rule]
    if item.place:
        head.append(item.place if len(item.place) <= _PLACE else f"…{item.place[-_PLACE:]}")
    if item.count > 1:
        head.append(f"{count(item.count)} times")
    if item.time_lost_s:
        head.append(f"{duration(item.time_lost_s)} lost")
    lines = ["  ".join(head), *_wrapped(finding.message), *_wrapped(f"-> {finding.advice}", "   ")]
    ids = [f"fingerprint {finding.fingerprint}"] if finding.fingerprint else []
    ids += [f"trace {item.data['trace_id']}"] if int(item.data.get("trace_id", "0"), 16) else []
    return [*lines, *([f"   {', '.join(ids)}"] if ids else [])]


_PLACE: Final = 48


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="   ", subsequent_indent=f"   {indent}")


def _sum(found: Sequence[FoundItem]) -> str:
    if not found:
        return "no findings"
    numbers = Counter(item.finding.severity for item in found)
    parts = [f"{numbers[level]} {level}" for level in sorted(numbers, reverse=True)]
    return f"{len(found)} finding{'s' if len(found) > 1 else ''}: {', '.join(parts)}"


def _json(found: Sequence[FoundItem], remarks: Sequence[str]) -> str:
    return json.dumps({"findings": [dict(item.data) for item in found], "remarks": list(remarks)}, indent=2)


def _markdown(found: Sequence[FoundItem], remarks: Sequence[str]) -> str:
    rows = [
        (
            str(item.finding.severity),
            f"[{item.finding.rule}]({_doc(item.finding)})",
            item.place,
            item.finding.message,
            item.finding.advice,
            duration(item.time_lost_s) if item.time_lost_s else "",
        )
        for item in found
    ]
    lines = markdown_table(("severity", "rule", "place", "what", "next step", "lost"), rows)
    return "\n".join([*lines, "", *remarks, _sum(found)])


def _doc(finding: Finding) -> str:
    return f"docs/reference/query-rules.md#{finding.rule}"


def _sql(found: Sequence[FoundItem], remarks: Sequence[str]) -> str:
    blocks = [
        "\n".join(
            [
                f"-- {item.finding.severity.letter} {item.finding.rule}: {item.finding.message}",
                f"-- {item.finding.advice}",
                *([f"{item.text};"] if item.text else []),
            ]
        )
        for item in found
    ]
    return "\n\n".join([*blocks, "\n".join(f"-- {line}" for line in [*remarks, _sum(found)])])


_WRITERS: Final[Mapping[str, Callable[[Sequence[FoundItem], Sequence[str]], str]]] = {
    "text": _text,
    "json": _json,
    "markdown": _markdown,
    "sql": _sql,
}
