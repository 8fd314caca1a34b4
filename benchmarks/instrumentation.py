"""What recording costs the caller: tickspan beside stock OpenTelemetry, in one run, as ratios.

Contenders are processes that take turns; each exports over OTLP/HTTP to a server that is one process more,
and after each turn what arrived is compared with what was recorded. Exit status 1: a span was lost or
changed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the servers of a benchmark are those of the tests

from sidebyside.circumstances import Circumstances
from sidebyside.lines import Child, ChildError
from sidebyside.report import data, text, verdict
from sidebyside.results import TableResult
from sidebyside.rounds import Budget, Place, run_table
from sidebyside.tables import TABLES, Table

from scripts import servers

_ROUNDS = 40
_SECONDS = 75.0
"""For all tables together, so that a busy machine gets fewer rounds instead of a longer run."""
_GENERATIONS = Path(__file__).parent.parent / ".generations"


def main() -> int:
    """Run, print, and say whether all spans arrived."""
    asked = _arguments()
    circumstances = Circumstances.now()
    print(circumstances, end="\n\n", flush=True)
    try:
        results = _run([table for table in TABLES if table.name in asked.tables], asked.rounds)
    except (ChildError, servers.ServerError) as error:
        print(f"instrumentation.py: {error}", file=sys.stderr)
        return 1
    print(text(results))
    print(f"\n{verdict(results)}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(data(circumstances, results), indent=2) + "\n")
    return 1 if any(result.faults for result in results) else 0


def _arguments() -> argparse.Namespace:
    names = [table.name for table in TABLES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--rounds", type=_positive, default=_ROUNDS, metavar="N", help="at most; default: %(default)s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as data, too")
    parser.add_argument(
        "--tables", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    return parser.parse_args()


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of rounds, 1 or more, got {value!r}")
    return int(value)


def _run(tables: list[Table], rounds: int) -> list[TableResult]:
    with ExitStack() as stack:
        sink = stack.enter_context(Child("sidebyside.sink"))
        addresses = stack.enter_context(_servers({table.server for table in tables}))
        place = Place(sink, str(sink.hello()), addresses, _GENERATIONS)
        end = time.monotonic() + _SECONDS
        return [
            _shown(table, Budget(rounds, _share(end, len(tables) - done)), place)
            for done, table in enumerate(tables)
        ]


def _share(end: float, tables: int) -> float:
    """Until when the next of `tables` may go on: each gets the same part of the time that is left."""
    now = time.monotonic()
    return now + (end - now) / tables


def _shown(table: Table, budget: Budget, place: Place) -> TableResult:
    """Run a table; a terminal sees how far it has got."""
    done = itertools.count()

    def after_round() -> None:
        _progress(f"{table.name}: round {next(done)} of {budget.rounds}")

    result = run_table(table, budget, place, after_round)
    _progress("")
    return result


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def _servers(names: set[str]) -> Generator[dict[str, str]]:
    """Addresses of those of the named servers that can be had."""
    executable = shutil.which("redis-server") if "redis" in names else None
    if executable is None:
        yield {}
        return
    with servers.redis_server(Path(executable)) as redis:
        yield {"redis": redis.url}


if __name__ == "__main__":
    sys.exit(main())
