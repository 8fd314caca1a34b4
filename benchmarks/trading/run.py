"""The trading part in figures: ticks, orders, memory, alarms, matching, back-tests, what goes over the wire.

Prints Markdown. Exit status 1: something is missing or was told wrongly; a figure that misses its target
changes no status.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline.sections import Section, markdown, targets_markdown
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError
from benchmarks.trading import alarms, backtests, matching, memory, orders, profiles, ticks, wire
from benchmarks.trading.place import FULL, QUICK, Place, Progress, opened

Measurement = Callable[[Place, Progress], Section]

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "ticks": ticks.tick_path,
    "orders": orders.order_lives,
    "memory": memory.full_registry,
    "alarms": alarms.alarms,
    "matching": matching.schedules,
    "backtest": backtests.backtests,
    "wire": wire.wire,
    "profile": profiles.where_time_goes,
}


def main() -> int:
    """Measure, print, and say whether everything is there."""
    asked = _arguments()
    scale = QUICK if asked.quick else FULL
    if asked.schedules is not None:
        scale = replace(scale, schedules=asked.schedules)
    circumstances, begun = Circumstances.now(), time.monotonic()
    try:
        with opened(scale) as place:
            sections = [MEASUREMENTS[name](place, _progress(name)) for name in asked.only]
    except ChildError as error:
        print(f"bench-trading: {error}", file=sys.stderr)
        return 1
    print(_report(circumstances, sections, time.monotonic() - begun))
    if asked.json is not None:
        told = {
            "circumstances": asdict(circumstances),
            "scale": asdict(scale),
            "sections": {section.name: asdict(section) for section in sections},
        }
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 1 if any(section.faults for section in sections) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="to see that all works: no verdict to rely on")
    names = list(MEASUREMENTS)
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--schedules", type=int, metavar="N", help="random schedules of each library")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds as data, too")
    return parser.parse_args()


def _progress(name: str) -> Progress:
    def tell(text: str) -> None:
        is_terminal = sys.stderr.isatty()
        start, end = ("\r\033[K", "") if is_terminal else ("", "\n")
        print(f"{start}{name}: {text}", end=end, file=sys.stderr, flush=True)

    return tell


def _report(circumstances: Circumstances, sections: Sequence[Section], took_s: float) -> str:
    libraries = {
        name: library for section in sections for name, library in section.data.get("libraries", {}).items()
    }
    faults = [fault for section in sections for fault in section.faults]
    parts = (
        f"{circumstances}, {took_s:.0f} s",
        "\n".join(f"- {name}: {library}" for name, library in libraries.items()),
        *(markdown(section) for section in sections),
        "### Targets",
        targets_markdown(sections),
        "\n".join(f"- {fault}" for fault in faults) or "Everything that was recorded arrived, and is so.",
    )
    return "\n\n".join(part.strip() for part in parts if part)


if __name__ == "__main__":
    sys.exit(main())
