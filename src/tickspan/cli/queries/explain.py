"""`tickspan queries explain`: the plan of one statement, as a tree, with what the rules say of it."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.databases import probe_of, system_of
from tickspan.cli.queries.layout import markdown_table
from tickspan.cli.queries.options import add_dsn, add_format, dsn, spool_of

if TYPE_CHECKING:
    from tickspan.analysis.optimizer import QueryAnalysis
    from tickspan.analysis.plans import Plan

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "explain"
SUMMARY: Final = "the plan of one statement, and what the rules say of it"
_FINGERPRINT_DIGITS: Final = 16
_FINGERPRINT: Final = re.compile(rf"[0-9a-f]{{{_FINGERPRINT_DIGITS}}}")
_DIGITS: Final = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class _Explained:
    """A plan and what is to be said of its statement."""

    plan: Plan
    analysis: QueryAnalysis


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("statement", metavar="FINGERPRINT|SQL", help="16 hex digits of 'top', or a statement")
    add_dsn(parser)
    parser.add_argument("--analyze", action="store_true", help="run it, and measure; SELECT only")
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan; exit status 2 when the statement is refused, 3 when the database cannot be asked."""
    from tickspan.analysis.plans.probe import Refused  # sqlglot: half a second, only where a plan is wanted

    address = dsn(options)
    sql = _statement(options)
    try:
        explained = _explain(address, sql, analyze=options.analyze)
    except Refused as error:
        raise CommandError(f"not explained: {error}") from None
    print(_WRITERS[options.format](explained))
    return 0


def _statement(options: argparse.Namespace) -> str:
    """The text itself, or the one that the agent recorded under a fingerprint."""
    given: str = options.statement.strip()
    if not given:
        raise CommandError("expected a fingerprint or a statement, got an empty text")
    if _DIGITS.fullmatch(given) and len(given) != _FINGERPRINT_DIGITS:
        raise CommandError(
            f"a fingerprint has {_FINGERPRINT_DIGITS} hex digits, as in 'top', got {len(given)}"
        )
    if not _FINGERPRINT.fullmatch(given):
        return given
    from tickspan.cli.queries.local import opened  # the store: a text of one's own needs none

    with opened(spool_of(options)) as reader:
        texts = [told.text for key, told in reader.statements().items() if key.fingerprint == given]
    if not texts:
        raise CommandError(f"no statement {given} is recorded; see 'tickspan queries top'")
    return texts[0]


def _explain(address: str, sql: str, *, analyze: bool) -> _Explained:
    from tickspan.analysis.optimizer import QueryOptimizer  # as above

    with probe_of(address) as probe:
        plan = probe.explain(sql, analyze=analyze)
        schema = probe.schema()
    optimizer = QueryOptimizer(dialect=system_of(address), schema=schema)
    return _Explained(plan, optimizer.analyze_query(sql, plan=plan))


def _text(explained: _Explained) -> str:
    from tickspan.analysis.plans.render import render  # as above

    lines = [render(explained.plan, explained.analysis.findings)]
    lines += [f"index: {advice.reason}\n{advice}" for advice in explained.analysis.index_recommendations]
    return "\n".join(lines)


def _json(explained: _Explained) -> str:
    return json.dumps(
        {
            "text": explained.analysis.statement.text,
            "fingerprint": explained.analysis.statement.fingerprint,
            "plan": {**asdict(explained.plan), "hash": explained.plan.hash},
            "findings": [_finding(found) for found in explained.analysis.findings],
            "indexes": [list(advice.ddl) for advice in explained.analysis.index_recommendations],
        },
        indent=2,
        default=str,
    )


def _finding(found: Any) -> dict[str, Any]:
    return {**asdict(found), "severity": str(found.severity)}


def _markdown(explained: _Explained) -> str:
    from tickspan.analysis.plans.render import render  # as above

    rows: Sequence[Sequence[str]] = [
        (str(found.severity), found.rule, found.message, found.advice)
        for found in explained.analysis.findings
    ]
    table = markdown_table(("severity", "rule", "what", "next step"), rows) if rows else []
    ddl = [str(advice) for advice in explained.analysis.index_recommendations]
    indexes = ["", "```sql", *ddl, "```"] if ddl else []
    return "\n".join(["```", render(explained.plan), "```", "", *table, *indexes]).rstrip()


def _sql(explained: _Explained) -> str:
    """Indexes that would serve it, ready to run, behind the plan as comments."""
    comments = [f"-- {line}" for line in _text(explained).splitlines()]
    ddl = [str(advice) for advice in explained.analysis.index_recommendations]
    return "\n".join([*comments, *ddl])


_WRITERS: Final[Mapping[str, Callable[[_Explained], str]]] = {
    "text": _text,
    "json": _json,
    "markdown": _markdown,
    "sql": _sql,
}
