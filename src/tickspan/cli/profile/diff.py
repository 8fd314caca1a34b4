"""`tickspan profile diff A B`: functions whose share of the samples has changed, and not by accident."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tickspan.analysis.profiles import SPACE
from tickspan.analysis.regression import Change, compared
from tickspan.cli.errors import CommandError
from tickspan.cli.profile import files

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "diff"
SUMMARY: Final = "functions whose share of the samples changed by 2 points or more, and not by accident"
REGRESSED: Final = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("before", type=Path, metavar="A", help="a .profile file, or a .pb.gz")
    parser.add_argument("after", type=Path, metavar="B", help="a later one")
    parser.add_argument("--json", action="store_true", help="as data")


def run(options: argparse.Namespace) -> int:
    """Print the changes; exit status 1 when a function takes more."""
    before, after = files.read(options.before), files.read(options.after)
    for path, profile in ((options.before, before), (options.after, after)):
        if profile.kind == SPACE:
            raise CommandError(f"{path}: expected a profile of time, got one of memory")
    try:
        changes = compared(before, after)
    except ValueError as error:
        raise CommandError(str(error)) from None
    told = [change for change in changes if change.is_significant]
    if options.json:
        print(json.dumps([{**asdict(change), "points": change.points} for change in told], indent=2))
    else:
        _show(told)
    return REGRESSED if any(change.points > 0 for change in told) else 0


def _show(told: Sequence[Change]) -> None:
    if not told:
        print("no function's share changed by 2 points or more, beyond chance")
    for change in told:
        sign = "+" if change.points > 0 else "-"
        print(
            f"{sign}{abs(change.points) * 100:5.1f} points  {change.before:6.1%} -> {change.after:6.1%}"
            f"  {change.function}"
        )
