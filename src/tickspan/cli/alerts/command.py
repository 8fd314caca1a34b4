"""The verb `alerts` and its actions."""

from __future__ import annotations

import argparse
from typing import Final, Protocol

from tickspan.cli.alerts import check, gateway, silence, status, test
from tickspan.cli.alerts import compile as compile_

__all__ = ["AlertsCommand"]


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


_ACTIONS: Final[tuple[_Action, ...]] = (status, silence, check, test, compile_, gateway)


class AlertsCommand:
    """Exit status 0 for fine, 1 for problems or alerts, 2 for wrong usage."""

    name = "alerts"
    summary = "alert rules: check, test and compile them; what fires, who is told"

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
