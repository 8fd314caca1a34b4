"""Files of profiles: read by their content, written by their ending."""

from __future__ import annotations

import argparse
import gzip
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tickspan.analysis.profiles import SPACE, Profile
from tickspan.cli.errors import CommandError

__all__ = ["ENDINGS", "add_output", "checked_hz", "checked_output", "read", "write"]


def _html(profile: Profile) -> bytes:
    if profile.kind == SPACE:
        from tickspan.profiler.encoding.flamegraph import flame_html

        return flame_html(profile).encode()
    from tickspan.profiler.report import report_of  # each encoder is loaded where its form is asked for

    return report_of(profile).html().encode()


def _svg(profile: Profile) -> bytes:
    from tickspan.profiler.encoding.flamegraph import flame_svg

    return flame_svg(profile).encode()


def _pprof(profile: Profile) -> bytes:
    from tickspan.profiler.encoding.pprof import pprof

    return pprof(profile)


def _read_pprof(data: bytes) -> Profile:
    from tickspan.profiler.encoding.pprof import read_pprof

    return read_pprof(data)


def _folded(profile: Profile) -> bytes:
    from tickspan.profiler.encoding.folded import folded

    return folded(profile).encode()


def _otlp(profile: Profile) -> bytes:
    from tickspan.profiler.encoding.otlp import request

    return gzip.compress(request(profile).SerializeToString(), mtime=0)


_FORMS: Final[Mapping[str, Callable[[Profile], bytes]]] = {
    ".html": _html,
    ".svg": _svg,
    ".pb.gz": _pprof,
    ".folded": _folded,
    ".otlp.gz": _otlp,
    ".profile": Profile.dump,
}
ENDINGS: Final = tuple(_FORMS)
_LEAST_HZ: Final = 0.01
_MOST_HZ: Final = 1_000.0
_GZIP: Final = b"\x1f\x8b"


def add_output(parser: argparse.ArgumentParser, *, default: str | None = "profile.html") -> None:
    """`-o`, which may be given several times."""
    known = ", ".join(ENDINGS)
    told = f"; {default} unless given" if default else ""
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        type=checked_output,
        metavar="FILE",
        help=f"write the profile, in the form of the ending: {known}; repeatable{told}",
    )


def checked_output(text: str) -> Path:
    """A path whose ending is known and whose folder is there, for `type=`: nobody samples in vain."""
    if not text.endswith(ENDINGS):
        raise argparse.ArgumentTypeError(f"expected a file that ends in {', '.join(ENDINGS)}, got '{text}'")
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder that is there, got '{path.parent}'")
    return path


def checked_hz(text: str) -> float:
    """Looks a second, from 0.01 to 1,000, for `type=`."""
    try:
        hz = float(text)
    except ValueError:
        hz = math.nan
    if not _LEAST_HZ <= hz <= _MOST_HZ:
        raise argparse.ArgumentTypeError(f"expected a number from 0.01 to 1,000, got '{text}'")
    return hz


def read(path: Path) -> Profile:
    """A `.profile` file, or a `.pb.gz` of ours. Raises `CommandError`."""
    try:
        data = path.read_bytes()
        return _read_pprof(data) if data.startswith(_GZIP) else Profile.load(data)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{path}: {error}") from None


def write(profile: Profile, path: Path) -> None:
    """In the form of the ending. Raises `CommandError`."""
    encode = next(make for ending, make in _FORMS.items() if path.name.endswith(ending))
    try:
        path.write_bytes(encode(profile))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
