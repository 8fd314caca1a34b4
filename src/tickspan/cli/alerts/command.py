"""The verb `alerts` and its actions."""

from __future__ import annotations

import argparse
from typing import Final

from tickspan.cli.actions import Action, add_actions
from tickspan.cli.alerts import check, gateway, silence, status, test
from tickspan.cli.alerts import compile as compile_

__all__ = ["AlertsCommand"]


_ACTIONS: Final[tuple[Action, ...]] = (status, silence, check, test, compile_, gateway)


class AlertsCommand:
    """Exit status 0 for fine, 1 for problems or alerts, 2 for wrong usage."""

    name = "alerts"
    summary = "alert rules: check, test and compile them; what fires, who is told"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        add_actions(parser, _ACTIONS)

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        return options.act(options)
