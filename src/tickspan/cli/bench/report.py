"""What `tickspan bench` prints: paths beside what they stand on, and the figures that tickspan is held to."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from textwrap import wrap
from typing import Any, Final

from tickspan.cli.bench.timing import Timing
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.layout import WIDTH, duration, table
from tickspan.version import __version__

__all__ = [
    "Figure",
    "Path",
    "Report",
    "add_common_options",
    "check",
    "facts",
    "missing",
    "publish",
    "tell",
    "where",
    "words_of_where",
]

_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Path:
    """A way to do something, measured.

    Attributes:
        name: for people.
        timing: of its calls.
        stands_on: the name of the path that it is compared with; "" for none.
    """

    name: str
    timing: Timing
    stands_on: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that is asked for, and what this machine shows.

    Attributes:
        what: it is about.
        target: as asked for.
        found: here.
        method: how it was measured.
        limit: where more cannot be had, and why.
        is_met: whether both latency and rate reach the target.
    """

    what: str
    target: str
    found: str
    method: str
    limit: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Report:
    """One action's answer."""

    title: str
    paths: tuple[Path, ...]
    figures: tuple[Figure, ...]
    libraries: tuple[str, ...] = ()
    """Distributions whose versions matter."""


def add_common_options(parser: argparse.ArgumentParser, seconds: float = _SECONDS) -> None:
    """The options of every action; `seconds` is the default for each path."""
    parser.add_argument(
        "--seconds", type=_seconds, default=seconds, metavar="S", help="for each path; default: %(default)g"
    )
    parser.add_argument("--json", action="store_true", help="the answer as data")


def publish(report: Report, options: argparse.Namespace) -> int:
    """Print it; exit status 0: a figure that is missed says something of the machine, and is no error."""
    print(_json(report) if options.json else "\n".join(_lines(report)))
    return 0


def tell(text: str) -> None:
    """Progress, for those who wait: on stderr, in one line on a terminal."""
    is_terminal = sys.stderr.isatty()
    start, end = ("\r\033[K", "") if is_terminal else ("", "\n")
    print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def check(found: Any, expected: Any, what: str) -> None:
    """Measure nothing that is wrong.

    Raises:
        CommandError: `found` is not `expected`; what they hold is not told.
    """
    if found != expected:
        raise CommandError(f"{what} gave another value than was stored: nothing was measured", 1)


def missing(error: ImportError, extra: str) -> CommandError:
    """What to say when a library is not installed; `extra` brings it. Our own errors say so themselves."""
    if "pip install" in str(error):
        return CommandError(str(error))
    return CommandError(f"{error.name or error} is not installed: pip install 'tickspan[{extra}]'")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 60:  # noqa: PLR2004 - a minute for each path is long
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to 60, got '{text}'")
    return seconds


def _lines(report: Report) -> Iterator[str]:
    if sys.stderr.isatty():
        tell("")
    yield f"{report.title}: {words_of_where(report.libraries)}"
    yield ""
    by_name = {path.name: path for path in report.paths}
    rows = [
        (
            f"{path.timing.per_second:,.0f}",
            _short(path.timing.p50_s),
            _short(path.timing.p99_s),
            _beside(path, by_name.get(path.stands_on)),
            path.name,
        )
        for path in report.paths
    ]
    yield from table(("per second", "p50", "p99", "beside", "path"), rows)
    for figure in report.figures:
        yield ""
        yield f"{'met' if figure.is_met else 'not met'}: {figure.what}"
        yield from facts(figure)


def facts(figure: Figure) -> Iterator[str]:
    """Target, figure, method and limit, in lines."""
    told = {"target": figure.target, "here": figure.found, "how": figure.method, "limit": figure.limit}
    for word, text in told.items():
        yield from wrap(text, WIDTH, initial_indent=f"  {word:<8}", subsequent_indent=" " * 10)


def _beside(path: Path, other: Path | None) -> str:
    """How many times the rate of what it stands on."""
    if other is None:
        return "-"
    return f"{path.timing.per_second / other.timing.per_second:.2g}x {other.name}"


def _short(seconds: float) -> str:
    if seconds < 1e-6:  # noqa: PLR2004 - below a microsecond
        return f"{seconds * 1e9:.0f} ns"
    if seconds < 1e-5:  # noqa: PLR2004 - one digit behind the point tells more
        return f"{seconds * 1e6:.1f} us"
    return duration(seconds)


def words_of_where(libraries: Iterable[str] = ()) -> str:
    """The machine and what was measured there, in a line."""
    return ", ".join(
        (
            f"tickspan {__version__}",
            *(f"{name} {_version(name)}" for name in libraries),
            f"{platform.python_implementation()} {platform.python_version()}",
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        )
    )


def where(libraries: Iterable[str] = ()) -> dict[str, Any]:
    """The same as data."""
    return {
        "tickspan": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        **{name: _version(name) for name in libraries},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "-"


def _json(report: Report) -> str:
    told = {
        "title": report.title,
        "where": where(report.libraries),
        "paths": [asdict(path) for path in report.paths],
        "figures": [asdict(figure) for figure in report.figures],
    }
    return json.dumps(told, indent=2)
