"""`tickspan metrics`: what the programs that run on this host measure now, read from the spool."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan.cli.recorded import Recorded
    from tickspan.providers.summary import MetricSummary

_SECTIONS: Final = (
    ("system", ("system.",)),
    ("process", ("process.", "cpython.", "container.", "tickspan.cpython.", "tickspan.container.")),
    ("trading", ("trading.", "tickspan.trading.")),
    ("db", ("db.", "redis.", "tickspan.db.", "tickspan.queries.", "tickspan.cache.", "tickspan.pool.")),
    ("http", ("http.",)),
    ("telemetry", ("otel.", "tickspan.")),
)
BUSINESS: Final = "business"
"""The section of whatever has a name of the program's own."""
SECTIONS: Final = (*(name for name, _ in _SECTIONS), BUSINESS)
_CLEAR: Final = "\x1b[H\x1b[2J"
_MOST_WATCH_S: Final = 3_600.0


class MetricsCommand:
    """Exit status 0 when there was something to show, 1 when nothing is recorded."""

    name = "metrics"
    summary = "show what the programs that run on this host measure now"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="the metrics as data")
        parser.add_argument(
            "--watch",
            nargs="?",
            type=_seconds,
            const=2.0,
            metavar="S",
            help="show them again every S seconds (2) until interrupted",
        )
        parser.add_argument(
            "--pid", type=int, action="append", metavar="PID", help="this process; repeatable"
        )
        parser.add_argument(
            "--service", action="append", metavar="NAME", help="programs of this service.name; repeatable"
        )
        parser.add_argument(
            "--section", action="append", choices=SECTIONS, help="these metrics only; repeatable"
        )
        parser.add_argument(
            "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
        )

    def run(self, options: argparse.Namespace) -> int:
        """Print them."""
        from tickspan_spool.spool import SpoolPlan  # the verb's own, and slow to import

        directory = options.directory or SpoolPlan.from_environment(os.environ).directory
        wanted = Wanted(
            frozenset(options.pid or ()), frozenset(options.service or ()), tuple(options.section or SECTIONS)
        )
        while True:
            text = _shown(directory, wanted, is_json=options.json)
            if options.watch is None:
                print(text)
                return 0
            clear = _CLEAR if sys.stdout.isatty() and not options.json else ""
            print(f"{clear}{text}", flush=True)
            time.sleep(options.watch)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; empty sets are all."""

    pids: frozenset[int] = frozenset()
    services: frozenset[str] = frozenset()
    sections: tuple[str, ...] = SECTIONS

    def accepts(self, recorded: Recorded) -> bool:
        """Whether this program is asked for, and has something to show."""
        is_named = not self.services or recorded.service in self.services
        is_measured = any(section_of(one.metric) in self.sections for one in recorded.metrics)
        return is_named and is_measured and (not self.pids or recorded.pid in self.pids)


def section_of(metric: str) -> str:
    """Where a metric is shown; the longest prefix counts."""
    found = [
        (len(prefix), name)
        for name, prefixes in _SECTIONS
        for prefix in prefixes
        if metric.startswith(prefix)
    ]
    return max(found)[1] if found else BUSINESS


def _shown(directory: Path, wanted: Wanted, *, is_json: bool) -> str:
    from tickspan.cli.recorded import recorded_metrics  # protobuf: nothing else of this module needs it

    every = recorded_metrics(directory)
    if not every:
        raise CommandError(
            f"no running program records metrics in {directory}; run one: tickspan run -- python bot.py", 1
        )
    found = [recorded for recorded in every if wanted.accepts(recorded)]
    if not found:
        running = ", ".join(f"{one.service} ({one.pid})" for one in every)
        raise CommandError(f"no running program measures that; there are {running}", 1)
    if is_json:
        return json.dumps([_data(recorded, wanted.sections) for recorded in found], indent=2)
    return "\n\n".join("\n".join(_lines(recorded, wanted.sections)) for recorded in found)


def _data(recorded: Recorded, sections: Sequence[str]) -> Mapping[str, Any]:
    return {
        "service": recorded.service,
        "pid": recorded.pid,
        "host": recorded.host,
        "age_s": recorded.age_s,
        "metrics": [
            {
                "section": section_of(one.metric),
                "metric": one.metric,
                "unit": one.unit,
                "kind": one.kind,
                "attributes": dict(one.attributes),
                "last": one.last,
                "rate": one.rate,
                "p50": one.p50,
                "p95": one.p95,
                "p99": one.p99,
            }
            for one in recorded.metrics
            if section_of(one.metric) in sections
        ],
    }


def _lines(recorded: Recorded, sections: Sequence[str]) -> Iterator[str]:
    yield (
        f"{recorded.service}, pid {recorded.pid} on {recorded.host or 'this host'},"
        f" measured {recorded.age_s:.0f} s ago"
    )
    for section in sections:
        rows = [_row(one) for one in recorded.metrics if section_of(one.metric) == section]
        if rows:
            yield from _table([(section, "now", "per second", "p50", "p95", "p99"), *rows])


def _row(one: MetricSummary) -> tuple[str, ...]:
    from tickspan.analysis.scales import shown

    def text(value: float | None) -> str:
        return "" if value is None else shown(value, one.unit)

    if one.kind == "gauge":
        return (one.name, text(one.last), "", "", "", "")
    rate_unit = one.unit if one.kind == "counter" else ""
    rate = "" if one.rate is None else shown(one.rate, rate_unit)
    return (one.name, text(one.last), rate, text(one.p50), text(one.p95), text(one.p99))


def _table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MOST_WATCH_S:
        raise argparse.ArgumentTypeError(f"expected up to {_MOST_WATCH_S:g} seconds, got '{text}'")
    return seconds
