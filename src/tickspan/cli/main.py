"""Finds the verb, runs it, and turns a `CommandError` into one line and an exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Final, NoReturn, Protocol

from tickspan.cli.errors import CommandError
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

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    try:
        return options.run(options)
    except CommandError as error:
        print(f"tickspan {options.verb}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130


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
    return parser


def commands() -> list[Command]:
    """Our verbs, then those of members."""
    from tickspan.cli.agent import AgentCommand
    from tickspan.cli.alerts import AlertsCommand
    from tickspan.cli.demo import DemoCommand
    from tickspan.cli.doctor import DoctorCommand
    from tickspan.cli.metrics import MetricsCommand
    from tickspan.cli.queries import QueriesCommand
    from tickspan.cli.run import RunCommand

    members: list[Callable[[], Command]] = [entry.load() for entry in entry_points(group=COMMANDS)]
    ours = [
        RunCommand(),
        DemoCommand(),
        DoctorCommand(),
        AgentCommand(),
        QueriesCommand(),
        MetricsCommand(),
        AlertsCommand(),
    ]
    return [*ours, *(make() for make in members)]
