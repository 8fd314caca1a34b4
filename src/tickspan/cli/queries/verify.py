"""`tickspan queries verify`: whether an advised index made its statements faster, as recorded."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.databases import probe_of
from tickspan.cli.queries.options import add_dsn, add_format, add_since, dsn, duration_s, spool_of

if TYPE_CHECKING:
    from tickspan.analysis.findings import Finding
    from tickspan.analysis.indexes.trial import Sketch, Trial
    from tickspan.processors.queries.advised import Advised
    from tickspan.processors.queries.store import QueryReader

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "verify"
SUMMARY: Final = "whether an index that was advised and built made its statements faster"
_SETTLING_S: Final = 60.0
"""The minute in which the index appears belongs to neither side."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("advice", metavar="ADVICE_ID", help="12 hex digits of 'advise'")
    add_since(parser, "14d")
    parser.add_argument(
        "--built",
        type=duration_s,
        metavar="TIME",
        help="how long ago the index was built, such as 2h; else from the time of the advice on",
    )
    add_dsn(parser)
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print the verdict; exit status 1 when the index did not help, 2 for an unknown advice."""
    from tickspan.analysis.indexes.verify import trial_of, verify
    from tickspan.cli.queries.local import opened
    from tickspan.processors.queries.advised import recall

    spool = spool_of(options)
    advised = recall(spool).get(options.advice)
    if advised is None:
        raise CommandError(
            f"no advice {options.advice} is remembered in {spool}; run 'tickspan queries advise'"
        )
    if options.dsn_env:
        _require_index(advised, dsn(options))
    now_s = time.time()
    built_s = advised.at_s if options.built is None else now_s - options.built
    with opened(spool) as reader:
        latencies = {
            fingerprint: _sides(reader, fingerprint, now_s - options.since, built_s)
            for fingerprint in advised.fingerprints
        }
        labels = {key.fingerprint: told.summary for key, told in reader.statements().items()}
    trial = trial_of(advised.name, latencies, labels=labels, rollback=advised.rollback)
    found = verify(trial)
    print(json.dumps(_data(trial, found), indent=2) if options.format == "json" else _text(trial, found))
    return 1 if any(finding.rule == "index_ineffective" for finding in found) else 0


def _require_index(advised: Advised, address: str) -> None:
    """Raise `CommandError` when the index is not there, or not valid."""
    with probe_of(address) as probe:
        table = probe.schema().table(advised.table)
    known = {index.name: index for index in table.indexes} if table is not None else {}
    if advised.name not in known:
        raise CommandError(f"{advised.name} does not exist on {advised.table}: there is nothing to verify")
    if not known[advised.name].is_valid:
        raise CommandError(f"{advised.name} is invalid: drop it, and create it again")


def _sides(reader: QueryReader, fingerprint: str, since_s: float, built_s: float) -> tuple[Sketch, Sketch]:
    from tickspan.analysis.traces.latencies import Latencies

    before, after = Latencies(), Latencies()
    for minute in reader.history(fingerprint, since_s):
        if minute.at_s + _SETTLING_S <= built_s:
            before.merge(minute.usage.latencies)
        elif minute.at_s >= built_s:
            after.merge(minute.usage.latencies)
    return before, after


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


def _data(trial: Trial, found: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "index": trial.index,
        "verdict": found[0].rule if found else "undecided",
        "statements": [
            {"fingerprint": change.fingerprint, **dict(change.evidence(trial.index))}
            for change in trial.changes
        ],
        "too_few": list(trial.too_few),
    }
