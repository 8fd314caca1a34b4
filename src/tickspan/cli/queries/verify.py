"""`tickspan queries verify`: whether an advised index made its statements faster, as recorded."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.databases import probe_of
from tickspan.cli.queries.options import add_dsn, add_format, add_since, dsn, duration_s, spool_of

if TYPE_CHECKING:
    from tickspan.analysis.findings import Finding
    from tickspan.analysis.indexes.trial import Trial
    from tickspan.processors.queries.advised import Advised
    from tickspan.processors.queries.store import QueryReader, Sighted

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "verify"
SUMMARY: Final = "whether an index that was advised and built made its statements faster"
_OPTION: Final = "option"
_AGENT: Final = "agent"
_CATALOG: Final = "catalog"
_ADVICE: Final = "advice"


@dataclass(frozen=True, slots=True)
class _Built:
    """When an index was built.

    Attributes:
        sighted: when it was last absent, and first present.
        source: how that is known.
    """

    sighted: Sighted
    source: str

    def __str__(self) -> str:
        absent, present = (_moment(at_s) for at_s in self.sighted[:2])
        return {
            _OPTION: f"built {present}, by --built",
            _AGENT: f"built between {absent} and {present}, as the agent saw",
            _CATALOG: f"built {present}, by the database's own record",
            _ADVICE: f"taken as built when advised, {present}: nobody has seen it; --built tells better",
        }[self.source]


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("advice", metavar="ADVICE_ID", help="12 hex digits of 'advise'")
    add_since(parser, "14d")
    parser.add_argument(
        "--built",
        type=duration_s,
        metavar="TIME",
        help="how long ago the index was built, such as 2h; else as the agent saw it in the catalog, or as "
        "the database tells with --dsn-env, or from the time of the advice on",
    )
    add_dsn(parser)
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )
    add_format(parser, ("text", "json"))


def run(options: argparse.Namespace) -> int:
    """Print the verdict; exit status 1 when the index did not help, 2 for an unknown advice."""
    from tickspan.analysis.indexes.verify import trial_of, verify
    from tickspan.cli.queries.local import opened
    from tickspan.processors.queries.advised import recall
    from tickspan.processors.queries.trials import sides

    spool = spool_of(options)
    advised = recall(spool).get(options.advice)
    if advised is None:
        raise CommandError(
            f"no advice {options.advice} is remembered in {spool}; run 'tickspan queries advise'"
        )
    recorded_s = _recorded(advised, dsn(options)) if options.dsn_env else None
    now_s = time.time()
    with opened(spool) as reader:
        given_s = None if options.built is None else now_s - options.built
        built = _built(advised, reader, given_s, recorded_s)
        latencies = {
            fingerprint: sides(reader, fingerprint, built.sighted, since_s=now_s - options.since)
            for fingerprint in advised.fingerprints
        }
        labels = {key.fingerprint: told.summary for key, told in reader.statements().items()}
    trial = trial_of(advised.name, latencies, labels=labels, rollback=advised.rollback)
    found = verify(trial)
    shown = json.dumps(_data(trial, found, built), indent=2) if options.format == "json" else None
    print(shown or f"{advised.name}: {built}\n{_text(trial, found)}")
    return 1 if any(finding.rule == "index_ineffective" for finding in found) else 0


def _built(advised: Advised, reader: QueryReader, given_s: float | None, recorded_s: float | None) -> _Built:
    """By what the user says, or what was seen and recorded, the narrowest first, or the advice."""
    from tickspan.processors.queries.store import Sighted

    if given_s is not None:
        return _Built(Sighted(given_s, given_s), _OPTION)
    sighted = reader.sighted().get(advised.id)
    is_recorded = recorded_s is not None and (
        sighted is None or sighted.absent_s <= recorded_s <= sighted.present_s
    )
    if is_recorded and recorded_s is not None:
        return _Built(Sighted(recorded_s, recorded_s), _CATALOG)
    if sighted is not None:
        return _Built(sighted, _AGENT)
    return _Built(Sighted(advised.at_s, advised.at_s), _ADVICE)


def _recorded(advised: Advised, address: str) -> float | None:
    """When the database says that the index was built; None where it does not.

    Raises:
        CommandError: the index is not there, or not valid.
    """
    from tickspan.analysis.indexes.ddl import quoted
    from tickspan.analysis.sql import Dialect
    from tickspan.processors.queries.probes.postgresql import PostgresqlProbe

    with probe_of(address) as probe:
        table = probe.schema().table(advised.table)
        known = {index.name: index for index in table.indexes} if table is not None else {}
        if table is None or advised.name not in known:
            raise CommandError(
                f"{advised.name} does not exist on {advised.table}: there is nothing to verify"
            )
        if not known[advised.name].is_valid:
            raise CommandError(f"{advised.name} is invalid: drop it, and create it again")
        if not isinstance(probe, PostgresqlProbe):
            return None
        namespace = table.name.rpartition(".")[0]
        return probe.index_built_s(quoted(f"{namespace}.{advised.name}", Dialect.POSTGRESQL))


def _text(trial: Trial, found: tuple[Finding, ...]) -> str:
    lines = [
        f"{change.label}: p50 {change.before_p50_s * 1e3:.3g} -> {change.after_p50_s * 1e3:.3g} ms, "
        f"p95 {change.before_p95_s * 1e3:.3g} -> {change.after_p95_s * 1e3:.3g} ms, {change.samples} samples"
        for change in trial.changes
    ]
    lines += [f"{label}: not enough samples" for label in trial.too_few]
    for finding in found:
        lines += [f"{finding.severity.letter}  {finding.rule}: {finding.message}", f"   -> {finding.advice}"]
    return "\n".join(lines or [f"{trial.index} was advised for no statement"])


def _data(trial: Trial, found: tuple[Finding, ...], built: _Built) -> dict[str, Any]:
    return {
        "index": trial.index,
        "built": {
            "absent_s": built.sighted.absent_s,
            "present_s": built.sighted.present_s,
            "source": built.source,
        },
        "verdict": found[0].rule if found else "undecided",
        "statements": [
            {"fingerprint": change.fingerprint, **dict(change.evidence(trial.index))}
            for change in trial.changes
        ],
        "too_few": list(trial.too_few),
    }
