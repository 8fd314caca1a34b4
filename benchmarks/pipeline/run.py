"""The pipeline beside its peers: caller cost, total CPU, tails, delivery, metrics, logs, exit, start-up.

Prints Markdown. Exit status 1: something that tickspan recorded did not arrive as it was recorded; a figure
that misses its target changes no status.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import delivery, exits, metering, peers, place, plot, records, starts, tails
from benchmarks.pipeline.scale import FULL, QUICK, Scale
from benchmarks.pipeline.sections import Section, markdown, targets_markdown
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

Measurement = Callable[[place.Place, Scale, Callable[[str], None]], Section]

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "caller": records.spans,
    "tail": tails.tails,
    "delivery": delivery.delivery,
    "metrics": metering.metrics,
    "logs": records.logs,
    "exit": exits.exits,
    "startup": starts.starts,
}


def main() -> int:
    """Measure, print, and say whether all that we recorded arrived."""
    asked = _arguments()
    scale = QUICK if asked.quick else FULL
    environment = peers.ready()
    circumstances = Circumstances.now()
    begun = time.monotonic()
    try:
        with place.opened(environment) as there:
            sections = [MEASUREMENTS[name](there, scale, _progress(name)) for name in asked.only]
    except ChildError as error:
        print(f"bench-pipeline: {error}", file=sys.stderr)
        return 1
    versions = environment.versions()
    print(_report(circumstances, versions, sections, time.monotonic() - begun))
    if asked.json is not None:
        data = {
            "circumstances": asdict(circumstances),
            "peers": versions,
            "scale": asdict(scale),
            "sections": {section.name: asdict(section) for section in sections},
        }
        asked.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if asked.plot is not None:
        bars = {figure: values for section in sections for figure, values in section.bars.items() if values}
        asked.plot.write_text(
            plot.svg(bars, f"{circumstances.date}, {circumstances.machine}"), encoding="utf-8"
        )
    return 1 if any(section.faults for section in sections) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--quick", action="store_true", help="two minutes instead of twelve: no verdict to rely on"
    )
    names = list(MEASUREMENTS)
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds as data, too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the ratios as an SVG, too")
    return parser.parse_args()


def _progress(name: str) -> Callable[[str], None]:
    def tell(text: str) -> None:
        end = "" if sys.stderr.isatty() else "\n"
        start = "\r\033[K" if sys.stderr.isatty() else ""
        print(f"{start}{name}: {text}", end=end, file=sys.stderr, flush=True)

    return tell


def _report(
    circumstances: Circumstances, versions: Mapping[str, str], sections: Sequence[Section], took_s: float
) -> str:
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    libraries = {
        name: library for section in sections for name, library in section.data.get("libraries", {}).items()
    }
    rows = "\n".join(f"- {name}: {library}" for name, library in libraries.items())
    faults = [fault for section in sections for fault in section.faults]
    closing = (
        "\n".join(f"- {fault}" for fault in faults)
        or "All that tickspan recorded arrived as it was recorded."
    )
    parts = (
        f"{circumstances}, {took_s:.0f} s\n\nPeers: {said}\n\n{rows}",
        *(markdown(section) for section in sections),
        "### Targets",
        targets_markdown(sections),
        closing,
    )
    return "\n\n".join(part.strip() for part in parts)


if __name__ == "__main__":
    sys.exit(main())
