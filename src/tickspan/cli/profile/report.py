"""`tickspan profile report FILE`: what a recorded profile says, as text or in another form."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Final

from tickspan.analysis.profiles import SPACE, Profile
from tickspan.cli.profile import files

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "report"
_MOST_FUNCTIONS: Final = 30
_MIB: Final = 1 << 20
SUMMARY: Final = "what a profile says: states, hot functions, what holds the program up"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a .profile file, or a .pb.gz")
    parser.add_argument("--json", action="store_true", help="as data")
    files.add_output(parser, default=None)


def run(options: argparse.Namespace) -> int:
    """Print it, or write it in the forms that are asked for."""
    from tickspan.profiler.report import report_of  # the verb's own

    profile = files.read(options.file)
    for output in options.output or []:
        files.write(profile, output)
        print(f"{profile!r} written to {output}")
    if profile.kind == SPACE and not options.output:
        _show_memory(profile, is_data=options.json)
    elif not options.output:
        report = report_of(profile)
        print(
            json.dumps(report.data(), indent=2) if options.json else report.text(),
            end="" if not options.json else "\n",
        )
    return 0


def _show_memory(profile: Profile, *, is_data: bool) -> None:
    """What memory is in use, by the functions that allocated it."""
    own, total = Counter[str](), Counter[str]()
    for sample in profile.samples:
        functions = [frame.function for frame in profile.frames_of(sample)]
        own.update({function: profile.weight(sample) for function in functions[:1]})
        total.update(dict.fromkeys(functions, profile.weight(sample)))
    if is_data:
        told = [
            {"function": name, "own_bytes": size, "total_bytes": total[name]}
            for name, size in own.most_common()
        ]
        print(json.dumps({"service": profile.service, "bytes": own.total(), "functions": told}, indent=2))
        return
    print(f"{profile!r}\n\nown and total MiB in use")
    for name, size in own.most_common(_MOST_FUNCTIONS):
        print(f"  {size / _MIB:9.2f} {total[name] / _MIB:9.2f}  {name}")
