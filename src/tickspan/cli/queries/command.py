"""The verb `queries` and its actions."""

from __future__ import annotations

import argparse
from typing import Final, Protocol

from tickspan.cli.queries import advise, explain, findings, top, verify

__all__ = ["QueriesCommand"]


class _Action(Protocol):
    """A module of this package."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """The word on the command line."""
        ...

    @property
    def SUMMARY(self) -> str:  # noqa: N802 - a module's constant
        """One line for `--help`."""
        ...

    def add_options(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the options."""
        ...

    def run(self, options: argparse.Namespace, /) -> int:
        """Do it; returns the exit status."""
        ...


_ACTIONS: Final[tuple[_Action, ...]] = (top, findings, explain, advise, verify)


class QueriesCommand:
    """Exit status 0 for fine, 1 for findings at `--fail-on`, 2 for bad input, 3 without a database."""

    name = "queries"
    summary = "what the program asks its databases, what could be better, and how"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        for action in _ACTIONS:
            made = actions.add_parser(
                action.NAME, help=action.SUMMARY, description=action.SUMMARY, allow_abbrev=False
            )
            action.add_options(made)
            made.set_defaults(act=action.run)

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        return options.act(options)
