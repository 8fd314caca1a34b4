"""`tickspan alerts silence`: have nobody told of some alerts for a while."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tickspan.cli.alerts.status import add_folder_option, folder_of
from tickspan.cli.errors import CommandError

__all__ = ["NAME", "SUMMARY", "add_options", "run", "until"]

NAME: Final = "silence"
SUMMARY: Final = "have nobody told of some alerts until a time; list and remove such silences"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "matchers",
        nargs="?",
        metavar="MATCHERS",
        help="""such as 'alertname="SlowVenue",severity!="critical"'""",
    )
    parser.add_argument(
        "--until", metavar="T", help="2h30m from now, 18:00 today or tomorrow, or 2026-12-24T18:00+01:00"
    )
    parser.add_argument("--comment", default="", metavar="C", help="why")
    parser.add_argument("--list", action="store_true", help="show those that have not ended")
    parser.add_argument("--remove", metavar="ID", help="end one")
    parser.add_argument("--json", action="store_true", help="the answer as data")
    add_folder_option(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 0 when it was done, 1 when there is no such silence, 2 for wrong usage."""
    from tickspan.alerts.silences import FILE, SilenceError, Silences, parse_matchers

    asked = [bool(options.matchers), options.list, options.remove is not None]
    if sum(asked) != 1:
        raise CommandError("expected one of MATCHERS, --list and --remove ID")
    silences = Silences(folder_of(options) / FILE, time.time)
    try:
        if options.list:
            _show(options, [silence.to_json() for silence in silences.current()])
            return 0
        if options.remove is not None:
            return _remove(options, silences)
        if options.until is None:
            raise CommandError("expected --until T: a silence that never ends is a rule to remove")
        now = datetime.now().astimezone()
        made = silences.add(parse_matchers(options.matchers), until(options.until, now), options.comment)
    except SilenceError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    _show(options, [made.to_json()])
    return 0


def until(text: str, now: datetime) -> float:
    """Seconds since 1970 of a duration from now, a time of day, or a date and time; local without a zone.

    Raises:
        CommandError: it is none of these.
    """
    from tickspan.analysis.rules.problems import Misread
    from tickspan.analysis.rules.units import duration_s

    try:
        return now.timestamp() + duration_s(text)
    except Misread:
        pass
    try:
        moment = datetime.strptime(text, "%H:%M").replace(
            year=now.year, month=now.month, day=now.day, tzinfo=now.tzinfo
        )
        return (moment if moment > now else moment + timedelta(days=1)).timestamp()
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"--until: expected '2h', '18:00' or '2026-12-24T18:00+01:00', got '{text}'"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)).timestamp()


def _remove(options: argparse.Namespace, silences: Any) -> int:
    is_removed: bool = silences.remove(options.remove)
    if options.json:
        print(json.dumps({"removed": is_removed}))
    else:
        print(
            "removed"
            if is_removed
            else f"no silence '{options.remove}'; see 'tickspan alerts silence --list'"
        )
    return 0 if is_removed else 1


def _show(options: argparse.Namespace, silences: list[dict[str, Any]]) -> None:
    if options.json:
        print(json.dumps(silences, indent=2))
        return
    print("\n".join(map(_line, silences)) or "no silences")


def _line(silence: dict[str, Any]) -> str:
    ends = datetime.fromtimestamp(silence["until_s"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    comment = f": {silence['comment']}" if silence["comment"] else ""
    return f"{silence['id']} until {ends} {', '.join(silence['matchers'])}{comment}"
