"""The verb `queries` and its actions."""

from __future__ import annotations

import argparse
from typing import Final

from tickspan.cli.actions import Action, add_actions
from tickspan.cli.queries import advise, explain, findings, top, verify

__all__ = ["QueriesCommand"]


_ACTIONS: Final[tuple[Action, ...]] = (top, findings, explain, advise, verify)


class QueriesCommand:
    """Exit status 0 for fine, 1 for findings at `--fail-on`, 2 for bad input, 3 without a database."""

    name = "queries"
    summary = "what the program asks its databases, what could be better, and how"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        add_actions(parser, _ACTIONS)

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        return options.act(options)
