"""The run as a person reads it, in Markdown, and as data. Pure."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from .case import Case
from .verdict import Verdict

_COLUMNS: Final = ("lost", "doubled", "raised", "longest ms", "exit s", "MiB", "stderr", "ledger")


@dataclass(frozen=True, slots=True)
class Row:
    """One case and what became of it, by contender."""

    case: Case
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and when."""

    date: str
    machine: str
    python: str
    versions: Mapping[str, str]
    seed: int

    @staticmethod
    def now(seed: int) -> Circumstances:
        """This machine."""
        packages = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "grpcio", "tickspan")
        return Circumstances(
            datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}",
            f"{platform.python_implementation()} {platform.python_version()}",
            {package: found for package in packages if (found := _version(package))},
            seed,
        )

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{self.date}; {self.machine}; {self.python}; {packages}; seed {self.seed}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def markdown(circumstances: Circumstances, rows: Sequence[Row], contenders: Sequence[str]) -> str:
    """The table, the sums under it, and why each failed row failed."""
    lines = [str(circumstances), "", *_table(rows, contenders), "", *_sums(rows, contenders)]
    for contender in contenders:
        lines += ["", f"What {contender} failed by:", "", *_failures(rows, contender)]
    return "\n".join(lines)


def data(circumstances: Circumstances, rows: Sequence[Row]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "circumstances": asdict(circumstances),
        "cases": [
            {
                "name": row.case.name,
                "family": row.case.family,
                "verdicts": {
                    name: {**asdict(verdict), "has_passed": verdict.has_passed}
                    for name, verdict in row.verdicts.items()
                },
            }
            for row in rows
        ],
    }


def _table(rows: Sequence[Row], contenders: Sequence[str]) -> Iterator[str]:
    yield f"| family | case | contender | | {' | '.join(_COLUMNS)} |"
    yield f"|---|---|---|---|{'--:|' * (len(_COLUMNS) - 1)}---|"
    for row in rows:
        for contender in contenders:
            verdict = row.verdicts.get(contender)
            if verdict is not None and not verdict.missing:
                yield f"| {row.case.family} | {row.case.name} | {contender} | {_cells(verdict)} |"


def _cells(verdict: Verdict) -> str:
    exit_s = "-" if verdict.exit_s is None else f"{verdict.exit_s:.1f}"
    lost = f"{verdict.lost} of {verdict.ended}" if verdict.lost else "0"
    ledger = verdict.ledger if verdict.ledger in ("exact", "-", "none") else "wrong"
    figures = (
        "pass" if verdict.has_passed else "**FAIL**",
        lost,
        str(verdict.doubled),
        str(verdict.raised),
        f"{verdict.longest_ms:.0f}",
        exit_s,
        f"{verdict.grown_mib:.0f}",
        str(verdict.stderr_bytes),
        ledger,
    )
    return " | ".join(figures)


def _sums(rows: Sequence[Row], contenders: Sequence[str]) -> Iterator[str]:
    for contender in contenders:
        ran = [row.verdicts[contender] for row in rows if not row.verdicts[contender].missing]
        passed = sum(verdict.has_passed for verdict in ran)
        lost = sum(verdict.lost for verdict in ran)
        ended = sum(verdict.ended for verdict in ran)
        yield f"{contender}: {passed} of {len(ran)} cases passed; {lost:,} of {ended:,} ended records lost."
        reasons = {
            row.verdicts[contender].missing: row.case.name for row in rows if row.verdicts[contender].missing
        }
        for reason in reasons:
            names = [row.case.name for row in rows if row.verdicts[contender].missing == reason]
            yield f"  not run, {reason}: {len(names)} cases, such as {names[0]}."


def _failures(rows: Sequence[Row], contender: str) -> Iterator[str]:
    failed = [(row.case, row.verdicts[contender]) for row in rows if not row.verdicts[contender].has_passed]
    if not failed:
        yield "- nothing."
    for case, verdict in failed:
        yield f"- {case.family} / {case.name}: {'; '.join(verdict.failures)}"
