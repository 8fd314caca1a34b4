"""The verb `logs` and its actions."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Final

from tickspan.cli.actions import Action, add_actions
from tickspan.cli.logs import search, tail, verify

__all__ = ["LogsCommand"]


_ACTIONS: Final[tuple[Action, ...]] = (search, tail, verify)


class LogsCommand:
    """Exit status 0 for something found or a whole chain, 1 for nothing or a broken one, 2 for bad input."""

    name = "logs"
    summary = "find lines in log files, follow them, check the chain of audit records"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        add_actions(parser, _ACTIONS)

    def run(self, options: argparse.Namespace) -> int:
        """Do it. Who reads our output may go at any time, such as `head`: that ends it in order."""
        try:
            status = options.act(options)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # the interpreter flushes once more
            return 0
        return status
