"""Actions: the words that a verb may be followed by, each a module."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Protocol

__all__ = ["Action", "add_actions"]


class Action(Protocol):
    """A module of a verb's package."""

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


def add_actions(
    parser: argparse.ArgumentParser, actions: Iterable[Action], *, is_required: bool = True
) -> None:
    """Declare them; the chosen one's `run` is the option `act`."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=is_required)
    for action in actions:
        made = words.add_parser(
            action.NAME, help=action.SUMMARY, description=action.SUMMARY, allow_abbrev=False
        )
        action.add_options(made)
        made.set_defaults(act=action.run)
