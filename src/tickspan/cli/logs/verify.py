"""`tickspan logs verify`: whether audit records are as they were written, all of them, in their order."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.logs.options import add_place, directory_of

if TYPE_CHECKING:
    from tickspan.logs.chain import Verdict

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "verify"
SUMMARY: Final = "whether audit records are all there, unchanged and in their order"
_NO_KEY: Final = "none"
_HEAD: Final = re.compile(r"[0-9a-f]{64}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--key-file",
        action="append",
        default=[],
        metavar="FILE",
        help="the key (logs.audit_key_file); again for each that followed, oldest first; 'none' for no key",
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="LINK:HEAD",
        help="a head that a collector has, from the event tickspan.audit.chain: what was cut off is seen too",
    )
    parser.add_argument(
        "--archive",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with older files (logs.archive_dir)",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="the first files are elsewhere: believe the first record that is there",
    )
    parser.add_argument("--json", action="store_true", help="the verdict on each chain as data")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    """Say so, or name the first record at which it is not; exit status 1 then."""
    from tickspan.config import read_settings  # the verb's own, and slow to import
    from tickspan.logs.chain import verify
    from tickspan.logs.names import files_in
    from tickspan.logs.reading import audit_lines

    folder = directory_of(options)
    settings = read_settings(environ=os.environ).settings.logs
    archives = options.archive or ([Path(settings.archive_dir).expanduser()] if settings.archive_dir else [])
    folders = [*archives, folder]
    prefixes = sorted(
        {name.prefix for one in folders for name in files_in(one, options.prefix) if name.is_audit}
    )
    if not prefixes:
        raise CommandError(f"no files of audit records in {folder}")
    if options.witness and len(prefixes) > 1:
        raise CommandError(f"--witness: of which chain? --prefix names one of {', '.join(prefixes)}")
    key_files = options.key_file or ([settings.audit_key_file] if settings.audit_key_file else [])
    keys, witnesses = [_key(path) for path in key_files], [_witness(text) for text in options.witness]
    verdicts = {
        one: verify(
            chain.from_iterable(audit_lines(place, one) for place in folders),
            keys,
            witnesses,
            is_partial=options.partial,
        )
        for one in prefixes
    }
    if options.json:
        print(json.dumps([_data(prefix, verdict) for prefix, verdict in verdicts.items()], indent=2))
    else:
        for prefix, verdict in verdicts.items():
            _tell(prefix, verdict)
    return 0 if all(map(_is_sound, verdicts.values())) else 1


def _is_sound(verdict: Verdict) -> bool:
    """Whether a chain is whole, and no record is missing in it."""
    return verdict.is_whole and not verdict.gaps


def _data(prefix: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "prefix": prefix,
        "is_whole": verdict.is_whole,
        "first": verdict.first,
        "last": verdict.last,
        "head": verdict.head,
        "fault": None if verdict.fault is None else str(verdict.fault),
        "gaps": [str(gap) for gap in verdict.gaps],
    }


def _tell(prefix: str, verdict: Verdict) -> None:
    """Say what one chain is worth."""
    if verdict.fault is not None:
        print(f"{prefix}: {verdict.fault}")
        if verdict.fault.kind == "missing" and verdict.fault.link == 1:
            print(f"{prefix}: --archive names a folder with older files", file=sys.stderr)
    else:
        print(f"{prefix}: links {verdict.first} to {verdict.last} are whole; head {verdict.head}")
    for gap in verdict.gaps:
        print(f"{prefix}: records never came of {gap}", file=sys.stderr)


def _key(path: str) -> bytes | None:
    if path == _NO_KEY:
        return None
    try:
        return Path(path).expanduser().read_bytes().strip()
    except OSError as error:
        raise CommandError(f"the key cannot be read: {error.strerror}: {path}") from None


def _witness(text: str) -> tuple[int, str]:
    link, _, head = text.partition(":")
    if not link.isdecimal() or not _HEAD.fullmatch(head):
        raise CommandError(f"--witness: expected LINK:HEAD, such as 12:9ded… (64 digits); got {text!r}")
    return int(link), head
