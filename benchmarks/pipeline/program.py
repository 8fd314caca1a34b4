"""A benchmark as a program: its options, what it says meanwhile, its report as Markdown and as data."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, markdown, targets_markdown
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

S = TypeVar("S")
P = TypeVar("P")

_WELL: Final = "Everything that was recorded arrived, and is so."


def main(
    name: str,
    doc: str | None,
    measurements: Mapping[str, Callable[[P, Progress], Section]],
    opened: Callable[[S], AbstractContextManager[P]],
    *,
    quick: S,
    full: S,
    peers: Callable[[P], Mapping[str, str]] | None = None,
    well: str = _WELL,
) -> int:
    """Measure in one place, print, and say whether everything is there: the exit status.

    Args:
        name: of the program, for its errors.
        doc: of its module; the first line describes it.
        measurements: by the names that `--only` takes.
        opened: makes what they share, for a scale.
        quick: the scale with `--quick`.
        full: the scale without.
        peers: tells versions by the names of the peers that are measured beside.
        well: what stands at the end when nothing went wrong.
    """
    asked = options(doc, measurements, "to see that all works: no verdict to rely on").parse_args()
    scale = quick if asked.quick else full
    circumstances, begun = Circumstances.now(), time.monotonic()
    try:
        with opened(scale) as place:
            sections = [measurements[only](place, progress(only)) for only in asked.only]
            versions = {} if peers is None else peers(place)
    except ChildError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    print(report(circumstances, sections, time.monotonic() - begun, peers=versions, well=well))
    if asked.json is not None:
        write_data(asked.json, circumstances, scale, sections, **{"peers": versions} if versions else {})
    return 1 if any(section.faults for section in sections) else 0


def options(doc: str | None, names: Iterable[str], quick: str) -> argparse.ArgumentParser:
    """A parser of what all benchmarks take: `--quick`, `--only` some of `names`, `--json`."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help=quick)
    known = list(names)
    parser.add_argument(
        "--only", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds as data, too")
    return parser


def progress(name: str) -> Progress:
    """Tells what a measurement is at: on a terminal in one line, elsewhere line by line."""

    def tell(text: str) -> None:
        is_terminal = sys.stderr.isatty()
        start, end = ("\r\033[K", "") if is_terminal else ("", "\n")
        print(f"{start}{name}: {text}", end=end, file=sys.stderr, flush=True)

    return tell


def report(
    circumstances: Circumstances,
    sections: Sequence[Section],
    took_s: float,
    *,
    peers: Mapping[str, str] | None = None,
    well: str = _WELL,
) -> str:
    """Everything, as Markdown: where and how long, what was measured, the targets, what went wrong.

    Args:
        circumstances: of the run.
        sections: in their order.
        took_s: the run's length.
        peers: their versions by their names, if there are any.
        well: what stands at the end when nothing went wrong.
    """
    libraries = {
        name: library for section in sections for name, library in section.data.get("libraries", {}).items()
    }
    faults = [fault for section in sections for fault in section.faults]
    parts = (
        f"{circumstances}, {took_s:.0f} s",
        "Peers: " + ", ".join(f"{name} {version}" for name, version in peers.items()) if peers else "",
        "\n".join(f"- {name}: {library}" for name, library in libraries.items()),
        *(markdown(section) for section in sections),
        "### Targets",
        targets_markdown(sections),
        "\n".join(f"- {fault}" for fault in faults) or well,
    )
    return "\n\n".join(part.strip() for part in parts if part)


def write_data(
    path: Path,
    circumstances: Circumstances,
    scale: Any,
    sections: Sequence[Section],
    **more: Mapping[str, Any],
) -> None:
    """All rounds, as JSON; `scale` is a dataclass."""
    told = {
        "circumstances": asdict(circumstances),
        **more,
        "scale": asdict(scale),
        "sections": {section.name: asdict(section) for section in sections},
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
