"""Finds the verb, runs it, and turns a `CommandError` into one line and an exit status."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any, Final, NoReturn, Protocol

from tickspan.cli.errors import CommandError
from tickspan.cli.outline import WHOLE, options_of, parsers
from tickspan.cli.statuses import INTERRUPTED, UNREAD, epilog_of
from tickspan.version import __version__

COMMANDS: Final = "tickspan_commands"
"""Entry-point group in which members add verbs: each is a `Command`."""


class Command(Protocol):
    """A verb: its line in `tickspan --help`, its options, and what it does."""

    name: str
    summary: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        ...

    def run(self, options: argparse.Namespace) -> int:
        """Do it; returns the exit status. Raises `CommandError` for what the user can mend."""
        ...


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._given: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - overloaded there
        """Parse as ever; what was given is told of when it is wrong."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {self._with_option(message)}; see '{self.prog} --help'\n")

    def _with_option(self, message: str) -> str:
        """The message, or the option that nobody knows: argparse takes its value for the word after it."""
        if not message.startswith(("unrecognized arguments: -", "argument ACTION: invalid choice: ")):
            return message
        words = [word for word in self._given if not word.startswith("-")]
        below = list(parsers(self))
        known = {name for _, parser in below for name in options_of(parser)}
        given = (word.partition("=")[0] for word in self._given if word.startswith("--"))
        unknown = next((word for word in given if word not in known), None)
        if unknown is None:
            return message
        meant = [
            name for path, parser in below if list(path) == words[: len(path)] for name in options_of(parser)
        ]
        nearest = difflib.get_close_matches(unknown, meant, n=1, cutoff=0.7)
        return f"unknown option {unknown}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = build_parser()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["help"]:  # as people write it who know other commands
        words = [*words[1:], "--help"]
    options = parser.parse_args(words)
    try:
        status = options.run(options)
        sys.stdout.flush()
    except CommandError as error:
        print(f"tickspan {options.verb}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough; what is left to flush has nobody either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs. Wrong usage exits with status 2."""
    parser = _Parser(
        prog="tickspan",
        description="OpenTelemetry for Python trading systems that never gets in the way of a trade.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tickspan {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for command in commands():
        verb = verbs.add_parser(
            command.name, help=command.summary, description=command.summary, allow_abbrev=False
        )
        command.add_options(verb)
        verb.set_defaults(run=command.run)
    parser.set_defaults(**{WHOLE: parser})
    for path, described in parsers(parser):
        described.epilog = " ".join(filter(None, [described.epilog, epilog_of(path)])) or None
    return parser


def commands() -> list[Command]:
    """Our verbs, then those of members."""
    from tickspan.cli.agent import AgentCommand
    from tickspan.cli.alerts import AlertsCommand
    from tickspan.cli.bench import BenchCommand
    from tickspan.cli.completion import CompletionCommand
    from tickspan.cli.demo import DemoCommand
    from tickspan.cli.doctor import DoctorCommand
    from tickspan.cli.logs import LogsCommand
    from tickspan.cli.metrics import MetricsCommand
    from tickspan.cli.profile import ProfileCommand
    from tickspan.cli.queries import QueriesCommand
    from tickspan.cli.run import RunCommand
    from tickspan.cli.tail import TailCommand

    members: list[Callable[[], Command]] = [entry.load() for entry in entry_points(group=COMMANDS)]
    ours = [
        RunCommand(),
        DemoCommand(),
        DoctorCommand(),
        AgentCommand(),
        QueriesCommand(),
        MetricsCommand(),
        AlertsCommand(),
        BenchCommand(),
        LogsCommand(),
        ProfileCommand(),
        TailCommand(),
        CompletionCommand(),
    ]
    return [*ours, *(make() for make in members)]
