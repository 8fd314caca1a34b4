"""Command: which cases for whom, in a small pool; the table; the exit status."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from . import runner
from .case import Case
from .cases import CASES
from .table import Circumstances, Row, data, markdown
from .telemetry import CONTENDERS, DEFAULT, Contender
from .verdict import Verdict, skipped

_POOL: Final = 4


def main(description: str) -> int:
    """Run, print, and say whether ours has passed."""
    asked = _arguments(description)
    cases = _chosen(asked)
    if asked.list:
        print("\n".join(f"{case.family:12} {case.name}" for case in cases))
        return 0
    if not cases:
        print("run.py: no case has that name; --list shows all", file=sys.stderr)
        return 2
    contenders = [CONTENDERS[name] for name in asked.contender or DEFAULT]
    circumstances = Circumstances.now(asked.seed)
    rows = _run(cases, contenders, asked.seed, asked.jobs)
    print(
        markdown(circumstances, rows, [contender.name for contender in contenders if not contender.missing])
    )
    if asked.json is not None:
        asked.json.write_text(json.dumps(data(circumstances, rows), indent=2) + "\n")
    return int(has_failed(rows, contenders))


def has_failed(rows: Sequence[Row], contenders: Sequence[Contender]) -> bool:
    """Whether a case of ours did not pass."""
    ours = [contender.name for contender in contenders if contender.is_ours]
    return any(not row.verdicts[name].has_passed for row in rows for name in ours)


def _arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--case", nargs="+", metavar="TEXT", help="cases whose name contains one of these")
    parser.add_argument("--family", nargs="+", metavar="NAME", help="cases of these families")
    parser.add_argument(
        "--contender", nargs="+", choices=list(CONTENDERS), help=f"default: {', '.join(DEFAULT)}"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of random moments and damage; default: %(default)s"
    )
    parser.add_argument("--jobs", type=int, default=_POOL, help="cases at a time; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one or two cases of each family")
    parser.add_argument("--full", action="store_true", help="each status and value on its own, too")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as data, too")
    return parser.parse_args()


def _chosen(asked: argparse.Namespace) -> list[Case]:
    return [
        case
        for case in CASES
        if (not asked.case or any(text in case.name for text in asked.case))
        and (not asked.family or case.family in asked.family)
        and (not asked.quick or case.is_quick)
        and (asked.full or asked.case or not case.is_full)
    ]


def _run(cases: Sequence[Case], contenders: Sequence[Contender], seed: int, jobs: int) -> list[Row]:
    begun, done, lock = time.monotonic(), 0, threading.Lock()
    total = len(cases) * len(contenders)

    def one(case: Case, contender: Contender) -> Verdict:
        nonlocal done
        verdict = _safely(case, contender, seed)
        with lock:
            done += 1
            if not verdict.missing:
                told = "pass" if verdict.has_passed else f"FAIL {'; '.join(verdict.failures)}"
                at = time.monotonic() - begun
                print(
                    f"{at:6.1f} s {done:4}/{total} {contender.name}: {case.name}: {told}",
                    file=sys.stderr,
                    flush=True,
                )
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        futures = [
            (case, {contender.name: pool.submit(one, case, contender) for contender in contenders})
            for case in cases
        ]
        return [
            Row(case, {name: future.result() for name, future in verdicts.items()})
            for case, verdicts in futures
        ]


def _safely(case: Case, contender: Contender, seed: int) -> Verdict:
    """A fault of the harness fails its own case, not the run."""
    try:
        return runner.run(case, contender, seed)
    except Exception as error:  # noqa: BLE001 - a thread's top
        traceback.print_exc()
        return replace(skipped(""), failures=(f"the harness broke: {type(error).__name__}: {error}",))
